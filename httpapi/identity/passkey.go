package identity

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/internal/security"
	"kassa/vault"
)

// passkeys are what the methods below need of the vault.
type passkeys interface {
	NewChallenge(ctx context.Context, u domain.UserID, c vault.Ceremony, now time.Time) (challenge []byte, ok bool, err error)
	TakeChallenge(ctx context.Context, u domain.UserID, c vault.Ceremony, now time.Time) (challenge []byte, ok bool, err error)
	AddPasskey(ctx context.Context, u domain.UserID, p vault.Passkey, now time.Time) (added vault.Passkey, ok bool, err error)
	Passkeys(ctx context.Context, u domain.UserID) ([]vault.Passkey, error)
	UsePasskey(ctx context.Context, u domain.UserID, credential []byte, count uint32, now time.Time) (ok, copied bool, err error)
	DropPasskey(ctx context.Context, u domain.UserID, id vault.PasskeyID, but vault.SessionID) (dropped, copied bool, err error)
}

// byPasskey is the method of a passkey in the security log.
const byPasskey = "passkey"

// holder is a person as WebAuthn sees them.
type holder struct {
	user     domain.UserID
	email    string
	passkeys []vault.Passkey
}

func (h holder) WebAuthnID() []byte          { return []byte(h.user) }
func (h holder) WebAuthnName() string        { return h.email }
func (h holder) WebAuthnDisplayName() string { return h.email }

// WebAuthnCredentials leaves out what cannot be read. Copied ones are among them: that they are
// refused is said after their signature was verified.
func (h holder) WebAuthnCredentials() (list []webauthn.Credential) {
	for _, p := range h.passkeys {
		if len(p.Credential.ID) == 0 {
			continue
		}
		c := webauthn.Credential{ID: p.Credential.ID, PublicKey: p.Credential.PublicKey,
			Flags: webauthn.CredentialFlags{BackupEligible: p.Credential.BackupEligible}}
		for _, t := range p.Credential.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		list = append(list, c)
	}
	return list
}

func (a *Authenticator) withPasskeys(ctx context.Context, u domain.UserID, email string) (holder, error) {
	list, err := a.Vault.Passkeys(ctx, u)
	return holder{u, email, list}, err
}

// Passkeys are the user's passkeys, the newest first.
func (a *Authenticator) Passkeys(ctx context.Context, u domain.UserID) ([]vault.Passkey, error) {
	return a.Vault.Passkeys(ctx, u)
}

// CanGivePasskey reports whether the user of a session may give a passkey where this request was
// sent to.
func (a *Authenticator) CanGivePasskey(r *http.Request, who Person) (bool, error) {
	return a.hasPasskey(r, who.User)
}

// CanSignInByPasskey is CanGivePasskey for the person of a ticket.
func (a *Authenticator) CanSignInByPasskey(r *http.Request, ticket string) (bool, error) {
	u, ok := a.Vault.HalfSignedIn(ticket, a.Now())
	if !ok {
		return false, nil
	}
	return a.hasPasskey(r, u)
}

func (a *Authenticator) hasPasskey(r *http.Request, u domain.UserID) (bool, error) {
	if _, here := a.PasskeyAddress(r); !here {
		return false, nil
	}
	h, err := a.withPasskeys(r.Context(), u, "")
	return len(h.WebAuthnCredentials()) > 0, err
}

// OfferPasskey gives what the browser needs to make a passkey in this session, after the
// password and a fresh code. Refusals: session_required, wrong_password, code_required,
// no_factor, too_many_passkeys, passkeys_unavailable, *problem.TooMany.
func (a *Authenticator) OfferPasskey(r *http.Request, who Person, password string) (*protocol.CredentialCreation, error) {
	site, err := a.relyingParty(r)
	if err != nil {
		return nil, err
	}
	if who.Session != "" && !who.Factor {
		return nil, noFactor()
	}
	if err := a.bySessionAndPassword(r, who, password); err != nil {
		return nil, err
	}
	person, err := a.person(r.Context(), who.User) // a request of the API has no e-mail with it
	if err != nil {
		return nil, err
	}
	h, err := a.withPasskeys(r.Context(), who.User, person.Email)
	if err != nil {
		return nil, err
	}
	if len(h.passkeys) >= vault.MaxPasskeys {
		return nil, tooManyPasskeys()
	}
	challenge, err := a.challenge(r.Context(), who.User, vault.AddingPasskey(who.Session))
	if err != nil {
		return nil, err
	}
	creation, _, err := site.BeginRegistration(h, webauthn.WithCredentialParameters(algorithms), webauthn.WithExclusions(descriptors(h)),
		func(o *protocol.PublicKeyCredentialCreationOptions) error { o.Challenge = challenge; return nil })
	return creation, err
}

// algorithms are those of passkeys: what all authenticators have of them, the best first.
var algorithms = webauthn.CredentialParametersRecommendedL3()

func descriptors(h holder) (list []protocol.CredentialDescriptor) {
	for _, c := range h.WebAuthnCredentials() {
		list = append(list, c.Descriptor())
	}
	return list
}

// challenge is counted: a person's have a limit, and so has what they make others compute.
func (a *Authenticator) challenge(ctx context.Context, u domain.UserID, c vault.Ceremony) ([]byte, error) {
	if err := a.allow(ctx, a.limits().passkeys, string(u)); err != nil {
		return nil, err
	}
	challenge, ok, err := a.Vault.NewChallenge(ctx, u, c, a.Now())
	if err == nil && !ok {
		err = noFactor()
	}
	return challenge, err
}

// AddPasskey adds the passkey that the browser made, by its answer to OfferPasskey. Refusals:
// session_required, invalid_name, wrong_passkey, too_many_passkeys, passkeys_unavailable.
func (a *Authenticator) AddPasskey(r *http.Request, who Person, name string, answer []byte) (vault.Passkey, error) {
	p, err := a.addPasskey(r, who, name, answer)
	a.record(r.Context(), security.Event{Kind: security.FactorAdded, User: who.User, Method: byPasskey}, err)
	return p, err
}

func (a *Authenticator) addPasskey(r *http.Request, who Person, name string, answer []byte) (none vault.Passkey, err error) {
	if who.Session == "" {
		return none, domain.Reject(problem.SessionRequired, "this takes a browser's session: sign in")
	}
	site, err := a.relyingParty(r)
	if err != nil {
		return none, err
	}
	if name, err = CheckName(name); err != nil {
		return none, err
	}
	challenge, ok, err := a.Vault.TakeChallenge(r.Context(), who.User, vault.AddingPasskey(who.Session), a.Now())
	if err != nil {
		return none, err
	}
	parsed, malformed := protocol.ParseCredentialCreationResponseBytes(answer)
	if !ok || malformed != nil {
		return none, wrongPasskey()
	}
	made, invalid := site.CreateCredential(holder{user: who.User}, webauthn.SessionData{Challenge: base64.RawURLEncoding.EncodeToString(challenge), UserID: []byte(who.User),
		UserVerification: protocol.VerificationPreferred, CredParams: algorithms}, parsed)
	if invalid != nil {
		return none, wrongPasskey()
	}
	p, ok, err := a.Vault.AddPasskey(r.Context(), who.User, vault.Passkey{Name: name, Count: made.Authenticator.SignCount,
		Credential: vault.Credential{ID: made.ID, PublicKey: made.PublicKey, Transports: transports(made), BackupEligible: made.Flags.BackupEligible}}, a.Now())
	switch {
	case errors.Is(err, vault.ErrTooManyPasskeys):
		err = tooManyPasskeys()
	case err == nil && !ok:
		err = wrongPasskey()
	}
	return p, err
}

func transports(c *webauthn.Credential) (list []string) {
	for _, t := range c.Transport {
		list = append(list, string(t))
	}
	return list
}

func wrongPasskey() error {
	return domain.Reject(problem.WrongPasskey, "this is not one of your passkeys, its signature is wrong, or it took too long: try again")
}

func tooManyPasskeys() error {
	return domain.Reject(problem.TooManyPasskeys, "you have %d passkeys: remove one that is not needed any more", vault.MaxPasskeys)
}

// DropPasskey removes one of the user's passkeys, after their password and a fresh code. copied
// reports that it may have been copied, and that with it the user's other sessions ended, and
// their personal tokens. Refusals: session_required, wrong_password, code_required,
// passkey_not_found, *problem.TooMany.
func (a *Authenticator) DropPasskey(r *http.Request, who Person, id vault.PasskeyID, password string) (copied bool, err error) {
	if err = a.bySessionAndPassword(r, who, password); err == nil {
		var dropped bool
		if dropped, copied, err = a.Vault.DropPasskey(r.Context(), who.User, id, who.Session); err == nil && !dropped {
			err = domain.Reject(problem.PasskeyNotFound, "you have no such passkey")
		}
	}
	a.record(r.Context(), security.Event{Kind: security.FactorRemoved, User: who.User, Method: byPasskey}, err)
	return copied, err
}

// AskPasskey gives what the browser needs to give one of the user's passkeys in this session.
// Refusals: session_required, no_factor, no_passkey, passkeys_unavailable, *problem.TooMany.
func (a *Authenticator) AskPasskey(r *http.Request, who Person) (*protocol.CredentialAssertion, error) {
	switch {
	case who.Session == "":
		return nil, domain.Reject(problem.SessionRequired, "this takes a browser's session: sign in")
	case !who.Factor:
		return nil, noFactor()
	}
	return a.askPasskey(r, who.User, vault.GivingPasskey(who.Session))
}

// AskPasskeyAtSignIn is AskPasskey for the person of a ticket. The refusal is
// invalid_credentials where it has expired.
func (a *Authenticator) AskPasskeyAtSignIn(r *http.Request, ticket string) (*protocol.CredentialAssertion, error) {
	u, ok := a.Vault.HalfSignedIn(ticket, a.Now())
	if !ok {
		return nil, signInTooLong()
	}
	return a.askPasskey(r, u, vault.SigningIn(ticket))
}

func (a *Authenticator) askPasskey(r *http.Request, u domain.UserID, c vault.Ceremony) (*protocol.CredentialAssertion, error) {
	site, err := a.relyingParty(r)
	if err != nil {
		return nil, err
	}
	h, err := a.withPasskeys(r.Context(), u, "")
	if err != nil {
		return nil, err
	}
	if len(h.WebAuthnCredentials()) == 0 {
		return nil, domain.Reject(problem.NoPasskey, "you have no passkey")
	}
	challenge, err := a.challenge(r.Context(), u, c)
	if err != nil {
		return nil, err
	}
	assertion, _, err := site.BeginLogin(h, webauthn.WithChallenge(challenge))
	return assertion, err
}

// GivePasskey is GiveCode by the browser's answer to AskPasskey. Refusals: session_required,
// no_factor, wrong_passkey, passkey_copied, passkeys_unavailable.
func (a *Authenticator) GivePasskey(r *http.Request, who Person, answer []byte) error {
	err := a.givePasskey(r, who, answer)
	a.record(r.Context(), security.Event{Kind: security.FactorChecked, User: who.User, Method: byPasskey}, err)
	return err
}

func (a *Authenticator) givePasskey(r *http.Request, who Person, answer []byte) error {
	switch {
	case who.Session == "":
		return domain.Reject(problem.SessionRequired, "this takes a browser's session: sign in")
	case !who.Factor:
		return noFactor()
	}
	if err := a.checkPasskey(r, who.User, vault.GivingPasskey(who.Session), answer); err != nil {
		return err
	}
	return partly(a.Vault.FactorGiven(r.Context(), who.User, who.Session, a.Now()), "the passkey was used")
}

// FinishSignInByPasskey is FinishSignIn by the browser's answer to AskPasskeyAtSignIn. Refusals:
// invalid_credentials, where the ticket has expired; wrong_passkey, passkey_copied,
// passkeys_unavailable.
func (a *Authenticator) FinishSignInByPasskey(w http.ResponseWriter, r *http.Request, ticket string, answer []byte) error {
	return a.finish(w, r, ticket, func(u domain.UserID) (string, error) {
		return byPasskey, a.checkPasskey(r, u, vault.SigningIn(ticket), answer)
	})
}

// checkPasskey verifies a signature of one of the person's passkeys for the ceremony's
// challenge, which is used by it.
func (a *Authenticator) checkPasskey(r *http.Request, u domain.UserID, c vault.Ceremony, answer []byte) error {
	ctx := r.Context()
	site, err := a.relyingParty(r)
	if err != nil {
		return err
	}
	challenge, ok, err := a.Vault.TakeChallenge(ctx, u, c, a.Now())
	if err != nil {
		return err
	}
	h, err := a.withPasskeys(ctx, u, "")
	if err != nil {
		return err
	}
	parsed, malformed := protocol.ParseCredentialRequestResponseBytes(answer)
	if !ok || malformed != nil {
		return wrongPasskey()
	}
	used, invalid := site.ValidateLogin(h, webauthn.SessionData{Challenge: base64.RawURLEncoding.EncodeToString(challenge), UserID: []byte(u), UserVerification: protocol.VerificationPreferred}, parsed)
	if invalid != nil {
		return wrongPasskey()
	}
	good, copied, err := a.Vault.UsePasskey(ctx, u, used.ID, parsed.Response.AuthenticatorData.Counter, a.Now())
	switch {
	case err != nil || good:
		return err
	case copied:
		return domain.Reject(problem.PasskeyCopied, "this passkey may have been copied, and is refused: give a code, then remove the passkey, which ends your other sessions and personal tokens")
	}
	return wrongPasskey()
}
