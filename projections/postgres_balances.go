package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// balances is one row for each wallet.
type balances struct{}

const balancesTable = "balances_v2"

func (balances) Table() string { return balancesTable }

const (
	openBalances = `INSERT INTO ` + balancesTable + ` (user_id, available, held, given, given_held, position)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])`
	addToBalances = `UPDATE ` + balancesTable + ` b
		SET available = b.available + d.available, held = b.held + d.held,
			given = b.given + d.given, given_held = b.given_held + d.given_held, position = d.position
		FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
			d (user_id, available, held, given, given_held, position)
		WHERE b.user_id = d.user_id`
)

func (balances) Write(pipe *pgx.Batch, batch []eventstore.Recorded) error {
	opened, moved := sumWallets(batch)
	queue(pipe, openBalances, len(opened), nil, balanceColumns(opened)...)
	queue(pipe, addToBalances, len(moved), errNoWallet, balanceColumns(moved)...)
	return nil
}

var errNoWallet = fmt.Errorf("%w: an account moves that nobody opened", domain.ErrBroken)

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
		read, err := v.balances.get(ctx, u, v.readBalances)
		if err == nil && !read.found {
			err = ErrNotFound
		}
		b = read.answer
		return read.at, err
	})
	return b, at, failed(err, "read the balance of %s", u)
}

func (v *Postgres) readBalances(ctx context.Context, users []domain.UserID) (found map[domain.UserID]Balance, at eventstore.Position, err error) {
	found = make(map[domain.UserID]Balance, len(users))
	at, err = v.snapshot(ctx, []string{balancesTable}, func(pipe *pgx.Batch) {
		pipe.Queue(`SELECT user_id, available, held, given, given_held, position FROM `+served+balancesTable+` WHERE user_id = ANY($1)`,
			column(users, func(u *domain.UserID) string { return string(*u) })).Query(func(rows pgx.Rows) error {
			var b Balance
			_, err := pgx.ForEachRow(rows, []any{(*string)(&b.User), (*int64)(&b.Available), (*int64)(&b.Held),
				(*int64)(&b.Given), (*int64)(&b.GivenHeld), (*int64)(&b.Position)}, func() error {
				found[b.User] = b
				return nil
			})
			return err
		})
	})
	return found, at, err
}
