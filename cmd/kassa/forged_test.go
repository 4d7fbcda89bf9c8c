package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/bus"
	"kassa/internal/bus/bustest"
	"kassa/projections"
	"kassa/schema"
	"kassa/schema/schematest"
)

// A user who can publish to the broker sends the views that she is an admin and rich,
// covers what others do next with entries of her own, and sends a fact that breaks the
// ledger, in the form in which older versions published entries; and, with the broker key
// of a part of the service, how far the log has come, beyond all bounds. Nothing of it is
// believed: what is shown is what the log has, and the service goes on. It is behind a pooler,
// where it takes such hints.
func TestForgedMessages(t *testing.T) {
	data, broker := t.TempDir(), bustest.New(t)
	database, pooled := schematest.Pooled(t)
	s := serve(t, data, "--database-url", pooled, "--amqp-url", broker.Address)
	h := newHTTP()
	ada, mallory := s.signUp(t, h, "ada@example.com"), s.signUp(t, h, "mallory@example.com")
	store, views := openShared(t, database)
	key, err := bus.ParseKey(brokerKey)
	if err != nil {
		t.Fatal(err)
	}
	part, err := bus.Broker{Addresses: []string{broker.Address}, Key: key, Process: "mallory"}.Open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(part.Close)
	for round := range 10 {
		head, err := store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range append(forgedEntries(t, head.Size, userOf(t, h, mallory), userOf(t, h, ada)),
			`{"position":9223372036854775807}`, "\x00") {
			if err := broker.Announce(body); err != nil {
				t.Fatal(err)
			}
		}
		lies := []eventstore.Position{1<<63 - 1, -1 << 63, 0, head.Size + 1, head.Size + 1_000_000}
		if err := part.PublishHint(lies[round%len(lies)]); err != nil { // of several at once, the newest would go
			t.Fatal(err)
		}
		paid := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: 7})
		if paid.status != http.StatusOK {
			t.Fatalf("a deposit: %d %v\n%s", paid.status, paid.body, s.log)
		}
		at := paid.number("position")
		b := ada.do(t.Context(), "GET", fmt.Sprint("/api/users/balance?min_position=", at), "", nil)
		if want := int64(10 + 7*(round+1)); b.status != http.StatusOK || b.number("balance") != want {
			t.Fatalf("round %d: ada's balance is %d %v, want %d", round, b.status, b.body, want)
		}
		if m := mallory.do(t.Context(), "GET", "/api/users/balance", "", nil); m.number("balance") != 10 {
			t.Fatalf("round %d: mallory has %v", round, m.body)
		}
	}
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := views.Wait(t.Context(), head.Size); err != nil {
		t.Fatal(err)
	}
	replay := projections.NewMemory()
	if err := replay.Replay(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	if err := audittest.CompareViews(t.Context(), views, replay); err != nil {
		t.Error(err)
	}
	mustVerify(t, data, "--database-url", database)
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}
}

// forgedEntries are batches that follow on the position: each is sound where it is read
// alone, but for the last, in which ada signs up again.
func forgedEntries(t *testing.T, at eventstore.Position, mallory, ada domain.UserID) (bodies []string) {
	t.Helper()
	house, hers := domain.HouseCash, domain.AvailableOf(mallory)
	rich := domain.Deposited{User: mallory, Amount: 1_000_000, Provider: "sandbox", Payment: "forged",
		Movement: domain.Movement{Available: 1_000_010, Postings: []domain.Posting{{Account: house, Amount: -1_000_000}, {Account: hers, Amount: 1_000_000}}}}
	for _, e := range []domain.Event{domain.AdminGranted{User: mallory}, rich, domain.SignedUp{User: ada}} {
		payload, err := domain.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		entry := eventstore.EncodeEntry(eventstore.Envelope{Position: at + 1, Stream: eventstore.AccountStream(e.Subject()), Version: 3,
			Type: e.Type(), Schema: domain.VersionOf(e), Time: time.Now(), Actor: "operator", Cause: "operator"}, payload)
		body, err := json.Marshal([]map[string]any{{"specversion": "1.0", "id": strconv.FormatInt(int64(at+1), 10), "source": "/kassa/log",
			"type": e.Type(), "subject": eventstore.AccountStream(e.Subject()), "datacontenttype": "application/octet-stream", "data_base64": entry}})
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(body))
	}
	return bodies
}

// userOf asks the service who the person is.
func userOf(t *testing.T, h *http.Client, c client) domain.UserID {
	t.Helper()
	a := c.do(t.Context(), "POST", "/api/users/signin", "", credentials{c.email, password})
	if a.status != http.StatusOK {
		t.Fatalf("sign in: %d %v", a.status, a.body)
	}
	return domain.UserID(a.text("user_id"))
}

// openShared opens what the processes share, as another of them would.
func openShared(t *testing.T, database string) (*eventstore.Store, *projections.Postgres) {
	t.Helper()
	pool, err := schema.OpenPostgres(t.Context(), database, 4)
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.ReadPostgres(pool)
	if err != nil {
		t.Fatal(err)
	}
	views, err := projections.OpenPostgres(t.Context(), pool, store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { views.Close(); store.Close(); pool.Close() })
	return store, views
}
