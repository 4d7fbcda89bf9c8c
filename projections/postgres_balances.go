package projections

import (
	"context"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// balances is one row for each wallet.
type balances struct{}

const balancesTable = "balances_v2"

func (balances) Table() string { return balancesTable }

var (
	openBalances = `INSERT INTO ` + balancesTable + ` (user_id, available, held, given, given_held, position)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])`
	addToBalances = expecting(`UPDATE `+balancesTable+` b
		SET available = b.available + d.available, held = b.held + d.held,
			given = b.given + d.given, given_held = b.given_held + d.given_held, position = d.position
		FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
			d (user_id, available, held, given, given_held, position)
		WHERE b.user_id = d.user_id`, noWallet)
)

func (balances) Write(batch *pgx.Batch, entries []eventstore.Recorded) error {
	opened, moved := sumWallets(entries)
	queue(batch, openBalances, len(opened), balanceColumns(opened)...)
	queue(batch, addToBalances, len(moved), balanceColumns(moved)...)
	return nil
}

// selectBalances hides how many are asked for from the planner, which would plan each read of
// one again, and that takes longer than the read.
const selectBalances = `SELECT user_id, available, held, given, given_held, position FROM ` + served + balancesTable + ` WHERE user_id = ANY((SELECT $1::text[])::text[])`

const noWallet = "an account moves that was not opened"

func balanceColumns(list []Balance) []any {
	return []any{
		column(list, func(b *Balance) string { return string(b.User) }),
		column(list, func(b *Balance) int64 { return int64(b.Available) }),
		column(list, func(b *Balance) int64 { return int64(b.Held) }),
		column(list, func(b *Balance) int64 { return int64(b.Given) }),
		column(list, func(b *Balance) int64 { return int64(b.GivenHeld) }),
		column(list, func(b *Balance) int64 { return int64(b.Position) }),
	}
}

// Balance gives a wallet's balance.
func (v *Postgres) Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (b Balance, at eventstore.Position, err error) {
	at, err = v.reading(ctx, least, func() (eventstore.Position, error) {
		read, err := v.balances.Load(ctx, u, v.readBalances)
		if err == nil && !read.found {
			err = ErrNotFound
		}
		b = read.value
		return read.at, err
	})
	return b, at, failed(err, "read the balance of %s", u)
}

func (v *Postgres) readBalances(ctx context.Context, users []domain.UserID) (found map[domain.UserID]Balance, at eventstore.Position, err error) {
	found = make(map[domain.UserID]Balance, len(users))
	shown, err := v.readAll(ctx, []*query{{[]string{balancesTable}, func(batch *pgx.Batch) {
		batch.Queue(selectBalances,
			column(users, func(u *domain.UserID) string { return string(*u) })).Query(func(rows pgx.Rows) error {
			var b Balance
			_, err := pgx.ForEachRow(rows, []any{(*string)(&b.User), (*int64)(&b.Available), (*int64)(&b.Held),
				(*int64)(&b.Given), (*int64)(&b.GivenHeld), (*int64)(&b.Position)}, func() error {
				found[b.User] = b
				return nil
			})
			return err
		})
	}}})
	if err != nil {
		return nil, 0, err
	}
	at, err = shown.upTo(balancesTable)
	return found, at, err
}
