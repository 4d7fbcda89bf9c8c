package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/audit/audittest"
	"kassa/audit/reconcile"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// books is a ledger with one person's payments, and a provider's statement beside it.
type books struct{ *audittest.Books }

const ada = domain.UserID("u_ada")

var evening = time.Date(2026, 10, 31, 22, 30, 0, 0, time.UTC) // the 1st of November in Moscow

func newBooks(t testing.TB) books {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	must(t, err)
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	t.Cleanup(func() {
		audittest.CheckLedger(t, store)
		store.Close()
		must(t, db.Close())
	})
	b := books{audittest.NewBooks(t, store, evening)}
	b.SignUp(ada, 10)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b books) deposit(amount domain.Credits, provider, payment string) {
	b.T.Helper()
	b.Deposit(ada, amount, provider, payment)
}

func (b books) price(set domain.PriceSet) {
	b.T.Helper()
	b.House(eventstore.PricesStream, set)
}

// compare runs with this statement, and gives each line in short.
func (b books) compare(statement string, change func(*reconcile.Reconciliation)) (lines []string, report reconcile.Report, err error) {
	head, headErr := b.Store.Head(context.Background())
	must(b.T, headErr)
	r := reconcile.Reconciliation{Log: audit.FullLog{Store: b.Store}, Provider: "bank", UpTo: head.Size, Statement: strings.NewReader(statement), Comma: ',',
		Columns: reconcile.Columns{Payment: "id", Amount: "sum", Day: "day"}, Zone: time.UTC}
	if change != nil {
		change(&r)
	}
	report, err = r.Run(context.Background(), func(l reconcile.Line) error {
		lines = append(lines, fmt.Sprintf("%s %s %d %d", l.Result, l.Payment, l.Here, l.There))
		return nil
	})
	return lines, report, err
}

// A quotation mark that is not closed does not bring the rest of the file into memory, and
// nothing is reported as missing for it.
func TestReconcileBoundsRows(t *testing.T) {
	b := newBooks(t)
	b.deposit(40, "bank", "a1")
	lines, _, err := b.compare("id,sum,day\n\"a1,40,2026-11-01\n"+strings.Repeat("a2,7,2026-11-01\n", 1<<18), nil)
	if err == nil || !strings.Contains(err.Error(), "quotation mark") || len(lines) > 0 {
		t.Errorf("%v, %q", err, lines)
	}
}

func TestReconcile(t *testing.T) {
	b := newBooks(t)
	b.deposit(40, "bank", "a1")
	b.deposit(7, "bank", "a2")
	b.deposit(5, "bank", "a3")
	b.deposit(9, "other", "a1") // another provider's, of the same name
	b.Withdraw(ada, 12, "bank", "a1")
	b.deposit(3, "bank", "a4")
	_, _, err := b.compare("nothing,of,it\n", nil)
	if !errors.Is(err, reconcile.ErrColumns) {
		t.Errorf("a statement without the columns gave %v", err)
	}
	if _, _, err := b.compare("", nil); !errors.Is(err, reconcile.ErrColumns) {
		t.Errorf("an empty statement gave %v", err)
	}
	whole := "\ufeffid,text,sum,day\na1,\"x,\ny\",40,2026-10-31\na3,,5,2026-10-31\na2,,7,31.10.2026\na1,,-12,2026-10-31T23:30:00+01:00\na4,,3,2026-10-31 12:00:00\n"
	lines, report, err := b.compare(whole, nil)
	if err != nil || !report.Clean() || report.Results[reconcile.Matched] != 5 || len(lines) != 5 {
		t.Fatalf("the same payments give %q, %+v, %v", lines, report, err)
	}

	// Each kind of difference; a payment that comes twice there is missing here once.
	lines, report, err = b.compare("id,sum,day\na9,1,2026-10-31\na1,41,2026-10-31\na2,7,2026-11-01\na3,5,2026-10-31\na3,5,2026-10-31\na1,-12,2026-10-31\n", nil)
	want := []string{"missing_here a9 0 1", "missing_here a3 0 5", "differs a1 40 41", "differs a2 7 7", "matched a3 5 5", "matched a1 -12 -12", "missing_there a4 3 0"}
	if err != nil || report.Clean() || !slices.Equal(lines, want) {
		t.Errorf("it gives\n%q, %v, want\n%q", lines, err, want)
	}

	// Lines that cannot be read are named, and the others are compared.
	lines, report, err = b.compare("id,sum,day\n,1,2026-10-31\na1,4O,2026-10-31\na1,40\na1,40,yesterday\na1,0,2026-10-31\n\na1,40,2026-10-31\na2,1.5,2026-10-31\na2,\"7\"x,2026-10-31\na2,7,2026-10-31\n", nil)
	var bad []int
	for _, m := range report.Malformed {
		bad = append(bad, m.Line)
	}
	if err != nil || !slices.Equal(bad, []int{2, 3, 4, 5, 6, 9, 10}) || report.MalformedLines != 7 || report.Results[reconcile.Matched] != 2 {
		t.Errorf("the lines %v cannot be read: %q, %+v, %v", bad, lines, report, err)
	}

	// A day is that of a zone; without a column no day is compared; a column says the direction.
	moscow, err := time.LoadLocation("Europe/Moscow")
	must(t, err)
	lines, report, err = b.compare("id;sum;day;way\na1;40;01.11.2026;in\na1;12;01.11.2026;out\na2;7;2026-10-31T22:00:00Z;in\na3;5;2026-11-01;in\na4;3;2026-11-01;in\n", func(r *reconcile.Reconciliation) {
		r.Zone, r.Comma, r.Columns.Direction, r.Columns.Out = moscow, ';', "way", "out"
	})
	if err != nil || !report.Clean() || report.Results[reconcile.Matched] != 5 {
		t.Errorf("in Moscow %q, %+v, %v", lines, report, err)
	}
	if lines, report, err = b.compare("id,sum\na4,3\n", func(r *reconcile.Reconciliation) { r.Columns.Day = ""; r.From = r.UpTo - 2 }); err != nil || !report.Clean() {
		t.Errorf("the last payment alone: %q, %+v, %v", lines, report, err)
	}
}

// Amounts in money are compared with what the credits cost when they were paid.
func TestReconcileInMoney(t *testing.T) {
	b := newBooks(t)
	b.deposit(4, "bank", "a0")
	b.price(domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150})
	b.deposit(40, "bank", "a1")
	b.price(domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 200})
	b.deposit(40, "bank", "a2")
	b.price(domain.PriceSet{Price: 5, Currency: "EUR", CreditPrice: 2})
	b.deposit(40, "bank", "a3")
	rubles := func(r *reconcile.Reconciliation) { r.Currency = "RUB" }
	lines, _, err := b.compare("id,sum,day\na0,6.00,2026-10-31\na1,60,2026-10-31\na2,80.00,2026-10-31\na3,0.80,2026-10-31\n", rubles)
	if want := []string{"differs a0 0 600", "matched a1 6000 6000", "matched a2 8000 8000", "differs a3 0 80"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("it gives %q, %v, want %q", lines, err, want)
	}
}

// What fn returns ends the comparison, and the temporary file is gone.
func TestReconcileEndsWithItsReader(t *testing.T) {
	b := newBooks(t)
	b.deposit(4, "bank", "a0")
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	stop := errors.New("the pipe is closed")
	r := reconcile.Reconciliation{Log: audit.FullLog{Store: b.Store}, Provider: "bank", UpTo: 6, Statement: strings.NewReader("id,sum\n"), Comma: ',',
		Columns: reconcile.Columns{Payment: "id", Amount: "sum"}, Zone: time.UTC}
	if _, err := r.Run(t.Context(), func(reconcile.Line) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("it ended with %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
