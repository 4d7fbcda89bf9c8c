package audit_test

import (
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
	"kassa/schema"
)

// writeGolden writes the first entries of the golden log to a new file, as the programs
// of their time did.
func writeGolden(t testing.TB, entries int) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "inherited.db")
	db, err := schema.OpenSQLite(t.Context(), file)
	must(t, err)
	defer db.Close()
	conn, err := db.Write.Conn(t.Context())
	must(t, err)
	defer conn.Close()
	var tree eventstore.Tree
	used := map[string]bool{"": true} // commands; the column is only set on the first entry of an append
	for _, entry := range golden(t)[:entries] {
		env, _, err := eventstore.DecodeEntry(entry)
		must(t, err)
		command, _ := env.Cause.Command()
		exec(t, conn, `INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)`, env.Position, string(env.Stream), env.Version,
			sql.NullString{String: command.ID, Valid: !used[command.ID]}, grown(t, &tree, entry), entry)
		used[command.ID] = true
	}
	setHead(t, conn, &tree)
	return file
}

// golden returns the entries of the golden log.
func golden(t testing.TB) (entries [][]byte) {
	t.Helper()
	text, err := os.ReadFile("../eventstore/testdata/golden.txt")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		entry, err := hex.DecodeString(strings.TrimSpace(line))
		must(t, err)
		entries = append(entries, entry)
	}
	return entries
}

// An old program has written a deposit of version 1, and this one writes one of version
// 2 to the same account. Decisions, proofs and views use both.
func TestTwoVersionsOfOneEvent(t *testing.T) {
	store, shut := open(t, writeGolden(t, 4)) // the claim of an e-mail, a sign-up, a bonus, a deposit
	defer shut()
	before, err := store.Refresh(t.Context(), ada)
	must(t, err)
	events, err := before.Account.Deposit(20, "sandbox", "pay_2")
	must(t, err)
	_, err = store.Append(t.Context(), eventstore.Append{Time: time.Now(), Actor: "user:u_ada",
		Cause: eventstore.Command{ID: "deposit", Content: "20"}.Cause(), Writes: []eventstore.Write{
			{Stream: eventstore.PaymentStream("sandbox", "pay_2"), Events: []domain.Event{domain.PaymentClaimed{User: ada}}},
			{Stream: eventstore.AccountStream(ada), Expected: before.Version, Events: events}}})
	must(t, err)

	deposits := map[int]domain.Deposited{}
	views, check := audittest.Replaying()
	report := audittest.CheckLedger(t, store, check, func(rec eventstore.Recorded) error {
		if e, ok := rec.Event.(domain.Deposited); ok {
			deposits[rec.Schema] = e
		}
		return nil
	})
	if one, two := deposits[1], deposits[2]; one.Amount != 40 || !one.Undivided || two.Amount != 20 || two.Undivided {
		t.Fatalf("the log has the deposits %+v by version", deposits)
	}
	after, err := store.Refresh(t.Context(), ada)
	must(t, err)
	if a := after.Account; a.Available != 70 || a.Withdrawable() != 70 || report.Available != 70 || report.Given != 0 {
		t.Errorf("the account folds to %+v, verified are %d (%d given)", a, report.Available, report.Given)
	}
	balance, _, err := views.Balance(t.Context(), ada, 0)
	must(t, err)
	lines, _, err := views.Transactions(t.Context(), ada, projections.TransactionQuery{PageQuery: projections.PageQuery{Limit: 9}, Type: projections.Deposit}, 0)
	must(t, err)
	if balance.Available != 70 || balance.Withdrawable() != 70 ||
		len(lines.Items) != 2 || lines.Items[0].Amount != 20 || lines.Items[0].BalanceAfter != 70 || lines.Items[1].Amount != 40 || lines.Items[1].BalanceAfter != 50 {
		t.Errorf("the views have %+v and the deposits %+v", balance, lines.Items)
	}
}
