package web

import (
	"io"
	"net/http"
	"strings"

	"kassa/domain"
	"kassa/httpapi/download"
	"kassa/httpapi/overview"
	"kassa/projections"
)

// actionsPath is the list of what admins and the operator did.
const actionsPath = "/web/actions"

type actionsPage struct {
	layout
	paging
	Asked map[string]string // what was typed, by field
	Fault string
	Lines []actionLine
	Table string // the address of the same as a file
}

// actionLine is an action with the names of the people.
type actionLine struct {
	projections.Action
	By   string // "" where the log does not name the operator
	Whom *accountLink
}

// Moves reports whether the amount is added to a balance, or would be.
func (a actionLine) Moves() bool {
	return a.Type == domain.TypeBalanceAdjusted || a.Type == domain.TypeAdjustmentProposed
}

// Types are those of the filter.
func (actionsPage) Types() []domain.EventType { return projections.ActionTypes }

// Did is what an action is called.
func (p actionsPage) Did(t domain.EventType) string { return p.T("did." + string(t)) }

// actions lists what admins and the operator did.
func (p *Pages) actions(pc *pageContext) error {
	page, status, same := actionsPage{Asked: map[string]string{}}, http.StatusOK, []string{}
	values := pc.r.URL.Query()
	for _, field := range overview.ActionFields {
		values.Set(field, strings.TrimSpace(values.Get(field)))
		page.Asked[field] = values.Get(field)
		same = append(same, field, values.Get(field))
	}
	q, err := overview.ActionsOf(values)
	if err == nil {
		q.PageQuery = projections.PageQuery{Cursor: values.Get("cursor"), Limit: linesShown}
		err = pc.findActions(&page, q, same)
	}
	if refusal := domain.RefusalIn(err); refusal != nil {
		page.Fault, status, err = pc.T("actions.wrong"), http.StatusUnprocessableEntity, nil
	}
	if err != nil {
		return err
	}
	page.Table = address(actionsPath+".csv", same...)
	pc.Title, pc.Section = pc.T("actions.title"), "overview"
	page.layout = pc.layout
	return pc.show(status, "actions", page)
}

func (pc *pageContext) findActions(page *actionsPage, q projections.ActionQuery, same []string) error {
	found, _, err := pc.pages.Views.Actions(pc.r.Context(), q, pc.minPosition)
	if err != nil {
		return cursorFault(err)
	}
	names := map[domain.UserID]accountLink{}
	link := func(u domain.UserID) (accountLink, error) {
		if known, ok := names[u]; ok {
			return known, nil
		}
		var err error
		names[u], err = pc.accountLink(u)
		return names[u], err
	}
	for _, a := range found.Items {
		line := actionLine{Action: a, By: a.Operator}
		if a.Admin != "" {
			by, err := link(a.Admin)
			if err != nil {
				return err
			}
			line.By = by.Name
		}
		if a.User != "" {
			whom, err := link(a.User)
			if err != nil {
				return err
			}
			line.Whom = &whom
		}
		page.Lines = append(page.Lines, line)
	}
	if q.Cursor != "" {
		page.First = address(actionsPath, same...)
	}
	if found.Previous != "" {
		page.Newer = address(actionsPath, append(same, "cursor", found.Previous)...)
	}
	if found.Next != "" {
		page.More = address(actionsPath, append(same, "cursor", found.Next)...)
	}
	return nil
}

// actionTable sends them as a file.
func (p *Pages) actionTable(pc *pageContext) error {
	q, err := overview.ActionsOf(pc.r.URL.Query())
	if err != nil {
		return errMalformed
	}
	return download.Send(pc.r.Context(), pc.w, pc.r, p.Problems, download.File{Name: "kassa-actions.csv", Media: "text/csv; charset=utf-8",
		Write: func(out io.Writer) error { return overview.WriteActions(pc.r.Context(), p.Views, q, out) }})
}
