// Package moveintest makes databases of the replaced system for tests.
package moveintest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"kassa/schema/schematest"
)

// tables are those of the replaced system, but for the columns with vectors.
const tables = `
CREATE TYPE transactiontype AS ENUM ('DEPOSIT', 'WITHDRAWAL', 'PREDICTION', 'ADMIN_ADJUSTMENT', 'ENTRY_BONUS');
CREATE TABLE "user" (id serial PRIMARY KEY, timestamp timestamp NOT NULL DEFAULT now(), email varchar NOT NULL UNIQUE, password_hash varchar NOT NULL, is_admin boolean NOT NULL DEFAULT false);
CREATE TABLE wallet (id serial PRIMARY KEY, timestamp timestamp NOT NULL DEFAULT now(), user_id integer UNIQUE, balance double precision NOT NULL);
CREATE TABLE "transaction" (id serial PRIMARY KEY, timestamp timestamp NOT NULL DEFAULT now(), user_id integer, wallet_id integer, amount double precision NOT NULL, type transactiontype NOT NULL);
CREATE TABLE prediction (id serial PRIMARY KEY, timestamp timestamp NOT NULL DEFAULT now(), user_id integer, input_text varchar NOT NULL, cost double precision NOT NULL);
CREATE TABLE movie (id serial PRIMARY KEY, timestamp timestamp NOT NULL DEFAULT now(), title varchar NOT NULL, description varchar NOT NULL UNIQUE, year integer NOT NULL, genres text[] NOT NULL);
CREATE TABLE predictionmovielink (prediction_id integer, movie_id integer, PRIMARY KEY (prediction_id, movie_id));`

// Database is one of the replaced system.
type Database struct {
	Address string
	t       testing.TB
	conn    *pgx.Conn
}

// New makes one without people. It is dropped when the test ends.
func New(t testing.TB) *Database {
	t.Helper()
	d := &Database{Address: schematest.Empty(t), t: t}
	conn, err := pgx.Connect(t.Context(), d.Address)
	if err != nil {
		t.Fatal(err)
	}
	d.conn = conn
	t.Cleanup(func() { conn.Close(context.Background()) })
	d.Exec(tables)
	return d
}

// Exec runs statements without arguments, or one with.
func (d *Database) Exec(statement string, args ...any) {
	d.t.Helper()
	if _, err := d.conn.Exec(context.Background(), statement, args...); err != nil {
		d.t.Fatal(err)
	}
}

// Hash is a bcrypt hash of a password, of the least cost.
func Hash(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// Transaction is one of a person; its type is as the database has it.
type Transaction struct {
	Type   string
	Amount float64
}

// User adds a person with a wallet and transactions.
func (d *Database) User(id int, email, hash string, admin bool, balance float64, transactions ...Transaction) {
	d.t.Helper()
	d.Exec(`INSERT INTO "user" (id, email, password_hash, is_admin) VALUES ($1, $2, $3, $4)`, id, email, hash, admin)
	d.Exec(`INSERT INTO wallet (id, user_id, balance) VALUES ($1, $1, $2)`, id, balance)
	for _, t := range transactions {
		d.Book(id, t.Type, t.Amount)
	}
}

// Book adds a transaction alone, as the old system's own code does beside the wallet.
func (d *Database) Book(user int, kind string, amount float64) {
	d.t.Helper()
	d.Exec(`INSERT INTO "transaction" (user_id, wallet_id, amount, type) VALUES ($1, $1, $2, $3)`, user, amount, kind)
}

// Move books a transaction and changes the wallet.
func (d *Database) Move(user int, kind string, amount float64) {
	d.t.Helper()
	d.Book(user, kind, amount)
	d.Exec(`UPDATE wallet SET balance = balance + $2 WHERE user_id = $1`, user, amount)
}

// Ask adds a question with its films.
func (d *Database) Ask(user int, text string, cost float64, films ...int) {
	d.t.Helper()
	var id int
	if err := d.conn.QueryRow(context.Background(), `INSERT INTO prediction (user_id, input_text, cost) VALUES ($1, $2, $3) RETURNING id`, user, text, cost).Scan(&id); err != nil {
		d.t.Fatal(err)
	}
	for _, film := range films {
		d.Exec(`INSERT INTO predictionmovielink (prediction_id, movie_id) VALUES ($1, $2)`, id, film)
	}
}

// Film adds a film.
func (d *Database) Film(id int, title, description string, year int, genres ...string) {
	d.t.Helper()
	d.Exec(`INSERT INTO movie (id, title, description, year, genres) VALUES ($1, $2, $3, $4, $5)`, id, title, description, year, genres)
}

// Password is that of the people of Disordered: its hash is made once a database.
const Password = "correct horse battery"

// Disordered fills a database with people who are in order, and with all the disorder that
// is known of the replaced system.
//
// In order: 1 (an admin), 2, 3. The balances of all come to 1335.75. Without those that are
// left out it is 1100.75; a debt of 25 is moved as 0, and a quarter is rounded up, which makes
// 1126: 1046 bought, 80 given.
func Disordered(t testing.TB) *Database {
	d, hash := New(t), Hash(t, Password)
	bonus := Transaction{"ENTRY_BONUS", 50}
	d.User(1, "Olga@Example.org", hash, true, 50, bonus)
	d.User(2, "pavel@example.org", hash, false, 1020, bonus, Transaction{"DEPOSIT", 1000}, Transaction{"PREDICTION", -10}, Transaction{"PREDICTION", -10}, Transaction{"PREDICTION", -10})
	d.User(3, "rita@example.org", hash, false, 15, bonus, Transaction{"DEPOSIT", 25}, Transaction{"WITHDRAWAL", -10}, Transaction{"PREDICTION", -50})
	// Fractions, and a balance that is not the sum of its transactions.
	d.User(4, "sergey@example.org", hash, false, 10.75, Transaction{"DEPOSIT", 10.75})
	d.User(5, "tanya@example.org", hash, false, 30, Transaction{"DEPOSIT", 20})
	// E-mails that differ by case, and one that is none.
	d.User(6, "Uma@example.org", hash, false, 100, bonus, Transaction{"ADMIN_ADJUSTMENT", 50})
	d.User(7, "uma@example.org", hash, false, 60, bonus, Transaction{"ADMIN_ADJUSTMENT", 10})
	d.User(8, "victor at home", hash, false, 50, bonus)
	// A debt, a hash of another kind, no wallet, and a wallet of nobody.
	d.User(9, "xenia@example.org", "sha256$1$2", false, -25, bonus, Transaction{"PREDICTION", -75})
	d.Exec(`INSERT INTO "user" (id, email, password_hash) VALUES (10, 'yan@example.org', $1)`, hash)
	d.Exec(`INSERT INTO wallet (id, user_id, balance) VALUES (99, 404, 25)`)
	d.Book(404, "DEPOSIT", 25)
	// Questions: of 2 one without films and one charge without a question; of 3 all in order.
	d.Film(1, "Выхухоль", "Учёный ищет последнюю выхухоль на старой реке и находит новых друзей.", 1987, "драма", "приключения")
	d.Film(2, "The Quiet Lighthouse", "A keeper of a lighthouse finds letters which were sent a century ago.", 2003, "drama", "mystery")
	d.Film(3, "", "A film without any title at all, which nobody has noticed.", 2001, "drama")
	d.Ask(2, "что-нибудь про реку и зверей", 10, 1)
	d.Ask(2, "a film about nothing at all", 10)
	d.Ask(3, "a lighthouse and old letters", 10, 2)
	return d
}
