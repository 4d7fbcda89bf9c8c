package audit

import (
	"context"
	"errors"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Prices are those in force at a position.
type Prices struct {
	domain.PriceSet
	Version eventstore.Version `json:"version"` // of their stream; 0 where no price was set yet
}

// setPrice proves that prices follow in their stream.
func (r *replay) setPrice(rec eventstore.Recorded, e domain.PriceSet) error {
	if err := inOrder(rec, eventstore.PricesStream, r.prices.Version); err != nil {
		return err
	}
	before := r.prices.PriceSet
	if err := r.prices.Apply(e); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	if e == before {
		r.broken(rec, fault(PriceUnchanged, rec.Position, "%s changes nothing", rec.Type))
	}
	r.prices.Version = rec.Version
	return nil
}

// charge proves that a question is charged with the price of its time. Before the first
// price was set, each process had its own.
func (r *replay) charge(rec eventstore.Recorded, e domain.PredictionRequested) {
	if r.prices.Version > 0 && e.Price != r.prices.Price {
		r.broken(rec, fault(PriceDiffers, rec.Position, "the question is charged with another price than the one that was set").between(r.prices.Price, e.Price))
	}
}

// Periods are the closed ones, of which the last is known.
type Periods struct {
	domain.PeriodClosed
	Version eventstore.Version `json:"version"` // of their stream; 0 where none was closed yet
}

// closePeriod proves that a period was over, that it follows the last one, that an admin
// closed it, and that it states its last entry.
func (r *replay) closePeriod(ctx context.Context, rec eventstore.Recorded, e domain.PeriodClosed) error {
	if err := inOrder(rec, eventstore.PeriodsStream, r.periods.Version); err != nil {
		return err
	}
	r.byAdmin(rec, e.Admin)
	if err := r.periods.Apply(e, rec.Time); err != nil {
		return fault(FactBroken, rec.Position, "%s", err)
	}
	r.periods.Version = rec.Version
	if e.Position >= int64(rec.Position) {
		return fault(FactBroken, rec.Position, "the period ends with a later entry, at position %d", e.Position)
	}
	return r.endOfPeriod(ctx, rec, e)
}

// endOfPeriod proves that the period states the last entry before the first one of a later
// time. Times go back where clocks differ, so no two entries alone show where that is: the
// entries since the period before are read again.
func (r *replay) endOfPeriod(ctx context.Context, rec eventstore.Recorded, e domain.PeriodClosed) error {
	since, stated, differs := r.closedUpTo, eventstore.Position(e.Position),
		fault(PeriodDiffers, rec.Position, "the period is closed with another entry than its last")
	if n := len(r.part.records); n > 0 && r.part.files == nil && since < r.part.upTo() {
		since = r.part.upTo()
		if !r.part.records[n-1].manifest.Sum.Latest.Before(e.Until) { // it ended before, with an entry that cannot be read
			if stated >= since {
				r.broken(rec, differs.between("before "+strconv.FormatInt(int64(since), 10), stated))
			}
			return nil
		}
	}
	next, err := r.firstFrom(ctx, e.Until, since, rec.Position)
	if err != nil {
		return err
	}
	r.closedUpTo = next - 1
	if stated != next-1 {
		r.broken(rec, differs.between(next-1, stated))
	}
	return nil
}

// firstFrom is the first entry between two positions that is not before a time, and the later
// position where none is.
func (r *replay) firstFrom(ctx context.Context, t time.Time, after, before eventstore.Position) (first eventstore.Position, err error) {
	first = before
	look := func(rec eventstore.Recorded) error {
		if rec.Position < before && rec.Time.Before(t) {
			return nil
		}
		first = rec.Position
		return errPage
	}
	if r.part.files != nil {
		after, err = r.part.files.scan(ctx, after, func(page []eventstore.Recorded) (err error) {
			for i := 0; i < len(page) && err == nil; i++ {
				err = look(page[i])
			}
			return err
		})
	}
	if err == nil {
		err = r.store.Rows(ctx, after, func(rows []eventstore.Stored) (err error) { // some behind this entry may be unreadable
			for i := 0; i < len(rows) && err == nil; i++ {
				err = look(rows[i].Recorded)
			}
			return err
		})
	}
	if errors.Is(err, errPage) {
		err = nil
	}
	return first, err
}
