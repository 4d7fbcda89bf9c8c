package domain_test

import (
	"errors"
	"fmt"
	"testing"

	"kassa/domain"
)

func TestMovement(t *testing.T) {
	type p = domain.Posting
	for _, tt := range []struct {
		name     string
		postings []p
		balanced bool
		a        domain.Credits // what it adds to account "a"
	}{
		{"a pair", []p{{"a", -5}, {"b", 5}}, true, -5},
		{"three", []p{{"a", -5}, {"b", 2}, {"c", 3}}, true, -5},
		{"an account twice", []p{{"a", -5}, {"a", 2}, {"c", 3}}, true, -3},
		{"none", nil, false, 0},
		{"one", []p{{"a", 5}}, false, 5},
		{"a sum of one", []p{{"a", -5}, {"b", 6}}, false, -5},
		{"a sum of minus one", []p{{"b", -6}, {"a", 5}}, false, 5},
		{"two of nothing", []p{{"a", 0}, {"b", 0}}, false, 0},
		{"one of nothing beside a pair", []p{{"b", -5}, {"c", 5}, {"a", 0}}, false, 0},
	} {
		m := domain.Movement{Postings: tt.postings}
		if m.Balanced() != tt.balanced {
			t.Errorf("%s: balanced %v", tt.name, m.Balanced())
		}
		if got := m.Amount("a"); got != tt.a {
			t.Errorf("%s: adds %d to a, want %d", tt.name, got, tt.a)
		}
	}
}

func TestLedgerAccounts(t *testing.T) {
	if got := domain.AvailableOf(ada); got != "user:u_ada:available" {
		t.Errorf("available is %s", got)
	}
	if got := domain.HeldOf(ada); got != "user:u_ada:held" {
		t.Errorf("held is %s", got)
	}
}

func TestCreditsAreWrittenAsANumber(t *testing.T) {
	if got := fmt.Sprint(domain.Credits(-1_000_000)); got != "-1000000" {
		t.Errorf("written as %s", got)
	}
}

func TestRefusalIn(t *testing.T) {
	refusal := domain.Reject(domain.Busy, "account %s is busy", ada)
	wrapped := fmt.Errorf("change %s: %w", ada, refusal)
	got := domain.RefusalIn(wrapped)
	if got == nil || *got != (domain.Refusal{Code: "account_busy", Detail: "account u_ada is busy"}) {
		t.Errorf("finds %+v in %v", got, wrapped)
	}
	if refusal.Error() != "account_busy: account u_ada is busy" {
		t.Errorf("reads %q", refusal)
	}
	for _, other := range []error{nil, errors.New("disk full"), domain.ErrBroken} {
		if got := domain.RefusalIn(other); got != nil {
			t.Errorf("finds %v in %v", got, other)
		}
	}
}
