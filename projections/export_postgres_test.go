package projections

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/eventstore"
)

// DeclaredTables are the tables of all views.
var DeclaredTables = declaredTables

// CatchUpOne brings one view to the end of the log.
func CatchUpOne(ctx context.Context, pool *pgxpool.Pool, log Log, table string) error {
	for _, p := range declared {
		if p.Table() == table {
			f := &feed{projection: p, pool: pool, schema: servedSchema}
			return inBatches(ctx, log, 0, func(batch []eventstore.Recorded) error { return f.receive(ctx, batch) })
		}
	}
	return errNoView
}

// The statements behind pages of histories: $1 position before which the page
// begins, $2 rows, $3 person, $4 type or state.
const (
	PageOfTransactions = pageOfTransactions
	PageOfOneType      = pageOfOneType
	PageOfPredictions  = pageOfPredictions
	PageOfOneState     = pageOfOneState
)

// OnlyListening gives views that hear news and never look by themselves,
// OnlyLooking the opposite.
func OnlyListening(ctx context.Context, pool *pgxpool.Pool) *Postgres {
	v := &Postgres{pool: pool}
	v.start(ctx, v.listen)
	return v
}

func OnlyLooking(ctx context.Context, pool *pgxpool.Pool) *Postgres {
	v := &Postgres{pool: pool}
	v.start(ctx, v.poll)
	return v
}

// Hears says whether news reach these views.
func (v *Postgres) Hears() bool { return v.hears.Load() }

// Waiting is for how many things somebody waits.
func (v *Postgres) Waiting() int { return len(v.moves.awaited()) + len(v.ends.awaited()) }

// WriteNews is for the limits of what PostgreSQL carries.
var WriteNews = writeNews

const NewsMost = newsMost

// On gives views over a pool, without what runs in the background.
func On(pool *pgxpool.Pool) *Postgres { return &Postgres{pool: pool} }
