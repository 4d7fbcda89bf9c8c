package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/paths"
	"kassa/httpapi/requestlog"
	"kassa/projections"
)

type usersPage struct {
	layout
	paging
	Query    string
	NotFound bool // no user matched the query
	People   []userLine
}

// userLine is a user in the admin's list.
type userLine struct {
	projections.User
	Address string // "" where it is erased
	Auditor bool
	Locked  bool
}

func (pc *pageContext) userLine(u projections.User) (userLine, error) {
	email, err := pc.emailOf(u.ID, u.Email)
	if err != nil {
		return userLine{}, err
	}
	account, err := pc.pages.Commands.Account(pc.r.Context(), u.ID) // the view has neither
	return userLine{u, email, account.Auditor, account.Locked}, err
}

func (p *Pages) users(pc *pageContext) error {
	return pc.showUsers(http.StatusOK, pc.takeDraft(findFields))
}

func (pc *pageContext) showUsers(status int, d draft) error {
	page := usersPage{Query: strings.TrimSpace(d.get("who")), NotFound: d.Code == domain.AccountNotFound}
	cursor := pc.r.URL.Query().Get("cursor")
	found, _, err := pc.pages.Views.Users(pc.r.Context(), projections.PageQuery{Cursor: cursor, Limit: linesShown}, pc.minPosition)
	if err != nil {
		return cursorFault(err)
	}
	for _, u := range found.Items {
		m, err := pc.userLine(u)
		if err != nil {
			return err
		}
		page.People = append(page.People, m)
	}
	pc.Title, pc.Section = pc.T("admin.title"), "admin"
	page.paging, page.layout = pagesOf("/web/admin", "", "", cursor, found.Next), pc.layout
	return pc.show(status, "people", page)
}

// find looks a user up by e-mail or id. It is a POST, because the paths of pages are
// logged and an e-mail must not be.
func (p *Pages) find(pc *pageContext) error {
	query := strings.TrimSpace(pc.r.PostForm.Get("who"))
	u := domain.UserID(query)
	if strings.Contains(query, "@") {
		var err error
		if u, err = p.Commands.FindUser(pc.r.Context(), query); err != nil && domain.RefusalIn(err) == nil {
			return err
		}
	}
	if !u.Valid() {
		return pc.refused(findFields, domain.Reject(domain.AccountNotFound, "there is no such person"), pc.showUsers)
	}
	switch _, _, err := p.Views.User(pc.r.Context(), u, pc.minPosition); {
	case errors.Is(err, projections.ErrNotFound):
		return pc.refused(findFields, domain.Reject(domain.AccountNotFound, "there is no such person"), pc.showUsers)
	case err != nil:
		return err
	}
	return pc.redirect("/web/admin/user/" + string(u))
}

type userPage struct {
	layout
	Who   userLine
	Holds []projections.Prediction
	Lines []transactionLine
	Form  adjustForm

	Account domain.Account // as the log has it now
}

// Errors are those of the form.
func (p userPage) Errors() fieldErrors { return p.Form.Errors }

// Own reports whether it is the admin's own page, where nothing can be adjusted.
func (p userPage) Own() bool { return p.Who.ID == p.Person.User }

// adjustForm is an adjustment as it was typed.
type adjustForm struct {
	Take      bool
	Typed     string
	Kind      domain.Kind // of the credits; "" lets domain choose
	Reason    string
	Reference string
	Errors    fieldErrors
}

// adjustFormOf is the adjustment of a draft, without its refusal.
func adjustFormOf(d draft) adjustForm {
	return adjustForm{Take: d.get("direction") == "take", Typed: d.get("amount"), Kind: domain.Kind(d.get("kind")),
		Reason: strings.TrimSpace(d.get("reason")), Reference: strings.TrimSpace(d.get("reference"))}
}

// refusedForm is the adjustment of a draft with its refusal, if any. Where credits are
// missing it names the balance in the log, on which the decision was made: the view may
// be older.
func (pc *pageContext) refusedForm(u domain.UserID, d draft) (adjustForm, error) {
	form := adjustFormOf(d)
	var available domain.Credits
	if d.Code == domain.InsufficientFunds {
		account, err := pc.pages.Commands.Account(pc.r.Context(), u)
		if err != nil {
			return form, err
		}
		available = account.Available
		if form.Kind == domain.BoughtCredits {
			available = account.Withdrawable()
		}
	}
	form.Errors = pc.fieldErrorsOf(d.Code, available)
	return form, nil
}

func (f adjustForm) correction(l *Language) domain.Correction {
	amount := l.amount(f.Typed)
	if f.Take {
		amount = -amount
	}
	return domain.Correction{Amount: amount, Kind: f.Kind, Reason: f.Reason, Reference: f.Reference}
}

// lastLines is how many transactions are shown beside the form.
const lastLines = 10

func (p *Pages) user(pc *pageContext) error {
	return pc.showUser(http.StatusOK, pc.takeDraft(adjustFields))
}

// who is the user whose id is in the page's path.
func (pc *pageContext) who() (userLine, error) {
	id, ok := paths.ID[domain.UserID](pc.r)
	if !ok {
		return userLine{}, errNoPage
	}
	requestlog.Of(pc.r.Context()).Subject = id
	u, _, err := pc.pages.Views.User(pc.r.Context(), id, pc.minPosition)
	if errors.Is(err, projections.ErrNotFound) {
		return userLine{}, errNoPage
	}
	if err != nil {
		return userLine{}, err
	}
	return pc.userLine(u)
}

func (pc *pageContext) showUser(status int, d draft) error {
	who, err := pc.who()
	if err != nil {
		return err
	}
	page := userPage{Who: who}
	if page.Form, err = pc.refusedForm(who.ID, d); err != nil {
		return err
	}
	holds, _, err := pc.pages.Views.Predictions(pc.r.Context(), who.ID, projections.PredictionQuery{
		PageQuery: projections.PageQuery{Limit: linesShown}, State: domain.StateHeld}, pc.minPosition)
	if err != nil {
		return err
	}
	last, _, err := pc.pages.Views.Transactions(pc.r.Context(), who.ID, projections.TransactionQuery{
		PageQuery: projections.PageQuery{Limit: lastLines}}, pc.minPosition)
	if err != nil {
		return err
	}
	account, err := pc.pages.Commands.Account(pc.r.Context(), who.ID)
	if err != nil {
		return err
	}
	page.Account = account
	page.Holds = holds.Items
	if page.Lines, err = pc.transactionLines(last.Items); err != nil {
		return err
	}
	pc.Title, pc.Section, pc.Form = pc.T("admin.user"), "admin", adjustFields.name
	page.layout = pc.layout
	return pc.show(status, "person", page)
}

// adjust changes a balance in two steps: the first shows a preview, made by the same
// decision as the command's; the second runs the command.
func (p *Pages) adjust(pc *pageContext) error {
	who, err := pc.who()
	if err != nil {
		return err
	}
	d := pc.draftOf(adjustFields)
	if pc.r.PostForm.Has("edit") {
		return pc.back(adjustFields, d, http.StatusOK, pc.showUser)
	}
	if err := pc.giveCode(); err != nil {
		return pc.refused(adjustFields, err, pc.showUser)
	}
	correction := adjustFormOf(d).correction(pc.Language)
	if !pc.r.PostForm.Has("confirm") {
		if _, err := pc.preview(who.ID, correction); err != nil {
			return pc.refused(adjustFields, err, pc.showUser)
		}
		d.Page = pc.r.URL.Path
		return pc.back(adjustFields, d, http.StatusOK, pc.showConfirm)
	}
	result, err := idempotent(pc, func(ctx context.Context, key string) (commands.Result, error) {
		return p.Commands.Adjust(ctx, commands.Adjust{Admin: pc.Person.User, User: who.ID, Correction: correction, Key: key})
	})
	if err != nil {
		return pc.refused(adjustFields, err, pc.showUser)
	}
	pc.dropDraft(adjustFields)
	if result.Proposal != "" {
		return pc.redirectAfter(proposalsPath+"/"+string(result.Proposal), flash{kind: flashProposed, position: result.Position})
	}
	return pc.redirectAfter("/web/admin/user/"+string(who.ID), flash{kind: flashAdjust, position: result.Position, amount: correction.Amount})
}

// change is a balance before and after a movement.
type change struct{ Was, Becomes, Withdrawable domain.Credits }

// preview decides as the command does, on the current end of the log: this process may
// have cached the account before another process wrote.
func (pc *pageContext) preview(u domain.UserID, c domain.Correction) (change, error) {
	account, err := pc.pages.Commands.Account(pc.r.Context(), u)
	if err != nil {
		return change{}, err
	}
	admin, err := pc.pages.Commands.Account(pc.r.Context(), pc.Person.User)
	if err != nil {
		return change{}, err
	}
	events, err := account.Adjust(admin, c)
	if err != nil {
		return change{}, err
	}
	return changeBy(account, events), nil
}

// changeBy is what events change in an account.
func changeBy(account domain.Account, events []domain.Event) change {
	seen := change{account.Available, account.Available, account.Withdrawable()}
	for _, e := range events {
		if m, ok := e.(domain.MoneyEvent); ok {
			seen.Becomes, seen.Withdrawable = m.Money().Available, m.Money().Available-m.Money().Given
		}
	}
	return seen
}

type confirmPage struct {
	layout
	change
	Who    userLine
	Form   adjustForm
	Key    string // of the previous form: what was previewed is what is done
	Amount domain.Credits
	Above  domain.Credits // the limit, where another admin has to approve; else 0
}

// confirm shows what an adjustment would change. Its draft stays until the command is
// done, so that the page can be reloaded.
func (p *Pages) confirm(pc *pageContext) error {
	d := pc.readDraft(adjustFields)
	if d.Page == "" {
		return pc.redirect(adjustFields.page(pc.r))
	}
	return pc.showConfirm(http.StatusOK, d)
}

func (pc *pageContext) showConfirm(status int, d draft) error {
	who, err := pc.who()
	if err != nil {
		return err
	}
	page := confirmPage{Who: who, Form: adjustFormOf(d), Key: d.get("idempotency_key")}
	correction := page.Form.correction(pc.Language)
	page.change, err = pc.preview(who.ID, correction)
	if code, status, ok := pc.codeOf(err); ok { // it was allowed a moment before
		d.Page, d.Code = adjustFields.page(pc.r), code
		return pc.back(adjustFields, d, status, pc.showUser)
	}
	if err != nil {
		return err
	}
	page.Amount = max(correction.Amount, -correction.Amount)
	if limits := pc.pages.Limits; limits.Above(correction.Amount) {
		page.Above = limits.FourEyesAbove
	}
	pc.Title, pc.Section, pc.Form = pc.T("admin.confirm"), "admin", adjustFields.name
	page.layout = pc.layout
	return pc.show(status, "confirm", page)
}
