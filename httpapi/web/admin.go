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

func (p *Pages) people(v *visit) error { return v.showPeople(peoplePage{}) }

func (v *visit) showPeople(page peoplePage) error {
	cursor := v.r.URL.Query().Get("cursor")
	found, err := v.pages.Views.Users(v.r.Context(), projections.PageQuery{Cursor: cursor, Limit: linesShown})
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
	return v.show(http.StatusOK, "people", page)
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
		return v.showPeople(peoplePage{Query: query, Nobody: true})
	}
	switch _, err := p.Views.User(v.r.Context(), u); {
	case errors.Is(err, projections.ErrNotFound):
		return v.showPeople(peoplePage{Query: query, Nobody: true})
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
	Reason    string
	Reference string
	Faults    faults
}

func (f adjustForm) correction() domain.Correction {
	amount := parseAmount(f.Typed)
	if f.Take {
		amount = -amount
	}
	return domain.Correction{Amount: amount, Reason: f.Reason, Reference: f.Reference}
}

// lastLines is how many transactions stand beside the form that corrects them.
const lastLines = 10

func (p *Pages) person(v *visit) error {
	return v.showPerson(http.StatusOK, adjustForm{})
}

func (p *Pages) personAgain(v *visit) error {
	id, ok := paths.ID[domain.UserID](v.r)
	if !ok {
		return errNoPage
	}
	return v.send("/web/admin/user/" + string(id))
}

// who is the person whom the page's address names.
func (v *visit) who() (member, error) {
	id, ok := paths.ID[domain.UserID](v.r)
	if !ok {
		return member{}, errNoPage
	}
	u, err := v.pages.Views.User(v.r.Context(), id)
	if errors.Is(err, projections.ErrNotFound) {
		return member{}, errNoPage
	}
	if err != nil {
		return member{}, err
	}
	return v.member(u)
}

func (v *visit) showPerson(status int, form adjustForm) error {
	who, err := v.who()
	if err != nil {
		return err
	}
	page := personPage{Who: who, Form: form}
	holds, err := v.pages.Views.Predictions(v.r.Context(), who.ID, projections.PredictionQuery{
		PageQuery: projections.PageQuery{Limit: linesShown}, State: domain.StateHeld})
	if err != nil {
		return err
	}
	last, err := v.pages.Views.Transactions(v.r.Context(), who.ID, projections.TransactionQuery{
		PageQuery: projections.PageQuery{Limit: lastLines}})
	if err != nil {
		return err
	}
	page.Holds, page.Lines = holds.Items, v.movements(last.Items)
	v.Title, v.Section = v.T("admin.user"), "admin"
	page.frame = v.frame
	return v.show(status, "person", page)
}

// adjust corrects a balance in two steps: first it says what would happen, by the
// same decision that the command makes, then it does it.
func (p *Pages) adjust(v *visit) error {
	sent := v.r.PostForm
	form := adjustForm{Take: sent.Get("direction") == "take", Typed: sent.Get("amount"),
		Reason: strings.TrimSpace(sent.Get("reason")), Reference: strings.TrimSpace(sent.Get("reference"))}
	if sent.Has("edit") {
		return v.showPerson(http.StatusOK, form)
	}
	who, err := v.who()
	if err != nil {
		return err
	}
	if !sent.Has("confirm") {
		return v.confirm(who, form)
	}
	result, err := once(v, func(ctx context.Context, key string) (commands.Result, error) {
		return p.Commands.Adjust(ctx, commands.Adjust{Admin: v.Person.User, User: who.ID, Correction: form.correction(), Key: key})
	})
	if err != nil {
		return v.refuseAdjust(who, form, err)
	}
	return v.sendAfter("/web/admin/user/"+string(who.ID), note{kind: noteAdjust, position: result.Position, amount: form.correction().Amount})
}

type confirmPage struct {
	frame
	Who     member
	Form    adjustForm
	Key     string // of the form before: what was checked is what is done
	Amount  domain.Credits
	Was     domain.Credits
	Becomes domain.Credits
}

func (v *visit) confirm(who member, form adjustForm) error {
	key, err := v.key()
	if err != nil {
		return err
	}
	account, err := v.pages.Commands.Account(v.r.Context(), who.ID)
	if err != nil {
		return err
	}
	admin, err := v.pages.Commands.Account(v.r.Context(), v.Person.User)
	if err != nil {
		return err
	}
	events, err := account.Adjust(admin, form.correction())
	if err != nil {
		return v.refuseAdjust(who, form, err)
	}
	page := confirmPage{Who: who, Form: form, Key: key, Amount: parseAmount(form.Typed), Was: account.Available, Becomes: account.Available}
	for _, e := range events {
		if m, ok := e.(domain.Mover); ok {
			page.Becomes = m.Moved().Available
		}
	}
	v.Title, v.Section = v.T("admin.confirm"), "admin"
	page.frame = v.frame
	return v.show(http.StatusOK, "confirm", page)
}

// refuseAdjust shows the form again; what can be taken is the other's balance.
func (v *visit) refuseAdjust(who member, form adjustForm, err error) error {
	said, status, ok := v.told(err)
	if !ok {
		return err
	}
	if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.InsufficientFunds {
		said["amount"] = v.T("refusal.insufficient_funds", v.Credits(who.Balance.Available))
	}
	form.Faults = said
	return v.showPerson(status, form)
}
