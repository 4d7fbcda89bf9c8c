package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Amount is a number of credits, and what they cost.
type Amount struct {
	Credits domain.Credits `json:"credits"`
	Minor   *int64         `json:"minor,omitempty"` // minor units of the currency; nil where no price of a credit is stated
}

// RollForward is how what persons have of one kind of credits came from the beginning of a
// period to its end.
type RollForward struct {
	Opening Amount `json:"opening"`
	Flows   []Flow `json:"flows"`
	// Revaluation is what a change of the price of a credit adds, in money only.
	Revaluation *int64 `json:"revaluation,omitempty"`
	Closing     Amount `json:"closing"`
}

// Flow is what the events of a type have moved: above zero to persons.
type Flow struct {
	Type   domain.EventType `json:"type"`
	Events int              `json:"events"`
	Amount
}

// Of is the flow of a type, zero where there is none.
func (r RollForward) Of(t domain.EventType) Flow {
	if i := slices.IndexFunc(r.Flows, func(f Flow) bool { return f.Type == t }); i >= 0 {
		return r.Flows[i]
	}
	return Flow{Type: t}
}

// AdjustmentSum is what an admin adjusted for a reason.
type AdjustmentSum struct {
	Admin  domain.UserID  `json:"admin_id"`
	Reason string         `json:"reason"`
	Count  int            `json:"count"`
	Bought domain.Credits `json:"bought"`
	Given  domain.Credits `json:"given"`
}

// Closing is the books of a period.
type Closing struct {
	Period
	Final    bool            `json:"final"` // the period was over; else it is as far as the log went
	Root     eventstore.Hash `json:"root"`  // of the tree over the log up to its end
	Currency string          `json:"currency,omitempty"`

	Trial Trial       `json:"trial_balance"`
	Owed  RollForward `json:"owed"`  // bought credits, which are a liability
	Gifts RollForward `json:"gifts"` // given ones, which are never paid out

	Revenue     Amount          `json:"revenue"`    // bought credits spent on answers, without what was refunded
	Breakage    Amount          `json:"breakage"`   // bought credits that erased persons left behind
	BonusCost   Amount          `json:"bonus_cost"` // given credits spent on answers, without what was refunded
	Adjustments []AdjustmentSum `json:"adjustments"`

	prices creditPrices
	sums   adjustmentSums
	active map[domain.UserID]firstMovement
	over   bool // a sum does not fit in 64 bits
}

// firstMovement is where the period of a person begins.
type firstMovement struct {
	after   eventstore.Version // of the person's stream
	opening Holdings
}

// ErrUnequal: the figures do not add up, because entries contradict each other.
var ErrUnequal = errors.New("audit: the books of the period do not add up")

// ErrNotBegun: the period is later.
var ErrNotBegun = errors.New("the month has not begun")

// Close reads the books of a period. Memory grows with the persons who had movements, and with the
// reasons of adjustments. The error wraps ErrUnequal where the roll-forward does not come to what
// persons have; verify says which entry is wrong.
func Close(ctx context.Context, log FullLog, p Period, now time.Time) (*Closing, error) {
	if now.Before(p.From) {
		return nil, fmt.Errorf("%w: %s in %s", ErrNotBegun, p.Month, p.Zone)
	}
	if err := p.locate(ctx, log); err != nil {
		return nil, err
	}
	c := &Closing{Period: p, Final: !now.Before(p.Until), sums: adjustmentSums{}, active: map[domain.UserID]firstMovement{}}
	opening, err := TrialAt(ctx, log, p.Opening)
	if err != nil {
		return nil, err
	}
	c.Trial = opening.clone()
	c.Trial.Position = p.Closing
	if c.prices, err = pricesIn(ctx, log, p); err != nil {
		return nil, err
	}
	c.Currency = c.prices.Currency
	flows := map[bool]map[domain.EventType]*Flow{false: {}, true: {}}
	err = log.between(ctx, p.Opening, p.Closing, func(rec eventstore.Recorded) error {
		if err := c.Trial.add(rec); err != nil {
			return err
		}
		c.activity(rec)
		c.flow(rec, flows)
		return counted(rec, c.over)
	})
	if err != nil {
		return nil, err
	}
	if c.Owed, err = c.rollForward(flows[false], opening, "available", "held"); err != nil {
		return nil, err
	}
	if c.Gifts, err = c.rollForward(flows[true], opening, "given", "given_held"); err != nil {
		return nil, err
	}
	c.Revenue = c.less(c.Owed, domain.TypePredictionCompleted, domain.TypePredictionRefunded)
	c.Breakage = c.less(c.Owed, domain.TypeCreditsForfeited)
	c.BonusCost = c.less(c.Gifts, domain.TypePredictionCompleted, domain.TypePredictionRefunded)
	c.Adjustments = c.sums.sorted()
	if c.over {
		return nil, fmt.Errorf("%w: they come to more than can be counted", ErrUnequal)
	}
	c.Root, err = rootAt(ctx, log, p.Closing)
	return c, err
}

// flow adds what an entry moves between the house and a person, by the postings of the house.
func (c *Closing) flow(rec eventstore.Recorded, flows map[bool]map[domain.EventType]*Flow) {
	met := map[bool]bool{}
	for _, posting := range postingsIn(rec.Event) {
		if !strings.HasPrefix(string(posting.Account), "house:") {
			continue
		}
		given := posting.Account.Given()
		f := flows[given][rec.Type]
		if f == nil {
			f = &Flow{Type: rec.Type, Amount: c.amount(0, 0)}
			flows[given][rec.Type] = f
		}
		f.add(c.amount(-posting.Amount, c.prices.at(rec.Position)), &c.over)
		if !met[given] {
			f.Events++
		}
		met[given] = true
	}
	if e, ok := rec.Event.(domain.BalanceAdjusted); ok {
		c.sums.add(e, &c.over)
	}
}

// adjustmentSums are what was adjusted, by admin and reason.
type adjustmentSums map[[2]string]AdjustmentSum

func (s adjustmentSums) add(e domain.BalanceAdjusted, over *bool) {
	key := [2]string{string(e.Admin), e.Reason}
	a := s[key]
	s[key] = AdjustmentSum{e.Admin, e.Reason, a.Count + 1, plus(a.Bought, e.Amount-e.GivenAmount, over), plus(a.Given, e.GivenAmount, over)}
}

func (s adjustmentSums) sorted() []AdjustmentSum {
	return slices.AppendSeq([]AdjustmentSum{}, slices.Values(slices.SortedFunc(maps.Values(s), func(a, b AdjustmentSum) int {
		return cmp.Or(cmp.Compare(a.Admin, b.Admin), cmp.Compare(a.Reason, b.Reason))
	})))
}

// activity notes where the period of a person begins.
func (c *Closing) activity(rec eventstore.Recorded) {
	m, moves := rec.Event.(domain.MoneyEvent)
	if !moves {
		return
	}
	user := rec.Event.Subject()
	if _, known := c.active[user]; known {
		return
	}
	c.active[user] = firstMovement{rec.Version - 1, holdingsBefore(m.Money(), user)}
}

// amount is credits by a price, in money where a currency is stated.
func (c *Closing) amount(credits domain.Credits, price int64) Amount {
	if c.Currency == "" {
		return Amount{Credits: credits}
	}
	minor := times(int64(credits), price, &c.over)
	return Amount{credits, &minor}
}

// add adds an amount; both are in money, or neither is.
func (a *Amount) add(b Amount, over *bool) {
	a.Credits = plus(a.Credits, b.Credits, over)
	if a.Minor != nil {
		*a.Minor = plus(*a.Minor, *b.Minor, over)
	}
}

// negative is the amount with the other sign.
func (a Amount) negative(over *bool) Amount {
	a.Credits = minus(a.Credits, over)
	if a.Minor != nil {
		minor := minus(*a.Minor, over)
		a.Minor = &minor
	}
	return a
}

// rollForward adds up one book, and compares: the flows are those of the house's postings, the
// opening and the closing balance those of the persons'.
func (c *Closing) rollForward(flows map[domain.EventType]*Flow, opening Trial, available, held string) (RollForward, error) {
	r := RollForward{Opening: c.amount(plus(opening.Users[available], opening.Users[held], &c.over), c.prices.opening),
		Closing: c.amount(plus(c.Trial.Users[available], c.Trial.Users[held], &c.over), c.prices.closing), Flows: []Flow{}}
	came := c.amount(0, 0)
	for _, f := range flows {
		r.Flows = append(r.Flows, *f)
		came.add(f.Amount, &c.over)
	}
	credits := plus(r.Opening.Credits, came.Credits, &c.over)
	slices.SortFunc(r.Flows, func(a, b Flow) int { return strings.Compare(string(a.Type), string(b.Type)) })
	if credits != r.Closing.Credits {
		return r, fmt.Errorf("%w: %d credits at the beginning and what was moved come to %d, and persons have %d (%s)", ErrUnequal, r.Opening.Credits, credits, r.Closing.Credits, available)
	}
	if c.Currency != "" {
		left := c.amount(0, 0)
		left.add(r.Closing, &c.over)
		left.add(r.Opening.negative(&c.over), &c.over)
		left.add(came.negative(&c.over), &c.over)
		r.Revaluation = left.Minor
	}
	return r, nil
}

// less is what the flows of these types have taken from persons.
func (c *Closing) less(r RollForward, types ...domain.EventType) Amount {
	sum := c.amount(0, 0)
	for _, t := range types {
		if f := r.Of(t); f.Events > 0 {
			sum.add(f.negative(&c.over), &c.over)
		}
	}
	return sum
}
