package projections

import (
	"context"
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

func (transactions) Write(pipe *pgx.Batch, batch []eventstore.Recorded) error {
	var list []Transaction
	for _, rec := range batch {
		if t, ok := transactionOf(rec); ok {
			list = append(list, t)
		}
	}
	queue(pipe, addTransactions, len(list), nil,
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
	selectTransactions = `SELECT position, type, CASE status WHEN 'held'
			THEN coalesce((SELECT p.state FROM ` + served + predictionsTable + ` p WHERE p.id = t.prediction), status) ELSE status END,
		amount, given, balance_after, at, prediction, admin, reason, reference FROM ` + served + transactionsTable + ` t WHERE user_id = $3 `
	pageOfTransactions = selectTransactions + `AND position < $1 ORDER BY position DESC LIMIT $2`
	// The type is asked for as a range, and the rows in the order of the index: were
	// it a plain condition, a planner that knows only averages might read a long
	// history backwards and throw most of it away.
	pageOfOneType = selectTransactions + `AND (type, position) < ($4, $1) AND (type, position) > ($4, 0) ORDER BY type DESC, position DESC LIMIT $2`
)

// Transactions gives a page of a wallet's lines, the newest first.
func (v *Postgres) Transactions(ctx context.Context, u domain.UserID, q TransactionQuery, least eventstore.Position) (Page[Transaction], eventstore.Position, error) {
	list := listed[Transaction]{tables: []string{transactionsTable, predictionsTable, usersTable}, query: pageOfTransactions, args: []any{string(u)},
		at: func(t *Transaction) eventstore.Position { return t.Position }, of: (*string)(&u),
		scan: func(row pgx.CollectableRow) (Transaction, error) {
			t := Transaction{User: u}
			err := row.Scan(&t.Position, &t.Type, &t.Status, &t.Amount, &t.Given, &t.BalanceAfter, &t.At, &t.Prediction, &t.Admin, &t.Reason, &t.Reference)
			t.At = t.At.UTC()
			return t, err
		}}
	if q.Type != "" {
		list.query, list.args = pageOfOneType, append(list.args, string(q.Type))
	}
	found, at, err := list.page(ctx, v, q.PageQuery, least)
	return found, at, failed(err, "read transactions of %s", u)
}
