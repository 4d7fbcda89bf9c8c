package web

import (
	"net/http"
	"regexp"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/vault"
)

const (
	resetPath   = "/web/reset"
	resetCookie = "kassa_reset"
)

// resetToken is the form of a token: what has another is no token of ours, and not stored.
var resetToken = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

type resetPage struct {
	layout
	Good   bool // the browser has a link that can be used
	Mails  bool // a new link is sent by mail
	Errors fieldErrors
}

// resetForm is where a one-time link leads. The token goes into a cookie for this page alone,
// and the browser to the address without it: so the token is in no history, in no Referer of
// what the page loads or leads to, and on no screen. Nothing is used up before the form is
// sent.
func (p *Pages) resetForm(pc *pageContext) error {
	if token := pc.r.URL.Query().Get("token"); token != "" {
		if !resetToken.MatchString(token) {
			token = ""
		}
		pc.w.Header().Set("Referrer-Policy", "no-referrer")
		pc.w.Header().Set("Cache-Control", "no-store")
		pc.setResetCookie(token)
		return pc.redirect(resetPath)
	}
	return pc.showReset(http.StatusOK, pc.takeDraft(resetFields))
}

// setResetCookie with an empty token clears the cookie.
func (pc *pageContext) setResetCookie(token string) {
	age := int(vault.ResetLife.Seconds())
	if token == "" {
		age = -1
	}
	pc.setCookie(resetCookie, token, resetPath, age)
}

func (pc *pageContext) resetToken() string {
	c, err := pc.r.Cookie(resetCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

func (pc *pageContext) showReset(status int, d draft) error {
	good := false
	if token := pc.resetToken(); token != "" {
		var err error
		if good, err = pc.pages.Auth.ResetIsGood(pc.r.Context(), token); err != nil {
			return err
		}
	}
	pc.Title = pc.T("reset.title")
	return pc.show(status, "reset", resetPage{pc.layout, good, pc.pages.Mails, pc.fieldErrorsOf(d.Code, 0)})
}

// reset sets the password. The person signs in with it: the link alone opens no session.
func (p *Pages) reset(pc *pageContext) error {
	err := p.Auth.Reset(pc.r, pc.resetToken(), pc.r.PostForm.Get("new_password"))
	refusal := domain.RefusalIn(err)
	if err == nil || refusal != nil && refusal.Code == problem.InvalidResetToken {
		pc.setResetCookie("")
	}
	if err != nil {
		return pc.refused(resetFields, err, pc.showReset)
	}
	return pc.redirectAfter("/web/signin", flash{kind: flashReset})
}

// forgotForm asks for a link. Without mail the operator has to be asked, which the page of
// the link says.
func (p *Pages) forgotForm(pc *pageContext) error {
	if !p.Mails {
		return pc.redirect(resetPath)
	}
	return pc.showForgot(http.StatusOK, pc.takeDraft(forgotFields))
}

func (pc *pageContext) showForgot(status int, d draft) error {
	return pc.showSign(forgotFields, status, d)
}

// forgot has a link sent, in the language of the page. What it answers does not tell whether
// the address has an account.
func (p *Pages) forgot(pc *pageContext) error {
	if err := p.Auth.AskReset(pc.r, pc.r.PostForm.Get("email"), pc.Code); err != nil {
		return pc.refused(forgotFields, err, pc.showForgot)
	}
	return pc.redirectAfter("/web/signin", flash{kind: flashForgot})
}
