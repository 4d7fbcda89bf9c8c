package commands_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/vault"
)

// TestMain lets a random run draw 30 histories, each of which opens databases;
// -rapid.checks is another number.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	m.Run()
}

// Any commands in any order, by two processes of which the appends fail, or work
// and report that they failed. Beside them are sums that know nothing of streams:
// after every command each wallet must be what its accepted commands come to. A
// failure prints the seed under which it happens again.
func TestAnyCommandsWithFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &simulation{T: rt, fixture: newFixtureIn(rt, t.TempDir()), books: map[domain.UserID]*book{}}
		s.begin()
		for range rapid.IntRange(5, 40).Draw(rt, "commands") {
			s.step()
			for u, b := range s.books {
				s.wants(u, b.available, b.held)
				s.wantsGiven(u, b.given, b.givenHeld)
			}
			if kept := s.payments.kept(); kept < s.paidIn {
				rt.Fatalf("%d were credited, the provider keeps %d", s.paidIn, kept)
			}
		}
		s.completeAll()
		if kept := s.payments.kept(); kept != s.paidIn {
			rt.Fatalf("%d were credited, the provider keeps %d", s.paidIn, kept)
		}
	})
}

type simulation struct {
	*rapid.T
	*fixture
	roads  []*commands.Handler // sound ones first, then those with faults
	users  []domain.UserID     // the first may be an admin
	books  map[domain.UserID]*book
	open   []commands.Requested
	owner  map[domain.PredictionID]domain.UserID
	part   map[domain.PredictionID]domain.Credits // how much of a question's price is of given credits
	paid   map[domain.PredictionID]domain.Credits // the prices of answers
	back   map[domain.PredictionID]bool           // refunded
	sent   []*sending
	paidIn domain.Credits
}

// book is what a wallet must hold.
type book struct {
	available, held  domain.Credits // given ones among them
	given, givenHeld domain.Credits
	admin            bool
	refunds          int
}

// sending is a command with a key, which can be sent again.
type sending struct {
	run     func(h *commands.Handler) (commands.Result, error)
	may     func() domain.Code // the refusal that must come now, "" for none
	effect  func(commands.Result)
	settled bool
	was     commands.Result
}

const soundRoads = 2

func (s *simulation) begin() {
	other := s.env.Process()
	s.owner, s.part = map[domain.PredictionID]domain.UserID{}, map[domain.PredictionID]domain.Credits{}
	s.paid, s.back = map[domain.PredictionID]domain.Credits{}, map[domain.PredictionID]bool{}
	seed := rapid.Uint64().Draw(s.T, "faults")
	s.roads = []*commands.Handler{s.Handler, other}
	for _, h := range s.roads[:soundRoads] {
		store, people := h.Store.(*eventstore.Store), h.Vault.(*vault.Vault)
		s.roads = append(s.roads,
			s.with(eventstoretest.Lossy{Store: store, Fails: eventstoretest.NewPattern(seed, 2)}, people),
			s.with(eventstoretest.Failing{Store: store, Fails: eventstoretest.NewPattern(seed, 2)}, people))
	}
	for _, name := range []string{"root", "ada", "bob"} {
		u := s.person(name)
		s.users = append(s.users, u)
		s.books[u] = &book{available: 10}
	}
	up, err := s.SignUp(context.Background(), commands.SignUp{Email: "eve@example.org", Password: password})
	must(s.T, err)
	s.users = append(s.users, up.User)
	s.books[up.User] = &book{available: 10, given: 10}
}

func (s *simulation) step() {
	s.now = s.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(s.T, "seconds")) * time.Second)
	user := s.user("user")
	amount := domain.Credits(rapid.IntRange(-1, 25).Draw(s.T, "amount"))
	key := fmt.Sprintf("key %d", len(s.sent))
	switch what := rapid.SampledFrom([]string{"deposit", "withdraw", "predict", "predict", "adjust", "end", "end", "none of these", "admin", "again"}).Draw(s.T, "command"); what {
	case "deposit":
		s.send(s.deposit(user, amount, key))
	case "withdraw":
		s.send(s.withdraw(user, amount, key))
	case "predict":
		s.send(s.predict(user, key))
	case "adjust":
		kind := rapid.SampledFrom([]domain.Kind{"", domain.GivenCredits, domain.BoughtCredits}).Draw(s.T, "kind")
		s.send(s.adjust(s.user("admin"), user, amount-10, kind, key))
	case "end":
		s.end()
	case "none of these":
		if len(s.open) > 0 {
			asked := s.open[rapid.IntRange(0, len(s.open)-1).Draw(s.T, "question")]
			s.send(s.noneOfThese(user, asked.Prediction, key))
		}
	case "admin":
		s.setAdmin(user, amount%2 == 0)
	case "again":
		if len(s.sent) > 0 {
			s.send(s.sent[rapid.IntRange(0, len(s.sent)-1).Draw(s.T, "which")])
		}
	}
}

// What is drawn is a number, so that a failure's report is short and the same in
// every run.
func (s *simulation) road() *commands.Handler {
	return s.roads[rapid.IntRange(0, len(s.roads)-1).Draw(s.T, "road")]
}

func (s *simulation) user(as string) domain.UserID {
	return s.users[rapid.IntRange(0, len(s.users)-1).Draw(s.T, as)]
}

// send runs a command that is new, or was sent before. A fault leaves it open what
// came of it, so one road without faults finds out.
func (s *simulation) send(c *sending) {
	if !c.settled && c.was == (commands.Result{}) {
		s.sent = append(s.sent, c)
	}
	s.finish(c, s.road())
}

func (s *simulation) finish(c *sending, h *commands.Handler) {
	want := c.may()
	r, err := c.run(h)
	if err != nil && domain.RefusalIn(err) == nil {
		if !errors.Is(err, eventstoretest.ErrInjected) {
			s.T.Fatalf("a fault that nobody made: %v", err)
		}
		r, err = c.run(s.roads[0])
	}
	got := code(s.T, err)
	switch {
	case c.settled:
		c.was.Replayed = true
		if err != nil || r != c.was {
			s.T.Fatalf("sent again it gave %+v, %v; want %+v", r, err, c.was)
		}
	case got != want:
		s.T.Fatalf("refused with %q, want %q", got, want)
	case got == "":
		c.settled, c.was = true, r
		c.effect(r)
	}
}

// completeAll sends again what ended with a fault of the provider's side of things.
func (s *simulation) completeAll() {
	for _, c := range s.sent {
		s.finish(c, s.roads[1])
	}
}

func (s *simulation) deposit(u domain.UserID, amount domain.Credits, key string) *sending {
	return &sending{
		run: func(h *commands.Handler) (commands.Result, error) {
			return h.Deposit(context.Background(), commands.Move{User: u, Amount: amount, Key: key})
		},
		may:    func() domain.Code { return positive(amount) },
		effect: func(commands.Result) { s.books[u].available += amount; s.paidIn += amount },
	}
}

func (s *simulation) withdraw(u domain.UserID, amount domain.Credits, key string) *sending {
	return &sending{
		run: func(h *commands.Handler) (commands.Result, error) {
			return h.Withdraw(context.Background(), commands.Move{User: u, Amount: amount, Key: key})
		},
		may: func() domain.Code {
			if amount > s.books[u].available-s.books[u].given {
				return domain.InsufficientFunds
			}
			return positive(amount)
		},
		effect: func(commands.Result) { s.books[u].available -= amount },
	}
}

func positive(amount domain.Credits) domain.Code {
	if amount < 1 {
		return domain.InvalidAmount
	}
	return ""
}

func (s *simulation) predict(u domain.UserID, key string) *sending {
	var asked commands.Requested
	return &sending{
		run: func(h *commands.Handler) (r commands.Result, err error) {
			asked, err = h.Predict(context.Background(), commands.Predict{User: u, Text: "a film about " + key, Key: key})
			return asked.Result, err
		},
		may: func() domain.Code {
			if s.Price > s.books[u].available {
				return domain.InsufficientFunds
			}
			return ""
		},
		effect: func(commands.Result) {
			b := s.books[u]
			given := min(s.Price, b.given)
			b.available, b.held = b.available-s.Price, b.held+s.Price
			b.given, b.givenHeld = b.given-given, b.givenHeld+given
			s.part[asked.Prediction] = given
			s.open, s.owner[asked.Prediction] = append(s.open, asked), u
		},
	}
}

// noneOfThese asks for the credits of a question back, often of an open one or another's.
func (s *simulation) noneOfThese(u domain.UserID, id domain.PredictionID, key string) *sending {
	return &sending{
		run: func(h *commands.Handler) (commands.Result, error) {
			r, err := h.NoneOfThese(context.Background(), commands.NoneOfThese{User: u, Prediction: id, Key: key})
			return r.Result, err
		},
		may: func() domain.Code {
			switch {
			case s.owner[id] == u && s.back[id]:
				return domain.AlreadyRefunded
			case s.owner[id] != u || s.paid[id] == 0:
				return domain.NotRefundable
			case s.books[u].refunds == refunds.PerMonth:
				return domain.RefundLimit
			}
			return ""
		},
		effect: func(commands.Result) {
			b := s.books[u]
			b.available, b.given, b.refunds = b.available+s.paid[id], b.given+s.part[id], b.refunds+1
			s.back[id] = true
		},
	}
}

func (s *simulation) adjust(by, u domain.UserID, amount domain.Credits, kind domain.Kind, key string) *sending {
	return &sending{
		run: func(h *commands.Handler) (commands.Result, error) {
			return h.Adjust(context.Background(), commands.Adjust{Admin: by, User: u, Key: key,
				Correction: domain.Correction{Amount: amount, Kind: kind, Reason: "as drawn"}})
		},
		may: func() domain.Code {
			switch {
			case amount == 0:
				return domain.InvalidAmount
			case !s.books[by].admin:
				return domain.NotAdmin
			case by == u:
				return domain.OwnAdjustment
			case -amount > s.books[u].of(kind):
				return domain.InsufficientFunds
			}
			return ""
		},
		effect: func(commands.Result) {
			b := s.books[u]
			b.available += amount
			switch {
			case kind == domain.BoughtCredits:
			case kind == domain.GivenCredits || amount > 0:
				b.given += amount
			default:
				b.given += max(amount, -b.given)
			}
		},
	}
}

// of is what can be taken of a kind.
func (b *book) of(kind domain.Kind) domain.Credits {
	switch kind {
	case domain.GivenCredits:
		return b.given
	case domain.BoughtCredits:
		return b.available - b.given
	}
	return b.available
}

// end ends a question, which may have ended before.
func (s *simulation) end() {
	if len(s.owner) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.open)-1).Draw(s.T, "question")
	asked := s.open[i]
	u := s.owner[asked.Prediction]
	how := rapid.SampledFrom([]string{"complete", "fail", "expire"}).Draw(s.T, "how")
	run := func(h *commands.Handler) (eventstore.Position, error) {
		switch e := endingOf(u, asked); how {
		case "complete":
			return h.Complete(context.Background(), e, answer)
		case "fail":
			return h.Fail(context.Background(), e, domain.FailedNoMeaning)
		default:
			return h.Expire(context.Background(), e)
		}
	}
	before := s.env.Size()
	_, err := run(s.road())
	if err != nil {
		if !errors.Is(err, eventstoretest.ErrInjected) {
			s.T.Fatalf("a fault that nobody made: %v", err)
		}
		_, err = run(s.roads[1])
		must(s.T, err)
	}
	ends := asked.Price != 0 && (how != "expire" || !s.now.Before(asked.ExpiresAt))
	if grew := s.env.Size() > before; grew != ends {
		s.T.Fatalf("%s of %+v at %s: the log grew %t", how, asked, s.now, grew)
	}
	if !ends {
		return
	}
	s.open[i].Price = 0 // it has ended
	b, given := s.books[u], s.part[asked.Prediction]
	b.held, b.givenHeld = b.held-asked.Price, b.givenHeld-given
	if how == "complete" {
		s.paid[asked.Prediction] = asked.Price
	} else {
		b.available, b.given = b.available+asked.Price, b.given+given
	}
}

func (s *simulation) setAdmin(u domain.UserID, admin bool) {
	change := (*commands.Handler).RevokeRole
	if admin {
		change = (*commands.Handler).GrantRole
	}
	order := commands.Order{User: u, By: "olga"}
	if _, err := change(s.road(), context.Background(), domain.AdminRole, order); err != nil {
		if !errors.Is(err, eventstoretest.ErrInjected) {
			s.T.Fatalf("a fault that nobody made: %v", err)
		}
		_, err = change(s.roads[0], context.Background(), domain.AdminRole, order)
		must(s.T, err)
	}
	s.books[u].admin = admin
}
