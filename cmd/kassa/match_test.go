package main

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
	"kassa/vault"
)

// A question whose time is up is not carried, and not even opened: after a stall
// there may be thousands of them before the first that can still be answered.
func TestExpiredQuestionsAreNotCarried(t *testing.T) {
	carry := (&matcher{}).carry(nil) // no vault, no bus: whatever touches them panics
	asked := domain.PredictionRequested{User: "u_1", Prediction: "p_1", ExpiresAt: time.Now()}
	if err := carry(t.Context(), eventstore.Recorded{Event: asked}); err != nil {
		t.Error(err)
	}
	asked.ExpiresAt = time.Now().Add(time.Minute)
	defer func() {
		if recover() == nil {
			t.Error("a question that can be answered was not carried")
		}
	}()
	_ = carry(t.Context(), eventstore.Recorded{Event: asked})
}

// A question whose key is damaged fails and gives its credits back. Tried again for
// ever, it would hold up all questions after it.
func TestUnreadableQuestionHoldsUpNobody(t *testing.T) {
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	must(t, err)
	defer func() { must(t, db.Close()) }()
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	defer store.Close()
	defer func() { audittest.CheckLedger(t, store) }()
	open := func() *vault.Vault {
		v, err := vault.SQLite(db, vault.Secret(strings.Repeat("s", 32)), vault.Options{Argon2: vault.Argon2{MemoryKiB: 8, Passes: 1}})
		must(t, err)
		return v
	}
	h := &commands.Handler{Log: store, People: open(), Payments: commands.Sandbox{}, Now: time.Now, Price: 5, Bonus: 10, HoldExpiry: time.Minute}
	up, err := h.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: "ada likes films"})
	must(t, err)
	asked, err := h.Predict(t.Context(), commands.Predict{User: up.User, Text: "a dream"})
	must(t, err)
	_, err = db.Write.Exec(`UPDATE subject_keys SET wrapped = zeroblob(60)`)
	must(t, err)
	entries, err := store.After(t.Context(), asked.Position-1, 1)
	must(t, err)

	m := &matcher{store: store, vault: open(), commands: h, log: slog.New(slog.DiscardHandler)}
	must(t, m.carry(nil)(t.Context(), entries[0]))
	if a, err := h.Account(t.Context(), up.User); err != nil || a.Held != 0 || a.Available != 10 {
		t.Errorf("afterwards the wallet has %d, and %d held: %v", a.Available, a.Held, err)
	}
}
