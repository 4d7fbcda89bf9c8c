package projections

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// transactions is one row for each line of each wallet. Rows are only ever
// added: the status of a charge that was held is its prediction's state, and it is
// read from there.
type transactions struct{}

const transactionsTable = "transactions_v2"

func (transactions) Table() string { return transactionsTable }

const addTransactions = `INSERT INTO ` + transactionsTable + `
	(user_id, position, type, status, amount, given, balance_after, at, prediction, admin, reason, reference)
	SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[],
		$9::text[], $10::text[], $11::text[], $12::text[])`

func (transactions) Write(batch *pgx.Batch, entries []eventstore.Recorded) error {
	var list []Transaction
	for _, rec := range entries {
		if t, ok := transactionOf(rec); ok {
			list = append(list, t)
		}
	}
	queue(batch, addTransactions, len(list),
		column(list, func(t *Transaction) string { return string(t.User) }),
		column(list, func(t *Transaction) int64 { return int64(t.Position) }),
		column(list, func(t *Transaction) string { return string(t.Type) }),
		column(list, func(t *Transaction) string { return t.Status }),
		column(list, func(t *Transaction) int64 { return int64(t.Amount) }),
		column(list, func(t *Transaction) int64 { return int64(t.Given) }),
		column(list, func(t *Transaction) int64 { return int64(t.BalanceAfter) }),
		column(list, func(t *Transaction) time.Time { return t.At }),
		column(list, func(t *Transaction) string { return string(t.Prediction) }),
		column(list, func(t *Transaction) string { return string(t.Admin) }),
		column(list, func(t *Transaction) string { return t.Reason }),
		column(list, func(t *Transaction) string { return t.Reference }))
	return nil
}

const (
	// One of the two views may be ahead of the other. What lies behind the position that
	// the page's is not shown: a later read with that position need not have it.
	bothShow = `(SELECT upto FROM shown)`

	selectTransactions = `WITH shown AS MATERIALIZED (SELECT min(position) AS upto FROM ` + served + `positions
			WHERE view IN ('` + transactionsTable + `', '` + predictionsTable + `'))
		SELECT position, type, CASE status WHEN 'held' THEN coalesce((SELECT
			CASE WHEN p.refund_position BETWEEN 1 AND ` + bothShow + ` THEN 'refunded' ELSE p.state END FROM ` + served + predictionsTable + ` p
			WHERE p.id = t.prediction AND p.end_position <= ` + bothShow + `), status) ELSE status END,
		amount, given, balance_after, at, prediction, admin, reason, reference
		FROM ` + served + transactionsTable + ` t WHERE user_id = $3 AND position <= ` + bothShow + ` `
	// The type is asked for as a range, and the rows in the order of the index: were
	// it a plain condition, a planner that knows only averages might read a long
	// history backwards and throw most of it away.
	ofAllTypes = `AND position < $1 AND position > $4 `
	ofOneType  = `AND (type, position) < ($5, $1) AND (type, position) > ($5, $4) `

	pageOfTransactions   = selectTransactions + ofAllTypes + `ORDER BY position DESC LIMIT $2`
	oldestOfTransactions = selectTransactions + ofAllTypes + `ORDER BY position ASC LIMIT $2`
	pageOfOneType        = selectTransactions + ofOneType + `ORDER BY type DESC, position DESC LIMIT $2`
	oldestOfOneType      = selectTransactions + ofOneType + `ORDER BY type ASC, position ASC LIMIT $2`

	countTransactions = `SELECT count(*) FROM (SELECT 1 FROM ` + served + transactionsTable + ` WHERE user_id = $3 `
)

// Transactions gives a page of a wallet's lines, the newest first.
func (v *Postgres) Transactions(ctx context.Context, u domain.UserID, q TransactionQuery, least eventstore.Position) (Page[Transaction], eventstore.Position, error) {
	s, err := q.stretch()
	if err != nil {
		return Page[Transaction]{}, 0, err
	}
	list := listed[Transaction]{tables: []string{transactionsTable, predictionsTable}, query: pageOfTransactions, args: []any{string(u), int64(s.since)}, of: (*string)(&u),
		scan: func(row pgx.CollectableRow) (Transaction, error) {
			t := Transaction{User: u}
			err := row.Scan(&t.Position, &t.Type, &t.Status, &t.Amount, &t.Given, &t.BalanceAfter, &t.At, &t.Prediction, &t.Admin, &t.Reason, &t.Reference)
			t.At = t.At.UTC()
			return t, err
		}}
	switch {
	case q.Type != "" && s.oldest:
		list.query = oldestOfOneType
	case q.Type != "":
		list.query = pageOfOneType
	case s.oldest:
		list.query = oldestOfTransactions
	}
	if q.Type != "" {
		list.args = append(list.args, string(q.Type))
	}
	lines, at, err := list.before(ctx, v, s.before, q.size()+1, least)
	if s.oldest {
		slices.Reverse(lines)
	}
	if err != nil {
		return Page[Transaction]{}, at, failed(err, "read transactions of %s", u)
	}
	return pageOf(q.PageQuery, s, lines, func(t *Transaction) eventstore.Position { return t.Position }), at, nil
}

// CountTransactions counts a wallet's lines.
func (v *Postgres) CountTransactions(ctx context.Context, u domain.UserID, q TransactionQuery, most int) (int, error) {
	q.Cursor = ""
	s, err := q.stretch()
	if err != nil {
		return 0, err
	}
	query, args := countTransactions+ofAllTypes, []any{int64(s.before), most, string(u), int64(s.since)}
	if q.Type != "" {
		query, args = countTransactions+ofOneType, append(args, string(q.Type))
	}
	n, _, err := one[int]{tables: []string{transactionsTable}, query: query + `LIMIT $2) lines`, args: args, scan: pgx.RowTo[int]}.row(ctx, v, 0)
	return n, failed(err, "count transactions of %s", u)
}
