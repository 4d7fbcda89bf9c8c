package httpapi

import (
	"net/http"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/requestlog"
)

// erasure says whether the user's account is to be erased, as the log has it now.
func (s *Server) erasure(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	account, err := s.Commands.Account(r.Context(), who.User)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, erasureOf(account.Erasure))
}

type erasureJSON struct {
	Pending bool                  `json:"pending"`
	DueAt   time.Time             `json:"due_at,omitzero"`
	Credits domain.ErasureCredits `json:"credits,omitempty"`
}

func erasureOf(e domain.Erasure) erasureJSON {
	return erasureJSON{e.Pending(), e.DueAt, e.Bought}
}

// requestErasure asks for the password again: a session or a saved password is enough to
// spend credits, and not to destroy the account.
func (s *Server) requestErasure(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var password, credits string
	if _, err := readBody(r, fields{"password": &password, "credits": &credits}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	if err := s.Identity.Confirm(r, who, password); err != nil {
		return err
	}
	return s.beginErasure(w, r, commands.Erasure{User: who.User, Bought: domain.ErasureCredits(credits), Key: key})
}

// orderErasure has another person erased, who asked an admin for it. The admin's password is
// asked for again.
func (s *Server) orderErasure(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var password, credits, reason string
	if _, err := readBody(r, fields{"password": &password, "credits": &credits, "reason": &reason}); err != nil {
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
	return s.beginErasure(w, r, commands.Erasure{User: id, Admin: who.User, Reason: reason, Bought: domain.ErasureCredits(credits), Key: key})
}

func (s *Server) beginErasure(w http.ResponseWriter, r *http.Request, order commands.Erasure) error {
	who, _ := identity.From(r.Context())
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	asked, err := s.Commands.RequestErasure(ctx, order)
	if err != nil {
		return err
	}
	s.Identity.RecordErasure(ctx, who.User, order.User, asked.DueAt)
	return writeJSON(w, http.StatusAccepted, struct {
		User  domain.UserID `json:"user_id"`
		DueAt time.Time     `json:"due_at"`
		receipt
	}{order.User, asked.DueAt, s.receiptOf(w, r, who.User, asked.Result)})
}

func (s *Server) cancelErasure(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	if err := readNoBody(r); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	done, err := s.Commands.CancelErasure(ctx, who.User, key)
	if err != nil {
		return err
	}
	s.Identity.RecordErasureCancelled(ctx, who.User, who.User)
	return writeJSON(w, http.StatusOK, s.receiptOf(w, r, who.User, done))
}
