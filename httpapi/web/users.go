package web

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"kassa/commands"
	"kassa/domain"
)

type signPage struct {
	layout
	Email  string // what was typed; a password is never shown again
	Back   string
	Errors fieldErrors
}

func (p *Pages) signUpForm(pc *pageContext) error {
	if pc.Person != nil {
		return pc.redirect("/web")
	}
	return pc.showSignUp(http.StatusOK, pc.takeDraft(signUpFields))
}

func (pc *pageContext) showSignUp(status int, d draft) error {
	return pc.showSign(signUpFields, status, d)
}

func (pc *pageContext) showSignIn(status int, d draft) error {
	return pc.showSign(signInFields, status, d)
}

// showSign shows the sign-up or the sign-in form.
func (pc *pageContext) showSign(f *form, status int, d draft) error {
	pc.Title, pc.Form = pc.T(f.name+".title"), f.name
	page := signPage{Email: d.get("email"), Back: local(cmp.Or(d.get("back"), pc.r.URL.Query().Get("back"))), Errors: pc.fieldErrorsOf(d.Code, 0)}
	page.layout = pc.layout
	return pc.show(status, f.name, page)
}

// signUp creates an account and signs in. A signed-in user is redirected to the front
// page, as from the form itself. A replayed sign-up is a sign-in, and counts against
// its limits.
func (p *Pages) signUp(pc *pageContext) error {
	if pc.Person != nil {
		return pc.redirect("/web")
	}
	email, password := pc.r.PostForm.Get("email"), pc.r.PostForm.Get("password")
	var up commands.SignedUp
	err := p.Auth.AllowSignUp(pc.r)
	if err == nil {
		up, err = idempotent(pc, func(_ context.Context, key string) (commands.SignedUp, error) {
			// Not detached: no payment depends on it, and no password is hashed for a
			// browser that has left.
			return p.Commands.SignUp(pc.r.Context(), commands.SignUp{Email: email, Password: password, Key: key})
		})
	}
	welcome := flash{kind: flashWelcome, position: up.Position, amount: up.Available}
	switch {
	case err != nil:
	case up.Replayed:
		_, err = p.Auth.SignIn(pc.r.Context(), pc.w, pc.r, email, password, "")
	default:
		if _, err := p.Auth.StartSession(pc.r.Context(), pc.w, pc.r, up.User, password); err != nil {
			// The account exists: an error page would deny it.
			p.Problems.Explain(pc.w, pc.r, err) // logs it
			return pc.redirectAfter("/web/signin", welcome)
		}
	}
	if err == nil {
		return pc.redirectAfter("/web", welcome)
	}
	return pc.refused(signUpFields, err, pc.showSignUp)
}

func (p *Pages) signInForm(pc *pageContext) error {
	if pc.Person != nil {
		return pc.redirect(local(pc.r.URL.Query().Get("back")))
	}
	return pc.showSignIn(http.StatusOK, pc.takeDraft(signInFields))
}

func (p *Pages) signIn(pc *pageContext) error {
	email, back := pc.r.PostForm.Get("email"), local(pc.r.PostForm.Get("back"))
	ticket, err := p.Auth.HalfSignIn(pc.w, pc.r, email, pc.r.PostForm.Get("password"))
	switch {
	case err != nil:
		return pc.refused(signInFields, err, pc.showSignIn)
	case ticket != "":
		return pc.toCode(ticket, back)
	}
	return pc.redirectAfter(back, flash{kind: flashSignedIn})
}

func (p *Pages) signOut(pc *pageContext) error {
	if err := p.Auth.SignOut(pc.w, pc.r); err != nil {
		return err
	}
	pc.dropDrafts()
	return pc.redirectAfter("/web", flash{kind: flashSignOut})
}

// setLanguage stores the choice for a year and returns to the page. What was typed into
// the page's form is kept: its button belongs to that form.
func (p *Pages) setLanguage(pc *pageContext) error {
	l := languageByCode(pc.r.FormValue("to"))
	if l == nil {
		return errMalformed
	}
	pc.setCookie(languageCookie, l.Code, "/", 365*24*3600)
	query := pc.r.URL.Query()
	back := local(cmp.Or(query.Get("back"), pc.r.FormValue("back")))
	if f := formNamed(query.Get("form")); f != nil {
		d := pc.draftOf(f)
		d.Page, _, _ = strings.Cut(back, "?")
		pc.saveDraft(f, d) // a draft too large for a cookie is lost
	}
	return pc.redirect(back)
}

// emailOf decrypts a user's e-mail; "" where it is erased.
func (pc *pageContext) emailOf(u domain.UserID, sealed domain.Sealed) (string, error) {
	return pc.unlessLost(pc.pages.Vault.OpenEmail(pc.r.Context(), u, sealed))
}
