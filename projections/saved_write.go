package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// The tables of saved views.
const (
	savedAccounts    = "saved_accounts"
	savedLines       = "saved_lines"
	savedPredictions = "saved_predictions"
	savedSums        = "saved_sums"
	savedDays        = "saved_days"
	savedActions     = "saved_actions"
)

const (
	moveSaved = `UPDATE saved_views SET position = ?, leaf = ? WHERE format = ? AND position = ?`

	saveAccount = `INSERT INTO ` + savedAccounts + ` (position, user_id, email, admin, signed_up_at, available, held, given, given_held, moved_at)
		VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (position) DO UPDATE SET email = excluded.email, admin = excluded.admin, available = excluded.available, held = excluded.held,
			given = excluded.given, given_held = excluded.given_held, moved_at = excluded.moved_at`
	saveLine       = `INSERT INTO ` + savedLines + ` (account, type, position) VALUES (?,?,?)`
	savePrediction = `INSERT INTO ` + savedPredictions + ` (position, id, account, state, end_position, refund_position, confirm_position, follow_up_of)
		VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (position) DO UPDATE SET state = excluded.state, end_position = excluded.end_position, refund_position = excluded.refund_position,
			confirm_position = excluded.confirm_position`
	saveSum    = `INSERT INTO ` + savedSums + ` (account, amount) VALUES (?,?) ON CONFLICT (account) DO UPDATE SET amount = excluded.amount`
	saveDay    = `INSERT INTO ` + savedDays + ` (day, measure, item, amount) VALUES (?,?,?,?) ON CONFLICT (day, measure, item) DO UPDATE SET amount = amount + excluded.amount`
	saveAction = `INSERT INTO ` + savedActions + ` (` + actionColumns + `, said) VALUES (?,?,?,?,?,?,?,?,?,?,?)`
)

// writeFolded puts into the tables what is behind kept. Its error is errMoved where the tables
// are not at kept.
func writeFolded(ctx context.Context, tx *sql.Tx, f *folded) error {
	leaf := eventstore.LeafHash(f.last)
	done, err := tx.ExecContext(ctx, moveSaved, f.position, leaf[:], savedFormat, f.kept)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return cmp.Or(err, errMoved)
	}
	var statements [6]*sql.Stmt
	for i, query := range []string{saveAccount, saveLine, savePrediction, saveSum, saveDay, saveAction} {
		if statements[i], err = tx.PrepareContext(ctx, query); err != nil {
			return err
		}
		defer statements[i].Close()
	}
	account, line, prediction, sum, day, action := statements[0], statements[1], statements[2], statements[3], statements[4], statements[5]
	for w := range f.changed {
		if err := writeWallet(ctx, w, f.kept, account, line, prediction); err != nil {
			return err
		}
	}
	for _, a := range f.actions {
		if _, err := action.ExecContext(ctx, a.Position, a.At.UnixMicro(), string(a.Type), string(a.Admin), a.Operator, string(a.User), a.Amount, string(a.Role), a.Reason, a.Reference, a.said()); err != nil {
			return err
		}
	}
	for row, amount := range f.days {
		if _, err := day.ExecContext(ctx, row.Date, string(row.Measure), row.Item, amount); err != nil {
			return err
		}
	}
	for name, amount := range f.house {
		if _, err := sum.ExecContext(ctx, string(name), amount); err != nil {
			return err
		}
	}
	return nil
}

func writeWallet(ctx context.Context, w *wallet, kept eventstore.Position, account, line, prediction *sql.Stmt) error {
	u, b := &w.user, &w.user.Balance
	_, err := account.ExecContext(ctx, u.Position, string(u.ID), []byte(u.Email), u.Admin, u.SignedUpAt.UnixMicro(), b.Available, b.Held, b.Given, b.GivenHeld, b.Position)
	if err != nil {
		return err
	}
	for _, t := range w.lines {
		if _, err := line.ExecContext(ctx, u.Position, string(t.Type), t.Position); err != nil {
			return err
		}
	}
	for _, p := range w.predictions {
		if max(p.Position, p.EndPosition, p.RefundPosition, p.ConfirmPosition) <= kept {
			continue
		}
		if _, err := prediction.ExecContext(ctx, p.Position, string(p.ID), u.Position, string(p.State), p.EndPosition, p.RefundPosition, p.ConfirmPosition, string(p.FollowUpOf)); err != nil {
			return err
		}
	}
	return nil
}

// openAtOnce bounds how many entries one query reads.
const openAtOnce = 1000

// read folds what is saved: accounts, sums, and the predictions that are open.
func (s *saved) read(ctx context.Context, tx *sql.Tx, f *folded) error {
	err := rowsOfQuery(ctx, tx, func(row *sql.Rows) error {
		u, err := scanAccount(row)
		f.addWallet(u)
		b := u.Balance
		f.all.add(domain.Wallet{Available: b.Available, Held: b.Held, Given: b.Given, GivenHeld: b.GivenHeld})
		return err
	}, `SELECT `+accountColumns+` FROM `+savedAccounts+` ORDER BY position`)
	if err != nil {
		return err
	}
	clear(f.changed)
	err = rowsOfQuery(ctx, tx, func(row *sql.Rows) error {
		var account string
		var amount domain.Credits
		err := row.Scan(&account, &amount)
		f.house[domain.LedgerAccount(account)] = amount
		return err
	}, `SELECT account, amount FROM `+savedSums)
	if err != nil {
		return err
	}
	var open []eventstore.Position
	err = rowsOfQuery(ctx, tx, func(row *sql.Rows) error {
		var at eventstore.Position
		err := row.Scan(&at)
		open = append(open, at)
		return err
	}, `SELECT position FROM `+savedPredictions+` WHERE state = 'held' ORDER BY position`)
	for len(open) > 0 && err == nil {
		n := min(len(open), openAtOnce)
		err = s.readOpen(ctx, f, open[:n])
		open = open[n:]
	}
	return err
}

// readOpen reads the requests of open predictions.
func (s *saved) readOpen(ctx context.Context, f *folded, at []eventstore.Position) error {
	entries, err := s.log.At(ctx, at)
	if err != nil {
		return err
	}
	for _, position := range at {
		p, ok := RequestedBy(entries[position])
		w := f.wallets[p.User]
		if !ok || w == nil {
			return fmt.Errorf("%w: the saved views have an open prediction at position %d, and the log has not", eventstore.ErrCorrupt, position)
		}
		f.addOpen(w, p)
	}
	return nil
}

const accountColumns = `position, user_id, email, admin, signed_up_at, available, held, given, given_held, moved_at`

func scanAccount(row *sql.Rows) (u User, err error) {
	var admin, signedUp int64
	b := &u.Balance
	err = row.Scan(&u.Position, (*string)(&u.ID), (*[]byte)(&u.Email), &admin, &signedUp, &b.Available, &b.Held, &b.Given, &b.GivenHeld, &b.Position)
	if u.Email == nil { // the driver gives nil for no bytes
		u.Email = domain.Sealed{}
	}
	b.User, u.Admin, u.SignedUpAt = u.ID, admin != 0, time.UnixMicro(signedUp).UTC()
	return u, err
}
