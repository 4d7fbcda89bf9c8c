package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore/eventstoretest"
)

// buildOlder builds the program as it was before it knew a type of event. The source is
// this one, without the line that registers the type.
func buildOlder(t *testing.T, without domain.EventType, line string) (path string) {
	t.Helper()
	codec, err := filepath.Abs(filepath.Join("..", "..", "domain", "codec.go"))
	must(t, err)
	text, err := os.ReadFile(codec)
	must(t, err)
	older := strings.Replace(string(text), line, "", 1)
	if older == string(text) {
		t.Fatalf("%s is not registered by %q", without, line)
	}
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "codec.go"), []byte(older), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{codec: filepath.Join(folder, "codec.go")}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o600))
	path = filepath.Join(folder, "kassa")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(folder, "overlay.json"), "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the older program: %v\n%s", err, out)
	}
	return path
}

// An upgrade whose order was not kept: an entry of a new type is in the log before the
// processes that read it for all others are new. The older ones live on, report that they are
// too old, lead no more and break nothing; what people may still do they can; and once
// the new ones are there everything is served. The programs are two binaries.
func TestAnOlderProgramBesideANewerLog(t *testing.T) {
	older := buildOlder(t, domain.TypeRoleGranted, "	TypeRoleGranted:         versions[RoleGranted](),\n")
	f := newFleet(t)
	runs := func(binary string, args []string) *exec.Cmd {
		cmd := command(t, args...)
		if binary != "" {
			cmd.Path = binary
		}
		return cmd
	}
	begin := func(binary, kind string) *server {
		t.Helper()
		s := opened(t, runs(binary, f.args(kind, "127.0.0.1", f.database)))
		eventstoretest.Eventually(t, kind+" is ready", func() bool { return ready(t, s).status == http.StatusOK })
		return s
	}
	ends := func(s *server) {
		t.Helper()
		if code := s.interrupt(t); code != 0 {
			t.Errorf("exit code %d after Ctrl-C:\n%s", code, tail(s.log.String()))
		}
	}
	backend, api, worker := begin(older, "backend"), begin(older, "api"), opened(t, command(t, f.args("worker", "127.0.0.1", f.database)...))
	ada, root := api.signUp(t, f.http, "ada@example.com"), api.signUp(t, f.http, "root@example.com")
	answers := func(c client) {
		t.Helper()
		if a := c.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a film about a ship", wait: 30}); a.text("status") != "completed" {
			t.Errorf("a question is answered %d %v", a.status, a.body)
		}
	}
	answers(ada)

	code, out, complaints := kassa(t, "admin", "grant", "root@example.com", "--data", f.data, "--database-url", f.database)
	if code != 0 {
		t.Fatalf("kassa admin grant: exit code %d, %s%s", code, out, complaints)
	}
	tooOld := func(what string, s *server) {
		t.Helper()
		eventstoretest.Eventually(t, what+" is not ready, because it is too old", func() bool {
			a := ready(t, s)
			return a.status == http.StatusServiceUnavailable && strings.Contains(a.text("detail"), "too old")
		})
	}
	tooOld("the older backend", backend)
	eventstoretest.Eventually(t, "the older backend leads no more", func() bool { return leases(t, f.database) == 0 })
	if a := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "in between", adjustment{Amount: 50}); a.status != http.StatusOK {
		t.Errorf("somebody of whom the older program knows all deposits: %d %v", a.status, a.body)
	}
	if a := root.do(t.Context(), "POST", "/api/users/balance/adjust", "root's", adjustment{Amount: 50}); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("somebody of whom it does not deposits: %d %v", a.status, a.body)
	}
	for _, line := range []string{"verify", "doctor"} {
		cmd := runs(older, []string{line, "--data", f.data, "--database-url", f.database})
		out, _ := cmd.CombinedOutput() // the exit code is the answer
		if code := cmd.ProcessState.ExitCode(); code != exitTooOld || !strings.Contains(string(out), "too old") {
			t.Errorf("the older %s: exit code %d, %s", line, code, out)
		}
	}

	newBackend := begin("", "backend") // beside the old one
	tooOld("the older backend, beside a newer one,", backend)
	answers(ada)
	ends(backend)
	newAPI := begin("", "api")
	ends(api)
	for _, c := range []*client{&ada, &root} {
		c.url = newAPI.url
	}
	answers(ada)
	if a := root.do(t.Context(), "POST", "/api/users/balance/adjust", "root's", adjustment{Amount: 50}); a.status != http.StatusOK || a.number("balance") != 150 {
		t.Errorf("what was refused is done by the newer program: %d %v", a.status, a.body)
	}
	if a := ada.do(t.Context(), "GET", "/api/users/balance", "", nil); a.status != http.StatusOK || a.number("balance") > 150 || a.number("balance") < 135 {
		t.Errorf("the balance after a deposit of 50 and three questions: %d %v", a.status, a.body)
	}
	store, views := openShared(t, f.database)
	f.caughtUp(store, views)
	mustVerify(t, f.data, "--database-url", f.database)
	for _, s := range []*server{newBackend, newAPI, worker} {
		ends(s)
	}
}

func ready(t *testing.T, s *server) answer {
	t.Helper()
	return client{url: s.url, http: http.DefaultClient}.do(t.Context(), "GET", "/api/ready", "", nil)
}

// leases counts the leases of the relay and the expirer that are held now.
func leases(t *testing.T, database string) (held int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(context.Background())
	must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM leases WHERE expires > now() AND name IN ('relay', 'expirer')`).Scan(&held))
	return held
}
