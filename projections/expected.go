package projections

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// What each table must hold, as the log alone gives it: for verify, which compares
// it with what is stored. It is made of the same folds as the statements that write
// the tables, and of none of their SQL.

// Row is one row of a table in a form in which two can be compared: texts that are
// the same where all columns are.
type Row struct {
	Key  string // the columns of the primary key
	Text string // the others
}

// field is one column of a row.
type field struct {
	name  string
	value any
	part  part
}

// part says whether a column is of the primary key.
type part bool

const (
	key  part = true
	rest part = false
)

func rowOf(fields []field) Row {
	var keys, others []string
	for _, f := range fields {
		text := f.name + "=" + textOf(f.value)
		if f.part == key {
			keys = append(keys, text)
		} else {
			others = append(others, text)
		}
	}
	return Row{Key: strings.Join(keys, " "), Text: strings.Join(others, " ")}
}

// textOf gives one text for a value, whether it comes from the log or was read by the
// database's driver. Texts are quoted, so that no value looks like two.
func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "NULL"
	case time.Time:
		return v.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "NULL"
		}
		return textOf(v.Elem().Interface())
	case reflect.Slice:
		if v.IsNil() {
			return "NULL"
		}
		return `\x` + hex.EncodeToString(v.Bytes())
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	}
	return fmt.Sprint(value)
}

// expectation folds a log, in order, into the rows that one table must hold.
type expectation interface {
	// apply gives each the rows that no later entry changes.
	apply(batch []eventstore.Recorded, each func(Row)) error
	// rest gives each the others, as they are at the end.
	rest(each func(Row))
}

// Expected is what one table must hold.
type Expected struct{ expectation }

// Expect gives the fold of an empty log for a table that ReadTables reads. It keeps
// in memory what later entries can change: of accounts a row, of predictions those
// that have not ended.
func Expect(table string) *Expected {
	for _, p := range declared {
		if p.Table() == table {
			return &Expected{p.Expect()}
		}
	}
	panic(table + " is no table of ours")
}

// Apply folds entries that follow, and gives each the rows that no later entry
// changes. An error wraps domain.ErrBroken.
func (e *Expected) Apply(batch []eventstore.Recorded, each func(Row)) error {
	return e.apply(batch, each)
}

// Rest gives each the rows that Apply did not give.
func (e *Expected) Rest(each func(Row)) { e.rest(each) }

// wholeRows are the rows of a view that has one for each name, which later entries
// change.
type wholeRows[K ~string, V any] struct {
	rows   map[K]V
	fold   func(rows map[K]V, batch []eventstore.Recorded) error
	fields func(K, V) []field
}

func (w wholeRows[K, V]) apply(batch []eventstore.Recorded, _ func(Row)) error {
	return w.fold(w.rows, batch)
}

func (w wholeRows[K, V]) rest(each func(Row)) {
	for name, row := range w.rows {
		each(rowOf(w.fields(name, row)))
	}
}

func (balances) Expect() expectation {
	return wholeRows[domain.UserID, Balance]{map[domain.UserID]Balance{}, expectBalances, balanceFields}
}

func balanceFields(_ domain.UserID, b Balance) []field {
	return []field{{"user_id", b.User, key}, {"available", b.Available, rest}, {"held", b.Held, rest}, {"given", b.Given, rest},
		{"given_held", b.GivenHeld, rest}, {"position", b.Position, rest}}
}

func expectBalances(rows map[domain.UserID]Balance, batch []eventstore.Recorded) error {
	opened, moved := sumWallets(batch)
	for _, b := range opened {
		rows[b.User] = b
	}
	for _, d := range moved {
		b, there := rows[d.User]
		if !there {
			return errNoWallet
		}
		b.add(domain.Wallet{Available: d.Available, Held: d.Held, Given: d.Given, GivenHeld: d.GivenHeld})
		b.Position = d.Position
		rows[d.User] = b
	}
	return nil
}

func (users) Expect() expectation {
	return wholeRows[domain.UserID, User]{map[domain.UserID]User{}, expectUsers, userFields}
}

func userFields(_ domain.UserID, u User) []field {
	return []field{{"id", u.ID, key}, {"email", []byte(u.Email), rest}, {"admin", u.Admin, rest}, {"signed_up_at", u.SignedUpAt, rest}, {"position", u.Position, rest}}
}

func expectUsers(rows map[domain.UserID]User, batch []eventstore.Recorded) error {
	joined, changed := foldUsers(batch)
	for _, u := range joined {
		rows[u.ID] = u
	}
	for _, c := range changed {
		u, there := rows[c.ID]
		if !there {
			return errNoUser
		}
		u.Admin = c.Admin
		rows[c.ID] = u
	}
	return nil
}

func (trial) Expect() expectation {
	return wholeRows[domain.LedgerAccount, domain.Credits]{map[domain.LedgerAccount]domain.Credits{}, expectTrial, trialFields}
}

func trialFields(account domain.LedgerAccount, amount domain.Credits) []field {
	return []field{{"account", account, key}, {"amount", amount, rest}}
}

func expectTrial(rows map[domain.LedgerAccount]domain.Credits, batch []eventstore.Recorded) error {
	for account, sum := range sumTrial(batch) {
		rows[account] += sum
	}
	return nil
}

// lineRows are the rows of transactions, which are only ever added.
type lineRows struct{}

func (transactions) Expect() expectation { return lineRows{} }

func (lineRows) apply(batch []eventstore.Recorded, each func(Row)) error {
	for _, rec := range batch {
		if t, ok := transactionOf(rec); ok {
			each(rowOf(transactionFields(t)))
		}
	}
	return nil
}

func (lineRows) rest(func(Row)) {}

func transactionFields(t Transaction) []field {
	return []field{{"user_id", t.User, key}, {"position", t.Position, key}, {"type", t.Type, rest}, {"status", t.Status, rest}, {"amount", t.Amount, rest},
		{"given", t.Given, rest}, {"balance_after", t.BalanceAfter, rest}, {"at", t.At, rest}, {"prediction", t.Prediction, rest}, {"admin", t.Admin, rest}, {"reason", t.Reason, rest},
		{"reference", t.Reference, rest}}
}

// openRows are the predictions that have not ended.
type openRows map[domain.PredictionID]Prediction

func (predictions) Expect() expectation { return openRows{} }

func (o openRows) apply(batch []eventstore.Recorded, each func(Row)) error {
	asked, ended, err := foldPredictions(batch)
	if err != nil {
		return err
	}
	for _, p := range asked {
		if p.State.Ended() {
			each(rowOf(predictionFields(p)))
		} else {
			o[p.ID] = p
		}
	}
	for _, end := range ended {
		p, open := o[end.ID]
		if !open || p.User != end.User {
			return errNotOpen
		}
		end.Text, end.Price, end.Limit, end.RequestedAt, end.ExpiresAt, end.Position = p.Text, p.Price, p.Limit, p.RequestedAt, p.ExpiresAt, p.Position
		each(rowOf(predictionFields(end)))
		delete(o, end.ID)
	}
	return nil
}

func (o openRows) rest(each func(Row)) {
	for _, p := range o {
		each(rowOf(predictionFields(p)))
	}
}

func predictionFields(p Prediction) []field {
	var ended *time.Time
	if !p.EndedAt.IsZero() {
		ended = &p.EndedAt
	}
	return []field{{"id", p.ID, key}, {"user_id", p.User, rest}, {"state", p.State, rest}, {"text", []byte(p.Text), rest}, {"price", p.Price, rest}, {"wanted", p.Limit, rest},
		{"requested_at", p.RequestedAt, rest}, {"expires_at", p.ExpiresAt, rest}, {"position", p.Position, rest}, {"ended_at", ended, rest}, {"end_position", p.EndPosition, rest},
		{"movies", moviesJSON(&p), rest}, {"model", p.Model, rest}, {"catalogue", p.Catalogue, rest}, {"processing_time", p.ProcessingTime, rest}, {"failure", p.Failure, rest}}
}
