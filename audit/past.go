package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strings"

	"kassa/domain"
	"kassa/eventstore"
)

// What a log says of the past. These functions add up what entries say; that the entries are
// right is proved by a verification.

// OfStream gives fn the entries of a stream up to the position, in order. Where one of them is
// archived, all of the log is read.
func (w FullLog) OfStream(ctx context.Context, stream eventstore.Stream, upTo eventstore.Position, fn func(eventstore.Recorded) error) error {
	for version := eventstore.Version(0); ; {
		page, err := w.Stream(ctx, stream, version, scanPage)
		if errors.Is(err, eventstore.ErrArchived) && w.Archives != nil && version == 0 {
			return w.each(ctx, upTo, func(rec eventstore.Recorded) error {
				if rec.Stream != stream {
					return nil
				}
				return fn(rec)
			})
		}
		if err != nil {
			return err
		}
		for _, rec := range page {
			if rec.Position > upTo {
				return nil
			}
			if err := fn(rec); err != nil {
				return err
			}
			version = rec.Version
		}
		if len(page) < scanPage {
			return nil
		}
	}
}

// each gives fn the entries up to the position, in order.
func (w FullLog) each(ctx context.Context, upTo eventstore.Position, fn func(eventstore.Recorded) error) error {
	return w.between(ctx, 0, upTo, fn)
}

// fewEntries are read one page after the other: Scan reads ahead, with all processors.
const fewEntries = 10 * scanPage

// shortly gives fn the entries behind a position in order, until it returns errPage.
func (w FullLog) shortly(ctx context.Context, behind eventstore.Position, fn func(eventstore.Recorded) error) error {
	for {
		list, err := w.After(ctx, behind, scanPage)
		if err != nil {
			return err
		}
		for _, rec := range list {
			if err := fn(rec); errors.Is(err, errPage) {
				return nil
			} else if err != nil {
				return err
			}
			behind = rec.Position
		}
		if len(list) < scanPage {
			return nil
		}
	}
}

// between gives fn the entries behind a position, up to another, in order.
func (w FullLog) between(ctx context.Context, behind, upTo eventstore.Position, fn func(eventstore.Recorded) error) error {
	if upTo-behind <= fewEntries {
		return w.shortly(ctx, behind, func(rec eventstore.Recorded) error {
			if rec.Position > upTo {
				return errPage
			}
			return fn(rec)
		})
	}
	err := w.Scan(ctx, behind, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if rec.Position > upTo {
				return errPage
			}
			if err := fn(rec); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errPage) {
		return nil
	}
	return err
}

// AccountAt folds a person's account as it was at the position; one that did not exist then is
// the zero account. The error contains a *Fault where the entries contradict each other.
func AccountAt(ctx context.Context, log FullLog, user domain.UserID, at eventstore.Position) (domain.Account, error) {
	var a domain.Account
	err := log.OfStream(ctx, eventstore.AccountStream(user), at, func(rec eventstore.Recorded) error {
		if err := a.Apply(rec.Event, rec.Time); err != nil {
			return inStream(fault(FactBroken, rec.Position, "%s", err), rec.Stream)
		}
		return nil
	})
	return a, err
}

// Trial is the trial balance: what all postings up to a position come to. The accounts of
// persons are one sum for each kind.
type Trial struct {
	Position eventstore.Position                     `json:"position"`
	House    map[domain.LedgerAccount]domain.Credits `json:"house"`
	Users    map[string]domain.Credits               `json:"users"` // by kind: available, held, given, given_held
}

// TrialAt adds up the log to the position.
func TrialAt(ctx context.Context, log FullLog, at eventstore.Position) (Trial, error) {
	t := newTrial(0)
	if log.Sums != nil {
		near, err := log.Sums.before(ctx, log, func(m mark) bool { return m.at <= at })
		if err != nil {
			return t, err
		}
		t = near.reading().Trial
	}
	err := log.between(ctx, t.Position, at, t.add)
	t.Position = at
	return t, err
}

func newTrial(at eventstore.Position) Trial {
	return Trial{at, map[domain.LedgerAccount]domain.Credits{}, map[string]domain.Credits{}}
}

func (t Trial) clone() Trial { return Trial{t.Position, maps.Clone(t.House), maps.Clone(t.Users)} }

func (t *Trial) add(rec eventstore.Recorded) error {
	postings, err := moved(rec)
	if err != nil {
		return err
	}
	over := false
	for _, p := range postings {
		if parts, user := cutUser(p.Account); user {
			t.Users[parts[1]] = plus(t.Users[parts[1]], p.Amount, &over)
		} else {
			t.House[p.Account] = plus(t.House[p.Account], p.Amount, &over)
		}
	}
	return counted(rec, over)
}

// BalanceAt is one account of the ledger at the position, such as house:revenue or
// user:u_…:held: the sum of its postings.
func BalanceAt(ctx context.Context, log FullLog, account domain.LedgerAccount, at eventstore.Position) (sum domain.Credits, err error) {
	add := func(rec eventstore.Recorded) error {
		postings, err := moved(rec)
		if err != nil {
			return err
		}
		over := false
		for _, p := range postings {
			if p.Account == account {
				sum = plus(sum, p.Amount, &over)
			}
		}
		return counted(rec, over)
	}
	if parts, user := cutUser(account); user {
		err = log.OfStream(ctx, eventstore.AccountStream(domain.UserID(parts[0])), at, add)
	} else if strings.HasPrefix(string(account), "house:") {
		err = log.each(ctx, at, add)
	} else {
		err = fmt.Errorf("there is no account %q", account)
	}
	return sum, err
}

// Change is what happened between two positions: the entries behind the first, up to the
// second.
type Change struct {
	From   eventstore.Position            `json:"from"`
	To     eventstore.Position            `json:"to"`
	Events map[domain.EventType]int       `json:"events"`
	Moved  Trial                          `json:"moved"`   // what the postings add up to
	Users  map[domain.UserID]WalletChange `json:"by_user"` // of those who have other balances now
}

// WalletChange is by how much what a person has changed.
type WalletChange struct {
	Available domain.Credits `json:"available"` // given ones among them
	Held      domain.Credits `json:"held"`
}

// ChangeBetween reads the entries between two positions. Its memory grows with persons.
func ChangeBetween(ctx context.Context, log FullLog, from, to eventstore.Position) (Change, error) {
	c := Change{from, to, map[domain.EventType]int{}, newTrial(to), map[domain.UserID]WalletChange{}}
	err := log.each(ctx, to, func(rec eventstore.Recorded) error {
		if rec.Position <= from {
			return nil
		}
		c.Events[rec.Type]++
		if err := c.Moved.add(rec); err != nil {
			return err
		}
		over := false
		if m, ok := rec.Event.(domain.MoneyEvent); ok {
			user := rec.Event.Subject()
			w, _ := m.Money().Wallet(user)
			sum := c.Users[user]
			c.Users[user] = WalletChange{plus(sum.Available, w.Available, &over), plus(sum.Held, w.Held, &over)}
			if c.Users[user] == (WalletChange{}) {
				delete(c.Users, user)
			}
		}
		return counted(rec, over)
	})
	return c, err
}

// Charge is all that the log has of one question: its request, how it ended, and its refund
// or the film that was the one.
type Charge struct {
	Asked     eventstore.Recorded
	Ended     *eventstore.Recorded // nil while it is held
	Refunded  *eventstore.Recorded // nil where it was not
	Confirmed *eventstore.Recorded // nil where no film was confirmed
}

// maxPosition is behind the end of any log.
const maxPosition eventstore.Position = math.MaxInt64

// ErrNoPrediction: the log has no question with this id.
var ErrNoPrediction = errors.New("audit: the log has no question with this id")

// ChargeOf finds a question. It reads the whole log.
func ChargeOf(ctx context.Context, log FullLog, id domain.PredictionID, upTo eventstore.Position) (Charge, error) {
	var c Charge
	err := log.each(ctx, upTo, func(rec eventstore.Recorded) error {
		switch e := rec.Event.(type) {
		case domain.PredictionRequested:
			if e.Prediction == id {
				c.Asked = rec
			}
		case domain.PredictionRefunded:
			if e.Prediction == id {
				c.Refunded = &rec
			}
		case domain.PredictionConfirmed:
			if e.Prediction == id {
				c.Confirmed = &rec
			}
		case domain.PredictionCompleted:
			c.end(e.Prediction == id, rec)
		case domain.PredictionFailed:
			c.end(e.Prediction == id, rec)
		case domain.PredictionExpired:
			c.end(e.Prediction == id, rec)
		}
		return nil
	})
	if err == nil && c.Asked.Position == 0 {
		err = fmt.Errorf("%w: %s", ErrNoPrediction, id)
	}
	return c, err
}

func (c *Charge) end(ours bool, rec eventstore.Recorded) {
	if ours {
		c.Ended = &rec
	}
}

// Departure is where a log is no more what an export of it says.
type Departure struct {
	Position eventstore.Position // the first that differs; 0 for none
	Kept     eventstore.Envelope // of the export
	Now      eventstore.Envelope // zero where the log has no entry there that can be read
}

// Bisect finds the first position at which the log is not what an export has that was kept:
// a kept head says that something was changed, and not where. The log may have grown.
func Bisect(ctx context.Context, store *eventstore.Store, kept *ReadExport) (d Departure, err error) {
	at := eventstore.Position(0)
	err = store.Rows(ctx, 0, func(rows []eventstore.Stored) error {
		for i := range rows {
			want, entry, err := kept.next()
			if err != nil {
				return err
			}
			if at++; rows[i].Position == at && rows[i].Leaf == eventstore.LeafHash(entry) {
				continue
			}
			d = Departure{Position: at, Kept: want}
			if rows[i].Position == at {
				d.Now = rows[i].Recorded.Envelope
			}
			return errBehindHead
		}
		return nil
	})
	if err == nil { // the log has ended
		if d.Kept, _, err = kept.next(); err == nil {
			d.Position = at + 1
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, errBehindHead) {
		err = nil
	}
	return d, err
}
