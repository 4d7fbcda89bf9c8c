package matcher

import (
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// A question whose time is up is not carried, and not even opened: after a stall
// there may be thousands of them before the first that can still be answered.
func TestExpiredQuestionsAreNotCarried(t *testing.T) {
	carry := (&Matcher{}).Carry(nil) // no vault, no bus: whatever touches them panics
	asked := domain.PredictionRequested{User: "u_1", Prediction: "p_1", ExpiresAt: time.Now()}
	if err := carry(t.Context(), []eventstore.Recorded{{Event: asked}}); err != nil {
		t.Error(err)
	}
	asked.ExpiresAt = time.Now().Add(time.Minute)
	defer func() {
		if recover() == nil {
			t.Error("a question that can be answered was not carried")
		}
	}()
	_ = carry(t.Context(), []eventstore.Recorded{{Event: asked}})
}

// A question whose key is damaged fails and gives its credits back. Tried again for
// ever, it would hold up all questions after it.
func TestUnreadableQuestionHoldsUpNoOther(t *testing.T) {
	d := newDesk(t)
	before, err := d.Commands.Account(t.Context(), d.user)
	must(t, err)
	asked := d.ask()
	_, err = d.db.Write.Exec(`UPDATE subject_keys SET wrapped = zeroblob(60)`)
	must(t, err)
	entries, err := d.Store.After(t.Context(), asked.Position-1, 1)
	must(t, err)
	d.Vault = d.openVault()
	must(t, d.Carry(nil)(t.Context(), entries)) // no bus: what publishes panics
	if a, err := d.Commands.Account(t.Context(), d.user); err != nil || a.Held != 0 || a.Available != before.Available {
		t.Errorf("afterwards the wallet has %d, and %d held: %v", a.Available, a.Held, err)
	}
}
