package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/internal/bus/bustest"
	"kassa/internal/movein/moveintest"
	"kassa/schema/schematest"
)

func TestMoveInCommand(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { moveInBy(t, nil) })
	t.Run("PostgreSQL", func(t *testing.T) {
		moveInBy(t, []string{"--database-url", schematest.Service(t, schematest.Postgres(t))}, "--amqp-url", bustest.New(t).Address)
	})
}

var hashInPlan = regexp.MustCompile(`Report: ([0-9a-f]{64})`)

// A plan, a signed report, a run, a last run; then people sign in with the passwords that
// they had, see their balances, and ask.
func moveInBy(t *testing.T, database []string, broker ...string) {
	data, old := withSecret(t, t.TempDir()), moveintest.Disordered(t)
	old.Exec(`UPDATE "user" SET password_hash = $1 WHERE id = 2`, moveintest.Hash(t, password))
	report := filepath.Join(t.TempDir(), "report.csv")
	move := func(want int, says string, flags ...string) string {
		t.Helper()
		args := append([]string{"move-in", "--data", data, "--from", old.Address, "--report", report}, append(flags, database...)...)
		code, out, complaints := kassa(t, args...)
		if code != want || !strings.Contains(out+complaints, says) {
			t.Fatalf("move-in %v: exit code %d, want %d and %q:\n%s%s", flags, code, want, says, out, complaints)
		}
		return out
	}
	plan := move(0, "Nothing was moved")
	if !strings.Contains(plan, "1335.75") || !strings.Contains(plan, "1046 bought, 80 given") || !strings.Contains(plan, "email_twice") {
		t.Errorf("the plan is\n%s", plan)
	}
	hash := hashInPlan.FindStringSubmatch(plan)[1]
	if signed, err := os.ReadFile(report); err != nil || strings.Count(string(signed), "\n") != 15 {
		t.Errorf("the report is %q, %v", signed, err)
	}
	move(exitFailed, "nothing was moved", "--accept", strings.Repeat("0", 64))
	if v := mustVerify(t, data, database...); v.Accounts != 0 {
		t.Errorf("after plans there are %d accounts", v.Accounts)
	}
	move(0, "Accepted at position 1", "--accept", hash, "--as", "olga")
	old.Move(2, "DEPOSIT", 7)
	var done struct {
		Trial struct{ Changing int }
		Done  struct{ People, Position int }
	}
	must(t, json.Unmarshal([]byte(move(0, `"booked"`, "--accept", hash, "--final", "--json")), &done))
	if done.Trial.Changing != 1 || done.Done.People != 7 {
		t.Errorf("the last run says %+v", done)
	}
	move(exitFailed, "the move is over", "--accept", hash)
	v := mustVerify(t, data, database...)
	if v.House[domain.HouseMovedIn] != -1053 || v.House[domain.HouseGivenMovedIn] != -80 || v.Accounts != 7 {
		t.Errorf("the ledger has %+v", v)
	}
	for args, says := range map[string]string{"events": "MoveInAccepted", "audit export --format csv": "house:moved_in", "audit export --format hledger": "moved_in"} {
		if code, out, complaints := kassa(t, append(append(strings.Fields(args), "--data", data), database...)...); code != 0 || !strings.Contains(out, says) {
			t.Errorf("%s: exit code %d, %s%s", args, code, out, complaints)
		}
	}
	s := serve(t, data, append(append([]string{"--price", "5"}, database...), broker...)...)
	movedPeople(t, s)
	s.interrupt(t)
	mustVerify(t, data, database...)
}

// movedPeople are served like all others, by API and by page.
func movedPeople(t *testing.T, s *server) {
	pavel := client{url: s.url, email: "Pavel@example.org", http: newHTTP()}
	if a := pavel.do(t.Context(), "GET", "/api/users/balance", "", nil); a.number("balance") != 1027 || a.number("withdrawable") != 1007 {
		t.Errorf("the balance is %d %v", a.status, a.body)
	}
	if a := pavel.do(t.Context(), "GET", "/api/users/transaction/history?type=moved_in", "", nil); a.status != http.StatusOK || len(a.body["items"].([]any)) != 2 {
		t.Errorf("the history is %d %v", a.status, a.body)
	}
	if a := pavel.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "учёный ищет последнюю выхухоль", wait: 60}); a.text("status") != "completed" || !strings.Contains(flat(a.body), "Выхухоль") {
		t.Errorf("the answer is %d %v", a.status, a.body)
	}
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar}
	page, err := browser.PostForm(s.url+"/web/signin", url.Values{"email": {"rita@example.org"}, "password": {moveintest.Password}})
	must(t, err)
	page.Body.Close()
	page, err = browser.Get(s.url + "/web/transaction-history")
	must(t, err)
	defer page.Body.Close()
	text, err := io.ReadAll(page.Body)
	must(t, err)
	if page.StatusCode != http.StatusOK || !strings.Contains(string(text), "Moved from the former service") {
		t.Errorf("the page of the history is %d: %s", page.StatusCode, text)
	}
}

// flat is a body as text.
func flat(body map[string]any) string {
	text, _ := json.Marshal(body)
	return string(text)
}

// The old database is only read, and what is not one is refused.
func TestMoveInRefuses(t *testing.T) {
	data, old := t.TempDir(), moveintest.New(t)
	address := filepath.Join(t.TempDir(), "address")
	must(t, os.WriteFile(address, []byte(old.Address), 0o600))
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitUsage, "--from is missing"},
		{[]string{"--from", "mysql://x"}, exitUsage, "--from"},
		{[]string{"--from", old.Address, "--from-file", address}, exitUsage, ""},
		{[]string{"--from", old.Address, "--final"}, exitUsage, "--final needs --accept"},
		{[]string{"--from", "postgres://ada:s3cret@127.0.0.1:1/old"}, exitFailed, "connect to the old database"},
		{[]string{"--from", schematest.Postgres(t)}, exitFailed, "not a database of the replaced system"},
		{[]string{"--from-file", address}, 0, "Nothing was moved"},
	} {
		code, out, complaints := kassa(t, append([]string{"move-in", "--data", data}, tt.args...)...)
		if code != tt.code || !strings.Contains(out+complaints, tt.says) || strings.Contains(complaints, "s3cret") {
			t.Errorf("%v: exit code %d, %s%s", tt.args, code, out, complaints)
		}
	}
}
