package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/paths"
	"kassa/httpapi/requestlog"
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

// unreadable reports whether an error of the vault is damaged data, and logs it. The
// answer is given without the lost part; an operator has to repair it.
func (s *Server) unreadable(ctx context.Context, err error) bool {
	damaged := errors.Is(err, vault.ErrUnreadable)
	if damaged {
		s.Log.ErrorContext(ctx, "personal data cannot be read", "error", err)
	}
	return damaged
}

// users lists all users, or with an e-mail the one user who has it.
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
		found, at, err = s.Views.Users(r.Context(), q, minPosition(r))
	}
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	return writePage(w, r, found, at, func(u projections.User) (userJSON, error) { return s.userOf(r.Context(), u) })
}

func (s *Server) userByEmail(r *http.Request, email string) (found projections.Page[projections.User], at eventstore.Position, err error) {
	id, err := s.Commands.FindUser(r.Context(), email)
	if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.AccountNotFound {
		return found, minPosition(r), nil // read from the log, which is never behind the views
	}
	if err != nil {
		return found, 0, err
	}
	requestlog.Of(r.Context()).Subject = id
	u, at, err := s.Views.User(r.Context(), id, minPosition(r))
	found.Items = []projections.User{u}
	return found, at, err
}

func (s *Server) user(w http.ResponseWriter, r *http.Request) error {
	id, ok := paths.ID[domain.UserID](r)
	if !ok {
		return domain.Reject(domain.AccountNotFound, noAccount)
	}
	requestlog.Of(r.Context()).Subject = id
	u, at, err := s.Views.User(r.Context(), id, minPosition(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	out, err := s.userOf(r.Context(), u)
	if err != nil {
		return err
	}
	setPosition(w, at)
	return writeJSON(w, http.StatusOK, out)
}

// trial returns the trial balance of the whole ledger; total is zero.
func (s *Server) trial(w http.ResponseWriter, r *http.Request) error {
	t, err := s.Views.Trial(r.Context(), minPosition(r))
	if err != nil {
		return err
	}
	setPosition(w, t.Position)
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
