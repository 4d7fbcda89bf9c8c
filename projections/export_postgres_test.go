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
			return inBatches(ctx, log, 0, func(batch []eventstore.Recorded) error {
				_, err := f.receive(ctx, log, batch)
				return err
			})
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
