package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/vault"
)

type passkeyJSON struct {
	ID         vault.PasskeyID `json:"passkey_id"`
	Name       string          `json:"name"`
	CreatedAt  time.Time       `json:"created_at"`
	LastUsedAt time.Time       `json:"last_used_at,omitzero"`
	CopiedAt   time.Time       `json:"copied_at,omitzero"` // since when it is refused
}

func passkeyOf(p vault.Passkey) passkeyJSON {
	shown := passkeyJSON{ID: p.ID, Name: p.Name, CreatedAt: p.CreatedAt.UTC()}
	if !p.LastUsedAt.IsZero() {
		shown.LastUsedAt = p.LastUsedAt.UTC()
	}
	if !p.CopiedAt.IsZero() {
		shown.CopiedAt = p.CopiedAt.UTC()
	}
	return shown
}

func (s *Server) passkeys(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	items, err := s.passkeysOf(r.Context(), who.User)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": items})
}

func (s *Server) passkeysOf(ctx context.Context, u domain.UserID) ([]passkeyJSON, error) {
	list, err := s.Identity.Passkeys(ctx, u)
	if err != nil {
		return nil, err
	}
	items := make([]passkeyJSON, len(list))
	for i, p := range list {
		items[i] = passkeyOf(p)
	}
	return items, nil
}

func noCredential() error {
	return domain.Reject(problem.InvalidField, "credential must be an object, as the browser gives it")
}

// offerPasskey gives what the browser needs to make a passkey.
func (s *Server) offerPasskey(w http.ResponseWriter, r *http.Request) error {
	var password string
	if _, err := readBody(r, fields{"password": &password}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	creation, err := s.Identity.OfferPasskey(r, who, password)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, creation)
}

func (s *Server) addPasskey(w http.ResponseWriter, r *http.Request) error {
	var name string
	var answer jsontext.Value
	if _, err := readBody(r, fields{"name": &name, "credential": &answer}); err != nil {
		return err
	}
	if answer.Kind() != '{' {
		return noCredential()
	}
	who, _ := identity.From(r.Context())
	added, err := s.Identity.AddPasskey(r, who, name, answer)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, passkeyOf(added))
}

func (s *Server) dropPasskey(w http.ResponseWriter, r *http.Request) error {
	var password string
	if _, err := readBody(r, fields{"password": &password}); err != nil {
		return err
	}
	id, ok := paths.ID[vault.PasskeyID](r)
	if !ok {
		return domain.Reject(problem.PasskeyNotFound, "you have no such passkey")
	}
	who, _ := identity.From(r.Context())
	if _, err := s.Identity.DropPasskey(r, who, id, password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// askPasskey gives what the browser needs to give a passkey in place of a code.
func (s *Server) askPasskey(w http.ResponseWriter, r *http.Request) error {
	if err := readNoBody(r); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	assertion, err := s.Identity.AskPasskey(r, who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, assertion)
}

// givePasskey is giveCode by a passkey.
func (s *Server) givePasskey(w http.ResponseWriter, r *http.Request) error {
	var answer jsontext.Value
	if _, err := readBody(r, fields{"credential": &answer}); err != nil {
		return err
	}
	if answer.Kind() != '{' {
		return noCredential()
	}
	who, _ := identity.From(r.Context())
	if err := s.Identity.GivePasskey(r, who, answer); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
