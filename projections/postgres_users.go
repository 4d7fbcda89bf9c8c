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

func (users) DDL() string {
	return `CREATE TABLE IF NOT EXISTS ` + usersTable + ` (
		id           text COLLATE "C" PRIMARY KEY,
		email        bytea,
		admin        boolean     NOT NULL,
		signed_up_at timestamptz NOT NULL,
		position     bigint      NOT NULL
	);
	CREATE UNIQUE INDEX IF NOT EXISTS ` + usersTable + `_position ON ` + usersTable + ` (position)`
}

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
	coalesce(b.available, 0), coalesce(b.held, 0), coalesce(b.position, u.position)
	FROM ` + served + usersTable + ` u LEFT JOIN ` + served + balancesTable + ` b ON b.user_id = u.id `

func scanUser(row pgx.CollectableRow) (u User, err error) {
	err = row.Scan(&u.ID, (*[]byte)(&u.Email), &u.Admin, &u.SignedUpAt, &u.Position, &u.Balance.Available, &u.Balance.Held, &u.Balance.Position)
	u.SignedUpAt, u.Balance.User = u.SignedUpAt.UTC(), u.ID
	return u, err
}

// User gives one person.
func (v *Postgres) User(ctx context.Context, u domain.UserID) (User, error) {
	return readOne(ctx, v, "user "+string(u), scanUser, selectUsers+`WHERE u.id = $1`, string(u))
}

// exists answers ErrNotFound for a list without lines of a person who is not there.
func (v *Postgres) exists(ctx context.Context, u domain.UserID, lines int) error {
	if lines > 0 {
		return nil
	}
	var found bool
	if err := v.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM `+served+usersTable+` WHERE id = $1)`, string(u)).Scan(&found); err != nil {
		return fmt.Errorf("look for user %s: %w", u, err)
	}
	if !found {
		return ErrNotFound
	}
	return nil
}

// Users gives a page of all persons, the newest first.
func (v *Postgres) Users(ctx context.Context, q PageQuery) (Page[User], error) {
	found, err := readPage(ctx, v, selectUsers+`WHERE u.position < $1 ORDER BY u.position DESC LIMIT $2`, q, nil,
		func(u *User) eventstore.Position { return u.Position }, scanUser)
	if err != nil {
		return Page[User]{}, fmt.Errorf("read users: %w", err)
	}
	return found, nil
}
