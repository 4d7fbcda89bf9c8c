package projections

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// trial is one row for each account of the house, and one for each sum over all
// persons.
type trial struct{}

const trialTable = "trial_v2"

func (trial) Table() string { return trialTable }

// The rows that are no account of the ledger's: sums over all persons, and their
// number.
const (
	allAvailable domain.LedgerAccount = "users:available"
	allHeld      domain.LedgerAccount = "users:held"
	allGiven     domain.LedgerAccount = "users:given"
	allGivenHeld domain.LedgerAccount = "users:given_held"
	allUsers     domain.LedgerAccount = "users"
)

const addToTrial = `INSERT INTO ` + trialTable + ` AS t (account, amount) SELECT * FROM unnest($1::text[], $2::bigint[])
	ON CONFLICT (account) DO UPDATE SET amount = t.amount + excluded.amount`

func (trial) Write(batch *pgx.Batch, entries []eventstore.Recorded) error {
	sums := sumTrial(entries)
	accounts := slices.Sorted(maps.Keys(sums))
	queue(batch, addToTrial, len(accounts),
		column(accounts, func(a *domain.LedgerAccount) string { return string(*a) }),
		column(accounts, func(a *domain.LedgerAccount) int64 { return int64(sums[*a]) }))
	return nil
}

// Trial gives the sums of the whole ledger.
func (v *Postgres) Trial(ctx context.Context, least eventstore.Position) (t Trial, err error) {
	at, err := v.reading(ctx, least, func() (eventstore.Position, error) {
		read := Trial{Accounts: map[domain.LedgerAccount]domain.Credits{}} // by another goroutine, which ctx does not end
		shown, err := v.snapshot(ctx, []string{trialTable}, func(batch *pgx.Batch) {
			batch.Queue(`SELECT account, amount FROM ` + served + trialTable).Query(read.scan)
		})
		if err != nil {
			return 0, err
		}
		t = read
		return shown.upTo(trialTable)
	})
	t.Position = at
	return t, failed(err, "read the trial balance")
}

// scan sorts the rows.
func (t *Trial) scan(rows pgx.Rows) error {
	var account domain.LedgerAccount
	var amount domain.Credits
	_, err := pgx.ForEachRow(rows, []any{&account, &amount}, func() error {
		switch account {
		case allAvailable:
			t.Available = amount
		case allHeld:
			t.Held = amount
		case allGiven:
			t.Given = amount
		case allGivenHeld:
			t.GivenHeld = amount
		case allUsers:
			t.Users = int(amount)
		default:
			t.Accounts[account] = amount
		}
		return nil
	})
	return err
}
