package commands_test

import (
	"context"
	"errors"
	"testing"

	"kassa/commands"
	"kassa/domain"
)

// blunt is a vault that seals nothing.
type blunt struct{ commands.Vault }

var errBlunt = errors.New("the vault cannot seal")

func (blunt) SealEmail(context.Context, domain.UserID, string) (domain.Sealed, error) {
	return domain.Sealed("not sealed"), errBlunt
}

func (blunt) SealText(context.Context, domain.UserID, domain.PredictionID, string) (domain.Sealed, error) {
	return domain.Sealed("not sealed"), errBlunt
}

// What cannot be sealed is not appended.
func TestAFailedSealAppendsNothing(t *testing.T) {
	w := newFixture(t)
	up, err := w.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password})
	must(t, err)
	before := len(w.env.Log())
	h := w.with(w.store, blunt{w.Vault})
	if got, err := h.SignUp(t.Context(), commands.SignUp{Email: "bob@example.org", Password: password}); !errors.Is(err, errBlunt) {
		t.Errorf("a sign-up gives %+v, %v", got, err)
	}
	if got, err := h.Predict(t.Context(), commands.Predict{User: up.User, Text: "a heist"}); !errors.Is(err, errBlunt) {
		t.Errorf("a question gives %+v, %v", got, err)
	}
	if after := len(w.env.Log()); after != before {
		t.Errorf("%d entries were appended", after-before)
	}
	_, err = w.SignUp(t.Context(), commands.SignUp{Email: "bob@example.org", Password: password})
	must(t, err) // the e-mail is free
}
