package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Holdings are what a person has, with what is held for answers that are not there yet.
type Holdings struct {
	Bought domain.Credits
	Given  domain.Credits
	Held   domain.Credits // how many of both are held
}

// Total is all that the person has.
func (h Holdings) Total() domain.Credits { return h.Bought + h.Given }

// holdingsAt are those after a movement.
func holdingsAt(m domain.Movement) Holdings {
	given := m.Given + m.GivenHeld
	return Holdings{m.Available + m.Held - given, given, m.Held}
}

// holdingsBefore are those of a person before a movement.
func holdingsBefore(m domain.Movement, user domain.UserID) Holdings {
	moved, _ := m.Wallet(user)
	after, given := holdingsAt(m), moved.Given+moved.GivenHeld
	return Holdings{after.Bought - (moved.Available + moved.Held - given), after.Given - given, after.Held - moved.Held}
}

// Statement is the movements of one person's credits in a period: entries of their stream. A
// hold is no movement of it, and neither is its release: an answer is spent when it is there.
type Statement struct {
	User    domain.UserID
	Opening Holdings

	log   *eventstore.Store
	after eventstore.Version  // of the person's stream, behind which it begins
	since eventstore.Position // of the entry there; 0 for none
	last  eventstore.Version  // of the last entry in it
	upTo  eventstore.Position // behind which no entry is in it
}

// Entries is how many entries of the person Lines reads, more than there are lines: holds too.
func (s Statement) Entries() int64 { return int64(s.last - s.after) }

// StatementLine is one movement.
type StatementLine struct {
	At            time.Time
	Position      eventstore.Position
	Type          domain.EventType
	Reason        string         // of an adjustment
	Bought, Given domain.Credits // what it adds
	After         Holdings
}

// Amount is what the line adds in all.
func (l StatementLine) Amount() domain.Credits { return l.Bought + l.Given }

// Totals are what lines add up to, by what people call them: each is above zero where it came to
// the person.
type Totals struct {
	In        domain.Credits // deposits, gifts, and what was moved in
	Spent     domain.Credits // answers
	GivenBack domain.Credits // refunds of answers
	Withdrawn domain.Credits
	Adjusted  domain.Credits // by admins, and whatever is none of the others
}

// Add adds a line.
func (s *Totals) Add(l StatementLine) {
	switch l.Type {
	case domain.TypeDeposited, domain.TypeBonusGranted, domain.TypeBalanceMovedIn:
		s.In += l.Amount()
	case domain.TypePredictionCompleted:
		s.Spent += l.Amount()
	case domain.TypePredictionRefunded:
		s.GivenBack += l.Amount()
	case domain.TypeWithdrawn:
		s.Withdrawn += l.Amount()
	default:
		s.Adjusted += l.Amount()
	}
}

// Total is by how much the person has more.
func (s Totals) Total() domain.Credits {
	return s.In + s.Spent + s.GivenBack + s.Withdrawn + s.Adjusted
}

// Between are the positions of the person's entries in the period: those behind the first, up to
// the second.
func (s Statement) Between() (since, upTo eventstore.Position) { return s.since, s.upTo }

// Lines gives fn the movements in order, and returns what the person has at the end, which is
// compared with what the last entry says. Memory does not grow with them.
func (s Statement) Lines(ctx context.Context, fn func(StatementLine) error) (Holdings, error) {
	now := s.Opening
	err := eachEntry(ctx, s.log, s.User, s.after, func(rec eventstore.Recorded) error {
		if rec.Position > s.upTo {
			return errPage
		}
		e, moves := rec.Event.(domain.MoneyEvent)
		if !moves || len(e.Money().Postings) == 0 { // a follow-up costs nothing
			return nil
		}
		moved, _ := e.Money().Wallet(s.User)
		line := StatementLine{At: rec.Time, Position: rec.Position, Type: rec.Type, Given: moved.Given + moved.GivenHeld}
		line.Bought = moved.Available + moved.Held - line.Given
		now = Holdings{now.Bought + line.Bought, now.Given + line.Given, e.Money().Held}
		if now != holdingsAt(e.Money()) {
			return fmt.Errorf("%w: the statement of %s comes to %+v at position %d, and the entry says %+v", ErrUnequal, s.User, now, rec.Position, holdingsAt(e.Money()))
		}
		if line.Bought == 0 && line.Given == 0 { // a hold, or its release
			return nil
		}
		if adjusted, ok := rec.Event.(domain.BalanceAdjusted); ok {
			line.Reason = adjusted.Reason
		}
		line.After = now
		return fn(line)
	})
	if errors.Is(err, errPage) {
		err = nil
	}
	return now, err
}

// eachEntry gives fn the entries of a person behind a version, in order.
func eachEntry(ctx context.Context, log *eventstore.Store, user domain.UserID, after eventstore.Version, fn func(eventstore.Recorded) error) error {
	for {
		list, err := log.Stream(ctx, eventstore.AccountStream(user), after, scanPage)
		if err != nil {
			return err
		}
		for _, rec := range list {
			if err := fn(rec); err != nil {
				return err
			}
			after = rec.Version
		}
		if len(list) < scanPage {
			return nil
		}
	}
}

// MaxSkew is more than the clocks of two processes differ by. A month is sealed that long after
// its end.
const MaxSkew = 10 * time.Minute

// StatementOf finds a person's statement from a moment to another, which is not in it. Which
// entries are in it is decided by positions, as for the books of a month: those behind the last
// entry of the log before the first one that is not earlier than the moment. It reads some entries
// of the person's stream, and never all; and a few minutes of the log only where the person had an
// entry in the minutes before one of the moments. The error wraps ErrArchived where the period
// begins in what is archived.
func StatementOf(ctx context.Context, log *eventstore.Store, user domain.UserID, from, until time.Time) (s Statement, err error) {
	s = Statement{User: user, log: log}
	archived, err := archivedBefore(ctx, log, from)
	if err != nil {
		return s, err
	}
	if s.after, s.since, err = lastBefore(ctx, log, user, from); err != nil {
		return s, err
	}
	s.since = max(s.since, archived)
	if s.last, s.upTo, err = lastBefore(ctx, log, user, until); err != nil {
		return s, err
	}
	s.Opening, err = holdingsBehind(ctx, log, user, s.after)
	return s, err
}

// archivedBefore is up to where the log is archived: an error where some of that may not be
// earlier than the moment.
func archivedBefore(ctx context.Context, log *eventstore.Store, t time.Time) (eventstore.Position, error) {
	upTo, err := log.Archived(ctx)
	if err != nil || upTo == 0 {
		return 0, err
	}
	first, err := log.After(ctx, upTo, 1)
	if err == nil && (len(first) == 0 || t.Before(first[0].Time.Add(MaxSkew))) {
		err = fmt.Errorf("%w: up to position %d", eventstore.ErrArchived, upTo)
	}
	return upTo, err
}

// holdingsBehind is what a person had after a version of their stream: what the next movement
// found, or what they have now.
func holdingsBehind(ctx context.Context, log *eventstore.Store, user domain.UserID, after eventstore.Version) (h Holdings, err error) {
	for {
		err = eachEntry(ctx, log, user, after, func(rec eventstore.Recorded) error {
			if e, moves := rec.Event.(domain.MoneyEvent); moves {
				h = holdingsBefore(e.Money(), user)
				return errPage
			}
			after = rec.Version
			return nil
		})
		switch {
		case errors.Is(err, errPage):
			return h, nil
		case err != nil:
			return h, err
		}
		now, err := log.Refresh(ctx, user)
		if err != nil || now.Version <= after {
			a := now.Account
			return holdingsAt(domain.Movement{Available: a.Available, Held: a.Held, Given: a.Given, GivenHeld: a.GivenHeld}), err
		} // else there are entries that came in between
	}
}

// lastBefore finds a person's last entry before a moment, by the rule of StatementOf; 0 for none.
func lastBefore(ctx context.Context, log *eventstore.Store, user domain.UserID, t time.Time) (version eventstore.Version, at eventstore.Position, err error) {
	certain, err := lastEarlier(ctx, log, user, t.Add(-MaxSkew))
	if err != nil {
		return 0, 0, err
	}
	version, at = certain.Version, certain.Position
	var doubtful []eventstore.Recorded // earlier, and perhaps behind an entry of another that is not
	err = eachEntry(ctx, log, user, version, func(rec eventstore.Recorded) error {
		if !rec.Time.Before(t) {
			return errPage
		}
		doubtful = append(doubtful, rec)
		return nil
	})
	if err != nil && !errors.Is(err, errPage) {
		return 0, 0, err
	}
	if len(doubtful) == 0 {
		return version, at, nil
	}
	end, err := endBefore(ctx, log, t, doubtful[len(doubtful)-1].Position)
	for _, rec := range doubtful {
		if rec.Position <= end {
			version, at = rec.Version, rec.Position
		}
	}
	return version, at, err
}

// lastEarlier finds the entry of a person before the first one that is not earlier than the
// moment, by halves: where times go back a little, any such one. Archived entries are earlier.
func lastEarlier(ctx context.Context, log *eventstore.Store, user domain.UserID, t time.Time) (found eventstore.Recorded, err error) {
	earlier := func(v int64) (bool, error) {
		list, err := log.Stream(ctx, eventstore.AccountStream(user), eventstore.Version(v-1), 1)
		if errors.Is(err, eventstore.ErrArchived) {
			found = eventstore.Recorded{Envelope: eventstore.Envelope{Version: eventstore.Version(v)}}
			return true, nil
		}
		if err != nil || len(list) == 0 || !list[0].Time.Before(t) {
			return false, err
		}
		found = list[0]
		return true, nil
	}
	_, err = lastTrue(earlier)
	return found, err
}

// lastTrue is the last number from 1 for which the condition holds, if it holds up to one number
// and for none behind; 0 for none. It is called for the number that is found last of those for
// which it holds.
func lastTrue(holds func(int64) (bool, error)) (last int64, err error) {
	for step, ok := int64(1), true; ok; step *= 2 {
		if ok, err = holds(last + step); err != nil {
			return 0, err
		}
		if ok {
			last += step
			continue
		}
		for step /= 2; step > 0; step /= 2 {
			if ok, err = holds(last + step); err != nil {
				return 0, err
			}
			if ok {
				last += step
			}
		}
		return last, nil
	}
	return last, nil
}

// endBefore is the last position before the first entry of the log that is not earlier than the
// moment, or at least upTo.
func endBefore(ctx context.Context, log *eventstore.Store, t time.Time, upTo eventstore.Position) (eventstore.Position, error) {
	start, err := lastTrue(func(n int64) (bool, error) {
		at := eventstore.Position(n)
		found, err := log.At(ctx, []eventstore.Position{at})
		rec, there := found[at]
		return at < upTo && (!there || rec.Time.Before(t.Add(-MaxSkew))), err // what is archived is earlier
	})
	if err != nil {
		return 0, err
	}
	for at := eventstore.Position(start); at < upTo; {
		list, err := log.After(ctx, at, scanPage)
		if err != nil || len(list) == 0 {
			return at, err
		}
		for _, rec := range list {
			if !rec.Time.Before(t) {
				return rec.Position - 1, nil
			}
			at = rec.Position
		}
	}
	return upTo, nil
}
