package projections

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// users is one row for each person. What their wallets hold is the other view's.
type users struct{}

const usersTable = "users_v1"

func (users) Table() string { return usersTable }

var (
	addUsers = `INSERT INTO ` + usersTable + ` (id, admin, email, signed_up_at, position)
		SELECT * FROM unnest($1::text[], $2::boolean[], $3::bytea[], $4::timestamptz[], $5::bigint[])`
	changeUsers = expecting(`UPDATE `+usersTable+` u SET admin = coalesce(d.admin, u.admin), email = CASE WHEN d.erased THEN ''::bytea ELSE u.email END
		FROM unnest($1::text[], $2::boolean[], $3::boolean[]) d (id, admin, erased) WHERE u.id = d.id`, noUser)
)

func (users) Write(batch *pgx.Batch, entries []eventstore.Recorded) error {
	joined, changed := foldUsers(entries)
	queue(batch, addUsers, len(joined),
		column(joined, func(u *User) string { return string(u.ID) }),
		column(joined, func(u *User) bool { return u.Admin }),
		column(joined, func(u *User) []byte { return u.Email }),
		column(joined, func(u *User) time.Time { return u.SignedUpAt }),
		column(joined, func(u *User) int64 { return int64(u.Position) }))
	queue(batch, changeUsers, len(changed),
		column(changed, func(c *userChange) string { return string(c.ID) }),
		column(changed, func(c *userChange) *bool { return c.Admin }),
		column(changed, func(c *userChange) bool { return c.Erased }))
	return nil
}

const noUser = "an event is of an account that was not opened"

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

// signedUpAt is 0 for an unknown user.
const signedUpAt = `SELECT coalesce((SELECT position FROM ` + served + usersTable + ` WHERE id = $1), 0)`

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

// Erased gives the persons whose data was erased: their row has no e-mail.
func (v *Postgres) Erased(ctx context.Context) ([]domain.UserID, error) {
	rows, _ := v.pool.Query(ctx, `SELECT id FROM `+served+usersTable+` WHERE email = ''`)
	found, err := pgx.CollectRows(rows, pgx.RowTo[domain.UserID])
	return found, failed(err, "read who was erased")
}
