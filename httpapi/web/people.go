package web

import (
	"context"
	"net/http"

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
	return v.showSign("signup", http.StatusOK, signPage{})
}

func (v *visit) showSign(name string, status int, page signPage) error {
	v.Title = v.T(name + ".title")
	page.frame = v.frame
	return v.show(status, name, page)
}

// signUp opens an account and signs in. Who is signed in has an account: like the
// form itself, sending it leads to the front page. A sign-up that was done before
// proves knowledge of the form's key only, so the password is asked of it again.
func (p *Pages) signUp(v *visit) error {
	if v.Person != nil {
		return v.send("/web")
	}
	email, password := v.r.PostForm.Get("email"), v.r.PostForm.Get("password")
	var up commands.SignedUp
	err := p.Door.AllowSignUp(v.r)
	if err == nil {
		up, err = once(v, func(ctx context.Context, key string) (commands.SignedUp, error) {
			return p.Commands.SignUp(ctx, commands.SignUp{Email: email, Password: password, Key: key})
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
	said, status, ok := v.told(err)
	if !ok {
		return err
	}
	return v.showSign("signup", status, signPage{Email: email, Faults: said})
}

func (p *Pages) signInForm(v *visit) error {
	back := local(v.r.URL.Query().Get("back"))
	if v.Person != nil {
		return v.send(back)
	}
	return v.showSign("signin", http.StatusOK, signPage{Back: back})
}

func (p *Pages) signIn(v *visit) error {
	email, back := v.r.PostForm.Get("email"), local(v.r.PostForm.Get("back"))
	_, err := p.Door.SignIn(v.r.Context(), v.w, v.r, email, v.r.PostForm.Get("password"))
	if err == nil {
		return v.sendAfter(back, note{kind: noteSignedIn})
	}
	said, status, ok := v.told(err)
	if !ok {
		return err
	}
	return v.showSign("signin", status, signPage{Email: email, Back: back, Faults: said})
}

func (p *Pages) signOut(v *visit) error {
	if err := p.Door.SignOut(v.w, v.r); err != nil {
		return err
	}
	return v.sendAfter("/web", note{kind: noteSignOut})
}

// setLanguage remembers the choice for a year and goes back.
func (p *Pages) setLanguage(v *visit) error {
	l := languageByCode(v.r.FormValue("to"))
	if l == nil {
		return errMalformed
	}
	v.setCookie(languageCookie, l.Code, "/", 365*24*3600)
	return v.send(local(v.r.FormValue("back")))
}

// emailOf opens a person's address; "" where it is erased.
func (v *visit) emailOf(u domain.UserID, sealed domain.Sealed) (string, error) {
	return unlessErased(v.pages.Vault.OpenEmail(v.r.Context(), u, sealed))
}
