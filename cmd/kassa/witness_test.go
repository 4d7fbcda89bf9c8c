package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/eventstore/eventstoretest"
	"kassa/transparency"
	"kassa/transparency/witness"
)

// testWitness is a witness of a ledger: a process that takes submissions, and a folder in
// which the log is looked at from outside.
type testWitness struct {
	key    string // public, of the log
	policy string // file that names it
	folder string
}

// newWitness starts the process. The ledger in the folder has its key, and need not run.
func newWitness(t *testing.T, data string) testWitness {
	t.Helper()
	code, key, complaints := kassa(t, "key", "show", "--data", data)
	if code != 0 {
		t.Fatalf("key show: %d %s", code, complaints)
	}
	w := testWitness{strings.TrimSpace(key), filepath.Join(t.TempDir(), "policy"), t.TempDir()}
	state := filepath.Join(t.TempDir(), "witness")
	code, public, complaints := kassa(t, "witness", "key", "witness.example.org/w1", "--state", state)
	if code != 0 {
		t.Fatalf("witness key: %d %s", code, complaints)
	}
	running := opened(t, command(t, "witness", "run", "--state", state, "--key", w.key, "--addr", "127.0.0.1:0", "--log-format", "json"))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, closed.Close()) // of the two others nobody answers at this address
	_, other, _ := kassa(t, "witness", "key", "witness.example.org/w2", "--state", filepath.Join(t.TempDir(), "w2"))
	must(t, os.WriteFile(w.policy, []byte(fmt.Sprintf("witness w1 %s %s\nwitness w2 %s http://%s\ngroup g 1 w1 w2\nquorum g\n",
		strings.TrimSpace(public), running.url, strings.TrimSpace(other), closed.Addr())), 0o600))
	return w
}

// cosigns waits until the service publishes the head with the witness's cosignature.
func (w testWitness) cosigns(t *testing.T, s *server, checkpoint string) {
	t.Helper()
	asks := client{url: s.url, http: newHTTP()}
	eventstoretest.Eventually(t, "the head is cosigned", func() bool {
		head := asks.do(t.Context(), "GET", "/api/log/head", "", nil)
		cosigned, _ := head.body["cosigned"].(map[string]any)
		return cosigned["witnesses"] == float64(1) && cosigned["of"] == float64(2) && cosigned["quorum"] == true && cosigned["checkpoint"] == head.text("checkpoint") &&
			strings.HasPrefix(head.text("checkpoint"), checkpoint) && strings.Contains(head.text("checkpoint"), "\n— witness.example.org/w1 ")
	})
}

// check looks at the log once, by its public address.
func (w testWitness) check(t *testing.T, s *server) (code int, out, complaints string) {
	t.Helper()
	return kassa(t, "witness", "check", "--state", w.folder, "--key", w.key, "--url", s.url)
}

// A command line that makes no sense is refused; a log that does not answer gives no verdict.
func TestWitnessRefuses(t *testing.T) {
	state := t.TempDir()
	_, key, _ := kassa(t, "witness", "key", "kassa.example.com/ledger", "--state", state)
	key = strings.TrimSpace(key)
	if code, again, _ := kassa(t, "witness", "key", "--state", state); code != 0 || strings.TrimSpace(again) != key || !strings.HasPrefix(key, "kassa.example.com/ledger+") {
		t.Errorf("the key again: %d %s", code, again)
	}
	_, made, _ := kassa(t, "key", "new", "kassa.example.com/ledger", "--data", state)
	_, public, _ := strings.Cut(strings.TrimSpace(made), "\n")
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"check", "--key", public}, exitUsage, "--url is missing"},
		{[]string{"check", "--url", "http://127.0.0.1:1"}, exitUsage, "no public key"},
		{[]string{"check", "--key", public, "--url", "ftp://x"}, exitUsage, "no http"},
		{[]string{"check", "--key", public, "--url", "http://127.0.0.1:1"}, exitUnable, "read checkpoint of the log"},
		{[]string{"run", "--key", public}, exitUsage, "--url or --addr"},
		{[]string{"run", "--key", public, "--addr", "127.0.0.1:0", "--every", "1ms"}, exitUsage, "--every"},
		{[]string{"key"}, exitUsage, "needs a name"},
	} {
		if code, _, complaints := kassa(t, append(append([]string{"witness"}, tt.args...), "--state", t.TempDir())...); code != tt.code || !strings.Contains(complaints, tt.says) {
			t.Errorf("%v: exit code %d\n%s", tt.args, code, complaints)
		}
	}
}

// watching is a witness in the process of the test, which looks at a service from outside
// while that is killed.
type watching struct{ *witness.Witness }

func newWatching(t *testing.T, data string) watching {
	t.Helper()
	private, err := os.ReadFile(filepath.Join(data, "log.key"))
	must(t, err)
	keys, err := transparency.ParseKeys(string(private))
	must(t, err)
	public, err := transparency.ParsePublicKeys(strings.Join(keys.Public(), "\n"))
	must(t, err)
	opened, err := witness.Open(t.TempDir(), public)
	must(t, err)
	t.Cleanup(func() { must(t, opened.Close()) })
	return watching{opened}
}

// watch looks at the log until ctx ends. A service that is gone is no contradiction.
func (w watching) watch(ctx context.Context, t *testing.T, url string) {
	log, err := witness.At(url)
	must(t, err)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := w.Check(ctx, log); err != nil {
			if alarm, is := errors.AsType[*witness.Contradiction](err); is {
				t.Errorf("the witness: %v", alarm)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sees wants that the witness has seen all that the service has, and no contradiction.
func (w watching) sees(t *testing.T, s *server) {
	t.Helper()
	checkpoint := s.signedHead(t)
	log, err := witness.At(s.url)
	must(t, err)
	if head, err := w.Check(t.Context(), log); err != nil || string(head.Note) != checkpoint {
		t.Errorf("the witness has seen %s, %v, and published is %s", head.Note, err, checkpoint)
	}
	if kept, err := w.Evidence(); err != nil || len(kept) > 0 {
		t.Errorf("the witness has the evidence %v, %v", kept, err)
	}
}
