package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/paths"
	"kassa/projections"
	"kassa/vault"
)

type userJSON struct {
	ID              domain.UserID `json:"user_id"`
	Email           string        `json:"email"`
	EmailErased     bool          `json:"email_erased,omitempty"`
	EmailUnreadable bool          `json:"email_unreadable,omitempty"` // it is damaged
	Admin           bool          `json:"admin"`
	CreatedAt       time.Time     `json:"created_at"`
	balanceJSON
}

func (s *Server) userOf(ctx context.Context, u projections.User) (userJSON, error) {
	email, err := s.Vault.OpenEmail(ctx, u.ID, u.Email)
	if err != nil && !vault.Lost(err) {
		return userJSON{}, err
	}
	return userJSON{ID: u.ID, Email: email, EmailErased: errors.Is(err, vault.ErrErased), EmailUnreadable: s.unreadable(ctx, err), Admin: u.Admin, CreatedAt: u.SignedUpAt.UTC(),
		balanceJSON: balanceOf(u.Balance)}, nil
}

// unreadable says whether an error of the vault is damage, and logs it: the answer
// goes on without what is lost, and somebody has to see to it.
func (s *Server) unreadable(ctx context.Context, err error) bool {
	damaged := errors.Is(err, vault.ErrUnreadable)
	if damaged {
		s.Log.ErrorContext(ctx, "personal data cannot be read", "error", err)
	}
	return damaged
}

// users lists everybody, or with an e-mail the one person who has it.
func (s *Server) users(w http.ResponseWriter, r *http.Request) error {
	q, err := pageQuery(r)
	if err != nil {
		return err
	}
	var found projections.Page[projections.User]
	var at eventstore.Position
	if values := r.URL.Query(); values.Has("email") {
		found, at, err = s.userByEmail(r, values.Get("email"))
	} else {
		found, at, err = s.Views.Users(r.Context(), q, least(r))
	}
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	return writePage(w, found, at, func(u projections.User) (userJSON, error) { return s.userOf(r.Context(), u) })
}

func (s *Server) userByEmail(r *http.Request, email string) (found projections.Page[projections.User], at eventstore.Position, err error) {
	id, err := s.Commands.FindUser(r.Context(), email)
	if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.AccountNotFound {
		return found, least(r), nil // read from the log, which is never behind its views
	}
	if err != nil {
		return found, 0, err
	}
	u, at, err := s.Views.User(r.Context(), id, least(r))
	found.Items = []projections.User{u}
	return found, at, err
}

func (s *Server) user(w http.ResponseWriter, r *http.Request) error {
	id, ok := paths.ID[domain.UserID](r)
	if !ok {
		return domain.Reject(domain.AccountNotFound, noAccount)
	}
	u, at, err := s.Views.User(r.Context(), id, least(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	out, err := s.userOf(r.Context(), u)
	if err != nil {
		return err
	}
	sayPosition(w, at)
	return writeJSON(w, http.StatusOK, out)
}

// trial answers with the trial balance of the whole ledger; total is zero.
func (s *Server) trial(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Views.Trial(r.Context(), least(r))
	if err != nil {
		return err
	}
	sayPosition(w, t.Position)
	return writeJSON(w, http.StatusOK, struct {
		Position  eventstore.Position                     `json:"position"`
		Accounts  map[domain.LedgerAccount]domain.Credits `json:"accounts"`
		Available domain.Credits                          `json:"available"`
		Held      domain.Credits                          `json:"held"`
		Given     domain.Credits                          `json:"given"`      // of the available ones
		GivenHeld domain.Credits                          `json:"given_held"` // of the held ones
		Owed      domain.Credits                          `json:"owed"`       // bought, and not spent
		Total     domain.Credits                          `json:"total"`
		Users     int                                     `json:"users"`
	}{t.Position, t.Accounts, t.Available, t.Held, t.Given, t.GivenHeld, t.Owed(), t.Total(), t.Users})
}
