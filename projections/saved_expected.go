package projections

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// What the tables of saved views must hold, for verify.

// savedTable is one of them.
type savedTable struct {
	name, columns string
	expect        func() expectation
	scan          func(*sql.Rows) ([]field, error)
}

var savedTables = []savedTable{
	{savedAccounts, accountColumns, expectSavedAccounts, func(row *sql.Rows) ([]field, error) {
		u, err := scanAccount(row)
		return savedAccountFields(u.ID, u), err
	}},
	{savedLines, `account, type, position`, func() expectation { return savedLineRows{} }, func(row *sql.Rows) ([]field, error) {
		var account, position eventstore.Position
		var kind TransactionType
		err := row.Scan(&account, (*string)(&kind), &position)
		return savedLineFields(account, kind, position), err
	}},
	{savedPredictions, `position, id, account, state, end_position, refund_position, confirm_position, follow_up_of`, expectSavedPredictions, scanSavedPrediction},
	{savedSums, `account, amount`, expectSavedSums, func(row *sql.Rows) ([]field, error) {
		var account string
		var amount domain.Credits
		err := row.Scan(&account, &amount)
		return trialFields(domain.LedgerAccount(account), amount), err
	}},
	{savedDays, `day, measure, item, amount`, func() expectation { return newDayRows(true) }, func(row *sql.Rows) ([]field, error) {
		f, amount, err := scanDay(row)
		return dayFields(f, amount), err
	}},
	{savedActions, actionColumns + `, said`, func() expectation { return actionRows{} }, scanSavedAction},
}

func scanSavedAction(row *sql.Rows) ([]field, error) {
	var a Action
	var at int64
	var said string
	err := row.Scan(&a.Position, &at, (*string)(&a.Type), (*string)(&a.Admin), &a.Operator, (*string)(&a.User), &a.Amount, (*string)(&a.Role), &a.Reason, &a.Reference, &said)
	a.At = time.UnixMicro(at).UTC()
	fields := actionFields(a)
	fields[len(fields)-1].value = said
	return fields, err
}

func scanDay(row *sql.Rows) (f figure, amount int64, err error) {
	err = row.Scan(&f.Date, (*string)(&f.Measure), &f.Item, &amount)
	return f, amount, err
}

// ReadSaved reads the tables of saved views as ReadTables reads those of PostgreSQL: nothing
// where none are saved, or where this program would throw them away for their format.
func ReadSaved(ctx context.Context, db *schema.SQLite, begin func(TableAt) (each func(Row))) error {
	tx, err := db.Read.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("read the saved views: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	there := map[string]bool{}
	err = rowsOfQuery(ctx, tx, func(row *sql.Rows) error {
		var name string
		err := row.Scan(&name)
		there[name] = true
		return err
	}, `SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil || !there["saved_views"] { // the file is older than these tables
		return err
	}
	var format int
	var position eventstore.Position
	if err := tx.QueryRowContext(ctx, `SELECT format, position FROM saved_views`).Scan(&format, &position); err != nil {
		return fmt.Errorf("read the position of the saved views: %w", err)
	}
	if format != savedFormat || position == 0 {
		return nil
	}
	for _, t := range savedTables {
		at := TableAt{Table: t.name, Position: position}
		if !there[t.name] {
			at.Fault = "it is not there, or no plain table"
		}
		each := begin(at)
		if each == nil || at.Fault != "" {
			continue
		}
		err := rowsOfQuery(ctx, tx, func(row *sql.Rows) error {
			fields, err := t.scan(row)
			giveAll(fields, each)
			return err
		}, `SELECT `+t.columns+` FROM `+t.name)
		if err != nil {
			return fmt.Errorf("read %s: %w", t.name, err)
		}
	}
	return nil
}

func savedAccountFields(_ domain.UserID, u User) []field {
	b := u.Balance
	return []field{{"position", u.Position, key}, {"user_id", u.ID, rest}, {"email", []byte(u.Email), rest}, {"admin", u.Admin, rest}, {"signed_up_at", u.SignedUpAt, rest},
		{"available", b.Available, rest}, {"held", b.Held, rest}, {"given", b.Given, rest}, {"given_held", b.GivenHeld, rest}, {"moved_at", b.Position, rest}}
}

func expectSavedAccounts() expectation {
	return newWholeRows(func(rows named[domain.UserID, User], batch []eventstore.Recorded) error {
		if err := expectUsers(rows, batch); err != nil {
			return err
		}
		opened, moved := sumWallets(batch)
		for _, b := range append(opened, moved...) {
			u, there := rows.now[b.User]
			if !there {
				return fmt.Errorf("%w: %s", domain.ErrBroken, noWallet)
			}
			u.Balance.add(domain.Wallet{Available: b.Available, Held: b.Held, Given: b.Given, GivenHeld: b.GivenHeld})
			u.Balance.Position = b.Position
			rows.set(b.User, u)
		}
		return nil
	}, savedAccountFields)
}

// savedLineRows are the positions of sign-ups, which name accounts in lines.
type savedLineRows map[domain.UserID]eventstore.Position

func savedLineFields(account eventstore.Position, kind TransactionType, at eventstore.Position) []field {
	return []field{{"account", account, key}, {"type", kind, key}, {"position", at, key}}
}

func (s savedLineRows) apply(batch []eventstore.Recorded, each func(Row)) error {
	for _, rec := range batch {
		if _, joins := rec.Event.(domain.SignedUp); joins {
			s[rec.Event.Subject()] = rec.Position
		}
		if t, ok := transactionOf(rec); ok {
			giveAll(savedLineFields(s[t.User], t.Type, t.Position), each)
		}
	}
	return nil
}

func (savedLineRows) rest(func(Row)) {}

// savedPredictionRows are those of predictions, and the positions of sign-ups.
type savedPredictionRows struct {
	openRows
	accounts map[domain.UserID]eventstore.Position
}

func expectSavedPredictions() expectation {
	accounts := map[domain.UserID]eventstore.Position{}
	return savedPredictionRows{newOpenRows(func(p Prediction) []field {
		return savedPredictionFields(p, accounts[p.User], p.endState())
	}), accounts}
}

func (s savedPredictionRows) apply(batch []eventstore.Recorded, each func(Row)) error {
	for _, rec := range batch {
		if _, joins := rec.Event.(domain.SignedUp); joins {
			s.accounts[rec.Event.Subject()] = rec.Position
		}
	}
	return s.openRows.apply(batch, each)
}

func savedPredictionFields(p Prediction, account eventstore.Position, state domain.PredictionState) []field {
	return []field{{"id", p.ID, key}, {"position", p.Position, rest}, {"account", account, rest}, {"state", state, rest}, {"end_position", p.EndPosition, rest},
		{"follow_up_of", p.FollowUpOf, rest}, {"refund_position", p.RefundPosition, later}, {"confirm_position", p.ConfirmPosition, later}}
}

// scanSavedPrediction gives the state before a refund, as the fold does. A row that says
// refunded without the position of a refund, or the reverse, keeps a state that no fold gives.
func scanSavedPrediction(row *sql.Rows) ([]field, error) {
	var p Prediction
	var account eventstore.Position
	err := row.Scan(&p.Position, (*string)(&p.ID), &account, (*string)(&p.State), &p.EndPosition, &p.RefundPosition, &p.ConfirmPosition, (*string)(&p.FollowUpOf))
	state := p.State
	if refunded := state == domain.StateRefunded; refunded && p.RefundPosition > 0 {
		state = p.endState()
	} else if refunded || p.RefundPosition > 0 {
		state += " beside its refund"
	}
	return savedPredictionFields(p, account, state), err
}

func expectSavedSums() expectation {
	return newWholeRows(func(rows named[domain.LedgerAccount, domain.Credits], batch []eventstore.Recorded) error {
		for _, rec := range batch {
			_, house, _ := movementOf(rec.Event)
			for _, p := range house {
				rows.set(p.Account, rows.now[p.Account]+p.Amount)
			}
		}
		return nil
	}, trialFields)
}
