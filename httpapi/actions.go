package httpapi

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/download"
	"kassa/httpapi/overview"
	"kassa/httpapi/problem"
	"kassa/projections"
)

type actionJSON struct {
	Position  eventstore.Position `json:"position"`
	CreatedAt time.Time           `json:"created_at"`
	Type      domain.EventType    `json:"type"`
	Admin     domain.UserID       `json:"admin_id,omitempty"` // "": the operator
	Operator  string              `json:"operator,omitempty"` // the name, where it is in the log
	User      domain.UserID       `json:"user_id,omitempty"`  // "": the house
	Amount    domain.Credits      `json:"amount,omitempty"`
	Role      domain.Role         `json:"role,omitempty"`
	Reason    string              `json:"reason,omitempty"`
	Reference string              `json:"reference,omitempty"`
}

// actions lists what admins and the operator did.
func (s *Server) actions(w http.ResponseWriter, r *http.Request) error {
	q, err := actionsOf(r.URL.Query())
	if err != nil {
		return err
	}
	if q.PageQuery, err = pageQuery(r); err != nil {
		return err
	}
	found, at, err := s.Views.Actions(r.Context(), q, minPosition(r))
	if err != nil {
		return refused(err, "", "")
	}
	return writePage(w, r, found, at, func(a projections.Action) (actionJSON, error) {
		return actionJSON{a.Position, a.At.UTC(), a.Type, a.Admin, a.Operator, a.User, a.Amount, a.Role, a.Reason, a.Reference}, nil
	})
}

// actionTable sends the same as a file.
func (s *Server) actionTable(w http.ResponseWriter, r *http.Request) error {
	q, err := actionsOf(r.URL.Query())
	if err != nil {
		return err
	}
	return download.Send(r.Context(), w, r, s.Problems, download.File{Name: "kassa-actions.csv", Media: "text/csv; charset=utf-8",
		Write: func(out io.Writer) error { return overview.WriteActions(r.Context(), s.Views, q, out) }})
}

// actionsOf reads which actions are asked for. A form of the pages sends its empty fields too; a
// client leaves out what it does not ask for.
func actionsOf(values url.Values) (projections.ActionQuery, error) {
	for _, name := range []string{"type", "user_id", "from", "to"} {
		if values.Has(name) && values.Get(name) == "" {
			return projections.ActionQuery{}, domain.Reject(problem.InvalidFilter, "%s is empty: leave it out", name)
		}
	}
	return overview.ActionsOf(values)
}
