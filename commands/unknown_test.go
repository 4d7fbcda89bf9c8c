package commands_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// prepared is what the commands of the tables below find: ada has 10 credits and 5
// held by a question whose time is up.
type prepared struct {
	*fixture
	ada, root domain.UserID
	asked     commands.Ending
}

func newPrepared(t testing.TB) *prepared {
	w := newFixture(t)
	s := &prepared{fixture: w, ada: w.person("ada"), root: w.admin("root")}
	asked, err := w.ask(s.ada, "")
	must(t, err)
	w.give(s.ada, 10)
	w.now = asked.ExpiresAt
	s.asked = endingOf(s.ada, asked)
	return s
}

// act is one command, and the kind of event that it appends once.
type act struct {
	name string
	what domain.EventType
	run  func(ctx context.Context, s *prepared, h *commands.Handler) (eventstore.Position, error)
}

// acts has every command: those with a key, and those that need none.
func acts() (list []act) {
	types := map[string]domain.EventType{"sign up": domain.TypeSignedUp, "deposit": domain.TypeDeposited, "withdraw": domain.TypeWithdrawn,
		"predict": domain.TypePredictionRequested, "adjust": domain.TypeBalanceAdjusted}
	for _, k := range keyed {
		list = append(list, act{k.name, types[k.name], func(ctx context.Context, s *prepared, h *commands.Handler) (eventstore.Position, error) {
			r, err := k.run(ctx, s.fixture, h, s.ada, s.root, "k", false)
			return r.Position, err
		}})
	}
	return append(list,
		act{"grant", domain.TypeRoleGranted, func(ctx context.Context, s *prepared, h *commands.Handler) (eventstore.Position, error) {
			return h.GrantRole(ctx, domain.AdminRole, commands.Order{User: s.ada, By: "olga", Key: "k"})
		}},
		act{"revoke", domain.TypeRoleRevoked, func(ctx context.Context, s *prepared, h *commands.Handler) (eventstore.Position, error) {
			return h.RevokeRole(ctx, domain.AdminRole, commands.Order{User: s.root, By: "olga", Key: "k"})
		}},
		act{"complete", domain.TypePredictionCompleted, func(ctx context.Context, s *prepared, h *commands.Handler) (eventstore.Position, error) {
			return h.Complete(ctx, s.asked, answer)
		}},
		act{"fail", domain.TypePredictionFailed, func(ctx context.Context, s *prepared, h *commands.Handler) (eventstore.Position, error) {
			return h.Fail(ctx, s.asked, domain.FailedWorker)
		}},
		act{"expire", domain.TypePredictionExpired, func(ctx context.Context, s *prepared, h *commands.Handler) (eventstore.Position, error) {
			return h.Expire(ctx, s.asked)
		}})
}

// count is how often the kind of event was appended since.
func (s *prepared) count(what domain.EventType, since eventstore.Position) (n int) {
	for _, rec := range s.env.Log()[since:] {
		if rec.Type == what {
			n++
		}
	}
	return n
}

// An append fails and nothing was written: the command is a fault and no refusal,
// and sent again it is done once.
func TestAnAppendFails(t *testing.T) {
	for _, tt := range acts() {
		t.Run(tt.name, func(t *testing.T) {
			s := newPrepared(t)
			before := s.env.Size()
			failing := s.over(eventstoretest.Failing{Store: s.store, Fails: eventstoretest.NewPattern(1, 1)})
			_, err := tt.run(t.Context(), s, failing)
			if !errors.Is(err, eventstoretest.ErrInjected) || domain.RefusalIn(err) != nil {
				t.Fatalf("the command gave %v", err)
			}
			if s.env.Size() != before {
				t.Fatalf("the log went from %d to %d", before, s.env.Size())
			}
			at, err := tt.run(t.Context(), s, s.Handler)
			if err != nil || at == 0 || s.count(tt.what, before) != 1 {
				t.Errorf("sent again: position %d, %v, and %d events", at, err, s.count(tt.what, before))
			}
		})
	}
}

// An append works, and reports an unknown outcome every time: the command is a
// fault and no refusal, or finds out by itself where a second decision would differ;
// it was done once, and sent again it is found.
func TestAnAppendWorksAndSaysItFailed(t *testing.T) {
	for _, tt := range acts() {
		t.Run(tt.name, func(t *testing.T) {
			s := newPrepared(t)
			before := s.env.Size()
			lossy := s.over(eventstoretest.Lossy{Store: s.store, Fails: eventstoretest.NewPattern(1, 1)})
			at, err := tt.run(t.Context(), s, lossy)
			// What needs no key is settled by the account's own state at the second look.
			settled := err == nil && at == 0
			if err != nil && (!errors.Is(err, eventstore.ErrUnknown) || domain.RefusalIn(err) != nil) {
				t.Fatalf("the command gave position %d, %v", at, err)
			}
			if n := s.count(tt.what, before); n != 1 {
				t.Fatalf("%d events", n)
			}
			after := s.env.Size()
			for _, h := range []*commands.Handler{s.Handler, s.env.Process()} {
				again, err := tt.run(t.Context(), s, h)
				if err != nil || s.env.Size() != after || settled != (again == 0) {
					t.Errorf("sent again: position %d, %v, the log went from %d to %d", again, err, after, s.env.Size())
				}
			}
		})
	}
}

// An append has an unknown outcome now and then: the command finds out by
// itself, and gives the answer of its one event.
func TestAnAppendIsSometimesUnknown(t *testing.T) {
	for _, tt := range acts() {
		t.Run(tt.name, func(t *testing.T) {
			s := newPrepared(t)
			before := s.env.Size()
			for seed := range uint64(3) {
				lossy := s.over(eventstoretest.Lossy{Store: s.store, Fails: eventstoretest.NewPattern(seed, 2)})
				if _, err := tt.run(t.Context(), s, lossy); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if n := s.count(tt.what, before); n != 1 {
					t.Errorf("seed %d: %d events", seed, n)
				}
			}
		})
	}
}

// The caller leaves while the outcome is unknown: there is no second attempt
// behind their back, and the same command later finds the first.
func TestLeavingInTheMiddle(t *testing.T) {
	s := newPrepared(t)
	ctx, leave := context.WithCancel(t.Context())
	log := &leaving{Store: s.store, leave: leave}
	move := commands.Move{User: s.ada, Amount: 5, Key: "k"}
	_, err := s.over(log).Deposit(ctx, move)
	if !errors.Is(err, eventstore.ErrUnknown) || log.appends != 1 {
		t.Fatalf("after %d appends the deposit gave %v", log.appends, err)
	}
	r, err := s.Deposit(t.Context(), move)
	if err != nil || !r.Replayed {
		t.Errorf("the same later gave %+v, %v", r, err)
	}
	up := commands.SignUp{Email: "new@example.org", Password: password, Key: "k"}
	ctx, log.leave = context.WithCancel(t.Context())
	if _, err := s.over(log).SignUp(ctx, up); !errors.Is(err, eventstore.ErrUnknown) || log.appends != 2 {
		t.Fatalf("after %d appends the sign-up gave %v", log.appends, err)
	}
	again, err := s.SignUp(t.Context(), up)
	if err != nil || !again.Replayed || again.User == "" {
		t.Errorf("signing up later gave %+v, %v", again, err)
	}
}

// leaving appends, and its caller is gone before the answer comes.
type leaving struct {
	*eventstore.Store
	leave   func()
	appends int
}

func (l *leaving) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	l.appends++
	if _, err := l.Store.Append(ctx, a); err != nil {
		return eventstore.Receipt{}, err
	}
	l.leave()
	return eventstore.Receipt{}, fmt.Errorf("%w: %w", eventstore.ErrUnknown, ctx.Err())
}

// A wallet is full after a deposit whose outcome was unknown: its second attempt
// would be refused, and is answered with the first instead, its payment kept.
func TestAnUnknownDepositThatFilledTheWallet(t *testing.T) {
	s := newPrepared(t)
	_, err := s.Expire(t.Context(), s.asked)
	must(t, err)
	s.give(s.ada, domain.MaxBalance-5)
	lossy := s.over(eventstoretest.Lossy{Store: s.store, Fails: eventstoretest.NewPattern(1, 1)})
	r, err := lossy.Deposit(t.Context(), commands.Move{User: s.ada, Amount: 5, Key: "k"})
	if err != nil || r.Available != domain.MaxBalance || s.payments.kept() != 5 {
		t.Errorf("the deposit gave %+v, %v; the provider keeps %d", r, err, s.payments.kept())
	}
	// The same way the withdrawal that empties a wallet is found.
	s.give(s.ada, 10)
	r, err = lossy.Withdraw(t.Context(), commands.Move{User: s.ada, Amount: 10})
	if err != nil || r.Available != 0 || !r.Replayed {
		t.Errorf("the withdrawal gave %+v, %v", r, err)
	}
}

// The log cannot be read: every command is a fault, and nothing is charged.
func TestALogThatCannotBeRead(t *testing.T) {
	for _, tt := range acts() {
		t.Run(tt.name, func(t *testing.T) {
			s := newPrepared(t)
			before := s.env.Size()
			_, err := tt.run(t.Context(), s, s.over(unreadable{s.store}))
			if !errors.Is(err, errUnreadable) || domain.RefusalIn(err) != nil {
				t.Errorf("the command gave %v", err)
			}
			if s.env.Size() != before || s.payments.asked != 0 {
				t.Errorf("the log went from %d to %d, the provider was asked %d times", before, s.env.Size(), s.payments.asked)
			}
		})
	}
}

var errUnreadable = errors.New("the disk is gone")

type unreadable struct{ *eventstore.Store }

func (unreadable) Account(context.Context, domain.UserID) (eventstore.Loaded, error) {
	return eventstore.Loaded{}, errUnreadable
}

func (unreadable) Refresh(context.Context, domain.UserID) (eventstore.Loaded, error) {
	return eventstore.Loaded{}, errUnreadable
}

func (unreadable) Stream(context.Context, eventstore.Stream, eventstore.Version, int) ([]eventstore.Recorded, error) {
	return nil, errUnreadable
}

// The database goes away with an append in its hands, and cannot be read until it is
// back: the command waits for that, and gives its answer.
func TestADatabaseThatComesBack(t *testing.T) {
	for _, appended := range []bool{false, true} {
		t.Run(fmt.Sprintf("appended %t", appended), func(t *testing.T) {
			s := newPrepared(t)
			log := &restarting{Store: s.store, appended: appended, away: 4}
			r, err := s.over(log).Deposit(t.Context(), commands.Move{User: s.ada, Amount: 7, Key: "k"})
			if err != nil || r.Replayed != appended || log.away != 0 {
				t.Errorf("the deposit gave %+v, %v, and the database is away for %d more reads", r, err, log.away)
			}
			again, err := s.Deposit(t.Context(), commands.Move{User: s.ada, Amount: 7, Key: "k"})
			if err != nil || !again.Replayed || again.Position != r.Position {
				t.Errorf("sent again: %+v, %v, at first position %d", again, err, r.Position)
			}
		})
	}
}

// restarting loses its first append's answer, and then some reads.
type restarting struct {
	*eventstore.Store
	appended bool
	away     int
}

func (l *restarting) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	if l.away == 0 {
		return l.Store.Append(ctx, a)
	}
	if l.appended {
		if _, err := l.Store.Append(ctx, a); err != nil {
			return eventstore.Receipt{}, err
		}
	}
	return eventstore.Receipt{}, eventstore.ErrUnknown
}

func (l *restarting) Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error) {
	if l.away > 0 {
		l.away--
		return eventstore.Loaded{}, errUnreadable
	}
	return l.Store.Refresh(ctx, u)
}

// It cannot be found out whether a refused command was done before: that is a
// fault, since the refusal might be wrong.
func TestARefusalThatCannotBeLookedUp(t *testing.T) {
	s := newPrepared(t)
	h := s.over(forgetful{s.store})
	_, err := h.Withdraw(t.Context(), commands.Move{User: s.ada, Amount: 11, Key: "k"})
	if !errors.Is(err, errUnreadable) {
		t.Errorf("the withdrawal gave %v", err)
	}
	_, err = h.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: password})
	if !errors.Is(err, errUnreadable) {
		t.Errorf("the sign-up gave %v", err)
	}
}

type forgetful struct{ *eventstore.Store }

func (forgetful) Done(context.Context, eventstore.Command) (eventstore.Receipt, bool, error) {
	return eventstore.Receipt{}, false, errUnreadable
}
