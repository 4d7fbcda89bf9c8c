package httpapi

import (
	"context"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/vault"
)

type tokenJSON struct {
	ID         vault.TokenID `json:"token_id"`
	Name       string        `json:"name"`
	Scopes     []vault.Scope `json:"scopes"`
	CreatedAt  time.Time     `json:"created_at"`
	ExpiresAt  time.Time     `json:"expires_at"`
	LastUsedAt time.Time     `json:"last_used_at,omitzero"` // to within minutes
}

func tokenOf(t vault.Token) tokenJSON {
	at := t.LastUsedAt
	if !at.IsZero() {
		at = at.UTC()
	}
	return tokenJSON{t.ID, t.Name, t.Scopes, t.CreatedAt.UTC(), t.ExpiresAt.UTC(), at}
}

func (s *Server) tokens(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	items, err := s.tokensOf(r.Context(), who.User)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": items})
}

func (s *Server) tokensOf(ctx context.Context, u domain.UserID) ([]tokenJSON, error) {
	list, err := s.Identity.Tokens(ctx, u)
	if err != nil {
		return nil, err
	}
	items := make([]tokenJSON, len(list))
	for i, t := range list {
		items[i] = tokenOf(t)
	}
	return items, nil
}

// makeToken answers with the token's text, which is given this once. A request that is sent
// again makes another token: the first one is in the list, and nobody has its text.
func (s *Server) makeToken(w http.ResponseWriter, r *http.Request) error {
	var order identity.TokenOrder
	var scopes []string
	life := days(identity.FirstTokenDays)
	if _, err := readBody(r, fields{"name": &order.Name, "scopes": &scopes, "expires_in_days": &life, "password": &order.Password}); err != nil {
		return err
	}
	order.Days = int(life)
	for _, scope := range scopes {
		order.Scopes = append(order.Scopes, vault.Scope(scope))
	}
	who, _ := identity.From(r.Context())
	text, made, err := s.Identity.MakeToken(r, who, order)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, struct {
		tokenJSON
		Text string `json:"token"`
	}{tokenOf(made), text})
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	id, ok := paths.ID[vault.TokenID](r)
	if !ok {
		return domain.Reject(problem.TokenNotFound, "there is no such token, or it has ended")
	}
	who, _ := identity.From(r.Context())
	if err := s.Identity.RevokeToken(r.Context(), who.User, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
