package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"kassa/domain"
	"kassa/projections"
)

// linesShown is how many lines a page of a list has.
const linesShown = 20

// choice is one way to filter a list.
type choice struct {
	Name   string
	To     string
	Chosen bool
}

// paging leads through a list, the newest first.
type paging struct {
	First string // "" on the first page
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

// address is a path with those of the name-value pairs that have a value.
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

// cursorFault turns a cursor that no page gave into a malformed request.
func cursorFault(err error) error {
	if errors.Is(err, projections.ErrBadCursor) {
		return errMalformed
	}
	return err
}

var states = []domain.PredictionState{domain.StateHeld, domain.StateCaptured, domain.StateReleased, domain.StateExpired}

type askedPage struct {
	frame
	paging
	Choices []choice
	Lines   []asked
	All     bool // no filter hides anything
}

func (p *Pages) predictionHistory(v *visit) error {
	const path = "/web/prediction-history"
	query := v.r.URL.Query()
	state, cursor := domain.PredictionState(query.Get("status")), query.Get("cursor")
	if state != "" && !slices.Contains(states, state) {
		return errMalformed
	}
	found, _, err := p.Views.Predictions(v.r.Context(), v.Person.User, projections.PredictionQuery{
		PageQuery: projections.PageQuery{Cursor: cursor, Limit: linesShown}, State: state}, v.least)
	if err != nil {
		return cursorFault(err)
	}
	page := askedPage{paging: pagesOf(path, "status", string(state), cursor, found.Next), All: state == "",
		Choices: []choice{{v.T("filter.all"), path, state == ""}}}
	for _, s := range states {
		page.Choices = append(page.Choices, choice{v.T("state." + string(s)), address(path, "status", string(s)), s == state})
	}
	if page.Lines, err = v.askedLines(found.Items); err != nil {
		return err
	}
	v.Title, v.Section = v.T("asked.title"), "asked"
	page.frame = v.frame
	return v.show(http.StatusOK, "asked", page)
}

type moneyPage struct {
	frame
	paging
	Choices []choice
	Lines   []movement
	All     bool
}

// movement is a line of transactions, in the reader's language.
type movement struct {
	*Language
	projections.Transaction
	Name  string
	State string // of a prediction's line
	Own   bool   // the reader's, who may see the question
	Words string // the question; "" for what is none, is erased, or is another's
}

// Back says whether it is the return of a charge.
func (m movement) Back() bool { return m.Type == projections.Charge && m.Transaction.Amount > 0 }

// Undone says whether it is a charge that came back later.
func (m movement) Undone() bool {
	return m.Type == projections.Charge && !m.Back() && m.Status != string(domain.StateHeld) && m.Status != string(domain.StateCaptured)
}

// Gifts says how much of the amount is of given credits; of a gift its name says it.
func (m movement) Gifts() string {
	if m.Given == 0 || m.Type == projections.Bonus {
		return ""
	}
	return m.T("money.given", m.Figure(max(m.Given, -m.Given)))
}

// Moved is the signed amount.
func (m movement) Moved() string { return m.Signed(m.Transaction.Amount) }

func (v *visit) movements(list []projections.Transaction) ([]movement, error) {
	questions, err := v.questionsOf(list)
	if err != nil {
		return nil, err
	}
	lines := make([]movement, len(list))
	for i, t := range list {
		line := movement{Language: v.Language, Transaction: t, Name: v.T("type." + string(t.Type)), Own: t.User == v.Person.User, Words: questions[t.Prediction]}
		switch {
		case line.Back():
			line.Name, line.State = v.T("charge.back"), v.T("charge.back."+t.Status)
		case t.Type == projections.Charge:
			line.State = v.T("charge." + t.Status)
		}
		lines[i] = line
	}
	return lines, nil
}

// questionsOf opens the reader's own questions that the transactions are about.
func (v *visit) questionsOf(list []projections.Transaction) (map[domain.PredictionID]string, error) {
	var ids []domain.PredictionID
	for _, t := range list {
		if t.Prediction != "" && t.User == v.Person.User {
			ids = append(ids, t.Prediction)
		}
	}
	words := map[domain.PredictionID]string{}
	if len(ids) == 0 {
		return words, nil
	}
	sealed, err := v.pages.Views.Questions(v.r.Context(), v.Person.User, ids)
	if err != nil {
		return nil, err
	}
	for id, text := range sealed {
		if words[id], err = v.unlessLost(v.pages.Vault.OpenText(v.r.Context(), v.Person.User, id, text)); err != nil {
			return nil, err
		}
	}
	return words, nil
}

func (p *Pages) transactionHistory(v *visit) error {
	const path = "/web/transaction-history"
	query := v.r.URL.Query()
	kind, cursor := projections.TransactionType(query.Get("type")), query.Get("cursor")
	if kind != "" && !slices.Contains(projections.TransactionTypes, kind) {
		return errMalformed
	}
	found, _, err := p.Views.Transactions(v.r.Context(), v.Person.User, projections.TransactionQuery{
		PageQuery: projections.PageQuery{Cursor: cursor, Limit: linesShown}, Type: kind}, v.least)
	if err != nil {
		return cursorFault(err)
	}
	page := moneyPage{paging: pagesOf(path, "type", string(kind), cursor, found.Next), All: kind == "",
		Choices: []choice{{v.T("filter.all"), path, kind == ""}}}
	if page.Lines, err = v.movements(found.Items); err != nil {
		return err
	}
	for _, t := range projections.TransactionTypes {
		page.Choices = append(page.Choices, choice{v.T("type." + string(t)), address(path, "type", string(t)), t == kind})
	}
	v.Title, v.Section = v.T("money.title"), "money"
	page.frame = v.frame
	return v.show(http.StatusOK, "money", page)
}
