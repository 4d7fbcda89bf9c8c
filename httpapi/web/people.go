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
	frame
	Email  string // what was typed; a password is never shown again
	Back   string
	Faults faults
}

func (p *Pages) signUpForm(v *visit) error {
	if v.Person != nil {
		return v.send("/web")
	}
	return v.showSignUp(http.StatusOK, v.takeDraft(openingForm))
}

func (v *visit) showSignUp(status int, d draft) error { return v.showSign(openingForm, status, d) }

func (v *visit) showSignIn(status int, d draft) error { return v.showSign(signingForm, status, d) }

// showSign shows one of the forms for those who are not signed in.
func (v *visit) showSign(f *form, status int, d draft) error {
	v.Title, v.Form = v.T(f.name+".title"), f.name
	page := signPage{Email: d.get("email"), Back: local(cmp.Or(d.get("back"), v.r.URL.Query().Get("back"))), Faults: v.faultsOf(d.Code, 0)}
	page.frame = v.frame
	return v.show(status, f.name, page)
}

// signUp opens an account and signs in. Who is signed in has an account: like the
// form itself, sending it leads to the front page. A sign-up that was done before
// is a sign-in, and counts against its limits.
func (p *Pages) signUp(v *visit) error {
	if v.Person != nil {
		return v.send("/web")
	}
	email, password := v.r.PostForm.Get("email"), v.r.PostForm.Get("password")
	var up commands.SignedUp
	err := p.Door.AllowSignUp(v.r)
	if err == nil {
		up, err = once(v, func(_ context.Context, key string) (commands.SignedUp, error) {
			// Not firm: no payment hangs on it, and a password is not hashed for a browser that left.
			return p.Commands.SignUp(v.r.Context(), commands.SignUp{Email: email, Password: password, Key: key})
		})
	}
	welcome := note{kind: noteWelcome, position: up.Position, amount: up.Available}
	switch {
	case err != nil:
	case up.Replayed:
		_, err = p.Door.SignIn(v.r.Context(), v.w, v.r, email, password)
	default:
		if err := p.Door.StartSession(v.r.Context(), v.w, up.User); err != nil {
			// The account is open: a page of a fault would say that it is not.
			p.Problems.Explain(v.w, v.r, err) // to the log
			return v.sendAfter("/web/signin", welcome)
		}
	}
	if err == nil {
		return v.sendAfter("/web", welcome)
	}
	return v.refused(openingForm, err, v.showSignUp)
}

func (p *Pages) signInForm(v *visit) error {
	if v.Person != nil {
		return v.send(local(v.r.URL.Query().Get("back")))
	}
	return v.showSignIn(http.StatusOK, v.takeDraft(signingForm))
}

func (p *Pages) signIn(v *visit) error {
	email, back := v.r.PostForm.Get("email"), local(v.r.PostForm.Get("back"))
	_, err := p.Door.SignIn(v.r.Context(), v.w, v.r, email, v.r.PostForm.Get("password"))
	if err == nil {
		return v.sendAfter(back, note{kind: noteSignedIn})
	}
	return v.refused(signingForm, err, v.showSignIn)
}

func (p *Pages) signOut(v *visit) error {
	if err := p.Door.SignOut(v.w, v.r); err != nil {
		return err
	}
	return v.sendAfter("/web", note{kind: noteSignOut})
}

// setLanguage remembers the choice for a year and goes back. What was typed into the
// page's form comes along: its button belongs to that form.
func (p *Pages) setLanguage(v *visit) error {
	l := languageByCode(v.r.FormValue("to"))
	if l == nil {
		return errMalformed
	}
	v.setCookie(languageCookie, l.Code, "/", 365*24*3600)
	query := v.r.URL.Query()
	back := local(cmp.Or(query.Get("back"), v.r.FormValue("back")))
	if f := formNamed(query.Get("form")); f != nil {
		d := v.draftOf(f)
		d.Page, _, _ = strings.Cut(back, "?")
		v.leaveDraft(f, d) // where it does not fit, it is lost
	}
	return v.send(back)
}

// emailOf opens a person's address; "" where it is erased.
func (v *visit) emailOf(u domain.UserID, sealed domain.Sealed) (string, error) {
	return v.unlessLost(v.pages.Vault.OpenEmail(v.r.Context(), u, sealed))
}
