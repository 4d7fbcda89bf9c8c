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

// changePassword changes the user's password. All sessions end; a browser gets a new one.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request) error {
	var was, password string
	if _, err := readBody(r, fields{"password": &was, "new_password": &password}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	if err := s.Identity.ChangePassword(r.Context(), w, r, who, was, password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forgotPassword asks for a mail with a one-time link. The answer does not tell whether the
// address has an account.
func (s *Server) forgotPassword(w http.ResponseWriter, r *http.Request) error {
	var email, language string
	given, err := readBody(r, fields{"email": &email, "language": &language})
	if err != nil {
		return err
	}
	switch {
	case !given["language"]:
		language = "en"
	case language != "en" && language != "ru":
		return domain.Reject(problem.InvalidLanguage, "mails are written in en or ru")
	}
	if err := s.Identity.AskReset(r, email, language); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// resetPassword sets a password by the token of a one-time link. No session is started.
func (s *Server) resetPassword(w http.ResponseWriter, r *http.Request) error {
	var token, password string
	if _, err := readBody(r, fields{"token": &token, "new_password": &password}); err != nil {
		return err
	}
	if err := s.Identity.Reset(r, token, password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type sessionJSON struct {
	ID        vault.SessionID `json:"session_id"`
	Current   bool            `json:"current"` // it sent the request
	Device    string          `json:"device"`
	Network   string          `json:"network"`
	CreatedAt time.Time       `json:"created_at"`
	SeenAt    time.Time       `json:"last_seen_at"` // to within minutes
	ExpiresAt time.Time       `json:"expires_at"`
}

func (s *Server) sessions(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	items, err := s.sessionsOf(r.Context(), who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": items})
}

func (s *Server) sessionsOf(ctx context.Context, who identity.Person) ([]sessionJSON, error) {
	list, err := s.Identity.Sessions(ctx, who.User)
	if err != nil {
		return nil, err
	}
	items := make([]sessionJSON, len(list))
	for i, n := range list {
		items[i] = sessionJSON{n.ID, n.ID == who.Session, n.Device, n.Network, n.CreatedAt.UTC(), n.SeenAt.UTC(), n.ExpiresAt.UTC()}
	}
	return items, nil
}

func (s *Server) endSession(w http.ResponseWriter, r *http.Request) error {
	id, ok := paths.ID[vault.SessionID](r)
	if !ok {
		return domain.Reject(problem.SessionNotFound, "there is no such session, or it has ended")
	}
	who, _ := identity.From(r.Context())
	if err := s.Identity.EndSession(r.Context(), who.User, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// endOtherSessions ends all sessions but the one that sent the request.
func (s *Server) endOtherSessions(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	if err := s.Identity.EndOtherSessions(r.Context(), who); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
