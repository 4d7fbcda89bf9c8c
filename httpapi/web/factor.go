package web

import (
	"bytes"
	"image/png"
	"net/http"
	"net/url"
	"strings"

	"github.com/pquerna/otp"

	"kassa/domain"
	"kassa/vault"
)

const (
	factorPath   = "/web/account/factor"
	codesCookie  = "kassa_codes"
	codePath     = "/web/signin/code"
	ticketCookie = "kassa_signin"
	pictureSize  = 264 // pixels of the QR code, each way
)

type factorPage struct {
	layout
	Factor vault.Factor
	Key    *otp.Key // of an offer
	Codes  []string // recovery codes that were just made
	Errors fieldErrors
}

// factor shows the person's second factor, or the way to one. New recovery codes come in a
// cookie of this page alone, as a new token does.
func (p *Pages) factor(pc *pageContext) error {
	var codes []string
	if c, err := pc.r.Cookie(codesCookie); err == nil && pc.r.Method == http.MethodGet {
		pc.spend(codesCookie, factorPath)
		codes = strings.Split(c.Value, ".")
	}
	return pc.showFactor(http.StatusOK, codes, pc.takeDraft(factorFields))
}

func (pc *pageContext) showFactor(status int, codes []string, d draft) error {
	f, key, err := pc.pages.Auth.FactorOffer(pc.r.Context(), *pc.Person)
	if err != nil {
		return err
	}
	if !f.Active || len(codes) != vault.RecoveryCodes {
		codes = nil
	}
	pc.Title, pc.Section = pc.T("factor.title"), "account"
	return pc.show(status, "factor", factorPage{pc.layout, f, key, codes, pc.fieldErrorsOf(d.Code, 0)})
}

// factorPicture is the QR code of an offered factor, for the person's device.
func (p *Pages) factorPicture(pc *pageContext) error {
	_, key, err := p.Auth.FactorOffer(pc.r.Context(), *pc.Person)
	if err != nil {
		return err
	}
	if key == nil {
		return errNoPage
	}
	picture, err := key.Image(pictureSize, pictureSize)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := png.Encode(&body, picture); err != nil {
		return err
	}
	pc.w.Header().Set("Content-Type", "image/png")
	pc.w.Header().Set("Cache-Control", "no-store")
	_, _ = pc.w.Write(body.Bytes()) // a failed write means that the browser has left
	return nil
}

func (pc *pageContext) showFactorAgain(status int, d draft) error {
	return pc.showFactor(status, nil, d)
}

func (p *Pages) offerFactor(pc *pageContext) error {
	if _, err := p.Auth.OfferFactor(pc.r, *pc.Person, pc.r.PostForm.Get("password")); err != nil {
		return pc.refused(factorFields, err, pc.showFactorAgain)
	}
	return pc.redirect(factorPath)
}

func (p *Pages) confirmFactor(pc *pageContext) error {
	codes, err := p.Auth.ConfirmFactor(pc.r.Context(), *pc.Person, pc.r.PostForm.Get("code"))
	if err != nil {
		return pc.refused(factorFields, err, pc.showFactorAgain)
	}
	pc.setCookie(codesCookie, strings.Join(codes, "."), factorPath, tokenAge)
	return pc.redirectAfter(factorPath, flash{kind: flashFactor})
}

func (p *Pages) dropFactor(pc *pageContext) error {
	err := pc.giveCode()
	if err == nil {
		err = p.Auth.DropFactor(pc.r, *pc.Person, pc.r.PostForm.Get("password"))
	}
	if err != nil {
		return pc.refused(factorFields, err, pc.showFactorAgain)
	}
	return pc.redirectAfter(factorPath, flash{kind: flashNoFactor})
}

// giveCode uses the code of a form that asks for one, because the session has given none for
// a while.
func (pc *pageContext) giveCode() error {
	code := pc.r.PostForm.Get("code")
	if !pc.Person.CodeDue || code == "" {
		return pc.Person.Fresh()
	}
	if err := pc.pages.Auth.GiveCode(pc.r.Context(), *pc.Person, code); err != nil {
		return err
	}
	pc.Person.CodeDue = false
	return nil
}

// confirmed asks for the password, and for a code where one is due.
func (pc *pageContext) confirmed() error {
	if err := pc.giveCode(); err != nil {
		return err
	}
	return pc.pages.Auth.Confirm(pc.r, *pc.Person, pc.r.PostForm.Get("password"))
}

// toCode leads from the password to the page that asks for the code.
func (pc *pageContext) toCode(ticket, back string) error {
	pc.setCookie(ticketCookie, ticket, codePath, int(vault.SignInLife.Seconds()))
	return pc.redirect(codePath + "?back=" + url.QueryEscape(back))
}

func (pc *pageContext) ticket() string {
	c, err := pc.r.Cookie(ticketCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

func (p *Pages) codeForm(pc *pageContext) error {
	if pc.Person != nil || pc.ticket() == "" {
		return pc.redirect("/web/signin")
	}
	return pc.showCode(http.StatusOK, pc.takeDraft(codeFields))
}

func (pc *pageContext) showCode(status int, d draft) error {
	pc.acceptsPasskey = func() (bool, error) { return pc.pages.Auth.CanSignInByPasskey(pc.r, pc.ticket()) }
	return pc.showSign(codeFields, status, d)
}

// code is the second step of a sign-in, by a code or a passkey.
func (p *Pages) code(pc *pageContext) error {
	var err error
	if answer := pc.r.PostForm.Get("credential"); answer != "" {
		err = p.Auth.FinishSignInByPasskey(pc.w, pc.r, pc.ticket(), []byte(answer))
	} else {
		err = p.Auth.FinishSignIn(pc.w, pc.r, pc.ticket(), pc.r.PostForm.Get("code"))
	}
	if err != nil {
		return pc.unfinished(err)
	}
	pc.setCookie(ticketCookie, "", codePath, -1)
	return pc.redirectAfter(local(pc.r.PostForm.Get("back")), flash{kind: flashSignedIn})
}

// unfinished is the answer to a second step that is refused. A sign-in that took too long begins
// again.
func (pc *pageContext) unfinished(err error) error {
	if refusal := domain.RefusalIn(err); refusal == nil || refusal.Code != domain.InvalidCredentials {
		return pc.refused(codeFields, err, pc.showCode)
	}
	pc.setCookie(ticketCookie, "", codePath, -1)
	back := local(pc.r.PostForm.Get("back"))
	return pc.redirectAfter("/web/signin?back="+url.QueryEscape(back), flash{kind: flashSlow})
}
