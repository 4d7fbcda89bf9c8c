package projections

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
)

// actions is one row for each thing that an admin or the operator did.
type actions struct{}

const actionsTable = "actions_v1"

func (actions) Table() string { return actionsTable }

func (actions) Fields() []field     { return actionFields(Action{}) }
func (actions) Expect() expectation { return actionRows{} }

const (
	addActions = `INSERT INTO ` + actionsTable + ` (position, at, type, admin, operator, user_id, amount, role, reason, reference, said)
		SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[])`

	selectActions = `SELECT position, at, type, admin, operator, user_id, amount, role, reason, reference FROM ` + served + actionsTable + `
		WHERE position < $1 AND position > $3 AND ($4 = '' OR admin = $4 OR operator = $4) AND ($5 = '' OR type = $5) AND ($6 = '' OR user_id = $6)
			AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8) AND strpos(said, $9) > 0 `
	pageOfActions   = selectActions + `ORDER BY position DESC LIMIT $2`
	oldestOfActions = selectActions + `ORDER BY position ASC LIMIT $2`
)

func (actions) Write(batch *pgx.Batch, entries []eventstore.Recorded) error {
	var list []Action
	for _, rec := range entries {
		if a, ok := actionOf(rec); ok {
			list = append(list, a)
		}
	}
	queue(batch, addActions, len(list),
		column(list, func(a *Action) int64 { return int64(a.Position) }),
		column(list, func(a *Action) time.Time { return a.At }),
		column(list, func(a *Action) string { return string(a.Type) }),
		column(list, func(a *Action) string { return string(a.Admin) }),
		column(list, func(a *Action) string { return a.Operator }),
		column(list, func(a *Action) string { return string(a.User) }),
		column(list, func(a *Action) int64 { return int64(a.Amount) }),
		column(list, func(a *Action) string { return string(a.Role) }),
		column(list, func(a *Action) string { return a.Reason }),
		column(list, func(a *Action) string { return a.Reference }),
		column(list, func(a *Action) string { return a.said() }))
	return nil
}

// Actions gives a page of what admins and the operator did, the newest first.
func (v *Postgres) Actions(ctx context.Context, q ActionQuery, least eventstore.Position) (Page[Action], eventstore.Position, error) {
	s, err := q.between(0, 1<<63-1)
	if err != nil {
		return Page[Action]{}, 0, err
	}
	list := listed[Action]{tables: []string{actionsTable}, query: pageOfActions, scan: scanAction,
		args: []any{int64(s.since), q.By, string(q.Type), string(q.User), since(q.From), since(q.Until), strings.ToLower(q.Text)}}
	if s.oldest {
		list.query = oldestOfActions
	}
	found, at, err := list.before(ctx, v, s.before, q.size()+1, least)
	if s.oldest {
		slices.Reverse(found)
	}
	if err != nil {
		return Page[Action]{}, at, failed(err, "read what admins did")
	}
	return pageOf(q.PageQuery, s, found, func(a *Action) eventstore.Position { return a.Position }), at, nil
}

func scanAction(row pgx.CollectableRow) (a Action, err error) {
	err = row.Scan(&a.Position, &a.At, (*string)(&a.Type), (*string)(&a.Admin), &a.Operator, (*string)(&a.User), &a.Amount, (*string)(&a.Role), &a.Reason, &a.Reference)
	a.At = a.At.UTC()
	return a, err
}
