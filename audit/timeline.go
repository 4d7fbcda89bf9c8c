package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"kassa/domain"
	"kassa/eventstore"
)

// TimelinePage is a part of what the log has of a person, the newest first.
type TimelinePage struct {
	Items []eventstore.Recorded
	Next  eventstore.Version // of the account's stream, behind which older entries end; 0 where there are none

	Archived bool // older entries of the account are in an archive alone
}

// Timeline gives the entries of a person's account before a version, 0 for the newest, at most
// limit; with them those of other streams that were appended together with them, such as the claim
// of the e-mail, and those of the stream of adjustments that are about the person. An account that
// does not exist has none. The error wraps ErrArchived where all entries before the version are archived.
func Timeline(ctx context.Context, log FullLog, user domain.UserID, before eventstore.Version, limit int) (page TimelinePage, err error) {
	loaded, err := log.Refresh(ctx, user)
	if err != nil {
		return page, err
	}
	if before == 0 || before > loaded.Version {
		before = loaded.Version + 1
	}
	archived, err := lastArchived(ctx, log.Store, user)
	if err != nil {
		return page, err
	}
	if 0 < archived && before-1 <= archived {
		return page, fmt.Errorf("%w: the account's, up to version %d", eventstore.ErrArchived, archived)
	}
	behind := max(archived, before-1-eventstore.Version(limit))
	own, err := log.Stream(ctx, eventstore.AccountStream(user), behind, int(before-behind)) // and the one that comes next
	if err != nil || len(own) == 0 {
		return page, err
	}
	from, until := own[0].Position, maxPosition
	if last := own[len(own)-1]; last.Version == before { // what was appended before it belongs here
		until = last.Position
	}
	if page.Next = behind + 1; behind == archived { // what is kept of the archived part is shown with these
		page.Next, page.Archived, from = 0, archived > 0, 0
	}
	together, err := appendsOf(ctx, log, own)
	if err != nil {
		return page, err
	}
	take := func(rec eventstore.Recorded) {
		if from <= rec.Position && rec.Position < until {
			page.Items = append(page.Items, rec)
		}
	}
	for _, rec := range together {
		take(rec)
	}
	err = log.OfStream(ctx, eventstore.AdjustmentsStream, until, func(rec eventstore.Recorded) error {
		if rec.Event.Subject() == user {
			take(rec)
		}
		return nil
	})
	slices.SortFunc(page.Items, func(a, b eventstore.Recorded) int { return int(b.Position - a.Position) })
	page.Items = slices.CompactFunc(page.Items, func(a, b eventstore.Recorded) bool { return a.Position == b.Position })
	return page, err
}

// lastArchived is the version up to which a person's entries are archived, 0 where all are in the
// database.
func lastArchived(ctx context.Context, log *eventstore.Store, user domain.UserID) (eventstore.Version, error) {
	if upTo, err := log.Archived(ctx); err != nil || upTo == 0 {
		return 0, err
	}
	last, err := lastTrue(func(v int64) (bool, error) {
		_, err := log.Stream(ctx, eventstore.AccountStream(user), eventstore.Version(v-1), 1)
		if errors.Is(err, eventstore.ErrArchived) {
			return true, nil
		}
		return false, err
	})
	return eventstore.Version(last), err
}
