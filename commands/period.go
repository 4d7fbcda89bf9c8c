package commands

import (
	"context"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// ClosePeriod ends a period in the name of an admin. It gives the entry that did: where the
// same period was closed before, with the same books, that is the earlier one, and again is
// true. The error wraps domain.ErrPeriod where it cannot be closed so.
func (h *Handler) ClosePeriod(ctx context.Context, admin domain.UserID, period domain.PeriodClosed) (at eventstore.Position, again bool, err error) {
	command, end, err := h.begin(userActor(admin), "", "close")
	if err != nil {
		return 0, false, err
	}
	defer end()
	r, err := untilSettled(ctx, func(bool) outcome {
		last, err := h.lastPeriod(ctx)
		if err != nil {
			return outcomeOf(eventstore.Receipt{}, err)
		}
		by, err := h.Store.Refresh(ctx, admin)
		if err != nil {
			return outcomeOf(eventstore.Receipt{}, err)
		}
		var closed domain.PeriodClosed
		if last.Version > 0 {
			closed = last.Event.(domain.PeriodClosed)
		}
		now := h.Now()
		events, err := closed.Close(by.Account, period, now)
		if err != nil {
			return outcomeOf(h.orDone(ctx, command.Cause(), err))
		}
		if len(events) == 0 {
			again = last.Cause != command.Cause() // else an earlier try has done it
			return outcome{receipt: eventstore.Receipt{Events: []eventstore.Recorded{last}}, verdict: settled}
		}
		r, err := h.Store.Append(ctx, eventstore.Append{Time: now, Actor: userActor(admin), Cause: command.Cause(), Writes: []eventstore.Write{
			by.Write(admin), // who is an admin still
			{Stream: eventstore.PeriodsStream, Expected: last.Version, Events: events}}})
		return outcomeOf(r, err)
	})
	if err != nil {
		return 0, false, fmt.Errorf("close the period: %w", err)
	}
	return r.Position(), again, nil
}

// lastPeriod is the entry of the last closed period, the zero value for none.
func (h *Handler) lastPeriod(ctx context.Context) (last eventstore.Recorded, err error) {
	err = readStream(ctx, h.Store, eventstore.PeriodsStream, 0, func(rec eventstore.Recorded) error {
		if _, ok := rec.Event.(domain.PeriodClosed); !ok {
			return fmt.Errorf("%w: %s among the closed periods", domain.ErrBroken, rec.Type)
		}
		last = rec
		return nil
	})
	if err != nil {
		return last, fmt.Errorf("read the closed periods: %w", err)
	}
	return last, nil
}
