package identity

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"kassa/domain"
	"kassa/httpapi/problem"
	"kassa/vault"
)

// PasskeyAddress gives the address at which browsers may use passkeys, "" where there is none,
// and reports whether the request was sent there. WebAuthn binds a passkey to a name, and wants
// https, but for localhost. The name comes from settings and never from the request alone: it is
// that of the public address, else the first of the names by which the service may be called,
// else localhost.
func (a *Authenticator) PasskeyAddress(r *http.Request) (address string, here bool) {
	asked := url.URL{Scheme: "http", Host: strings.ToLower(r.Host)}
	if a.Secure {
		asked.Scheme = "https"
	}
	own := a.ownAddress(asked)
	name := own.Hostname()
	local := name == "localhost" || strings.HasSuffix(name, ".localhost")
	switch {
	case protocol.ValidateRPID(name) != nil, own.Scheme != "https" && !local:
		return "", false
	}
	return own.String(), asked.Hostname() == name
}

// ownAddress is the address of the settings, as browsers write an origin. Without a public one
// its scheme and port are those of the address that was asked for: they are in no setting.
func (a *Authenticator) ownAddress(asked url.URL) url.URL {
	if public, err := url.Parse(strings.ToLower(a.PublicURL)); err == nil && public.Host != "" {
		own := url.URL{Scheme: public.Scheme, Host: public.Host}
		if own.Port() == map[string]string{"http": "80", "https": "443"}[own.Scheme] {
			own.Host = own.Hostname()
		}
		return own
	}
	name := "localhost"
	if len(a.Hosts) > 0 {
		name = strings.ToLower(a.Hosts[0])
	}
	if port := asked.Port(); port != "" {
		name = net.JoinHostPort(name, port)
	}
	return url.URL{Scheme: asked.Scheme, Host: name}
}

// relyingParty is the service as WebAuthn names it. The refusal is passkeys_unavailable.
func (a *Authenticator) relyingParty(r *http.Request) (*webauthn.WebAuthn, error) {
	address, here := a.PasskeyAddress(r)
	if !here {
		const only = "passkeys work where the service is called by its name over https"
		if address == "" {
			return nil, domain.Reject(problem.PasskeysUnavailable, only+", and its operator has not set that up")
		}
		return nil, domain.Reject(problem.PasskeysUnavailable, only+": open %s", address)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("read the address of passkeys: %w", err)
	}
	wait := webauthn.TimeoutConfig{Timeout: vault.ChallengeLife, TimeoutUVD: vault.ChallengeLife}
	site, err := webauthn.New(&webauthn.Config{RPID: u.Hostname(), RPDisplayName: "Kassa", RPOrigins: []string{address}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred},
		Timeouts:               webauthn.TimeoutsConfig{Login: wait, Registration: wait}})
	if err != nil {
		return nil, fmt.Errorf("name the service for passkeys: %w", err)
	}
	return site, nil
}
