package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/requestlog"
	"kassa/internal/security"
)

// accessJSON is what a person may do, as the log has it.
type accessJSON struct {
	User     domain.UserID       `json:"user_id"`
	Admin    bool                `json:"admin"`
	Auditor  bool                `json:"auditor"`
	Locked   bool                `json:"locked"`
	Position eventstore.Position `json:"position,omitempty"` // of the change; 0: nothing was changed
}

func (s *Server) grantRole(w http.ResponseWriter, r *http.Request) error {
	return s.changeRole(w, r, security.RoleGranted, s.Commands.GrantRole)
}

func (s *Server) revokeRole(w http.ResponseWriter, r *http.Request) error {
	return s.changeRole(w, r, security.RoleRevoked, s.Commands.RevokeRole)
}

func (s *Server) changeRole(w http.ResponseWriter, r *http.Request, kind security.Kind, change func(context.Context, domain.Role, commands.Order) (eventstore.Position, error)) error {
	var role string
	return s.order(w, r, fields{"role": &role}, func(ctx context.Context, o commands.Order) (eventstore.Position, error) {
		at, err := change(ctx, domain.Role(role), o)
		if at > 0 {
			s.Identity.RecordOrder(ctx, kind, o.Admin, o.User, domain.Role(role))
		}
		return at, err
	})
}

func (s *Server) lock(w http.ResponseWriter, r *http.Request) error {
	return s.changeLock(w, r, security.AccountLocked, s.Commands.Lock)
}

func (s *Server) unlock(w http.ResponseWriter, r *http.Request) error {
	return s.changeLock(w, r, security.AccountUnlocked, s.Commands.Unlock)
}

func (s *Server) changeLock(w http.ResponseWriter, r *http.Request, kind security.Kind, change func(context.Context, commands.Order) (eventstore.Position, error)) error {
	return s.order(w, r, fields{}, func(ctx context.Context, o commands.Order) (eventstore.Position, error) {
		at, err := change(ctx, o)
		if at > 0 {
			s.Identity.RecordOrder(ctx, kind, o.Admin, o.User, "")
		}
		return at, err
	})
}

// order carries out an admin's order about another person, with what else is in the body. The
// admin's password is asked for again: a session that is left open must not make admins.
func (s *Server) order(w http.ResponseWriter, r *http.Request, body fields, do func(context.Context, commands.Order) (eventstore.Position, error)) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var password, reason string
	body["password"], body["reason"] = &password, &reason
	if _, err := readBody(r, body); err != nil {
		return err
	}
	id, ok := paths.ID[domain.UserID](r)
	if !ok {
		return domain.Reject(domain.AccountNotFound, noAccount)
	}
	requestlog.Of(r.Context()).Subject = id
	who, _ := identity.From(r.Context())
	if err := s.Identity.Confirm(r, who, password); err != nil {
		return err
	}
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	at, err := do(ctx, commands.Order{User: id, Admin: who.User, Reason: reason, Key: key})
	if err != nil {
		return err
	}
	account, err := s.Commands.Account(ctx, id)
	if err != nil {
		return fmt.Errorf("%w: the order is carried out, and the account cannot be read: %w", eventstore.ErrUnknown, err)
	}
	if at > 0 {
		s.Identity.SetLastWrite(w, r, who.User, at)
	}
	return writeJSON(w, http.StatusOK, accessJSON{id, account.Admin, account.Auditor, account.Locked, at})
}

// endSessionsOf ends all sessions of another person. A request without a body has no password:
// it takes a code of the last minutes, where the admin has a second factor.
func (s *Server) endSessionsOf(w http.ResponseWriter, r *http.Request) error {
	id, ok := paths.ID[domain.UserID](r)
	if !ok {
		return domain.Reject(domain.AccountNotFound, noAccount)
	}
	requestlog.Of(r.Context()).Subject = id
	if account, err := s.Commands.Account(r.Context(), id); err != nil {
		return err
	} else if !account.Exists() || account.Erased {
		return domain.Reject(domain.AccountNotFound, noAccount)
	}
	who, _ := identity.From(r.Context())
	if err := who.Fresh(); err != nil {
		return err
	}
	if err := s.Identity.EndSessionsOf(r.Context(), who, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
