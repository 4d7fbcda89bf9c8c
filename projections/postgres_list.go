package projections

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/eventstore"
	"kassa/schema"
)

// ViewTable is one version of a view that a database holds.
type ViewTable struct {
	Name     string // of the view
	Table    string
	Position eventstore.Position // up to where it holds everything
	Used     bool                // by this binary; others are older ones', or newer ones'
}

// ListViews lists the tables of all views, in the order of their names.
func ListViews(ctx context.Context, pool *pgxpool.Pool) ([]ViewTable, error) {
	at, err := readPositions(ctx, pool, servedSchema)
	if err != nil {
		return nil, err
	}
	var list []ViewTable
	for _, table := range slices.Sorted(maps.Keys(at)) {
		list = append(list, ViewTable{Name: viewName(table), Table: table, Position: at[table], Used: slices.Contains(declaredTables, table)})
	}
	return list, nil
}

// Astray names the views of this version that do not follow the log: it was restored.
func Astray(ctx context.Context, pool *pgxpool.Pool) (names []string, err error) {
	states, err := readStates(ctx, pool)
	if err != nil {
		return nil, err
	}
	for _, table := range declaredTables {
		if s, ok := states[table]; ok && !s.sound() {
			names = append(names, viewName(table))
		}
	}
	return names, nil
}

// DropView drops a version of a view that this binary does not use.
func DropView(ctx context.Context, pool *pgxpool.Pool, table string) error {
	if slices.Contains(declaredTables, table) {
		return fmt.Errorf("%s is in use by this version of Kassa", table)
	}
	err := schema.InTransaction(ctx, pool, func(tx pgx.Tx) error {
		if err := hurry(ctx, tx); err != nil {
			return err
		}
		var was bool
		if err := tx.QueryRow(ctx, `SELECT kassa_views.drop($1, $2)`, servedSchema, table).Scan(&was); err != nil {
			return err
		}
		if !was {
			return errNoView
		}
		return nil
	})
	if busy(err) {
		return fmt.Errorf("%s is being read: is a process of an older version still running?", table)
	}
	if err != nil {
		return fmt.Errorf("drop %s: %w", table, err)
	}
	return nil
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readPositions gives how far each table in the schema has come.
func readPositions(ctx context.Context, db querier, schema string) (map[string]eventstore.Position, error) {
	rows, err := db.Query(ctx, `SELECT view, position FROM `+schema+`.positions`)
	if err != nil {
		return nil, fmt.Errorf("read how far the views have come: %w", err)
	}
	found := map[string]eventstore.Position{}
	var view string
	var at eventstore.Position
	if _, err := pgx.ForEachRow(rows, []any{&view, &at}, func() error { found[view] = at; return nil }); err != nil {
		return nil, fmt.Errorf("read how far the views have come: %w", err)
	}
	return found, nil
}
