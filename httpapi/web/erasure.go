package web

import (
	"context"
	"net/http"
	"time"

	"kassa/commands"
	"kassa/domain"
)

const exportPath = "/web/account/export"

// exportData sends the person's data as a file, or asks for a code where one is due.
func (p *Pages) exportData(pc *pageContext) error {
	if pc.Person.CodeDue {
		return pc.showExport(http.StatusOK, pc.takeDraft(exportFields))
	}
	return p.Export(pc.w, pc.r)
}

type exportPage struct {
	layout
	Errors fieldErrors
}

func (pc *pageContext) showExport(status int, d draft) error {
	pc.Title, pc.Section = pc.T("account.data"), "account"
	return pc.show(status, "export", exportPage{pc.layout, pc.fieldErrorsOf(d.Code, 0)})
}

func (p *Pages) allowExport(pc *pageContext) error {
	if err := pc.giveCode(); err != nil {
		return pc.refused(exportFields, err, pc.showExport)
	}
	return pc.redirect(exportPath)
}

// erasureForm is what the forms of an erasure have in common.
type erasureForm struct {
	layout
	Forfeit bool   // bought credits are left, as chosen before
	Reason  string // of an admin
	Bought  domain.Credits
	Delay   string // in which it can be cancelled; "" for none
	Errors  fieldErrors
}

func (pc *pageContext) erasureFormOf(d draft, bought domain.Credits) erasureForm {
	return erasureForm{pc.layout, d.get("credits") == string(domain.ForfeitCredits), d.get("reason"), bought, pc.erasureDelay(), pc.fieldErrorsOf(d.Code, 0)}
}

// erasureDelay is the time in which an erasure can be cancelled, in words.
func (pc *pageContext) erasureDelay() string {
	const day = 24 * time.Hour
	switch d := pc.pages.ErasureDelay; {
	case d >= day:
		return pc.N("n.days", int(d/day))
	case d > 0:
		return pc.N("n.hours", max(1, int(d/time.Hour)))
	}
	return ""
}

func (p *Pages) erasure(pc *pageContext) error {
	return pc.showErasure(http.StatusOK, pc.takeDraft(erasureFields))
}

func (pc *pageContext) showErasure(status int, d draft) error {
	pc.Title, pc.Section, pc.Form = pc.T("erasure.title"), "account", erasureFields.name
	return pc.show(status, "erasure", pc.erasureFormOf(d, pc.Balance.Withdrawable()))
}

// requestErasure asks for the password again: a session is enough to spend credits, and not
// to destroy the account.
func (p *Pages) requestErasure(pc *pageContext) error {
	if err := pc.confirmed(); err != nil {
		return pc.refused(erasureFields, err, pc.showErasure)
	}
	asked, err := pc.askErasure(commands.Erasure{User: pc.Person.User})
	if err != nil {
		return pc.refused(erasureFields, err, pc.showErasure)
	}
	return pc.redirectAfter("/web/account", flash{kind: flashErasure, position: asked.Position})
}

func (pc *pageContext) askErasure(order commands.Erasure) (commands.ErasureDue, error) {
	order.Bought = domain.ErasureCredits(pc.r.PostForm.Get("credits"))
	asked, err := idempotent(pc, func(ctx context.Context, key string) (commands.ErasureDue, error) {
		order.Key = key
		return pc.pages.Commands.RequestErasure(ctx, order)
	})
	if err == nil {
		pc.pages.Auth.RecordErasure(pc.r.Context(), pc.Person.User, order.User, asked.DueAt)
	}
	return asked, err
}

// cancelErasure keeps the account. What was cancelled before is cancelled.
func (p *Pages) cancelErasure(pc *pageContext) error {
	done, err := idempotent(pc, func(ctx context.Context, key string) (commands.Result, error) {
		return p.Commands.CancelErasure(ctx, pc.Person.User, key)
	})
	switch refusal := domain.RefusalIn(err); {
	case err == nil:
		p.Auth.RecordErasureCancelled(pc.r.Context(), pc.Person.User, pc.Person.User)
	case refusal == nil || refusal.Code != domain.NoErasure:
		return err
	}
	return pc.redirectAfter("/web/account", flash{kind: flashKept, position: done.Position})
}

// whoseAccount is the other person of the page, with the account as the log has it now.
func (pc *pageContext) whoseAccount() (userLine, domain.Account, error) {
	who, err := pc.who()
	if err != nil {
		return who, domain.Account{}, err
	}
	account, err := pc.pages.Commands.Account(pc.r.Context(), who.ID)
	if err == nil && account.Erased {
		err = errNoPage
	}
	return who, account, err
}

type orderErasurePage struct {
	erasureForm
	Who userLine
	Due domain.Erasure // that was requested before
}

// Own reports whether it is the admin's own page.
func (p orderErasurePage) Own() bool { return p.Who.ID == p.Person.User }

func (p *Pages) orderErasureForm(pc *pageContext) error {
	return pc.showOrderErasure(http.StatusOK, pc.takeDraft(orderErasureFields))
}

func (pc *pageContext) showOrderErasure(status int, d draft) error {
	who, account, err := pc.whoseAccount()
	if err != nil {
		return err
	}
	pc.Title, pc.Section, pc.Form = pc.T("admin.erasure"), "admin", orderErasureFields.name
	return pc.show(status, "order_erasure", orderErasurePage{pc.erasureFormOf(d, account.Withdrawable()), who, account.Erasure})
}

// orderErasure has another person erased who asked for it.
func (p *Pages) orderErasure(pc *pageContext) error {
	who, err := pc.who()
	if err != nil {
		return err
	}
	if err := pc.confirmed(); err != nil {
		return pc.refused(orderErasureFields, err, pc.showOrderErasure)
	}
	asked, err := pc.askErasure(commands.Erasure{User: who.ID, Admin: pc.Person.User, Reason: pc.typed("reason")})
	if err != nil {
		return pc.refused(orderErasureFields, err, pc.showOrderErasure)
	}
	return pc.redirectAfter("/web/admin/user/"+string(who.ID), flash{kind: flashOrdered, position: asked.Position})
}

type orderKeepPage struct {
	layout
	Who    userLine
	Due    domain.Erasure // that was requested
	Reason string
	Errors fieldErrors
}

// Own reports whether it is the admin's own page.
func (p orderKeepPage) Own() bool { return p.Who.ID == p.Person.User }

func (p *Pages) orderKeepForm(pc *pageContext) error {
	return pc.showOrderKeep(http.StatusOK, pc.takeDraft(orderKeepFields))
}

// showOrderKeep shows what would be cancelled, before it is.
func (pc *pageContext) showOrderKeep(status int, d draft) error {
	who, account, err := pc.whoseAccount()
	if err != nil {
		return err
	}
	if !account.Erasure.Pending() {
		return pc.redirect("/web/admin/user/" + string(who.ID))
	}
	pc.Title, pc.Section, pc.Form = pc.T("admin.keep"), "admin", orderKeepFields.name
	return pc.show(status, "order_keep", orderKeepPage{pc.layout, who, account.Erasure, d.get("reason"), pc.fieldErrorsOf(d.Code, 0)})
}

// orderKeep cancels the erasure of another person. What was cancelled before is cancelled.
func (p *Pages) orderKeep(pc *pageContext) error {
	who, err := pc.who()
	if err != nil {
		return err
	}
	if err := pc.confirmed(); err != nil {
		return pc.refused(orderKeepFields, err, pc.showOrderKeep)
	}
	done, err := idempotent(pc, func(ctx context.Context, key string) (commands.Result, error) {
		return p.Commands.CancelErasureBy(ctx, commands.Keep{User: who.ID, Admin: pc.Person.User, Reason: pc.typed("reason"), Key: key})
	})
	switch refusal := domain.RefusalIn(err); {
	case err == nil:
		p.Auth.RecordErasureCancelled(pc.r.Context(), pc.Person.User, who.ID)
	case refusal == nil || refusal.Code != domain.NoErasure:
		return pc.refused(orderKeepFields, err, pc.showOrderKeep)
	}
	return pc.redirectAfter("/web/admin/user/"+string(who.ID), flash{kind: flashKeptOther, position: done.Position})
}
