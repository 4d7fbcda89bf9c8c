package httpapi

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
)

// A statement by the API has the movements of its days, in both forms, and what it begins and ends
// with adds up.
func TestStatement(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	u := w.addUser("ada") // on the first of March, with 10
	w.addUser("bob")
	w.setAdmin("bob", true)
	move := func(c func() (commands.Result, error)) {
		t.Helper()
		done, err := c()
		if err != nil {
			t.Fatal(err)
		}
		w.env.WaitFor(done.Position)
	}
	w.clock.advance(24 * time.Hour)
	move(func() (commands.Result, error) {
		return w.server.Commands.Deposit(t.Context(), commands.Move{User: u, Amount: 50})
	})
	w.clock.advance(31 * 24 * time.Hour) // the second of April
	move(func() (commands.Result, error) {
		return w.server.Commands.Withdraw(t.Context(), commands.Move{User: u, Amount: 20})
	})
	move(func() (commands.Result, error) {
		return w.server.Commands.Adjust(t.Context(), commands.Adjust{Admin: w.env.User(email("bob")), User: u, Correction: domain.Correction{Amount: 3, Kind: domain.BoughtCredits, Reason: "=paid"}})
	})
	get := func(query string) (*httptest.ResponseRecorder, statementJSON) {
		t.Helper()
		r := basic(httptest.NewRequestWithContext(t.Context(), http.MethodGet, query, nil), "ada")
		answer := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(answer, r)
		theContract(t).check(t, r, nil, answer)
		var s statementJSON
		if answer.Code == http.StatusOK && strings.HasPrefix(answer.Header().Get("Content-Type"), "application/json") {
			if err := json.Unmarshal(answer.Body.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
		}
		return answer, s
	}
	for _, tt := range []struct {
		query            string
		opening, closing domain.Credits
		totals           totalsJSON
		lines            int
	}{
		{"month=2026-03", 0, 60, totalsJSON{In: 60}, 2},
		{"month=2026-04", 60, 43, totalsJSON{Withdrawn: -20, Adjusted: 3}, 2},
		{"month=2026-05", 43, 43, totalsJSON{}, 0},
		{"from=2026-03-02&to=2026-03-02", 10, 60, totalsJSON{In: 50}, 1},
		{"from=2026-02-01&to=2026-12-31", 0, 43, totalsJSON{In: 60, Withdrawn: -20, Adjusted: 3}, 4},
	} {
		answer, s := get("/api/users/statement?" + tt.query)
		if answer.Code != http.StatusOK || s.Opening.Total != tt.opening || s.Closing.Total != tt.closing || s.Totals != tt.totals || len(s.Lines) != tt.lines {
			t.Errorf("%s is answered %d with %+v", tt.query, answer.Code, s)
		}
		if s.User != u || s.Issuer != "Kassa Ltd\n1 Main Street" || s.Zone != "UTC" || !strings.HasSuffix(s.Number, strings.ToUpper(string(u[len(u)-8:]))) {
			t.Errorf("%s is headed %+v", tt.query, s)
		}
	}
	table, _ := get("/api/users/statement.csv?month=2026-04")
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(table.Body.Bytes(), []byte("\ufeff")))).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("the table is %s, %v", table.Body, err)
	}
	if got := fmt.Sprint(rows[1][0], rows[1][6], rows[2][2], rows[2][5], rows[3][7], rows[4][6]); got != fmt.Sprint("2026-04-01", "60", "withdrawal", "-20", "'=paid", "43") {
		t.Errorf("the table is %v", rows)
	}
	var page struct {
		Items []transactionJSON `json:"items"`
		Next  string            `json:"next_cursor"`
		Prev  string            `json:"previous_cursor"`
	}
	history := func(query string) {
		t.Helper()
		answer, _ := get("/api/users/transaction/history?" + query)
		page.Prev = ""
		if answer.Code != http.StatusOK || json.Unmarshal(answer.Body.Bytes(), &page) != nil {
			t.Fatalf("%s is answered %d: %s", query, answer.Code, answer.Body)
		}
	}
	for query, want := range map[string]int{"from=2026-03-01&to=2026-03-01": 1, "from=2026-03-01&to=2026-04-01": 2, "from=2026-04-02&to=2026-04-30": 2, "from=2026-02-01&to=2026-02-02": 0, "from=2026-04-02&to=2026-04-02&type=withdrawal": 1} {
		if history(query); len(page.Items) != want {
			t.Errorf("%s finds %d lines, want %d", query, len(page.Items), want)
		}
	}
	history("limit=1")
	newest := page.Items[0].ID
	if history("limit=1&cursor=" + page.Next); page.Prev == "" || page.Items[0].ID == newest {
		t.Fatalf("the second page is %+v", page)
	}
	if history("limit=1&cursor=" + page.Prev); page.Prev != "" || page.Items[0].ID != newest {
		t.Errorf("back from the second page is %+v", page)
	}
	for _, query := range []string{"from=2026-03-01", "to=2026-03-01", "from=&to=", "from=2026-03-02&to=2026-03-01"} {
		if answer, _ := get("/api/users/transaction/history?" + query); answer.Code != http.StatusUnprocessableEntity || codeIn(t, answer.Body.Bytes()) != string(problem.InvalidPeriod) {
			t.Errorf("%s is answered %d: %s", query, answer.Code, answer.Body)
		}
	}
	for query, code := range map[string]domain.Code{
		"": problem.InvalidPeriod, "month=2026-13": problem.InvalidPeriod, "month=": problem.InvalidPeriod, "month=2026-03&from=2026-03-01": problem.InvalidPeriod, "from=2026-03-01": problem.InvalidPeriod,
		"from=2026-03-02&to=2026-03-01": problem.InvalidPeriod, "from=2026-02-30&to=2026-03-01": problem.InvalidPeriod, "from=2025-01-01&to=2026-01-02": problem.InvalidPeriod,
		"from=1999-01-01&to=1999-01-02": problem.InvalidPeriod, "month=2026-03&zone=UTC": problem.UnknownParameter,
	} {
		for _, path := range []string{"/api/users/statement?", "/api/users/statement.csv?"} {
			if answer, _ := get(path + query); answer.Code != http.StatusUnprocessableEntity || codeIn(t, answer.Body.Bytes()) != string(code) {
				t.Errorf("%s%s is answered %d: %s", path, query, answer.Code, answer.Body)
			}
		}
	}
	for most, status := range map[int64]int{3: http.StatusUnprocessableEntity, 1000: http.StatusOK} { // of the entries that are read, also where they are no lines
		w.server.Statements.MaxEntries = most
		if answer, _ := get("/api/users/statement?from=2026-03-01&to=2026-04-30"); answer.Code != status {
			t.Errorf("with at most %d entries it is answered %d: %s", most, answer.Code, answer.Body)
		}
	}
}
