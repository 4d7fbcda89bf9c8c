package web

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/go-webauthn/webauthn/protocol"

	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/vault"
)

const (
	passkeysPath   = factorPath + "/passkeys"
	newPasskeyPath = passkeysPath + "/new"
	askPasskeyPath = codePath + "/passkey"
)

// passkeyAuthenticator is the part of Authenticator for passkeys.
type passkeyAuthenticator interface {
	Passkeys(ctx context.Context, u domain.UserID) ([]vault.Passkey, error)
	PasskeyAddress(r *http.Request) (address string, here bool)
	CanGivePasskey(r *http.Request, who identity.Person) (bool, error)
	CanSignInByPasskey(r *http.Request, ticket string) (bool, error)
	OfferPasskey(r *http.Request, who identity.Person, password string) (*protocol.CredentialCreation, error)
	AddPasskey(r *http.Request, who identity.Person, name string, answer []byte) (vault.Passkey, error)
	DropPasskey(r *http.Request, who identity.Person, id vault.PasskeyID, password string) (copied bool, err error)
	AskPasskeyAtSignIn(r *http.Request, ticket string) (*protocol.CredentialAssertion, error)
	FinishSignInByPasskey(w http.ResponseWriter, r *http.Request, ticket string, answer []byte) error
}

// passkeysPage lists a person's passkeys; its page of a new one has no list.
type passkeysPage struct {
	layout
	Passkeys []vault.Passkey
	Address  string // where passkeys can be used; "": nowhere
	Here     bool   // it is that of this request
	Name     string
	Errors   fieldErrors
}

func (p *Pages) passkeys(pc *pageContext) error {
	return pc.showPasskeys(http.StatusOK, pc.takeDraft(dropPasskeyFields))
}

func (pc *pageContext) showPasskeys(status int, d draft) error {
	list, err := pc.pages.Auth.Passkeys(pc.r.Context(), pc.Person.User)
	if err != nil {
		return err
	}
	pc.Title, pc.Section = pc.T("passkeys.title"), "account"
	page := passkeysPage{layout: pc.layout, Passkeys: list, Errors: pc.fieldErrorsOf(d.Code, 0)}
	page.Address, page.Here = pc.pages.Auth.PasskeyAddress(pc.r)
	return pc.show(status, "passkeys", page)
}

func (p *Pages) newPasskey(pc *pageContext) error {
	return pc.showNewPasskey(http.StatusOK, pc.takeDraft(passkeyFields))
}

func (pc *pageContext) showNewPasskey(status int, d draft) error {
	pc.Title, pc.Section, pc.Form = pc.T("passkeys.add"), "account", passkeyFields.name
	page := passkeysPage{layout: pc.layout, Name: d.get("name"), Errors: pc.fieldErrorsOf(d.Code, 0)}
	page.Address, page.Here = pc.pages.Auth.PasskeyAddress(pc.r)
	return pc.show(status, "passkey_new", page)
}

// offerPasskey is the first step of a new passkey. The script of the page sends the form here,
// has the browser make the passkey by the answer, and sends the form to addPasskey with it. A
// refusal redirects, as that of any form, and the script shows the page again.
func (p *Pages) offerPasskey(pc *pageContext) error {
	_, err := identity.CheckName(pc.typed("name")) // before a passkey is made that cannot be added
	if err == nil {
		err = pc.giveCode()
	}
	if err != nil {
		return pc.refused(passkeyFields, err, pc.showNewPasskey)
	}
	creation, err := p.Auth.OfferPasskey(pc.r, *pc.Person, pc.r.PostForm.Get("password"))
	if err != nil {
		return pc.refused(passkeyFields, err, pc.showNewPasskey)
	}
	return pc.answer(creation)
}

func (p *Pages) addPasskey(pc *pageContext) error {
	if _, err := p.Auth.AddPasskey(pc.r, *pc.Person, pc.typed("name"), []byte(pc.r.PostForm.Get("credential"))); err != nil {
		return pc.refused(passkeyFields, err, pc.showNewPasskey)
	}
	return pc.redirectAfter(passkeysPath, flash{kind: flashPasskey})
}

// dropPasskey removes the chosen passkey. One that is gone already has been removed.
func (p *Pages) dropPasskey(pc *pageContext) error {
	id := vault.PasskeyID(pc.r.PostForm.Get("remove"))
	if !id.Valid() {
		return errMalformed
	}
	copied, err := false, pc.giveCode()
	if err == nil {
		copied, err = p.Auth.DropPasskey(pc.r, *pc.Person, id, pc.r.PostForm.Get("password"))
	}
	if refusal := domain.RefusalIn(err); err != nil && (refusal == nil || refusal.Code != problem.PasskeyNotFound) {
		return pc.refused(dropPasskeyFields, err, pc.showPasskeys)
	}
	done := flash{kind: flashNoPasskey}
	if copied {
		done.kind = flashNoCopy
	}
	return pc.redirectAfter(passkeysPath, done)
}

// askPasskey gives the script of the sign-in's second step what the browser needs.
func (p *Pages) askPasskey(pc *pageContext) error {
	assertion, err := p.Auth.AskPasskeyAtSignIn(pc.r, pc.ticket())
	if err != nil {
		return pc.unfinished(err)
	}
	return pc.answer(assertion)
}

// answer sends JSON to a script.
func (pc *pageContext) answer(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	pc.w.Header().Set("Content-Type", "application/json")
	pc.w.Header().Set("Cache-Control", "no-store")
	_, _ = pc.w.Write(body) // a failed write means that the browser has left
	return nil
}

// AcceptsPasskey reports whether a form that asks for a code takes a passkey as well: the person
// has one, and the browser can use it at this address.
func (f layout) AcceptsPasskey() (bool, error) {
	if f.acceptsPasskey == nil {
		return false, nil
	}
	return f.acceptsPasskey()
}
