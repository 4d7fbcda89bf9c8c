package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kassa/audit/audittest"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/projections"
	"kassa/schema/schematest"
)

// The log is restored from a backup, and nothing else: the views and the relay's checkpoint
// are ahead of it, and the broker still has messages of before. That is named by doctor and
// verify; the service repairs it from the log when it starts, and five deposits that are
// acknowledged then are shown, each.
func TestRestoredLog(t *testing.T) {
	data, database, broker := t.TempDir(), schematest.Postgres(t), bustest.New(t)
	flags := []string{"--database-url", database, "--amqp-url", broker.Address}
	s := serve(t, data, flags...)
	h := newHTTP()
	ada := s.signUp(t, h, "ada@example.com")
	pay := func(amount int64) int64 {
		t.Helper()
		paid := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: amount})
		if paid.status != http.StatusOK {
			t.Fatalf("a deposit: %d %v\n%s", paid.status, paid.body, s.log)
		}
		return paid.number("position")
	}
	pay(100)
	restore := schematest.Backup(t, database)
	for range 8 {
		pay(1000)
	}
	store, views := openShared(t, database)
	must(t, views.Wait(t.Context(), 12))
	if code := s.interrupt(t); code != 0 {
		t.Fatalf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}
	restore()

	for what, want := range map[string]string{"doctor": "the log does not have that entry", "verify": "ahead of the log"} {
		code, out, complaints := kassa(t, what, "--data", data, "--database-url", database)
		if code == 0 || !strings.Contains(out+complaints, want) {
			t.Errorf("kassa %s: exit code %d, %s%s", what, code, out, complaints)
		}
	}
	for n := range 5 { // as old messages in the broker would
		must(t, broker.Announce(fmt.Sprintf(`{"position":%d}`, 8+n)))
	}
	s = serve(t, data, flags...)
	ada.url = s.url
	eventstoretest.Eventually(t, "the repaired service to be ready", func() bool {
		return ada.do(t.Context(), "GET", "/api/ready", "", nil).status == http.StatusOK
	})
	want := int64(110)
	for range 5 {
		at := pay(7)
		want += 7
		b := ada.do(t.Context(), "GET", fmt.Sprint("/api/users/balance?min_position=", at), "", nil)
		if b.status != http.StatusOK || b.number("balance") != want {
			t.Fatalf("the balance is %d %v, want %d\n%s", b.status, b.body, want, s.log)
		}
	}
	if a := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a film about a ship", wait: 30}); a.text("status") != "completed" {
		t.Errorf("a question is answered %d %v", a.status, a.body)
	}
	head, err := store.Head(t.Context())
	must(t, err)
	must(t, views.Wait(t.Context(), head.Size))
	replay := projections.NewMemory()
	must(t, replay.Replay(t.Context(), store))
	must(t, audittest.CompareViews(t.Context(), views, replay))
	if code, out, complaints := kassa(t, "health", "--ready", "--addr", strings.TrimPrefix(s.url, "http://")); code != 0 {
		t.Errorf("it is not ready: %s%s", out, complaints)
	}
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}
	mustVerify(t, data, "--database-url", database)
	if code, out, complaints := kassa(t, "doctor", "--data", data, "--database-url", database); strings.Contains(out+complaints, "the log does not have that entry") {
		t.Errorf("afterwards kassa doctor says %d, %s%s", code, out, complaints)
	}
	// Once more, and set right by a command, before any process runs.
	newest := mustVerify(t, data, "--database-url", database)
	restore()
	recover := []string{"recover", "--data", data, "--database-url", database, "--kept", fmt.Sprintf("%d:%s", newest.Size, newest.Root)}
	wants(t, exitFailed, "entries are missing: ", recover...)
	out := wants(t, 0, "did not follow the log, and goes on after position 0", append(recover, "--accept-loss")...)
	for _, view := range projections.ViewNames() {
		if !strings.Contains(out, view+"_v") {
			t.Errorf("the view %s is not filled again:\n%s", view, out)
		}
	}
	mustVerify(t, data, "--database-url", database)
}
