package web

import (
	"net/http"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/vault"
)

// accountPage has a section for each part of the account; its template has them in files of
// their own.
type accountPage struct {
	layout
	Errors   fieldErrors // of the change of the password
	Sessions []vault.Session
	Erasure  domain.Erasure // that was requested
}

func (p *Pages) account(pc *pageContext) error {
	return pc.showAccount(http.StatusOK, pc.takeDraft(passwordFields))
}

func (pc *pageContext) showAccount(status int, password draft) error {
	sessions, err := pc.pages.Auth.Sessions(pc.r.Context(), pc.Person.User)
	if err != nil {
		return err
	}
	account, err := pc.pages.Commands.Account(pc.r.Context(), pc.Person.User)
	if err != nil {
		return err
	}
	pc.Title, pc.Section = pc.T("account.title"), "account"
	return pc.show(status, "account", accountPage{pc.layout, pc.fieldErrorsOf(password.Code, 0), sessions, account.Erasure})
}

// changePassword ends all sessions; this browser gets a new one with the answer.
func (p *Pages) changePassword(pc *pageContext) error {
	err := pc.giveCode()
	if err == nil {
		err = p.Auth.ChangePassword(pc.r.Context(), pc.w, pc.r, *pc.Person, pc.r.PostForm.Get("password"), pc.r.PostForm.Get("new_password"))
	}
	if err != nil {
		return pc.refused(passwordFields, err, pc.showAccount)
	}
	return pc.redirectAfter("/web/account", flash{kind: flashPassword})
}

// endSessions ends the session of the button that was pressed, or all others. One that has
// ended already has been ended.
func (p *Pages) endSessions(pc *pageContext) error {
	end := func() error { return p.Auth.EndOtherSessions(pc.r.Context(), *pc.Person) }
	done := flash{kind: flashSessions}
	if id := vault.SessionID(pc.r.PostForm.Get("end")); id != "others" {
		if !id.Valid() {
			return errMalformed
		}
		end = func() error { return p.Auth.EndSession(pc.r.Context(), pc.Person.User, id) }
		done.kind = flashSession
	}
	err := end()
	if refusal := domain.RefusalIn(err); err != nil && (refusal == nil || refusal.Code != problem.SessionNotFound) {
		return err
	}
	return pc.redirectAfter("/web/account", done)
}
