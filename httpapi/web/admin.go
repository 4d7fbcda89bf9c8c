package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/paths"
	"kassa/projections"
)

type peoplePage struct {
	frame
	paging
	Query  string
	Nobody bool // the query found nobody
	People []member
}

// member is a person as admins see them.
type member struct {
	projections.User
	Address string // "" where it is erased
}

func (v *visit) member(u projections.User) (member, error) {
	email, err := v.emailOf(u.ID, u.Email)
	return member{u, email}, err
}

func (p *Pages) people(v *visit) error { return v.showPeople(http.StatusOK, v.takeDraft(findingForm)) }

func (v *visit) showPeople(status int, d draft) error {
	page := peoplePage{Query: strings.TrimSpace(d.get("who")), Nobody: d.Code == domain.AccountNotFound}
	cursor := v.r.URL.Query().Get("cursor")
	found, _, err := v.pages.Views.Users(v.r.Context(), projections.PageQuery{Cursor: cursor, Limit: linesShown}, v.least)
	if err != nil {
		return cursorFault(err)
	}
	for _, u := range found.Items {
		m, err := v.member(u)
		if err != nil {
			return err
		}
		page.People = append(page.People, m)
	}
	v.Title, v.Section = v.T("admin.title"), "admin"
	page.paging, page.frame = pagesOf("/web/admin", "", "", cursor, found.Next), v.frame
	return v.show(status, "people", page)
}

// find looks somebody up by e-mail or id. It is a POST, since addresses of pages
// are logged and an e-mail must not be.
func (p *Pages) find(v *visit) error {
	query := strings.TrimSpace(v.r.PostForm.Get("who"))
	u := domain.UserID(query)
	if strings.Contains(query, "@") {
		var err error
		if u, err = p.Commands.FindUser(v.r.Context(), query); err != nil && domain.RefusalIn(err) == nil {
			return err
		}
	}
	if !u.Valid() {
		return v.refused(findingForm, domain.Reject(domain.AccountNotFound, "there is no such person"), v.showPeople)
	}
	switch _, _, err := p.Views.User(v.r.Context(), u, v.least); {
	case errors.Is(err, projections.ErrNotFound):
		return v.refused(findingForm, domain.Reject(domain.AccountNotFound, "there is no such person"), v.showPeople)
	case err != nil:
		return err
	}
	return v.send("/web/admin/user/" + string(u))
}

type personPage struct {
	frame
	Who   member
	Holds []projections.Prediction
	Lines []movement
	Form  adjustForm
}

// Own says whether it is the admin's own page, where nothing can be corrected.
func (p personPage) Own() bool { return p.Who.ID == p.Person.User }

// adjustForm is a correction as it was typed.
type adjustForm struct {
	Take      bool
	Typed     string
	Kind      domain.Kind // of the credits; "" for what domain chooses
	Reason    string
	Reference string
	Faults    faults
}

// adjustForm is a correction as it was typed; b is what the person has.
func (v *visit) adjustForm(d draft, b projections.Balance) adjustForm {
	kind, available := domain.Kind(d.get("kind")), b.Available
	if kind == domain.BoughtCredits {
		available = b.Withdrawable()
	}
	return adjustForm{Take: d.get("direction") == "take", Typed: d.get("amount"), Kind: kind,
		Reason: strings.TrimSpace(d.get("reason")), Reference: strings.TrimSpace(d.get("reference")),
		Faults: v.faultsOf(d.Code, available)}
}

func (f adjustForm) correction(l *Language) domain.Correction {
	amount := l.amount(f.Typed)
	if f.Take {
		amount = -amount
	}
	return domain.Correction{Amount: amount, Kind: f.Kind, Reason: f.Reason, Reference: f.Reference}
}

// lastLines is how many transactions stand beside the form that corrects them.
const lastLines = 10

func (p *Pages) person(v *visit) error { return v.showPerson(http.StatusOK, v.takeDraft(adjustment)) }

// who is the person whom the page's address names.
func (v *visit) who() (member, error) {
	id, ok := paths.ID[domain.UserID](v.r)
	if !ok {
		return member{}, errNoPage
	}
	u, _, err := v.pages.Views.User(v.r.Context(), id, v.least)
	if errors.Is(err, projections.ErrNotFound) {
		return member{}, errNoPage
	}
	if err != nil {
		return member{}, err
	}
	return v.member(u)
}

func (v *visit) showPerson(status int, d draft) error {
	who, err := v.who()
	if err != nil {
		return err
	}
	page := personPage{Who: who, Form: v.adjustForm(d, who.Balance)}
	holds, _, err := v.pages.Views.Predictions(v.r.Context(), who.ID, projections.PredictionQuery{
		PageQuery: projections.PageQuery{Limit: linesShown}, State: domain.StateHeld}, v.least)
	if err != nil {
		return err
	}
	last, _, err := v.pages.Views.Transactions(v.r.Context(), who.ID, projections.TransactionQuery{
		PageQuery: projections.PageQuery{Limit: lastLines}}, v.least)
	if err != nil {
		return err
	}
	page.Holds = holds.Items
	if page.Lines, err = v.movements(last.Items); err != nil {
		return err
	}
	v.Title, v.Section, v.Form = v.T("admin.user"), "admin", adjustment.name
	page.frame = v.frame
	return v.show(status, "person", page)
}

// adjust corrects a balance in two steps: first the page of the same address says what
// would happen, by the same decision that the command makes, then it is done.
func (p *Pages) adjust(v *visit) error {
	who, err := v.who()
	if err != nil {
		return err
	}
	d := v.draftOf(adjustment)
	if v.r.PostForm.Has("edit") {
		return v.back(adjustment, d, http.StatusOK, v.showPerson)
	}
	correction := v.adjustForm(d, projections.Balance{}).correction(v.Language)
	if !v.r.PostForm.Has("confirm") {
		if _, err := v.preview(who.ID, correction); err != nil {
			return v.refused(adjustment, err, v.showPerson)
		}
		d.Page = v.r.URL.Path
		return v.back(adjustment, d, http.StatusOK, v.showConfirm)
	}
	result, err := once(v, func(ctx context.Context, key string) (commands.Result, error) {
		return p.Commands.Adjust(ctx, commands.Adjust{Admin: v.Person.User, User: who.ID, Correction: correction, Key: key})
	})
	if err != nil {
		return v.refused(adjustment, err, v.showPerson)
	}
	v.dropDraft(adjustment)
	return v.sendAfter("/web/admin/user/"+string(who.ID), note{kind: noteAdjust, position: result.Position, amount: correction.Amount})
}

// change is a balance before and after a correction.
type change struct{ Was, Becomes, Withdrawable domain.Credits }

// preview decides as the command does, on what the log says now: this process may
// remember an account as it was before another one wrote.
func (v *visit) preview(u domain.UserID, c domain.Correction) (change, error) {
	account, err := v.pages.Commands.Account(v.r.Context(), u)
	if err != nil {
		return change{}, err
	}
	admin, err := v.pages.Commands.Account(v.r.Context(), v.Person.User)
	if err != nil {
		return change{}, err
	}
	events, err := account.Adjust(admin, c)
	if err != nil {
		return change{}, err
	}
	seen := change{account.Available, account.Available, account.Withdrawable()}
	for _, e := range events {
		if m, ok := e.(domain.Mover); ok {
			seen.Becomes, seen.Withdrawable = m.Moved().Available, m.Moved().Available-m.Moved().Given
		}
	}
	return seen, nil
}

type confirmPage struct {
	frame
	change
	Who    member
	Form   adjustForm
	Key    string // of the form before: what was checked is what is done
	Amount domain.Credits
}

// confirm shows what a correction would change. Its draft stays until it is done, so
// that the page can be loaded again.
func (p *Pages) confirm(v *visit) error {
	d := v.readDraft(adjustment)
	if d.Page == "" {
		return v.send(adjustment.page(v.r))
	}
	return v.showConfirm(http.StatusOK, d)
}

func (v *visit) showConfirm(status int, d draft) error {
	who, err := v.who()
	if err != nil {
		return err
	}
	page := confirmPage{Who: who, Form: v.adjustForm(d, who.Balance), Key: d.get("idempotency_key")}
	correction := page.Form.correction(v.Language)
	page.change, err = v.preview(who.ID, correction)
	if code, status, ok := v.codeOf(err); ok { // it was allowed a moment ago
		d.Page, d.Code = adjustment.page(v.r), code
		return v.back(adjustment, d, status, v.showPerson)
	}
	if err != nil {
		return err
	}
	page.Amount = max(correction.Amount, -correction.Amount)
	v.Title, v.Section, v.Form = v.T("admin.confirm"), "admin", adjustment.name
	page.frame = v.frame
	return v.show(status, "confirm", page)
}
