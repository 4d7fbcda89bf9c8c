package commands_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

func TestSignUp(t *testing.T) {
	w := newFixture(t)
	up, err := w.SignUp(t.Context(), commands.SignUp{Email: " Ada@Example.ORG ", Password: password})
	must(t, err)
	if up.Email != "ada@example.org" || up.Available != 10 || up.Held != 0 || up.Replayed || up.User == "" {
		t.Errorf("signed up as %+v", up)
	}
	log := w.env.Log()
	if len(log) != 3 || up.Position != 3 || up.Leaf != eventstore.LeafHash(log[2].Entry) {
		t.Fatalf("the log has %d entries, the receipt is %d %s", len(log), up.Position, up.Leaf)
	}
	for i, want := range []domain.EventType{domain.TypeEmailClaimed, domain.TypeSignedUp, domain.TypeBonusGranted} {
		if log[i].Type != want || log[i].Actor != "user:"+string(up.User) || !log[i].Time.Equal(noon) {
			t.Errorf("entry %d is %+v, want %s", i+1, log[i].Envelope, want)
		}
	}
	email, err := w.opener().OpenEmail(t.Context(), up.User, log[1].Event.(domain.SignedUp).Email)
	if err != nil || email != "ada@example.org" {
		t.Errorf("the sealed e-mail opens to %q, %v", email, err)
	}
	if a, err := w.Account(t.Context(), up.User); err != nil || a.User != up.User || a.Available != 10 {
		t.Errorf("the account is %+v, %v", a, err)
	}
}

func TestSignUpWithoutBonus(t *testing.T) {
	w := newFixture(t)
	w.Bonus = 0
	up, err := w.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password})
	must(t, err)
	if up.User == "" || up.Position != 2 || up.Available != 0 {
		t.Errorf("signed up as %+v", up)
	}
	w.wants(up.User, 0, 0)
}

// The order of checks is fixed: the e-mail, the password, the key, and only then
// whether the e-mail is free.
func TestSignUpRefusals(t *testing.T) {
	w := newFixture(t)
	w.person("ada")
	before := w.env.Size()
	long := strings.Repeat("k", 201)
	for _, tt := range []struct {
		email, password, key string
		want                 domain.Code
	}{
		{"no address", "short", long, domain.InvalidEmail},
		{"", password, "", domain.InvalidEmail},
		{"ada@example.org", "short", long, domain.WeakPassword},
		{"bob@example.org", "bob@example.org", "", domain.WeakPassword},
		{"ada@example.org", password, long, domain.InvalidKey},
		{"bob@example.org", password, "\xff", domain.InvalidKey},
		{"ada@example.org", password, "", domain.EmailTaken},
		{"ADA@example.org ", "another long walk", "k", domain.EmailTaken},
	} {
		_, err := w.SignUp(t.Context(), commands.SignUp{Email: tt.email, Password: tt.password, Key: tt.key})
		if got := code(t, err); got != tt.want {
			t.Errorf("%q, %q, %.10q: refused with %q, want %q", tt.email, tt.password, tt.key, got, tt.want)
		}
	}
	if _, err := w.SignUp(t.Context(), commands.SignUp{Email: "bob@example.org", Password: password, Key: long[1:]}); err != nil {
		t.Errorf("a key of 200 bytes: %v", err)
	}
	if now := w.env.Size(); now != before+3 {
		t.Errorf("refusals appended %d events", now-before-3)
	}
}

func TestSignUpRefusesAnImpossibleBonus(t *testing.T) {
	w := newFixture(t)
	w.Bonus = domain.MaxAmount + 1
	_, err := w.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password})
	refused(t, err, domain.InvalidAmount)
	w.Bonus = domain.MaxAmount
	w.person("ada")
}

func TestFindUser(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	if u, err := w.FindUser(t.Context(), " ADA@example.org"); err != nil || u != ada {
		t.Errorf("found %q, %v", u, err)
	}
	_, err := w.FindUser(t.Context(), "bob@example.org")
	refused(t, err, domain.AccountNotFound)
	_, err = w.FindUser(t.Context(), "bob")
	refused(t, err, domain.InvalidEmail)
	if u, err := w.env.Process().FindUser(t.Context(), "ada@example.org"); err != nil || u != ada {
		t.Errorf("another process found %q, %v", u, err)
	}
}

// justRead is a log of which every account was read a moment ago.
type justRead struct{ commands.Store }

func (j justRead) AccountWithin(ctx context.Context, u domain.UserID, age time.Duration) (eventstore.Loaded, error) {
	if age != time.Second {
		return j.Store.AccountWithin(ctx, u, age)
	}
	return j.Store.Account(ctx, u)
}

// Whose an e-mail is, is read once; that it has no account is asked each time.
func TestFindUserRemembers(t *testing.T) {
	w := newFixture(t)
	h := w.over(justRead{w.store})
	_, err := h.FindUser(t.Context(), "ada@example.org")
	refused(t, err, domain.AccountNotFound)
	ada := w.person("ada")
	for range 2 {
		if u, err := h.FindUser(t.Context(), "ada@example.org"); err != nil || u != ada {
			t.Errorf("found %q, %v", u, err)
		}
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if u, err := h.FindUser(left, "ada@example.org"); err != nil || u != ada {
		t.Errorf("it was read again: %q, %v", u, err)
	}
}

// emailReads is a log that counts the reads of e-mails' streams, and on which what is
// remembered of an account is always too old.
type emailReads struct {
	commands.Store
	n int
}

func (e *emailReads) Stream(ctx context.Context, s eventstore.Stream, after eventstore.Version, limit int) ([]eventstore.Recorded, error) {
	e.n++
	return e.Store.Stream(ctx, s, after, limit)
}

func (e *emailReads) AccountWithin(ctx context.Context, u domain.UserID, _ time.Duration) (eventstore.Loaded, error) {
	return e.Store.Refresh(ctx, u)
}

// An e-mail whose account is known is not read again as long as that is not erased: the
// account is compared. Then it can be another's, at once.
func TestAnEmailIsReadAgainAfterAnErasure(t *testing.T) {
	w := newFixture(t)
	log := &emailReads{Store: w.store}
	h := w.over(log)
	finds := func(want domain.UserID, reads int) {
		t.Helper()
		log.n = 0
		if u, err := h.FindUser(t.Context(), "ada@example.org"); err != nil || u != want || log.n != reads {
			t.Errorf("found %q after %d reads, %v, want %q after %d", u, log.n, err, want, reads)
		}
	}
	ada := w.person("ada")
	finds(ada, 1)
	finds(ada, 0)
	must(t, second(w.env.Process().OrderErasure(t.Context(), commands.Erasure{User: ada, Reason: "letter 7", Bought: domain.ForfeitCredits, Now: true})))
	w.env.Erase()
	_, err := h.FindUser(t.Context(), "ada@example.org")
	refused(t, err, domain.AccountNotFound)
	other := w.person("ada")
	finds(other, 1)
	finds(other, 0)
}
