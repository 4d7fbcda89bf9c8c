package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// users is one row for each person. What their wallets hold is the other view's.
type users struct{}

const usersTable = "users_v1"

func (users) Table() string { return usersTable }

const (
	addUsers = `INSERT INTO ` + usersTable + ` (id, admin, email, signed_up_at, position)
		SELECT * FROM unnest($1::text[], $2::boolean[], $3::bytea[], $4::timestamptz[], $5::bigint[])`
	setAdmins = `UPDATE ` + usersTable + ` u SET admin = d.admin FROM unnest($1::text[], $2::boolean[]) d (id, admin) WHERE u.id = d.id`
)

func (users) Write(pipe *pgx.Batch, batch []eventstore.Recorded) error {
	joined, changed := foldUsers(batch)
	queue(pipe, addUsers, len(joined), nil, append(adminColumns(joined),
		column(joined, func(u *User) []byte { return u.Email }),
		column(joined, func(u *User) time.Time { return u.SignedUpAt }),
		column(joined, func(u *User) int64 { return int64(u.Position) }))...)
	queue(pipe, setAdmins, len(changed), errNoUser, adminColumns(changed)...)
	return nil
}

var errNoUser = fmt.Errorf("%w: an admin is named on an account that nobody opened", domain.ErrBroken)

func adminColumns(list []User) []any {
	return []any{
		column(list, func(u *User) string { return string(u.ID) }),
		column(list, func(u *User) bool { return u.Admin }),
	}
}

// A wallet whose row has not come yet is empty since its person signed up.
const selectUsers = `SELECT u.id, u.email, u.admin, u.signed_up_at, u.position,
	coalesce(b.available, 0), coalesce(b.held, 0), coalesce(b.given, 0), coalesce(b.given_held, 0), coalesce(b.position, u.position)
	FROM ` + served + usersTable + ` u LEFT JOIN ` + served + balancesTable + ` b ON b.user_id = u.id `

func scanUser(row pgx.CollectableRow) (u User, err error) {
	err = row.Scan(&u.ID, (*[]byte)(&u.Email), &u.Admin, &u.SignedUpAt, &u.Position, &u.Balance.Available, &u.Balance.Held,
		&u.Balance.Given, &u.Balance.GivenHeld, &u.Balance.Position)
	u.SignedUpAt, u.Balance.User = u.SignedUpAt.UTC(), u.ID
	return u, err
}

const existsUser = `SELECT EXISTS (SELECT FROM ` + served + usersTable + ` WHERE id = $1)`

// User gives one person.
func (v *Postgres) User(ctx context.Context, u domain.UserID, least eventstore.Position) (User, eventstore.Position, error) {
	found, at, err := one[User]{tables: []string{usersTable, balancesTable}, query: selectUsers + `WHERE u.id = $1`,
		args: []any{string(u)}, scan: scanUser}.row(ctx, v, least)
	return found, at, failed(err, "read user %s", u)
}

// Users gives a page of all persons, the newest first.
func (v *Postgres) Users(ctx context.Context, q PageQuery, least eventstore.Position) (Page[User], eventstore.Position, error) {
	found, at, err := listed[User]{tables: []string{usersTable, balancesTable}, query: selectUsers + `WHERE u.position < $1 ORDER BY u.position DESC LIMIT $2`,
		at: func(u *User) eventstore.Position { return u.Position }, scan: scanUser}.page(ctx, v, q, least)
	return found, at, failed(err, "read users")
}
