package projections

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// DeclaredTables are the tables of all views.
var DeclaredTables = declaredTables

// CatchUpOne brings one view to the end of the log.
func CatchUpOne(ctx context.Context, pool *pgxpool.Pool, events Events, table string) error {
	for _, p := range declared {
		if p.Table() == table {
			applier := &projector{views: []projection{p}, pool: pool, schema: servedSchema}
			return applier.catchUp(ctx, events, 1<<62, time.Time{})
		}
	}
	return errNoView
}

// The statements behind pages of histories: $1 position before which the page
// begins, $2 rows, $3 person, $4 type or state.
const (
	PageOfTransactions   = pageOfTransactions
	PageOfOneType        = pageOfOneType
	OldestOfTransactions = oldestOfTransactions
	OldestOfOneType      = oldestOfOneType
	PageOfPredictions    = pageOfPredictions
	PageOfOneState       = pageOfOneState
	PageOfRefunded       = pageOfRefunded
)

// The statements behind the overview: of days, $1 and $2 the first and the one behind the last;
// of a day, $1 the day and $2 measures; of refunds, $1 a position and $2 rows.
const (
	SelectDays      = selectDays
	SelectDay       = selectDay
	SelectRefunders = selectRefunders
)

// OnlyListening gives views that get notifications and never poll, OnlyPolling the
// opposite.
func OnlyListening(ctx context.Context, pool *pgxpool.Pool, events LiveEvents) *Postgres {
	v := newPostgres(pool, events)
	v.start(ctx, v.listen)
	return v
}

func OnlyPolling(ctx context.Context, pool *pgxpool.Pool, events LiveEvents) *Postgres {
	v := newPostgres(pool, events)
	v.start(ctx, v.poll)
	return v
}

// Listening reports whether these views get notifications.
func (v *Postgres) Listening() bool { return v.listening.Load() }

// Waiting is how many keys are waited for.
func (v *Postgres) Waiting() int { return len(v.moves.Keys()) + len(v.ends.waiting.Keys()) }

// On gives views over a pool, without what runs in the background.
func On(pool *pgxpool.Pool) *Postgres { return newPostgres(pool, nil) }
