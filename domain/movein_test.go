package domain_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"kassa/domain"
)

// report is the name of one that was signed off.
var report = strings.Repeat("0af9", 16)

func accepted(final bool) domain.MoveInAccepted {
	return domain.MoveInAccepted{By: "olga", Report: report, People: 2, Bought: 30, Given: 13, Final: final}
}

func TestMoveIn(t *testing.T) {
	moveIn := func(has domain.MovedCredits, admin bool) request {
		return func(a domain.Account) ([]domain.Event, error) { return a.MoveIn(ada, sealed, has, admin) }
	}
	by := func(bought, given domain.Credits) request {
		return func(a domain.Account) ([]domain.Event, error) {
			return a.MoveBalance(domain.MovedCredits{Bought: bought, Given: given})
		}
	}
	for _, d := range []decision{
		{name: "with credits of both kinds", when: moveIn(domain.MovedCredits{Bought: 30, Given: 3}, false), then: facts(signedUp, movedIn(3, 30))},
		{name: "with one kind", when: moveIn(domain.MovedCredits{Given: 3}, false), then: facts(signedUp, movedIn(3, 0))},
		{name: "with nothing, an admin", when: moveIn(domain.MovedCredits{}, true), then: facts(signedUp, granted)},
		{name: "the largest balance", when: moveIn(domain.MovedCredits{Bought: domain.MaxBalance}, false), then: facts(signedUp, movedIn(0, domain.MaxBalance))},
		{name: "more than that", when: moveIn(domain.MovedCredits{Bought: domain.MaxBalance, Given: 1}, false), refused: domain.BalanceLimit},
		{name: "over an account", given: facts(signedUp), when: moveIn(domain.MovedCredits{}, false), refused: domain.AccountExists},

		{name: "a difference", given: facts(signedUp, movedIn(3, 30)), when: by(5, 2), then: facts(movedIn(2, 5))},
		{name: "no difference", given: facts(signedUp, movedIn(3, 30)), when: by(0, 0)},
		{name: "less", given: facts(signedUp, movedIn(3, 30)), when: by(-5, -3), then: facts(movedIn(-3, -5))},
		{name: "less of one kind and more of the other", given: facts(signedUp, movedIn(3, 30)), when: by(20, -3), then: facts(movedIn(-3, 0), movedIn(0, 20))},
		{name: "no more is taken than there is", given: facts(signedUp, movedIn(3, 30), requested("p_1", 5)), when: by(-30, -3), then: facts(movedIn(0, -28))},
		{name: "nothing is there to take", given: facts(signedUp), when: by(-30, -3)},
		{name: "more than a wallet holds", given: facts(signedUp, movedIn(3, domain.MaxBalance-5)), when: by(0, 3), refused: domain.BalanceLimit},
		{name: "without an account", when: by(1, 0), refused: domain.AccountNotFound},
		{name: "while an erasure is pending", given: facts(signedUp, toErase), when: by(1, 0), refused: domain.ErasurePending},
	} {
		d.check(t)
	}
}

func TestAcceptMoveIn(t *testing.T) {
	var none domain.MoveInAccepted
	for name, tt := range map[string]struct {
		last, next domain.MoveInAccepted
		over, bad  bool
	}{
		"the first":        {last: none, next: accepted(false)},
		"again":            {last: accepted(false), next: accepted(false)},
		"the end":          {last: accepted(false), next: accepted(true)},
		"after the end":    {last: accepted(true), next: accepted(false), over: true},
		"two ends":         {last: accepted(true), next: accepted(true), over: true},
		"by nobody":        {next: domain.MoveInAccepted{Report: report}, bad: true},
		"of no report":     {next: domain.MoveInAccepted{By: "olga"}, bad: true},
		"in capitals":      {next: domain.MoveInAccepted{By: "olga", Report: strings.ToUpper(report)}, bad: true},
		"of a debt":        {next: domain.MoveInAccepted{By: "olga", Report: report, Given: -1}, bad: true},
		"by two lines":     {next: domain.MoveInAccepted{By: "ol\nga", Report: report}, bad: true},
		"of minus one man": {next: domain.MoveInAccepted{By: "olga", Report: report, People: -1}, bad: true},
	} {
		got, err := tt.last.Accept(tt.next)
		switch {
		case tt.over || tt.bad:
			if err == nil || errors.Is(err, domain.ErrMoveInOver) != tt.over || len(got) > 0 {
				t.Errorf("%s gave %v, %v", name, got, err)
			}
		case err != nil || !reflect.DeepEqual(got, []domain.Event{tt.next}):
			t.Errorf("%s gave %v, %v", name, got, err)
		}
	}
}
