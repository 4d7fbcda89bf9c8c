package projections

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/eventstore"
)

// TableAt is a served table in one snapshot of the database.
type TableAt struct {
	Table    string
	Position eventstore.Position // up to which it claims to hold everything
	Fault    string              // why it cannot be read as one of ours; empty where it can
}

// ReadTables reads every table that this binary serves from, and how far each has
// come, as one snapshot of the database sees them. It only reads, and needs the
// right to SELECT and no other. begin is called for each table, and returns
// what is called for its rows, in no order; nil where they are not wanted.
//
// While it reads, a rebuild waits with putting a new table in a table's place.
func ReadTables(ctx context.Context, pool *pgxpool.Pool, begin func(TableAt) (each func(Row))) error {
	return readTables(ctx, pool, func(ctx context.Context, db querier) (map[string]eventstore.Position, error) {
		return readPositions(ctx, db, servedSchema)
	}, begin)
}

// readTables reads tables whose views are at what positions gives in the same snapshot.
func readTables(ctx context.Context, pool *pgxpool.Pool, positions func(context.Context, querier) (map[string]eventstore.Position, error), begin func(TableAt) (each func(Row))) error {
	there, err := servedTables(ctx, pool)
	if err != nil {
		return fmt.Errorf("look for the tables of the views: %w", err)
	}
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if len(there) > 0 {
			if _, err := tx.Exec(ctx, keepTables(there)); err != nil {
				return fmt.Errorf("keep the tables of the views as they are: %w", err)
			}
		}
		at, err := positions(ctx, tx)
		if err != nil {
			return err
		}
		for _, p := range declared {
			position, counted := at[p.Table()]
			found := TableAt{Table: p.Table(), Position: position}
			switch {
			case !counted:
				found.Fault = "it has no position"
			case !slices.Contains(there, p.Table()):
				found.Fault = "it is not there, or no plain table"
			}
			if each := begin(found); each != nil && found.Fault == "" {
				if err := readTable(ctx, tx, p, each); err != nil {
					return fmt.Errorf("read %s: %w", p.Table(), err)
				}
			}
		}
		return nil
	})
}

// servedTables are the declared tables that are there: what was put in a table's
// place, such as a view of the same name, or a policy that shows some rows to some,
// would show verify something else than it shows the service.
func servedTables(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	rows, err := pool.Query(ctx, `SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = '`+servedSchema+`' AND c.relname = ANY($1) AND c.relkind = 'r' AND NOT c.relrowsecurity ORDER BY 1`, declaredTables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// readTable gives each every row.
func readTable(ctx context.Context, tx pgx.Tx, p projection, each func(Row)) error {
	fields := p.Fields()
	columns := column(fields, func(f *field) string { return f.name })
	rows, err := tx.Query(ctx, `SELECT `+strings.Join(columns, ", ")+` FROM `+served+p.Table())
	if err != nil {
		return err
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			rows.Close()
			return err
		}
		for i := range fields {
			fields[i].value = values[i]
		}
		giveAll(fields, each)
	}
	return rows.Err()
}

func (balances) Fields() []field     { return balanceFields("", Balance{}) }
func (users) Fields() []field        { return userFields("", User{}) }
func (trial) Fields() []field        { return trialFields("", 0) }
func (transactions) Fields() []field { return transactionFields(Transaction{}) }
func (predictions) Fields() []field  { return predictionFields(Prediction{}) }
