// Package movein moves people, balances and films in from the system that Kassa replaces.
// It reads the old database without changing it, decides by rules that are written down in
// docs/operate.md, and writes by commands.
package movein

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotOld means that a database is not one of the replaced system.
var ErrNotOld = errors.New("this is not a database of the replaced system")

// Old is what the old database had at one moment.
type Old struct {
	Users  []User
	Strays []Row // rows of nobody
	Films  []Film
}

// User is a person of the old system.
type User struct {
	ID           int64
	Email        string // as typed
	PasswordHash string
	Admin        bool

	HasWallet    bool
	Balance      float64
	Transactions []Transaction // in the order of their time

	Paid         int // predictions that had a price
	WithoutFilms int // predictions without films
}

// Transaction is one of the old system. Its type is in lower case.
type Transaction struct {
	ID     int64
	Type   string
	Amount float64
}

// Film is a film of the old system, in the form of its files.
type Film struct {
	ID          int64    `json:"-"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Year        int      `json:"year"`
	Genres      []string `json:"genres"`
}

// columns are what is read of each table.
var columns = map[string][]string{
	"user":                {"id", "email", "password_hash", "is_admin"},
	"wallet":              {"id", "user_id", "balance"},
	"transaction":         {"id", "timestamp", "user_id", "amount", "type"},
	"prediction":          {"id", "user_id", "cost"},
	"predictionmovielink": {"prediction_id"},
	"movie":               {"id", "title", "description", "year", "genres"},
}

// Read reads the old database at one moment: in one transaction that can only read, and that
// sees nothing of what is written meanwhile. The error wraps ErrNotOld where its tables are
// not those of the replaced system.
func Read(ctx context.Context, url string) (*Old, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the address of the old database cannot be read") // the error would show the password
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // also through a pooler
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the old database: %w", withoutAddress(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	old := &Old{}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := checkTables(ctx, tx); err != nil {
			return err
		}
		return old.read(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the old database: %w", err)
	}
	return old, nil
}

// withoutAddress keeps the reason of a failed connection, whose text has user and host.
func withoutAddress(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		if _, connects := errors.AsType[*pgconn.ConnectError](err); connects {
			return inner
		}
	}
	return err
}

func checkTables(ctx context.Context, tx pgx.Tx) error {
	for _, table := range slices.Sorted(maps.Keys(columns)) {
		rows, _ := tx.Query(ctx, `SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`, pgx.Identifier{table}.Sanitize())
		has, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, column := range columns[table] {
			if !slices.Contains(has, column) {
				return fmt.Errorf("%w: its table %q has no column %q", ErrNotOld, table, column)
			}
		}
	}
	return nil
}

func (o *Old) read(ctx context.Context, tx pgx.Tx) error {
	users := map[int64]*User{}
	rows, _ := tx.Query(ctx, `SELECT id::bigint, coalesce(email, ''), coalesce(password_hash, ''), coalesce(is_admin, false) FROM "user" ORDER BY id`)
	var u User
	if _, err := pgx.ForEachRow(rows, []any{&u.ID, &u.Email, &u.PasswordHash, &u.Admin}, func() error {
		o.Users = append(o.Users, u)
		return nil
	}); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	for i := range o.Users {
		users[o.Users[i].ID] = &o.Users[i]
	}
	for _, part := range []struct {
		of   string
		read func(context.Context, pgx.Tx, map[int64]*User) error
	}{{"wallets", o.readWallets}, {"transactions", o.readTransactions}, {"predictions", o.readPredictions}, {"films", o.readFilms}} {
		if err := part.read(ctx, tx, users); err != nil {
			return fmt.Errorf("%s: %w", part.of, err)
		}
	}
	return nil
}

func (o *Old) readWallets(ctx context.Context, tx pgx.Tx, users map[int64]*User) error {
	rows, _ := tx.Query(ctx, `SELECT id::bigint, coalesce(user_id, 0)::bigint, coalesce(balance, 'NaN')::float8 FROM wallet ORDER BY id`)
	var id, owner int64
	var balance float64
	_, err := pgx.ForEachRow(rows, []any{&id, &owner, &balance}, func() error {
		if u := users[owner]; u != nil && !u.HasWallet {
			u.HasWallet, u.Balance = true, balance
			return nil
		}
		amount, _ := amountOf(balance)
		o.Strays = append(o.Strays, Row{WalletOfNobody, id, amount})
		return nil
	})
	return err
}

func (o *Old) readTransactions(ctx context.Context, tx pgx.Tx, users map[int64]*User) error {
	rows, _ := tx.Query(ctx, `SELECT coalesce(user_id, 0)::bigint, id::bigint, coalesce(amount, 'NaN')::float8, lower(coalesce(type::text, '')) FROM "transaction" ORDER BY user_id, timestamp, id`)
	var owner int64
	var t Transaction
	_, err := pgx.ForEachRow(rows, []any{&owner, &t.ID, &t.Amount, &t.Type}, func() error {
		if u := users[owner]; u != nil {
			u.Transactions = append(u.Transactions, t)
			return nil
		}
		amount, _ := amountOf(t.Amount)
		o.Strays = append(o.Strays, Row{TransactionOfNobody, t.ID, amount})
		return nil
	})
	return err
}

func (o *Old) readPredictions(ctx context.Context, tx pgx.Tx, users map[int64]*User) error {
	rows, _ := tx.Query(ctx, `SELECT coalesce(user_id, 0)::bigint, count(*) FILTER (WHERE cost <> 0),
		count(*) FILTER (WHERE NOT EXISTS (SELECT FROM predictionmovielink l WHERE l.prediction_id = p.id)) FROM prediction p GROUP BY 1`)
	var owner int64
	var paid, empty int
	_, err := pgx.ForEachRow(rows, []any{&owner, &paid, &empty}, func() error {
		if u := users[owner]; u != nil {
			u.Paid, u.WithoutFilms = paid, empty
		}
		return nil
	})
	return err
}

func (o *Old) readFilms(ctx context.Context, tx pgx.Tx, _ map[int64]*User) error {
	rows, _ := tx.Query(ctx, `SELECT id::bigint, coalesce(title, ''), coalesce(description, ''), coalesce(year, 0)::bigint, coalesce(genres::text[], '{}') FROM movie ORDER BY id`)
	var f Film
	_, err := pgx.ForEachRow(rows, []any{&f.ID, &f.Title, &f.Description, &f.Year, &f.Genres}, func() error {
		o.Films = append(o.Films, f)
		f.Genres = nil
		return nil
	})
	return err
}
