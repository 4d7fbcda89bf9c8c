package domain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kassa/domain"
)

// town is a few accounts, all that was ever decided about them, and the ledger
// summed up from the postings alone. After every command check compares them.
type town struct {
	accounts map[domain.UserID]domain.Account
	streams  map[domain.UserID][]domain.Event
	ledger   map[domain.LedgerAccount]domain.Credits
	asked    []question
	ends     map[domain.PredictionID]int
	now      time.Time
}

type question struct {
	user domain.UserID
	id   domain.PredictionID
}

// people of a town. The last one is not there yet, the first one is an admin, and the
// third one joined before there were two books.
var people = []domain.UserID{"u_1", "u_2", "u_3", "u_4"}

func newTown(t *rapid.T) *town {
	w := &town{accounts: map[domain.UserID]domain.Account{}, streams: map[domain.UserID][]domain.Event{},
		ledger: map[domain.LedgerAccount]domain.Credits{}, ends: map[domain.PredictionID]int{}, now: noon}
	for _, u := range people[:2] {
		w.decide(t, u, func(a domain.Account) ([]domain.Event, error) { return a.SignUp(u, sealed, 10) })
	}
	w.decide(t, people[0], domain.Account.GrantAdmin)
	w.joinedBefore(t, people[2])
	return w
}

// joinedBefore opens an account by facts of version 1, with a bonus of bought credits
// and a question that is still open.
func (w *town) joinedBefore(t *rapid.T, u domain.UserID) {
	var account domain.Account
	moved := func(from, to domain.LedgerAccount, amount, available, held domain.Credits) domain.Movement {
		return domain.Movement{Undivided: true, Available: available, Held: held,
			Postings: []domain.Posting{{Account: from, Amount: -amount}, {Account: to, Amount: amount}}}
	}
	for _, e := range []domain.Event{
		domain.SignedUp{User: u, Email: sealed},
		domain.BonusGranted{User: u, Amount: 10, Movement: moved(domain.HouseBonus, domain.AvailableOf(u), 10, 10, 0)},
		domain.PredictionRequested{User: u, Prediction: "p_1", Text: sealed, Price: 4, Limit: 10, ExpiresAt: w.now.Add(2 * time.Minute),
			Movement: moved(domain.AvailableOf(u), domain.HeldOf(u), 4, 6, 4)},
	} {
		w.record(t, u, &account, e)
	}
	w.accounts[u] = account
}

// live runs a number of commands, and checks the town after each.
func (w *town) live(t *rapid.T) {
	commands := w.commands()
	names := slices.Sorted(maps.Keys(commands))
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 40, 120).Draw(t, "commands") {
		commands[name](t)
		w.check(t)
	}
}

// decide runs one command on u's account and applies what it decides. A refusal
// must be one; a decision must leave the account, and a clone of it, alone.
func (w *town) decide(t *rapid.T, u domain.UserID, command func(domain.Account) ([]domain.Event, error)) []domain.Event {
	account := w.accounts[u]
	clone := account.Clone()
	events, err := command(account)
	if err != nil && (domain.RefusalIn(err) == nil || len(events) > 0) {
		t.Fatalf("decided %v with %v", events, err)
	}
	if !reflect.DeepEqual(account, clone) {
		t.Fatalf("the decision changed the account to %+v, from %+v", account, clone)
	}
	before := asText(t, clone)
	for _, e := range events {
		w.record(t, u, &account, e)
	}
	if got := asText(t, clone); got != before {
		t.Fatalf("the events changed the clone to %s, from %s", got, before)
	}
	w.accounts[u] = account
	if len(events) > 0 {
		w.checkReplay(t, u, account)
	}
	return events
}

func (w *town) record(t *rapid.T, u domain.UserID, account *domain.Account, e domain.Event) {
	if err := account.Apply(e); err != nil {
		t.Fatalf("decided what the fold refuses: %v", err)
	}
	w.streams[u] = append(w.streams[u], e)
	if m, ok := e.(domain.Mover); ok {
		if !m.Moved().Balanced() {
			t.Fatalf("the postings of %+v do not sum to zero", e)
		}
		var given domain.Credits
		for _, p := range m.Moved().Postings {
			w.ledger[p.Account] += p.Amount
			if p.Account.Given() {
				given += p.Amount
			}
		}
		if given != 0 {
			t.Fatalf("%+v moves %d credits from one book to the other", e, given)
		}
	}
	switch e := e.(type) {
	case domain.PredictionRequested:
		w.asked = append(w.asked, question{u, e.Prediction})
	case domain.PredictionCompleted:
		w.ends[e.Prediction]++
	case domain.PredictionFailed:
		w.ends[e.Prediction]++
	case domain.PredictionExpired:
		w.ends[e.Prediction]++
	}
}

// twice runs a command two times over, and tells whether it did something each time.
func (w *town) twice(t *rapid.T, u domain.UserID, command func(domain.Account) ([]domain.Event, error)) bool {
	first, second := w.decide(t, u, command), w.decide(t, u, command)
	return len(first) > 0 && len(second) > 0
}

func asText(t *rapid.T, a domain.Account) string {
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// check is all that is promised of any town at any moment.
func (w *town) check(t *rapid.T) {
	books := map[bool]domain.Credits{}
	for account, sum := range w.ledger {
		books[account.Given()] += sum
	}
	if books[false] != 0 || books[true] != 0 {
		t.Fatalf("the books sum to %v: %v", books, w.ledger)
	}
	open := 0
	for _, u := range people {
		a := w.accounts[u]
		if a.Withdrawable() < 0 || a.Given < 0 || a.GivenHeld < 0 || a.Held < a.GivenHeld || a.Available+a.Held > domain.MaxBalance {
			t.Fatalf("%s is %+v", u, a)
		}
		if a.Withdrawable() != w.ledger[domain.AvailableOf(u)] || a.Given != w.ledger[domain.GivenOf(u)] ||
			a.Held-a.GivenHeld != w.ledger[domain.HeldOf(u)] || a.GivenHeld != w.ledger[domain.GivenHeldOf(u)] {
			t.Fatalf("%s is %+v, the postings say %v", u, a, w.ledger)
		}
		var held, given domain.Credits
		for _, h := range a.Holds {
			held += h.Price
			given += h.Given
		}
		if held != a.Held || given != a.GivenHeld || len(a.Holds) > domain.MaxOpenHolds {
			t.Fatalf("%s holds %d (%d given) for %d open questions of %d (%d)", u, a.Held, a.GivenHeld, len(a.Holds), held, given)
		}
		open += len(a.Holds)
	}
	for id, n := range w.ends {
		if n != 1 {
			t.Fatalf("%s ended %d times", id, n)
		}
	}
	if len(w.asked) != open+len(w.ends) {
		t.Fatalf("%d questions were asked, %d are open and %d ended", len(w.asked), open, len(w.ends))
	}
}

// checkReplay folds the stream from nothing, as it was decided and as it would be
// read back from the log.
func (w *town) checkReplay(t *rapid.T, u domain.UserID, want domain.Account) {
	var fromMemory, fromLog domain.Account
	for _, e := range w.streams[u] {
		payload, err := domain.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		version := e.Type().Version()
		if m, ok := e.(domain.Mover); ok && m.Moved().Undivided {
			version = 1
		}
		read, err := domain.Decode(e.Type(), version, payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(fromMemory.Apply(e), fromLog.Apply(read)); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(fromMemory, want) || !reflect.DeepEqual(fromLog, want) {
		t.Fatalf("%s is %+v, its events fold to %+v and, read back, to %+v", u, want, fromMemory, fromLog)
	}
}

func anyone(t *rapid.T, label string) domain.UserID { return rapid.SampledFrom(people).Draw(t, label) }

// amount is most often a small one, and now and then one at an edge.
func amount(t *rapid.T) domain.Credits {
	small := rapid.Int64Range(1, 12)
	edge := rapid.SampledFrom([]int64{-1, 0, int64(domain.MaxAmount), int64(domain.MaxAmount) + 1})
	return domain.Credits(rapid.OneOf(small, small, small, small, edge, rapid.Int64()).Draw(t, "amount"))
}

// commands is everything that can be asked of a town.
func (w *town) commands() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"sign up": func(t *rapid.T) {
			u := anyone(t, "user")
			bonus := domain.Credits(rapid.Int64Range(-1, 12).Draw(t, "bonus"))
			sign := func(a domain.Account) ([]domain.Event, error) { return a.SignUp(u, sealed, bonus) }
			if w.twice(t, u, sign) {
				t.Fatal("an account was opened twice")
			}
		},
		"deposit": func(t *rapid.T) { w.decide(t, anyone(t, "user"), deposit(amount(t))) },
		"withdraw": func(t *rapid.T) {
			u, n := anyone(t, "user"), amount(t)
			account := w.accounts[u]
			enough := n > 0 && n <= min(account.Withdrawable(), domain.MaxAmount)
			if did := len(w.decide(t, u, withdraw(n))) > 0; did != enough {
				t.Fatalf("withdrew %d: %v", n, did)
			}
		},
		"ask": func(t *rapid.T) {
			u, price := anyone(t, "user"), amount(t)
			q := domain.Question{Prediction: domain.PredictionID(fmt.Sprintf("p_%d", len(w.asked)+1)), Text: sealed,
				Price: price, Limit: 10, ExpiresAt: w.now.Add(2 * time.Minute)}
			asking := func(a domain.Account) ([]domain.Event, error) { return a.RequestPrediction(q) }
			before := w.accounts[u]
			if w.twice(t, u, asking) {
				t.Fatalf("%s was held twice", q.Prediction)
			}
			if after := w.accounts[u]; after.Held > before.Held && before.Given-after.Given != min(price, before.Given) {
				t.Fatalf("%d were held of %+v, which leaves %+v: given credits are spent first", price, before, after)
			}
		},
		"complete": func(t *rapid.T) { w.end(t, 0) },
		"fail":     func(t *rapid.T) { w.end(t, 1) },
		"expire":   func(t *rapid.T) { w.end(t, 2) },
		"adjust": func(t *rapid.T) {
			by, of := w.accounts[anyone(t, "admin")], anyone(t, "user")
			c := domain.Correction{Amount: amount(t), Reason: "r",
				Kind: rapid.SampledFrom([]domain.Kind{"", domain.GivenCredits, domain.BoughtCredits}).Draw(t, "kind")}
			if rapid.Bool().Draw(t, "take") {
				c.Amount = -c.Amount
			}
			events := w.decide(t, of, func(a domain.Account) ([]domain.Event, error) { return a.Adjust(by, c) })
			if len(events) > 0 && (!by.Admin || by.User == of) {
				t.Fatal("adjusted by somebody who is no admin, or their own")
			}
		},
		"grant or revoke": func(t *rapid.T) {
			u, grant := anyone(t, "user"), rapid.Bool().Draw(t, "grant")
			change := request(domain.Account.RevokeAdmin)
			if grant {
				change = domain.Account.GrantAdmin
			}
			w.decide(t, u, change)
			if again := w.decide(t, u, change); len(again) > 0 {
				t.Fatalf("decided %v twice", again)
			}
			if a := w.accounts[u]; a.Exists() && a.Admin != grant {
				t.Fatalf("%s is an admin: %v", u, a.Admin)
			}
		},
		"wait": func(t *rapid.T) {
			w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Minute, 2*time.Minute - 1, 2 * time.Minute}).Draw(t, "wait"))
		},
	}
}

// end settles a question that was asked at any time, open or not, in one of three
// ways, and then tries every way to settle it again.
func (w *town) end(t *rapid.T, way int) {
	if len(w.asked) == 0 {
		return
	}
	q := rapid.SampledFrom(w.asked).Draw(t, "question")
	ways := []request{complete(q.id, films(2)...), fail(q.id), expire(q.id, w.now)}
	ended := w.ends[q.id] > 0
	price := w.priceOf(q)
	before := w.accounts[q.user]
	events := w.decide(t, q.user, ways[way])
	if ended && len(events) > 0 {
		t.Fatalf("%s ended, and then %v", q.id, events)
	}
	if len(events) > 0 {
		after := w.accounts[q.user]
		released := after.Available - before.Available
		if before.Held-after.Held != price || way == 0 && released != 0 || way > 0 && released != price {
			t.Fatalf("%v moved the account from %+v to %+v", events, before, after)
		}
	}
	if w.ends[q.id] == 0 {
		return // too early to expire
	}
	for _, again := range ways {
		if events := w.decide(t, q.user, again); len(events) > 0 {
			t.Fatalf("%s ended, and then %v", q.id, events)
		}
	}
}

// priceOf is the price at which the question was asked.
func (w *town) priceOf(q question) domain.Credits {
	for _, e := range w.streams[q.user] {
		if asked, ok := e.(domain.PredictionRequested); ok && asked.Prediction == q.id {
			return asked.Price
		}
	}
	return 0
}

func TestAnySequenceOfCommands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { newTown(t).live(t) })
}

// No fact survives forgery: whatever is changed in the money of one decided
// event, the fold of its stream stops there.
func TestAnyForgedMovementIsBroken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTown(t)
		w.live(t)
		u := rapid.SampledFrom(people[:3]).Draw(t, "victim")
		moves := slices.DeleteFunc(indexes(w.streams[u]), func(i int) bool {
			_, ok := w.streams[u][i].(domain.Mover)
			return !ok
		})
		at := rapid.SampledFrom(moves).Draw(t, "event")
		by := domain.Credits(rapid.Int64().Filter(func(n int64) bool { return n != 0 }).Draw(t, "by"))
		where := rapid.IntRange(0, 5).Draw(t, "where")
		forged := withMovement(w.streams[u][at], func(m *domain.Movement) {
			m.Postings = slices.Clone(m.Postings)
			switch where {
			case 0:
				m.Postings[0].Amount += by
			case 1:
				m.Postings[1].Amount += by
			case 2:
				m.Available += by
			case 3:
				m.Held += by
			case 4:
				m.Given += by
			case 5:
				m.GivenHeld += by
			}
		})
		var a domain.Account
		for i, e := range w.streams[u][:at] {
			if err := a.Apply(e); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
		}
		if err := a.Apply(forged); !errors.Is(err, domain.ErrBroken) {
			t.Fatalf("%+v was forged to %+v, and gives %v", w.streams[u][at], forged, err)
		}
	})
}

func indexes[E any](list []E) []int {
	n := make([]int, len(list))
	for i := range n {
		n[i] = i
	}
	return n
}

// An e-mail has one spelling, and the spelling of a spelling is itself: else one
// person could open two accounts.
func TestNormalizedEmailStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.StringMatching(`[ ]?[A-Za-zА-Яа-яİK.+-]{1,8}@[A-Za-zА-Я-]{1,5}\.[a-zA-Z.]{1,4}[ ]?`), rapid.String()).Draw(t, "email")
		once, err := domain.NormalizeEmail(s)
		if err != nil {
			return
		}
		if again, err := domain.NormalizeEmail(once); err != nil || again != once {
			t.Fatalf("%q becomes %q, and that %q (%v)", s, once, again, err)
		}
	})
}
