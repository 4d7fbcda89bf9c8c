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

// part is which part of a row a column belongs to.
type part int

const (
	key   part = iota // of the primary key
	rest              // all others
	later             // set by a later entry, when the others change no more
)

// rowsOf gives a row in the form in which it is compared: as two, where a later entry
// has set columns of it. So the fold can drop a row before that entry.
func rowsOf(fields []field) []Row {
	var texts [later + 1][]string
	isSet := false
	for _, f := range fields {
		text := textOf(f.value)
		texts[f.part] = append(texts[f.part], f.name+"="+text)
		isSet = isSet || f.part == later && text != "NULL" && text != "0"
	}
	name := strings.Join(texts[key], " ")
	list := []Row{{Key: name, Text: strings.Join(texts[rest], " ")}}
	if isSet {
		list = append(list, Row{Key: name + " later", Text: strings.Join(texts[later], " ")})
	}
	return list
}

// giveAll calls each with the rows of fields.
func giveAll(fields []field, each func(Row)) {
	for _, row := range rowsOf(fields) {
		each(row)
	}
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

// Expect gives the fold of an empty log for a table that ReadTables or
// ReadSaved reads. It keeps
// in memory what later entries can change: of accounts a row, of predictions those
// that have not ended.
func Expect(table string) *Expected {
	for _, p := range declared {
		if p.Table() == table {
			return &Expected{p.Expect()}
		}
	}
	for _, t := range savedTables {
		if t.name == table {
			return &Expected{t.expect()}
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
	rows   named[K, V]
	fold   func(rows named[K, V], batch []eventstore.Recorded) error
	fields func(K, V) []field
}

// named are rows by their names.
type named[K comparable, V any] struct {
	now    map[K]V
	before map[K]*V // of those that were changed since then, as they were; nil for one that is new. Without the map nothing is noted
}

func newNamed[K comparable, V any]() named[K, V] { return named[K, V]{now: map[K]V{}} }

func (n named[K, V]) set(name K, row V) {
	n.note(name)
	n.now[name] = row
}

func (n named[K, V]) delete(name K) {
	n.note(name)
	delete(n.now, name)
}

func (n named[K, V]) note(name K) {
	if n.before == nil {
		return
	}
	if _, noted := n.before[name]; noted {
		return
	}
	n.before[name] = nil
	if was, there := n.now[name]; there {
		n.before[name] = &was
	}
}

func (n named[K, V]) noted() named[K, V] {
	n.before = map[K]*V{}
	return n
}

// rest gives each all rows.
func (n named[K, V]) rest(fields func(K, V) []field, each func(Row)) {
	for name, row := range n.now {
		giveAll(fields(name, row), each)
	}
}

// changed is that of noting.
func (n named[K, V]) changed(fields func(K, V) []field, each func(was bool, row Row)) {
	for name, before := range n.before {
		if before != nil {
			giveAll(fields(name, *before), func(row Row) { each(true, row) })
		}
		if row, there := n.now[name]; there {
			giveAll(fields(name, row), func(row Row) { each(false, row) })
		}
	}
	clear(n.before)
}

func newWholeRows[K ~string, V any](fold func(named[K, V], []eventstore.Recorded) error, fields func(K, V) []field) wholeRows[K, V] {
	return wholeRows[K, V]{newNamed[K, V](), fold, fields}
}

func (w wholeRows[K, V]) apply(batch []eventstore.Recorded, _ func(Row)) error {
	return w.fold(w.rows, batch)
}

func (w wholeRows[K, V]) rest(each func(Row)) { w.rows.rest(w.fields, each) }

func (w wholeRows[K, V]) noted() expectation {
	w.rows = w.rows.noted()
	return w
}

func (w wholeRows[K, V]) changed(each func(was bool, row Row)) { w.rows.changed(w.fields, each) }

func (balances) Expect() expectation {
	return newWholeRows(expectBalances, balanceFields)
}

func balanceFields(_ domain.UserID, b Balance) []field {
	return []field{{"user_id", b.User, key}, {"available", b.Available, rest}, {"held", b.Held, rest}, {"given", b.Given, rest},
		{"given_held", b.GivenHeld, rest}, {"position", b.Position, rest}}
}

func expectBalances(rows named[domain.UserID, Balance], batch []eventstore.Recorded) error {
	opened, moved := sumWallets(batch)
	for _, b := range opened {
		rows.set(b.User, b)
	}
	for _, d := range moved {
		b, there := rows.now[d.User]
		if !there {
			return fmt.Errorf("%w: %s", domain.ErrBroken, noWallet)
		}
		b.add(domain.Wallet{Available: d.Available, Held: d.Held, Given: d.Given, GivenHeld: d.GivenHeld})
		b.Position = d.Position
		rows.set(d.User, b)
	}
	return nil
}

func (users) Expect() expectation {
	return newWholeRows(expectUsers, userFields)
}

func userFields(_ domain.UserID, u User) []field {
	return []field{{"id", u.ID, key}, {"email", []byte(u.Email), rest}, {"admin", u.Admin, rest}, {"signed_up_at", u.SignedUpAt, rest}, {"position", u.Position, rest}}
}

func expectUsers(rows named[domain.UserID, User], batch []eventstore.Recorded) error {
	joined, changed := foldUsers(batch)
	for _, u := range joined {
		rows.set(u.ID, u)
	}
	for _, c := range changed {
		u, there := rows.now[c.ID]
		if !there {
			return fmt.Errorf("%w: %s", domain.ErrBroken, noUser)
		}
		c.apply(&u)
		rows.set(c.ID, u)
	}
	return nil
}

func (trial) Expect() expectation {
	return newWholeRows(expectTrial, trialFields)
}

func trialFields(account domain.LedgerAccount, amount domain.Credits) []field {
	return []field{{"account", account, key}, {"amount", amount, rest}}
}

func expectTrial(rows named[domain.LedgerAccount, domain.Credits], batch []eventstore.Recorded) error {
	for account, sum := range sumTrial(batch) {
		rows.set(account, rows.now[account]+sum)
	}
	return nil
}

// lineRows are the rows of transactions, which are only ever added.
type lineRows struct{}

func (transactions) Expect() expectation { return lineRows{} }

func (lineRows) apply(batch []eventstore.Recorded, each func(Row)) error {
	for _, rec := range batch {
		if t, ok := transactionOf(rec); ok {
			giveAll(transactionFields(t), each)
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
type openRows struct {
	open   map[domain.PredictionID]Prediction
	fields func(Prediction) []field
}

func (predictions) Expect() expectation { return newOpenRows(predictionFields) }

func newOpenRows(fields func(Prediction) []field) openRows {
	return openRows{map[domain.PredictionID]Prediction{}, fields}
}

func (o openRows) apply(batch []eventstore.Recorded, each func(Row)) error {
	asked, ended, judged, err := foldPredictions(batch)
	if err != nil {
		return err
	}
	for _, p := range asked {
		if p.State.Ended() {
			giveAll(o.fields(p), each)
		} else {
			o.open[p.ID] = p
		}
	}
	for _, end := range ended {
		p, open := o.open[end.ID]
		if !open || p.User != end.User {
			return fmt.Errorf("%w: %s", domain.ErrBroken, notOpen)
		}
		end.Text, end.Price, end.Limit, end.RequestedAt, end.ExpiresAt, end.Position = p.Text, p.Price, p.Limit, p.RequestedAt, p.ExpiresAt, p.Position
		end.FollowUpOf, end.Excluded = p.FollowUpOf, p.Excluded
		giveAll(o.fields(end), each)
		delete(o.open, end.ID)
	}
	for _, p := range judged {
		each(rowsOf(o.fields(p))[1])
	}
	return nil
}

func (o openRows) rest(each func(Row)) {
	for _, p := range o.open {
		giveAll(o.fields(p), each)
	}
}

func predictionFields(p Prediction) []field {
	return []field{{"id", p.ID, key}, {"user_id", p.User, rest}, {"state", p.endState(), rest}, {"text", []byte(p.Text), rest}, {"price", p.Price, rest}, {"wanted", p.Limit, rest},
		{"requested_at", p.RequestedAt, rest}, {"expires_at", p.ExpiresAt, rest}, {"position", p.Position, rest}, {"follow_up_of", p.FollowUpOf, rest}, {"excluded", asJSON(p.Excluded), rest}, {"ended_at", since(p.EndedAt), rest}, {"end_position", p.EndPosition, rest},
		{"movies", asJSON(p.Movies), rest}, {"model", p.Model, rest}, {"catalogue", p.Catalogue, rest}, {"processing_time", p.ProcessingTime, rest}, {"confidence", p.Confidence, rest}, {"failure", p.Failure, rest},
		{"refunded_at", since(p.RefundedAt), later}, {"refund_position", p.RefundPosition, later},
		{"confirmed", confirmedMovie(&p), later}, {"confirmed_at", since(p.ConfirmedAt), later}, {"confirm_position", p.ConfirmPosition, later}}
}
