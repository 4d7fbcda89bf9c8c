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

// workload is a few accounts, all that was ever decided about them, and the ledger summed
// from the postings alone. After every command check compares them.
type workload struct {
	accounts map[domain.UserID]domain.Account
	streams  map[domain.UserID][]decidedEvent
	ledger   map[domain.LedgerAccount]domain.Credits
	asked    []question
	ends     map[domain.PredictionID]int
	refunds  map[domain.PredictionID]int
	paid     map[domain.PredictionID]domain.PredictionID // the first of each prediction's conversation
	found    map[domain.PredictionID]bool                // those with a "that's it"
	now      time.Time
}

// decidedEvent is an event and the time of its decision.
type decidedEvent struct {
	domain.Event
	at time.Time
}

type question struct {
	user domain.UserID
	id   domain.PredictionID
}

// people of a workload. The last one is not there yet, the first one is an admin, and the
// third one joined before there were two books.
var people = []domain.UserID{"u_1", "u_2", "u_3", "u_4"}

func newWorkload(t *rapid.T) *workload {
	w := &workload{accounts: map[domain.UserID]domain.Account{}, streams: map[domain.UserID][]decidedEvent{},
		ledger: map[domain.LedgerAccount]domain.Credits{}, ends: map[domain.PredictionID]int{}, refunds: map[domain.PredictionID]int{},
		paid: map[domain.PredictionID]domain.PredictionID{}, found: map[domain.PredictionID]bool{}, now: noon}
	for _, u := range people[:2] {
		w.decide(t, u, func(a domain.Account) ([]domain.Event, error) { return a.SignUp(u, sealed, 10) })
	}
	w.decide(t, people[0], grantedBy(domain.AdminRole, operator))
	w.joinedBefore(t, people[2])
	return w
}

// joinedBefore opens an account by facts of version 1, with a bonus of bought credits
// and a question that is still open.
func (w *workload) joinedBefore(t *rapid.T, u domain.UserID) {
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

// live runs a number of commands, and checks after each.
func (w *workload) live(t *rapid.T) {
	commands := w.commands()
	names := slices.Sorted(maps.Keys(commands))
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 40, 120).Draw(t, "commands") {
		commands[name](t)
		w.check(t)
	}
}

// decide runs one command on u's account and applies what it decides. A refusal
// must be one; a decision must leave the account, and a clone of it, alone.
func (w *workload) decide(t *rapid.T, u domain.UserID, command func(domain.Account) ([]domain.Event, error)) []domain.Event {
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

func (w *workload) record(t *rapid.T, u domain.UserID, account *domain.Account, e domain.Event) {
	if err := account.Apply(e, w.now); err != nil {
		t.Fatalf("decided what the fold refuses: %v", err)
	}
	w.streams[u] = append(w.streams[u], decidedEvent{e, w.now})
	if m, ok := e.(domain.MoneyEvent); ok {
		if !m.Money().Balanced() && !isFollowUp(w, e) {
			t.Fatalf("the postings of %+v do not sum to zero", e)
		}
		var given domain.Credits
		for _, p := range m.Money().Postings {
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
		w.paid[e.Prediction] = e.Prediction
		if e.FollowUp != nil {
			w.paid[e.Prediction] = e.FollowUp.Of
		}
	case domain.PredictionCompleted:
		w.ends[e.Prediction]++
	case domain.PredictionFailed:
		w.ends[e.Prediction]++
	case domain.PredictionExpired:
		w.ends[e.Prediction]++
	case domain.PredictionRefunded:
		w.refunds[e.Prediction]++
	case domain.PredictionConfirmed:
		w.found[w.paid[e.Prediction]] = true
	}
}

// twice runs a command twice, and returns whether it appended something each time.
func (w *workload) twice(t *rapid.T, u domain.UserID, command func(domain.Account) ([]domain.Event, error)) bool {
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

// check is what must hold at any moment.
func (w *workload) check(t *rapid.T) {
	books := map[bool]domain.Credits{}
	for account, sum := range w.ledger {
		books[account.Given()] += sum
	}
	if books[false] != 0 || books[true] != 0 {
		t.Fatalf("the books sum to %v: %v", books, w.ledger)
	}
	if w.ledger[domain.HouseRevenue] < 0 || w.ledger[domain.HouseGivenSpent] < 0 {
		t.Fatalf("more was refunded than was captured: %v", w.ledger)
	}
	if w.ledger[domain.HouseCash]+w.ledger[domain.HouseAdjustments]+w.ledger[domain.HouseBonus] > 0 {
		t.Fatalf("more was paid out than came in: %v", w.ledger)
	}
	open := 0
	for _, u := range people {
		a := w.accounts[u]
		if a.Withdrawable() < 0 || a.Given < 0 || a.GivenHeld < 0 || a.Held < a.GivenHeld || a.Available+a.Held > domain.MaxBalance {
			t.Fatalf("%s is %+v", u, a)
		}
		if a.Withdrawable() != w.ledger[domain.AvailableOf(u)] || a.Given != w.ledger[domain.GivenOf(u)] ||
			a.Held-a.GivenHeld != w.ledger[domain.HeldOf(u)] || a.GivenHeld != w.ledger[domain.GivenHeldOf(u)] {
			t.Fatalf("%s is %+v, the postings give %v", u, a, w.ledger)
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
	for id, n := range w.refunds {
		if n != 1 || w.ends[id] != 1 || w.paid[id] != id {
			t.Fatalf("%s was refunded %d times, and ended %d times", id, n, w.ends[id])
		}
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
func (w *workload) checkReplay(t *rapid.T, u domain.UserID, want domain.Account) {
	var fromMemory, fromLog domain.Account
	for _, e := range w.streams[u] {
		payload, err := domain.Encode(e.Event)
		if err != nil {
			t.Fatal(err)
		}
		version := domain.VersionOf(e.Event)
		if m, ok := e.Event.(domain.MoneyEvent); ok && m.Money().Undivided {
			version = 1
		}
		read, err := domain.Decode(e.Type(), version, payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(fromMemory.Apply(e.Event, e.at), fromLog.Apply(read, e.at)); err != nil {
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

// commands are all that accounts can be asked for.
func (w *workload) commands() map[string]func(*rapid.T) {
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
		"refund":   func(t *rapid.T) { w.refund(t) },
		"refine":   func(t *rapid.T) { w.refine(t) },
		"confirm":  func(t *rapid.T) { w.confirm(t) },
		"adjust": func(t *rapid.T) {
			by, of := w.accounts[anyone(t, "admin")], anyone(t, "user")
			c := domain.Correction{Amount: amount(t), Reason: "r",
				Kind: rapid.SampledFrom([]domain.Kind{"", domain.GivenCredits, domain.BoughtCredits}).Draw(t, "kind")}
			if rapid.Bool().Draw(t, "take") {
				c.Amount = -c.Amount
			}
			events := w.decide(t, of, func(a domain.Account) ([]domain.Event, error) { return a.Adjust(by, c) })
			if len(events) > 0 && (!by.Admin || by.User == of) {
				t.Fatal("adjusted by a user who is no admin, or their own")
			}
		},
		"grant or revoke": func(t *rapid.T) {
			u, grant := anyone(t, "user"), rapid.Bool().Draw(t, "grant")
			change := revokedBy(domain.AdminRole, operator)
			if grant {
				change = grantedBy(domain.AdminRole, operator)
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
			w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Minute, 2*time.Minute - 1, 2 * time.Minute, 11 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "wait"))
		},
	}
}

// end settles a question that was asked at any time, open or not, in one of three
// ways, and then tries every way to settle it again.
func (w *workload) end(t *rapid.T, way int) {
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
func (w *workload) priceOf(q question) domain.Credits {
	for _, e := range w.streams[q.user] {
		if asked, ok := e.Event.(domain.PredictionRequested); ok && asked.Prediction == q.id {
			return asked.Price
		}
	}
	return 0
}

func TestAnySequenceOfCommands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { newWorkload(t).live(t) })
}

// No fact survives forgery: whatever is changed in the money of one decided
// event, the fold of its stream stops there.
func TestAnyForgedMovementIsBroken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorkload(t)
		w.live(t)
		u := rapid.SampledFrom(people[:3]).Draw(t, "victim")
		moves := slices.DeleteFunc(indexes(w.streams[u]), func(i int) bool {
			m, ok := w.streams[u][i].Event.(domain.MoneyEvent)
			return !ok || len(m.Money().Postings) == 0
		})
		at := rapid.SampledFrom(moves).Draw(t, "event")
		by := domain.Credits(rapid.Int64().Filter(func(n int64) bool { return n != 0 }).Draw(t, "by"))
		where := rapid.IntRange(0, 5).Draw(t, "where")
		forged := withMovement(w.streams[u][at].Event, func(m *domain.Movement) {
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
			if err := a.Apply(e.Event, e.at); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
		}
		if err := a.Apply(forged, w.streams[u][at].at); !errors.Is(err, domain.ErrBroken) {
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
