package httpapi

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/gorilla/mux"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/auditing"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/vault"
)

// auditRoutes read the log itself, as kassa audit does, and nothing from the views.
func (s *Server) auditRoutes() []route {
	return []route{
		{"GET", "/api/audit/log", auditors, vault.ScopeAudit, noLedger, s.auditLog, nil},
		{"GET", "/api/audit/trial", auditors, vault.ScopeAudit, noLedger, s.auditTrial, []string{"as_of"}},
		{"GET", "/api/audit/course", auditors, vault.ScopeAudit, noLedger, s.auditCourse, nil},
		{"GET", "/api/audit/adjustments", auditors, vault.ScopeAudit, noLedger, s.auditAdjustments, append(adjustmentParameters, "cursor", "limit")},
		{"GET", "/api/audit/adjustments.csv", auditors, vault.ScopeAudit, noLedger, s.auditAdjustmentTable, adjustmentParameters},
		{"GET", "/api/audit/proposals", auditors, vault.ScopeAudit, noLedger, s.auditProposals, []string{"since", "until"}},
		{"GET", "/api/audit/entries/{id}", auditors, vault.ScopeAudit, noLedger, s.auditEntry, nil},
		{"GET", "/api/audit/entries/{id}/proof", auditors, vault.ScopeAudit, noLedger, s.auditProof, nil},
		{"GET", "/api/audit/users/{id}/entries", auditors, vault.ScopeAudit, noLedger, s.auditTimeline, []string{"cursor", "limit"}},
		{"GET", "/api/audit/close", auditors, vault.ScopeAudit, noLedger, s.auditClose, []string{"month", "zone", "language"}},
		{"GET", "/api/audit/export", auditors, vault.ScopeAudit, noLedger, s.auditExport, []string{"format", "from", "to"}},
	}
}

// courseSteps is how many moments a course has.
const courseSteps = 60

var adjustmentParameters = []string{"since", "until", "by", "reason", "above"}

func (s *Server) auditLog(w http.ResponseWriter, r *http.Request) error {
	state, err := s.Audit.State(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, state)
}

func (s *Server) auditTrial(w http.ResponseWriter, r *http.Request) error {
	asOf, err := auditing.Moment(r.URL.Query().Get("as_of"))
	if err != nil {
		return err
	}
	balance, err := s.Audit.Balance(r.Context(), asOf)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, balance)
}

func (s *Server) auditCourse(w http.ResponseWriter, r *http.Request) error {
	course, err := s.Audit.Course(r.Context(), courseSteps)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": append([]audit.Moving{}, course...)})
}

func (s *Server) auditAdjustments(w http.ResponseWriter, r *http.Request) error {
	q, err := auditing.AdjustmentsOf(r.URL.Query())
	if err != nil {
		return err
	}
	page, err := pageQuery(r)
	if err != nil {
		return err
	}
	after, err := numberIn(page.Cursor)
	if err != nil {
		return err
	}
	q.After = eventstore.Position(after)
	found, err := s.Audit.Adjustments(r.Context(), q, page.Limit)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": append([]audit.Adjustment{}, found.Items...), "next_cursor": cursorOf(int64(found.Next))})
}

// numberIn reads the cursor of a list that is read from the log: a position or a version.
func numberIn(cursor string) (int64, error) {
	n, err := strconv.ParseInt(cursor, 10, 64)
	if cursor != "" && (err != nil || n < 1 || cursorOf(n) != cursor) {
		return 0, badCursor()
	}
	return n, nil
}

func cursorOf(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (s *Server) auditAdjustmentTable(w http.ResponseWriter, r *http.Request) error {
	q, err := auditing.AdjustmentsOf(r.URL.Query())
	if err != nil {
		return err
	}
	return s.auditFiles().Adjustments(w, r, q)
}

func (s *Server) auditFiles() auditing.Files {
	return auditing.Files{Reader: s.Audit, Problems: s.Problems, Valid: s.Identity.WhileValid}
}

type proposedJSON struct {
	Position eventstore.Position `json:"position"`
	Ended    eventstore.Position `json:"ended_position,omitempty"` // of the decision or the expiry
	proposalJSON
}

func (s *Server) auditProposals(w http.ResponseWriter, r *http.Request) error {
	q, err := auditing.AdjustmentsOf(r.URL.Query())
	if err != nil {
		return err
	}
	list, err := s.Audit.Proposals(r.Context(), q)
	if err != nil {
		return err
	}
	items := make([]proposedJSON, len(list))
	for i, p := range list {
		items[i] = proposedJSON{p.Position, p.Ended, proposalOf(p.Proposal)}
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": items})
}

// entryIn is the position in the path.
func entryIn(r *http.Request) (eventstore.Position, error) {
	plain, err := url.PathUnescape(mux.Vars(r)["id"])
	n, bad := strconv.ParseInt(plain, 10, 64)
	if err != nil || bad != nil || n < 1 || strconv.FormatInt(n, 10) != plain {
		return 0, domain.Reject(problem.NotFound, "there is no such entry")
	}
	return eventstore.Position(n), nil
}

func (s *Server) auditEntry(w http.ResponseWriter, r *http.Request) error {
	at, err := entryIn(r)
	if err != nil {
		return err
	}
	entry, err := s.Audit.Entry(r.Context(), at)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, entry)
}

func (s *Server) auditProof(w http.ResponseWriter, r *http.Request) error {
	at, err := entryIn(r)
	if err != nil {
		return err
	}
	return s.auditFiles().Proof(w, r, at)
}

func (s *Server) auditTimeline(w http.ResponseWriter, r *http.Request) error {
	id, ok := paths.ID[domain.UserID](r)
	if !ok {
		return domain.Reject(domain.AccountNotFound, noAccount)
	}
	requestlog.Of(r.Context()).Subject = id
	page, err := pageQuery(r)
	if err != nil {
		return err
	}
	before, err := numberIn(page.Cursor)
	if err != nil {
		return err
	}
	found, err := s.Audit.Timeline(r.Context(), id, eventstore.Version(before), page.Limit)
	if err != nil {
		return err
	}
	if len(found.Items) == 0 {
		return domain.Reject(domain.AccountNotFound, noAccount)
	}
	items := make([]auditing.Line, len(found.Items))
	for i, rec := range found.Items {
		items[i] = auditing.LineOf(rec, id)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": items, "next_cursor": cursorOf(int64(found.Next)), "archived": found.Archived})
}

func (s *Server) auditClose(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	language, err := filter(r, "language", []string{"en", "ru"}, func(l string) string { return l })
	if err != nil {
		return err
	}
	if language == "" {
		language = "en"
	}
	return s.auditFiles().Books(w, r, q.Get("month"), q.Get("zone"), language)
}

func (s *Server) auditExport(w http.ResponseWriter, r *http.Request) error {
	format, err := filter(r, "format", auditing.Formats, func(f audit.Format) string { return string(f) })
	if err != nil {
		return err
	}
	if format == "" {
		format = audit.JSONL
	}
	from, err := auditing.Moment(r.URL.Query().Get("from"))
	if err != nil {
		return err
	}
	to, err := auditing.Moment(r.URL.Query().Get("to"))
	if err != nil {
		return err
	}
	return s.auditFiles().Export(w, r, format, from, to)
}
