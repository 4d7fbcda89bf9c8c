package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/audit"
	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/internal/bus/bustest"
	"kassa/projections"
	"kassa/schema/schematest"
)

// busy has people deposit, ask and withdraw until stop is called. Each request must
// succeed.
func busy(t *testing.T, people []client) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for who, c := range people {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				for what, a := range map[string]answer{
					"deposit":    c.do(t.Context(), "POST", "/api/users/balance/adjust", fmt.Sprintf("in-%d-%d", who, n), adjustment{Amount: 10}),
					"question":   c.do(t.Context(), "POST", "/api/events/prediction/new", fmt.Sprintf("ask-%d-%d", who, n), question{Text: "a film about a ship", wait: 20}),
					"withdrawal": c.do(t.Context(), "POST", "/api/users/balance/adjust", fmt.Sprintf("out-%d-%d", who, n), adjustment{Amount: -1}),
				} {
					if a.status != http.StatusOK && a.status != http.StatusCreated {
						t.Errorf("a %s of person %d: %d %v %v", what, who, a.status, a.body, a.err)
						return
					}
				}
			}
		})
	}
	return func() { close(end); all.Wait() }
}

// patiently waits for what takes its time on a machine that does other things too.
func patiently(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !done(); <-tick.C {
		if time.Now().After(deadline) || t.Failed() {
			t.Fatalf("%s did not come about", what)
		}
	}
}

// The log is archived while people are at it. They go on, also after a restart of the
// service; what is archived is proved with the archives, and the rest without.
func TestArchiveUnderLoad(t *testing.T) {
	data, folder, database, broker := t.TempDir(), t.TempDir(), schematest.Postgres(t), bustest.New(t)
	schematest.Partitions(t, database, 60, 140)
	flags := []string{"--database-url", schematest.Service(t, database), "--amqp-url", broker.Address}
	s := serve(t, data, flags...)
	h := newHTTP()
	var people []client
	for n := range 3 {
		people = append(people, s.signUp(t, h, fmt.Sprintf("ada%d@example.com", n)))
	}
	store, views := openShared(t, database)
	stop := busy(t, people)
	grown := func(upTo eventstore.Position) {
		t.Helper()
		patiently(t, fmt.Sprint("a log of ", upTo, " entries"), func() bool {
			head, err := store.Head(t.Context())
			must(t, err)
			return head.Size >= upTo
		})
	}
	grown(150)
	archive := func(more ...string) (int, string) {
		t.Helper()
		code, out, complaints := kassa(t, append([]string{"archive", "--database-url", database, "--to", folder}, more...)...)
		return code, out + complaints
	}
	if code, says := archive("--plan"); code != 0 || !strings.Contains(says, "stays: events_small0, from position 1: its last entry is younger than 720h") {
		t.Errorf("the plan: exit code %d, %s", code, says)
	}
	if code, out, says := kassa(t, "archive", "--database-url", flags[1], "--to", folder, "--older-than", "0s"); code != exitFailed || !strings.Contains(says, "does not own the tables") {
		t.Errorf("the service's login archives: exit code %d, %s%s", code, out, says)
	}
	patiently(t, "everything to be behind the cut, and archived", func() bool {
		code, says := archive("--older-than", "0s", "--drop")
		at, err := store.Archived(t.Context())
		must(t, err)
		if code != 0 && !strings.Contains(says, "a partition cannot be archived") {
			t.Fatalf("exit code %d, %s", code, says)
		}
		return at == 140
	})
	head, err := store.Head(t.Context())
	must(t, err)
	grown(head.Size + 60)
	stop()

	s.kill()
	s = serve(t, data, flags...)
	for n, c := range people { // nothing of them is in the new process's memory
		c.url = s.url
		before := c.do(t.Context(), "GET", "/api/users/balance", "", nil)
		paid := c.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: 7})
		asked := c.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a film about a whale", wait: 30})
		if before.status != http.StatusOK || paid.number("balance") != before.number("balance")+7 || asked.text("status") != "completed" {
			t.Errorf("after the restart: %v %v %v\n%s", before.body, paid.body, asked.body, s.log)
		}
		again := c.do(t.Context(), "POST", "/api/users/balance/adjust", fmt.Sprintf("in-%d-0", n), adjustment{Amount: 10})
		if again.status != http.StatusUnprocessableEntity || again.text("code") != "idempotency_key_reused" || !strings.Contains(again.text("detail"), "archived") {
			t.Errorf("a deposit that is archived, again: %d %v", again.status, again.body)
		}
		after := c.do(t.Context(), "GET", fmt.Sprint("/api/users/balance?min_position=", asked.number("position")), "", nil)
		if after.number("balance") != paid.number("balance")-5 {
			t.Errorf("the balance is %v, after %v", after.body, paid.body)
		}
	}
	lost := people[0]
	lost.url = s.url
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}

	files, err := audit.OpenArchives(t.Context(), store, folder)
	must(t, err)
	head, err = store.Head(t.Context())
	must(t, err)
	must(t, views.Wait(t.Context(), head.Size))
	replay := projections.NewMemory()
	must(t, replay.Replay(t.Context(), audit.FullLog{Store: store, Archives: files}))
	must(t, audittest.CompareViews(t.Context(), views, replay))
	checkArchivedByCommand(t, data, database, folder)
}

// checkArchivedByCommand looks at an archived ledger as auditors and operators do.
func checkArchivedByCommand(t *testing.T, data, database, folder string) {
	t.Helper()
	reader := auditor(t, database)
	verify := func(code int, says string, more ...string) (v verdict) {
		t.Helper()
		args := append([]string{"verify", "--database-url", reader}, more...)
		got, out, complaints := kassa(t, args...)
		if got != code || !strings.Contains(out+complaints, says) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s%s", args, got, code, says, out, complaints)
		}
		_, out, _ = kassa(t, append(args, "--json")...)
		must(t, json.Unmarshal([]byte(out), &v))
		return v
	}
	if v := verify(0, "whole from position 141 on"); v.Archived == nil || v.Archived.UpTo != 140 || v.Archived.Proved || v.Views != nil {
		t.Errorf("without the archives the verdict is %+v", v)
	}
	verify(0, "NOT looked at (--archive DIR looks at them)")
	if v := verify(0, "and were read from the archive", "--archive", folder); !v.Archived.Proved || len(v.Views) != 7 {
		t.Errorf("with the archives the verdict is %+v", v)
	}
	verify(exitUnable, "the archive is not there", "--archive", t.TempDir())
	entries := filepath.Join(folder, "kassa-log-000000000061-000000000140", "entries.jsonl")
	whole, err := os.ReadFile(entries)
	must(t, err)
	forged := bytes.Clone(whole)
	forged[bytes.Index(forged, []byte("\n"))+200] ^= 1
	must(t, os.WriteFile(entries, forged, 0o600))
	if v := verify(exitFailed, "position 62", "--archive", folder); len(v.Faults) == 0 || v.Faults[0].Position != 62 {
		t.Errorf("of a changed archive the verdict is %+v", v)
	}
	must(t, os.WriteFile(entries, whole, 0o600))

	for args, want := range map[string]struct {
		code int
		says string
	}{
		"views rebuild balances":                     {exitFailed, "give the folder of the archives with --archive"},
		"views rebuild balances --archive " + folder: {0, "balances_v2 was replaced"},
		"events":                                     {exitFailed, "the entries from 1 to 140 are"},
		"events --after 140 --limit 1":               {0, "141"},
		"doctor":                                     {-1, "archived up to position 140"},
		"archive --older-than 0s --to " + folder:     {0, "Nothing is to be archived"},
		"archive --older-than 0s --plan":             {0, "stays: events_p0, from position 141: the log has not grown past it"},
		"verify --archive " + folder + " --no-views": {0, "The ledger is whole"},
	} {
		flags := []string{"--database-url", database}
		if args == "doctor" || strings.HasPrefix(args, "events") {
			flags = append(flags, "--data", data)
		}
		code, out, complaints := kassa(t, append(strings.Fields(args), flags...)...)
		if want.code >= 0 && code != want.code || !strings.Contains(out+complaints, want.says) {
			t.Errorf("kassa %s: exit code %d, want %d and %q:\n%s%s", args, code, want.code, want.says, out, complaints)
		}
	}
}
