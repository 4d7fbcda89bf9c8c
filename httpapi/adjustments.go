package httpapi

import (
	"context"
	"net/http"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/requestlog"
)

type proposalJSON struct {
	ID         domain.ProposalID    `json:"proposal_id"`
	Status     domain.ProposalState `json:"status"`
	User       domain.UserID        `json:"user_id"`
	Amount     domain.Credits       `json:"amount"`
	Kind       domain.Kind          `json:"kind,omitempty"`
	Reason     string               `json:"reason"`
	Reference  string               `json:"reference,omitempty"`
	ProposedBy domain.UserID        `json:"proposed_by"`
	ProposedAt time.Time            `json:"proposed_at"`
	ExpiresAt  time.Time            `json:"expires_at"`
	DecidedBy  domain.UserID        `json:"decided_by,omitempty"`
	Decision   string               `json:"decision,omitempty"` // the reason of who decided
	EndedAt    time.Time            `json:"ended_at,omitzero"`
}

func proposalOf(p domain.Proposal) proposalJSON {
	return proposalJSON{p.ID, p.State, p.User, p.Amount, p.Kind, p.Reason, p.Reference, p.ProposedBy, p.ProposedAt.UTC(), p.ExpiresAt.UTC(),
		p.DecidedBy, p.Decision, p.EndedAt.UTC()}
}

// proposals lists the adjustments that wait for another admin, as the log has them now.
func (s *Server) proposals(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Commands.Proposals(r.Context())
	if err != nil {
		return err
	}
	items := make([]proposalJSON, len(list))
	for i, p := range list {
		items[i] = proposalOf(p)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"items": items})
}

func (s *Server) proposal(w http.ResponseWriter, r *http.Request) error {
	id, ok := paths.ID[domain.ProposalID](r)
	if !ok {
		return domain.NoProposal()
	}
	p, err := s.Commands.Proposal(r.Context(), id)
	if err != nil {
		return err
	}
	requestlog.Of(r.Context()).Subject = p.User
	return writeJSON(w, http.StatusOK, proposalOf(p))
}

// propose asks another admin for an adjustment of any amount.
func (s *Server) propose(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var amount domain.Credits
	var of, kind, reason, reference string
	given, err := readBody(r, fields{"amount": &amount, "user_id": &of, "kind": &kind, "reason": &reason, "reference": &reference})
	if err != nil {
		return err
	}
	if given["kind"] && kind == "" { // the command would read it as no kind
		return domain.Reject(domain.InvalidKind, "the kind of credits is %s or %s", domain.GivenCredits, domain.BoughtCredits)
	}
	who, _ := identity.From(r.Context())
	if err := who.Fresh(); err != nil {
		return err
	}
	requestlog.Of(r.Context()).Subject = domain.UserID(of)
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	done, err := s.Commands.Propose(ctx, commands.Adjust{Admin: who.User, User: domain.UserID(of), Key: key,
		Correction: domain.Correction{Amount: amount, Kind: domain.Kind(kind), Reason: reason, Reference: reference}})
	if err != nil {
		return err
	}
	return s.writeProposed(w, r, done)
}

// writeProposed answers with a proposal that was made.
func (s *Server) writeProposed(w http.ResponseWriter, r *http.Request, done commands.Result) error {
	who, _ := identity.From(r.Context())
	w.Header().Set("Location", "/api/admin/adjustments/"+string(done.Proposal))
	return writeJSON(w, http.StatusAccepted, struct {
		ID domain.ProposalID `json:"proposal_id"`
		receipt
	}{done.Proposal, s.receiptOf(w, r, who.User, done)})
}

// approve carries a proposal out.
func (s *Server) approve(w http.ResponseWriter, r *http.Request) error {
	return s.decideProposal(w, r, s.Commands.Approve, func(done commands.Result, of receipt) any { return movedOf(done, of) })
}

// rejectProposal ends a proposal; nothing is moved.
func (s *Server) rejectProposal(w http.ResponseWriter, r *http.Request) error {
	return s.decideProposal(w, r, s.Commands.Reject, func(_ commands.Result, of receipt) any { return of })
}

func (s *Server) decideProposal(w http.ResponseWriter, r *http.Request, decide func(context.Context, commands.Decide) (commands.Result, error),
	answer func(commands.Result, receipt) any) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var reason string
	if _, err := readBody(r, fields{"reason": &reason}); err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	if err := who.Fresh(); err != nil {
		return err
	}
	id, ok := paths.ID[domain.ProposalID](r)
	if !ok {
		return domain.NoProposal()
	}
	if p, err := s.Commands.Proposal(r.Context(), id); err == nil {
		requestlog.Of(r.Context()).Subject = p.User
	}
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	done, err := decide(ctx, commands.Decide{Admin: who.User, Proposal: id, Reason: reason, Key: key})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer(done, s.receiptOf(w, r, who.User, done)))
}
