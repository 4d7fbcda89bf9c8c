package web

import (
	"context"
	"net/http"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/security"
)

// accessPage is where an admin changes what another person may do.
type accessPage struct {
	layout
	Who     userLine
	Account domain.Account // as the log has it now
	Reason  string
	Errors  fieldErrors
}

// Own reports whether it is the admin's own page, where nothing can be changed.
func (p accessPage) Own() bool { return p.Who.ID == p.Person.User }

func (p *Pages) access(pc *pageContext) error {
	return pc.showAccess(http.StatusOK, pc.takeDraft(accessFields))
}

func (pc *pageContext) showAccess(status int, d draft) error {
	who, account, err := pc.whoseAccount()
	if err != nil {
		return err
	}
	pc.Title, pc.Section, pc.Form = pc.T("access.title"), "admin", accessFields.name
	return pc.show(status, "access", accessPage{pc.layout, who, account, d.get("reason"), pc.fieldErrorsOf(d.Code, 0)})
}

// order is what one button of the page does.
type order struct {
	kind security.Kind
	role domain.Role
	do   func(context.Context, commands.Order) (eventstore.Position, error)
}

func (p *Pages) orders() map[string]order {
	role := func(kind security.Kind, r domain.Role, change func(context.Context, domain.Role, commands.Order) (eventstore.Position, error)) order {
		return order{kind, r, func(ctx context.Context, o commands.Order) (eventstore.Position, error) { return change(ctx, r, o) }}
	}
	h := p.Commands
	return map[string]order{
		"grant-admin":    role(security.RoleGranted, domain.AdminRole, h.GrantRole),
		"revoke-admin":   role(security.RoleRevoked, domain.AdminRole, h.RevokeRole),
		"grant-auditor":  role(security.RoleGranted, domain.AuditorRole, h.GrantRole),
		"revoke-auditor": role(security.RoleRevoked, domain.AuditorRole, h.RevokeRole),
		"lock":           {security.AccountLocked, "", h.Lock},
		"unlock":         {security.AccountUnlocked, "", h.Unlock},
	}
}

// changeAccess does what the pressed button says. It asks for the admin's password: a session
// that is left open must not make admins.
func (p *Pages) changeAccess(pc *pageContext) error {
	who, err := pc.who()
	if err != nil {
		return err
	}
	order, known := p.orders()[pc.r.PostForm.Get("do")]
	if !known {
		return errMalformed
	}
	if err := pc.confirmed(); err != nil {
		return pc.refused(accessFields, err, pc.showAccess)
	}
	at, err := idempotent(pc, func(ctx context.Context, key string) (eventstore.Position, error) {
		return order.do(ctx, commands.Order{User: who.ID, Admin: pc.Person.User, Reason: pc.typed("reason"), Key: key})
	})
	if at > 0 { // also where an error came behind it
		p.Auth.RecordOrder(pc.r.Context(), order.kind, pc.Person.User, who.ID, order.role)
	}
	if err != nil {
		return pc.refused(accessFields, err, pc.showAccess)
	}
	return pc.redirectAfter("/web/admin/user/"+string(who.ID), flash{kind: flashAccess, position: at})
}

// endSessionsPage asks whether all sessions of a person are to end.
type endSessionsPage struct {
	layout
	Who    userLine
	Errors fieldErrors
}

func (p *Pages) endSessionsForm(pc *pageContext) error {
	return pc.showEndSessions(http.StatusOK, pc.takeDraft(endAllFields))
}

func (pc *pageContext) showEndSessions(status int, d draft) error {
	who, _, err := pc.whoseAccount()
	if err != nil {
		return err
	}
	pc.Title, pc.Section, pc.Form = pc.T("access.sessions"), "admin", endAllFields.name
	return pc.show(status, "end_sessions", endSessionsPage{pc.layout, who, pc.fieldErrorsOf(d.Code, 0)})
}

// endSessionsOf ends all sessions of another person.
func (p *Pages) endSessionsOf(pc *pageContext) error {
	who, err := pc.who()
	if err != nil {
		return err
	}
	if err = pc.confirmed(); err == nil {
		err = p.Auth.EndSessionsOf(pc.r.Context(), *pc.Person, who.ID)
	}
	if err != nil {
		return pc.refused(endAllFields, err, pc.showEndSessions)
	}
	return pc.redirectAfter("/web/admin/user/"+string(who.ID), flash{kind: flashEndedAll})
}
