package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"kassa/domain"
	"kassa/projections"
)

// linesShown is how many lines a page of a list has.
const linesShown = 20

// choice is one filter of a list.
type choice struct {
	Name   string
	To     string
	Chosen bool
}

// paging is the links through a list, newest first.
type paging struct {
	First string // "" on the first page
	Newer string // "" on the first page, and where a list is read in one direction only
	More  string // "" on the last one
}

func pagesOf(path, filter, value, cursor, next string) paging {
	var p paging
	if cursor != "" {
		p.First = address(path, filter, value)
	}
	if next != "" {
		p.More = address(path, filter, value, "cursor", next)
	}
	return p
}

// address is a path with a query of those name-value pairs that have a value.
func address(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// cursorFault turns an invalid cursor into a malformed request.
func cursorFault(err error) error {
	if errors.Is(err, projections.ErrBadCursor) {
		return errMalformed
	}
	return err
}

type predictionsPage struct {
	layout
	paging
	Choices []choice
	Lines   []predictionLine
	All     bool // without a filter
}

func (p *Pages) predictionHistory(pc *pageContext) error {
	const path = "/web/prediction-history"
	query := pc.r.URL.Query()
	state, cursor := domain.PredictionState(query.Get("status")), query.Get("cursor")
	if state != "" && !slices.Contains(domain.PredictionStates, state) {
		return errMalformed
	}
	found, _, err := p.Views.Predictions(pc.r.Context(), pc.Person.User, projections.PredictionQuery{
		PageQuery: projections.PageQuery{Cursor: cursor, Limit: linesShown}, State: state}, pc.minPosition)
	if err != nil {
		return cursorFault(err)
	}
	page := predictionsPage{paging: pagesOf(path, "status", string(state), cursor, found.Next), All: state == "",
		Choices: []choice{{pc.T("filter.all"), path, state == ""}}}
	for _, s := range domain.PredictionStates {
		page.Choices = append(page.Choices, choice{pc.T("state." + string(s)), address(path, "status", string(s)), s == state})
	}
	if page.Lines, err = pc.conversationLines(found.Items); err != nil {
		return err
	}
	pc.Title, pc.Section = pc.T("asked.title"), "asked"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "asked", page)
}

type transactionsPage struct {
	layout
	paging
	Choices []choice
	Lines   []transactionLine
	All     bool // without a filter
	Count   string
	Days    dayFilter
	Typed   dayFilter      // into the form
	Links   statementLinks // of the days that are chosen
}

// Receipts reports whether lines of the page have receipts.
func (p transactionsPage) Receipts() bool {
	return slices.ContainsFunc(p.Lines, func(m transactionLine) bool { return m.Receipt })
}

// transactionLine is a line of the transactions, in the page's language.
type transactionLine struct {
	*Language
	projections.Transaction
	Name     string
	State    string // of a prediction
	Receipt  bool   // there is one of this movement, for the page's user
	Own      bool   // of the page's user, who may see the question
	Question string // "" where there is none, where it is erased, and where it is another user's
}

// IsReturn reports whether it returns a charge.
func (m transactionLine) IsReturn() bool {
	return m.Type == projections.Charge && m.Transaction.Amount > 0
}

// Returned reports whether it is a charge that was returned later.
func (m transactionLine) Returned() bool {
	return m.Type == projections.Charge && !m.IsReturn() && m.Status != string(domain.StateHeld) && m.Status != string(domain.StateCaptured)
}

// GivenPart is how much of the amount is given credits; "" for a bonus, which is given
// by definition.
func (m transactionLine) GivenPart() string {
	if m.Given == 0 || m.Type == projections.Bonus {
		return ""
	}
	return m.T("money.given", m.Figure(max(m.Given, -m.Given)))
}

// Change is the signed amount.
func (m transactionLine) Change() string { return m.Signed(m.Transaction.Amount) }

func (pc *pageContext) transactionLines(list []projections.Transaction) ([]transactionLine, error) {
	questions, err := pc.questionsOf(list)
	if err != nil {
		return nil, err
	}
	receipts, err := pc.givesReceipts()
	if err != nil {
		return nil, err
	}
	lines := make([]transactionLine, len(list))
	for i, t := range list {
		line := transactionLine{Language: pc.Language, Transaction: t, Name: pc.T("type." + string(t.Type)), Own: t.User == pc.Person.User, Question: questions[t.Prediction]}
		line.Receipt = receipts && line.Own
		switch {
		case line.IsReturn():
			line.Name, line.State = pc.T("charge.back"), pc.T("charge.back."+t.Status)
		case t.Type == projections.Charge:
			line.State = pc.T("charge." + t.Status)
		}
		lines[i] = line
	}
	return lines, nil
}

// questionsOf decrypts the user's own questions of these transactions.
func (pc *pageContext) questionsOf(list []projections.Transaction) (map[domain.PredictionID]string, error) {
	var ids []domain.PredictionID
	for _, t := range list {
		if t.Prediction != "" && t.User == pc.Person.User {
			ids = append(ids, t.Prediction)
		}
	}
	words := map[domain.PredictionID]string{}
	if len(ids) == 0 {
		return words, nil
	}
	sealed, err := pc.pages.Views.Questions(pc.r.Context(), pc.Person.User, ids)
	if err != nil {
		return nil, err
	}
	for id, text := range sealed {
		if words[id], err = pc.unlessLost(pc.pages.Vault.OpenText(pc.r.Context(), pc.Person.User, id, text)); err != nil {
			return nil, err
		}
	}
	return words, nil
}

// countedMost bounds what is counted, so that a long history costs no more than a short one.
const countedMost = 1000

// transactionHistory lists the transactions of all time, or of some days.
func (p *Pages) transactionHistory(pc *pageContext) error {
	query := pc.r.URL.Query()
	days := dayFilter{From: query.Get("from"), To: query.Get("to")}
	typed := days
	if refused := pc.takeDraft(daysFields); refused.Code != "" {
		typed = dayFilter{refused.get("from"), refused.get("to"), fieldErrors{"days": pc.T("days.wrong")}}
	}
	kind, cursor := projections.TransactionType(query.Get("type")), query.Get("cursor")
	if kind != "" && !slices.Contains(projections.TransactionTypes, kind) {
		return errMalformed
	}
	page := transactionsPage{Days: days, Typed: typed, All: kind == "" && !days.Chosen()}
	q := projections.TransactionQuery{PageQuery: projections.PageQuery{Cursor: cursor, Limit: linesShown}, Type: kind}
	if days.Chosen() {
		period, err := p.Statements.Days(days.From, days.To)
		if err != nil {
			return errMalformed
		}
		page.Links = p.statementLinks(period)
		if q.Since, q.UpTo, err = p.Statements.Between(pc.r.Context(), pc.Person.User, period); err != nil {
			return pc.refusedStatement(err)
		}
	}
	found, _, err := p.Views.Transactions(pc.r.Context(), pc.Person.User, q, pc.minPosition)
	if err != nil {
		return cursorFault(err)
	}
	here := func(more ...string) string {
		return address(historyPath, append([]string{"type", string(kind), "from", days.From, "to", days.To}, more...)...)
	}
	if cursor != "" && found.Previous == "" && found.Next != "" { // back at the newest: the first page, and whole
		return pc.redirect(here())
	}
	page.paging = paging{More: pageAt(here, found.Next), Newer: pageAt(here, found.Previous)}
	if cursor != "" {
		page.First = here()
	}
	if page.Count, err = pc.countOf(q, found); err != nil {
		return err
	}
	if page.Lines, err = pc.transactionLines(found.Items); err != nil {
		return err
	}
	for _, t := range append([]projections.TransactionType{""}, projections.TransactionTypes...) {
		name := pc.T("filter.all")
		if t != "" {
			name = pc.T("type." + string(t))
		}
		page.Choices = append(page.Choices, choice{name, here("type", string(t)), t == kind})
	}
	pc.Title, pc.Section = pc.T("money.title"), "money"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "money", page)
}

// pageAt is the address of the page at a cursor, "" where there is none.
func pageAt(here func(...string) string, cursor string) string {
	if cursor == "" {
		return ""
	}
	return here("cursor", cursor)
}

// countOf says which of how many lines the page has; "" where it has none.
func (pc *pageContext) countOf(q projections.TransactionQuery, found projections.Page[projections.Transaction]) (string, error) {
	if len(found.Items) == 0 {
		return "", nil
	}
	ctx, user := pc.r.Context(), pc.Person.User
	all, err := pc.pages.Views.CountTransactions(ctx, user, q, countedMost+1)
	if err != nil {
		return "", err
	}
	q.Since = found.Items[0].Position
	newer, err := pc.pages.Views.CountTransactions(ctx, user, q, countedMost+1)
	switch first, last := int64(newer+1), int64(newer+len(found.Items)); {
	case err != nil:
		return "", err
	case newer > countedMost:
		return pc.T("page.count.far", pc.Number(countedMost)), nil
	case all > countedMost:
		return pc.T("page.count.many", pc.Number(first), pc.Number(last), pc.Number(countedMost)), nil
	default:
		return pc.T("page.count", pc.Number(first), pc.Number(last), pc.Number(int64(all))), nil
	}
}

// dayFilter is the days of which transactions are listed.
type dayFilter struct {
	From, To string // dates, "" for all time
	Errors   fieldErrors
}

// Chosen reports whether days were chosen.
func (d dayFilter) Chosen() bool { return d.From != "" || d.To != "" }

// chooseDays leads to the list of some days. A missing end is today, a missing beginning the
// first day that a statement can have then.
func (p *Pages) chooseDays(pc *pageContext) error {
	from, to := pc.r.PostForm.Get("from"), pc.r.PostForm.Get("to")
	if from == "" && to == "" {
		return pc.redirect(historyPath)
	}
	if to == "" {
		to = p.Now().In(p.Statements.Zone).Format(time.DateOnly)
	}
	if last, err := time.Parse(time.DateOnly, to); from == "" && err == nil {
		from = last.AddDate(-1, 0, 1).Format(time.DateOnly)
	}
	if _, err := p.Statements.Days(from, to); err != nil {
		return pc.refused(daysFields, err, func(int, draft) error { return errMalformed })
	}
	return pc.redirect(address(historyPath, "from", from, "to", to, "type", pc.r.PostForm.Get("type")))
}
