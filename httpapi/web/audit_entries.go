package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/auditing"
	"kassa/httpapi/paths"
	"kassa/httpapi/requestlog"
)

// auditGo leads from the forms that name an entry or a person to their pages.
func (p *Pages) auditGo(pc *pageContext) error {
	q := pc.r.URL.Query()
	if u := domain.UserID(strings.TrimSpace(q.Get("person"))); u != "" {
		if !u.Valid() {
			return pc.showAudit(http.StatusUnprocessableEntity, "person", pc.T("audit.person.none"))
		}
		return pc.redirect(auditPath + "/users/" + string(u))
	}
	n, err := strconv.ParseInt(strings.TrimSpace(q.Get("entry")), 10, 64)
	if err != nil || n < 1 {
		return pc.showAudit(http.StatusUnprocessableEntity, "entry", pc.T("audit.entry.none"))
	}
	return pc.redirect(auditPath + "/entries/" + strconv.FormatInt(n, 10))
}

type entryPage struct {
	layout
	E       auditing.Entry
	Content string // the payload, indented
	User    domain.UserID
	CauseAt eventstore.Position // the entry from which it follows, 0 where it is a command
}

// Short is the beginning and the end of a hash.
func (entryPage) Short(h eventstore.Hash) string {
	text := h.String()
	return text[:8] + "…" + text[len(text)-8:]
}

// Of names the entries that the hash beside a step is of.
func (p entryPage) Of(s audit.Step) string {
	if s.From == s.UpTo {
		return p.T("audit.path.one", p.Place(s.From))
	}
	return p.T("audit.path.of", p.Place(s.From), p.Place(s.UpTo))
}

// auditEntry shows one entry, and how its leaf leads to the root.
func (p *Pages) auditEntry(pc *pageContext) error {
	at, err := positionIn(pc.r)
	if err != nil {
		return err
	}
	entry, err := p.Audit.Entry(pc.r.Context(), at)
	if err != nil {
		return err
	}
	page := entryPage{E: entry}
	page.CauseAt, _ = entry.Cause.Position()
	if page.User, _ = entry.Stream.User(); page.User != "" {
		requestlog.Of(pc.r.Context()).Subject = page.User
	}
	var content bytes.Buffer
	if err := json.Indent(&content, entry.Payload, "", "  "); err != nil {
		return err
	}
	page.Content = content.String()
	pc.Title, pc.Section = pc.T("audit.entry", pc.Number(int64(at))), "audit"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "audit_entry", page)
}

func (p *Pages) auditProof(pc *pageContext) error {
	at, err := positionIn(pc.r)
	if err != nil {
		return err
	}
	return p.auditFiles().Proof(pc.w, pc.r, at)
}

type timelinePage struct {
	layout
	paging
	User     domain.UserID
	Lines    []auditing.Line
	Archived bool // older entries are in an archive alone
}

// auditTimeline shows what the log has of a person.
func (p *Pages) auditTimeline(pc *pageContext) error {
	id, ok := paths.ID[domain.UserID](pc.r)
	if !ok {
		return errNoPage
	}
	requestlog.Of(pc.r.Context()).Subject = id
	cursor := pc.r.URL.Query().Get("cursor")
	before, err := strconv.ParseInt(cursor, 10, 64)
	if cursor != "" && (err != nil || before < 1) {
		return errMalformed
	}
	found, err := p.Audit.Timeline(pc.r.Context(), id, eventstore.Version(before), linesShown)
	if err != nil {
		return err
	}
	if len(found.Items) == 0 {
		return errNoPage
	}
	page := timelinePage{User: id, Archived: found.Archived}
	for _, rec := range found.Items {
		page.Lines = append(page.Lines, auditing.LineOf(rec, id))
	}
	next := ""
	if found.Next > 0 {
		next = strconv.FormatInt(int64(found.Next), 10)
	}
	pc.Title, pc.Section = pc.T("audit.person"), "audit"
	page.paging, page.layout = pagesOf(auditPath+"/users/"+string(id), "", "", cursor, next), pc.layout
	return pc.show(http.StatusOK, "audit_person", page)
}

type adjustmentsPage struct {
	layout
	Asked     map[string]string // what was typed, by field
	Fault     string
	Lines     []audit.Adjustment
	Proposals []audit.Proposed
	More      string // where the list goes on, "" where it has ended
	Table     string // the address of the same as a file
}

// adjustmentFields are the fields of the filter.
var adjustmentFields = []string{"since", "until", "by", "reason", "above"}

// auditAdjustments lists what admins adjusted.
func (p *Pages) auditAdjustments(pc *pageContext) error {
	values := pc.r.URL.Query()
	page, status := adjustmentsPage{Asked: map[string]string{}}, http.StatusOK
	var same []string
	for _, field := range adjustmentFields {
		values.Set(field, strings.TrimSpace(values.Get(field)))
		page.Asked[field] = values.Get(field)
		same = append(same, field, values.Get(field))
	}
	q, err := auditing.AdjustmentsOf(values)
	if err == nil {
		err = pc.findAdjustments(&page, q, same)
	}
	if err != nil {
		if page.Fault, status, err = pc.auditFault(err); err != nil {
			return err
		}
	}
	page.Table = address(auditPath+"/adjustments.csv", same...)
	pc.Title, pc.Section = pc.T("audit.adjustments"), "audit"
	page.layout = pc.layout
	return pc.show(status, "audit_adjustments", page)
}

func (pc *pageContext) findAdjustments(page *adjustmentsPage, q auditing.AdjustmentQuery, same []string) error {
	cursor := pc.r.URL.Query().Get("cursor")
	after, err := strconv.ParseInt(cursor, 10, 64)
	if cursor != "" && (err != nil || after < 1) {
		return errMalformed
	}
	q.After = eventstore.Position(after)
	found, err := pc.pages.Audit.Adjustments(pc.r.Context(), q, linesShown)
	if err != nil {
		return err
	}
	page.Lines = found.Items
	if found.Next > 0 {
		page.More = address(auditPath+"/adjustments", append(same, "cursor", strconv.FormatInt(int64(found.Next), 10))...)
	}
	if q.After == 0 {
		page.Proposals, err = pc.pages.Audit.Proposals(pc.r.Context(), q)
	}
	return err
}

func (p *Pages) auditAdjustmentTable(pc *pageContext) error {
	q, err := auditing.AdjustmentsOf(pc.r.URL.Query())
	if err != nil {
		return errMalformed
	}
	return p.auditFiles().Adjustments(pc.w, pc.r, q)
}
