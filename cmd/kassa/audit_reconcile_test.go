package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
)

var update = flag.Bool("update", false, "write the examples of docs/audit.md")

// bookkept is a data folder with what fn writes.
func bookkept(t *testing.T, at time.Time, fn func(*audittest.Books)) (data string) {
	t.Helper()
	data = t.TempDir()
	l, err := app.Storage{Folder: data}.Open(t.Context())
	must(t, err)
	fn(audittest.NewBooks(t, l.Store, at))
	audittest.CheckLedger(t, l.Store)
	must(t, l.Close())
	return data
}

const auditPage = "../../docs/audit.md"

// block is the text between two others in the page for auditors.
func block(t *testing.T, begin, end string) string {
	t.Helper()
	text, err := os.ReadFile(auditPage)
	must(t, err)
	_, rest, ok := strings.Cut(string(text), begin)
	found, _, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no %q", auditPage, begin)
	}
	return found
}

// made compares a block of the page with what a test has printed; -update writes it.
func made(t *testing.T, by, printed string) {
	t.Helper()
	begin, end := "<!-- made by "+by+" -->\n", "<!-- end -->"
	have, want := block(t, begin, end), "```\n"+printed+"```\n"
	if have == want {
		return
	}
	if !*update {
		t.Fatalf("the example of %s is another: go test ./cmd/kassa -run %s -update\n%s", auditPage, by, want)
	}
	text, err := os.ReadFile(auditPage)
	must(t, err)
	must(t, os.WriteFile(auditPage, []byte(strings.Replace(string(text), begin+have+end, begin+want+end, 1)), 0o644))
}

// The example of the page for auditors is run as it is printed there.
func TestReconcileOfTheDocument(t *testing.T) {
	data := bookkept(t, time.Date(2026, 10, 31, 22, 30, 0, 0, time.UTC), func(b *audittest.Books) {
		b.House(eventstore.PricesStream, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150})
		b.SignUp("u_ada", 10)
		b.Deposit("u_ada", 40, "sandbox", "pay_1")
		b.Deposit("u_ada", 12, "sandbox", "pay_2")
		b.At = b.At.Add(24 * time.Hour)
		b.Withdraw("u_ada", 5, "sandbox", "pay_2")
		b.Deposit("u_ada", 7, "sandbox", "pay_3")
	})
	command := strings.ReplaceAll(strings.TrimSpace("statement.csv "+block(t, "kassa audit reconcile statement.csv", "\n")), "'", "")
	file := filepath.Join(t.TempDir(), "statement.csv")
	must(t, os.WriteFile(file, []byte("reference;booked;sum\n"+block(t, "reference;booked;sum\n", "```")), 0o600))
	args := append([]string{"audit", "reconcile", "--data", data, file}, strings.Fields(command)[1:]...)
	code, out, complaints := kassa(t, args...)
	if code != exitFailed || !strings.Contains(complaints, "do not match") {
		t.Fatalf("exit code %d\n%s%s", code, out, complaints)
	}
	made(t, "TestReconcileOfTheDocument", out)

	csv := func(want string) {
		t.Helper()
		if code, out, complaints := kassa(t, append(args, "--csv")...); code != exitFailed || !strings.Contains(out, want) || strings.Contains(out, "cannot be read") || !strings.Contains(complaints, "cannot be read: 1.") {
			t.Errorf("as CSV: exit code %d\n%s%s", code, out, complaints)
		}
	}
	csv("matched,pay_1,")
	if code, out, _ := kassa(t, append(args, "--json")...); code != exitFailed || !strings.Contains(out, `"result":"missing_there","payment":"pay_3"`) || !strings.Contains(out, `"malformed_lines":1`) {
		t.Errorf("as JSON: exit code %d\n%s", code, out)
	}
	must(t, os.WriteFile(file, []byte("reference;booked;sum\npay_1;01.11.2026;60\npay_2;01.11.2026;18\npay_2;02.11.2026;-7.5\npay_3;02.11.2026;10.50\n"), 0o600))
	if code, out, complaints := kassa(t, args...); code != 0 || !strings.Contains(out, "4 matched, 0 missing here") {
		t.Errorf("of the right statement: exit code %d\n%s%s", code, out, complaints)
	}
	for _, wrong := range [][]string{{"--payment", "none"}, {"--delimiter", ";;"}, {"--currency", "rubles"}, {"--zone", "Moscow"}, {"--out", "x"}, {"--csv", "--json"}} {
		if code, _, complaints := kassa(t, append(args, wrong...)...); code != exitUsage {
			t.Errorf("%q: exit code %d, %s", wrong, code, complaints)
		}
	}
}
