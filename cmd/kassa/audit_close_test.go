package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
)

// digest is another one whenever the form of an event changes.
var digest = regexp.MustCompile(`[0-9a-f]{64}`)

// The example of the page for auditors is a month that was closed by the command: of a data
// folder, and with the same result of an export of it.
func TestCloseOfTheDocument(t *testing.T) {
	moscow, err := time.LoadLocation("Europe/Moscow")
	must(t, err)
	data := bookkept(t, time.Date(2026, 9, 30, 12, 0, 0, 0, moscow), func(b *audittest.Books) {
		b.House(eventstore.PricesStream, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150})
		b.SignUp("u_root", 0)
		b.Admin("u_root")
		b.SignUp("u_ada", 10)
		b.Deposit("u_ada", 40, "sandbox", "pay_1")
		b.At = time.Date(2026, 10, 1, 0, 0, 0, 0, moscow)
		b.SignUp("u_bob", 10)
		b.Deposit("u_bob", 100, "sandbox", "pay_2")
		for _, id := range []domain.PredictionID{"p_1", "p_2", "p_3"} {
			b.Ask("u_bob", id, 5)
			b.Answer("u_bob", id)
		}
		b.Withdraw("u_ada", 12, "sandbox", "pay_1")
		b.Adjust("u_root", "u_ada", domain.Correction{Amount: 3, Kind: domain.GivenCredits, Reason: "a slow answer"})
		b.At = time.Date(2026, 11, 1, 0, 0, 0, 0, moscow)
		b.Deposit("u_ada", 1, "sandbox", "pay_3")
	})
	first, second := filepath.Join(t.TempDir(), "october"), filepath.Join(t.TempDir(), "october")
	args := strings.Fields(block(t, "kassa audit close 2026-10 ", "\n"))
	args[len(args)-1] = first // the folder
	args = append([]string{"audit", "close", "2026-10", "--data", data}, args...)
	code, out, complaints := kassa(t, args...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, complaints)
	}
	made(t, "TestCloseOfTheDocument", digest.ReplaceAllString(out, "…"))
	if code, _, complaints := kassa(t, args...); code != exitFailed || !strings.Contains(complaints, "is not empty") {
		t.Errorf("into the same folder: exit code %d, %s", code, complaints)
	}

	file := filepath.Join(t.TempDir(), "log.jsonl")
	_, export, _ := kassa(t, "audit", "export", "--data", data)
	must(t, os.WriteFile(file, []byte(export), 0o600))
	code, again, complaints := kassa(t, "audit", "close", "2026-10", "--zone", "Europe/Moscow", "--export-file", file, "--language", "ru", "--out", second)
	if code != 0 || again != out {
		t.Errorf("of an export: exit code %d\n%s%s", code, again, complaints)
	}
	if page, err := os.ReadFile(filepath.Join(second, "statements", "u_ada.html")); err != nil || !strings.Contains(string(page), "Корректировка: a slow answer") {
		t.Errorf("the statement is %s, %v", page, err)
	}
	for _, wrong := range [][]string{{"2026-13", "--zone", "UTC"}, {"2026-10", "--zone", "Moscow"}, {"2026-10", "--zone", "Local"}, {"2026-10"}, {"9000-01", "--zone", "UTC"}, {"2026-10", "--zone", "UTC", "--language", "de"}} {
		if code, _, complaints := kassa(t, append([]string{"audit", "close", "--data", data, "--out", filepath.Join(t.TempDir(), "x")}, wrong...)...); code != exitUsage {
			t.Errorf("%q: exit code %d, %s", wrong, code, complaints)
		}
	}
}

// A month is sealed once, by an admin; sealing it again says so, with other books it fails, and an
// entry that is dated into it is found.
func TestSealedMonth(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data)
	root := s.signUp(t, newHTTP(), "root@example.com")
	s.signUp(t, newHTTP(), "ada@example.com")
	root.deposit(t, 7)
	s.interrupt(t)
	n := 0
	seal := func(want int, says, month string, flags ...string) {
		t.Helper()
		n++
		args := append([]string{"audit", "close", month, "--zone", "UTC", "--data", data, "--out", filepath.Join(t.TempDir(), fmt.Sprint(n))}, flags...)
		if code, out, complaints := kassa(t, args...); code != want || !strings.Contains(out+complaints, says) {
			t.Fatalf("kassa %v: exit code %d, want %d and %q\n%s%s", args, code, want, says, out, complaints)
		}
	}
	by := []string{"--seal", "--by", "root@example.com"}
	now := time.Now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	this, last := now.Format("2006-01"), first.AddDate(0, -2, 0).Format("2006-01") // two months ago: the last one may be over for some minutes only
	seal(exitFailed, "admin", last, by...)
	if code, _, complaints := kassa(t, "admin", "grant", "root@example.com", "--data", data); code != 0 {
		t.Fatal(complaints)
	}
	seal(exitFailed, "is sealed from", this, by...)
	seal(exitFailed, "there is no such account", last, "--seal", "--by", "nobody@example.com")
	seal(exitUsage, "given together", last, "--seal")
	seal(0, "Sealed at position", last, by...)
	seal(0, "with the same books", last, by...)
	seal(exitFailed, "begins before the end of the last closed one", "2021-01", by...)
	mustVerify(t, data)
}
