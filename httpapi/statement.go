package httpapi

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/httpapi/statement"
)

type holdingsJSON struct {
	Bought domain.Credits `json:"bought"`
	Given  domain.Credits `json:"given"`
	Held   domain.Credits `json:"held"` // of both
	Total  domain.Credits `json:"total"`
}

func holdingsOf(h audit.Holdings) holdingsJSON {
	return holdingsJSON{h.Bought, h.Given, h.Held, h.Total()}
}

type statementJSON struct {
	Number  string              `json:"number"`
	Issuer  string              `json:"issuer"`
	User    domain.UserID       `json:"user_id"`
	From    string              `json:"from"` // the first day
	To      string              `json:"to"`   // the last day
	Zone    string              `json:"zone"`
	Opening holdingsJSON        `json:"opening"`
	Totals  totalsJSON          `json:"totals"`
	Closing holdingsJSON        `json:"closing"`
	Lines   []statementLineJSON `json:"lines"`
}

// totalsJSON is above zero where credits came to the person.
type totalsJSON struct {
	In        domain.Credits `json:"in"`
	Spent     domain.Credits `json:"spent"`
	GivenBack domain.Credits `json:"given_back"`
	Withdrawn domain.Credits `json:"withdrawn"`
	Adjusted  domain.Credits `json:"adjusted"`
}

type statementLineJSON struct {
	Position  eventstore.Position `json:"position"`
	CreatedAt time.Time           `json:"created_at"`
	Type      string              `json:"type"`
	Bought    domain.Credits      `json:"bought"`
	Given     domain.Credits      `json:"given"`
	Amount    domain.Credits      `json:"amount"`
	Total     domain.Credits      `json:"total_after"` // held credits among them
	Reason    string              `json:"reason,omitempty"`
}

// statementPeriod reads a month, or the first and the last day.
func (s *Server) statementPeriod(r *http.Request) (statement.Period, error) {
	q := r.URL.Query()
	switch {
	case q.Has("month") && (q.Has("from") || q.Has("to")):
		return statement.Period{}, domain.Reject(problem.InvalidPeriod, "either month, or from and to")
	case q.Has("month"):
		return s.Statements.Month(q.Get("month"))
	}
	return s.Statements.Days(q.Get("from"), q.Get("to"))
}

// statementOf is the statement that a request asks for.
func (s *Server) statementOf(r *http.Request) (statement.Statement, error) {
	period, err := s.statementPeriod(r)
	if err != nil {
		return statement.Statement{}, err
	}
	who, _ := identity.From(r.Context())
	return s.Statements.Of(r.Context(), who.User, period)
}

func (s *Server) statement(w http.ResponseWriter, r *http.Request) error {
	made, err := s.statementOf(r)
	if err != nil {
		return err
	}
	answer := statementJSON{Number: made.Number, Issuer: cmp.Or(s.Statements.Issuer, r.Host), User: made.User, From: made.First, To: made.Last, Zone: s.Statements.Zone.String(),
		Opening: holdingsOf(made.Opening), Closing: holdingsOf(made.Closing), Lines: make([]statementLineJSON, len(made.Lines)),
		Totals: totalsJSON{made.Totals.In, made.Totals.Spent, made.Totals.GivenBack, made.Totals.Withdrawn, made.Totals.Adjusted}}
	for i, l := range made.Lines {
		answer.Lines[i] = statementLineJSON{l.Position, l.At.UTC(), statement.Kind(l.Type), l.Bought, l.Given, l.Amount(), l.After.Total(), l.Reason}
	}
	return writeJSON(w, http.StatusOK, answer)
}

// statementTable answers with the statement as CSV.
func (s *Server) statementTable(w http.ResponseWriter, r *http.Request) error {
	made, err := s.statementOf(r)
	if err != nil {
		return err
	}
	var table bytes.Buffer
	if err := made.WriteCSV(&table, s.Statements.Zone); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", made.FileName("csv")))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(table.Bytes()) // a failed write means that the client has left
	return nil
}
