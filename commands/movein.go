package commands

import (
	"context"
	"errors"
	"fmt"

	"kassa/domain"
	"kassa/eventstore"
)

// MoveIn is one run of a move from the system that this one replaces. What it writes rests
// on its acceptance: when another run is accepted, this one writes nothing more.
type MoveIn struct {
	handler  *Handler
	accepted eventstore.Version
	Position eventstore.Position // of the acceptance
}

// ErrOvertaken means that another run of the move was accepted: this one writes nothing more.
var ErrOvertaken = errors.New("another run of the move was accepted after this one")

// AcceptMoveIn begins a run by its acceptance. The error wraps domain.ErrMoveInOver where
// the move was finished.
func (h *Handler) AcceptMoveIn(ctx context.Context, a domain.MoveInAccepted) (*MoveIn, error) {
	_, version, err := h.LastMoveIn(ctx)
	if err != nil {
		return nil, err
	}
	at, err := h.acceptMoveIn(ctx, version, a)
	if err != nil {
		return nil, fmt.Errorf("accept a move: %w", err)
	}
	return &MoveIn{handler: h, accepted: version + 1, Position: at}, nil
}

// Finish ends the move with what was moved in altogether.
func (m *MoveIn) Finish(ctx context.Context, a domain.MoveInAccepted) (eventstore.Position, error) {
	a.Final = true
	at, err := m.handler.acceptMoveIn(ctx, m.accepted, a)
	if err != nil {
		return 0, fmt.Errorf("finish a move: %w", err)
	}
	return at, nil
}

// LastMoveIn gives the last acceptance, the zero value where there is none, and its version.
func (h *Handler) LastMoveIn(ctx context.Context) (last domain.MoveInAccepted, version eventstore.Version, err error) {
	err = readStream(ctx, h.Store, eventstore.MoveInStream, 0, func(rec eventstore.Recorded) error {
		if a, ok := rec.Event.(domain.MoveInAccepted); ok {
			last, version = a, rec.Version
		}
		return nil
	})
	if err != nil {
		return last, 0, fmt.Errorf("read what was moved in: %w", err)
	}
	return last, version, nil
}

// acceptMoveIn appends an acceptance behind a version. Where another run has come first, the
// error wraps ErrOvertaken.
func (h *Handler) acceptMoveIn(ctx context.Context, behind eventstore.Version, a domain.MoveInAccepted) (eventstore.Position, error) {
	cause := eventstore.Command{ID: newID(h.Now()), Content: "move-in"}.Cause()
	r, err := untilSettled(ctx, func(bool) outcome {
		last, version, err := h.LastMoveIn(ctx)
		if err != nil {
			return outcomeOf(eventstore.Receipt{}, err)
		}
		events, err := last.Accept(a)
		if err == nil && version != behind {
			err = ErrOvertaken
		}
		if err != nil {
			return outcomeOf(h.orDone(ctx, cause, err))
		}
		r, err := h.Store.Append(ctx, eventstore.Append{Time: h.Now(), Actor: Operator, Cause: cause,
			Writes: []eventstore.Write{{Stream: eventstore.MoveInStream, Expected: behind, Events: events}}})
		return outcomeOf(r, err)
	})
	return r.Position(), err
}

// Moved is what was moved in for a person so far.
type Moved struct {
	User    domain.UserID
	Account domain.Account // the zero value where they have not moved in
	Credits domain.MovedCredits
	times   int // how often
}

// MovedBefore reads from the log what was moved in for a person, by the id that they have in
// the replaced system.
func (h *Handler) MovedBefore(ctx context.Context, oldID string) (Moved, error) {
	m := Moved{User: h.Vault.MovedID(oldID)}
	loaded, err := h.load(ctx, m.User, true)
	if err != nil || !loaded.Account.Exists() {
		return m, err
	}
	m.Account = loaded.Account
	err = readStream(ctx, h.Store, eventstore.AccountStream(m.User), 0, func(rec eventstore.Recorded) error {
		if e, ok := rec.Event.(domain.BalanceMovedIn); ok {
			m.Credits = m.Credits.Plus(domain.MovedCredits{Bought: e.Amount - e.GivenAmount, Given: e.GivenAmount})
			m.times++
		}
		return nil
	})
	if err != nil {
		return m, fmt.Errorf("read what was moved in for %s: %w", m.User, err)
	}
	return m, nil
}

// Mover is a person of the replaced system.
type Mover struct {
	OldID        string
	Email        string // as domain.NormalizeEmail gives it
	PasswordHash string // bcrypt; "" where it is not known: they need a new one
	Admin        bool
	Has          domain.MovedCredits
}

// Open opens the account of a person who has none by this move. In this order, so that the
// run can be killed between any two, and repeated:
//
//  1. the key and the password's hash, which are kept where they are there already
//  2. the append: e-mail, sign-up, credits and role together
func (m *MoveIn) Open(ctx context.Context, p Mover) (Moved, error) {
	h, u := m.handler, m.handler.Vault.MovedID(p.OldID)
	if err := h.freeEmail(ctx, p.Email); err != nil {
		return Moved{}, err
	}
	if err := h.Vault.EnrollMoved(ctx, u, p.PasswordHash); err != nil {
		return Moved{}, err
	}
	sealed, err := h.Vault.SealEmail(ctx, u, p.Email)
	if err != nil {
		return Moved{}, fmt.Errorf("seal an e-mail: %w", err)
	}
	claim := h.Vault.EmailHash(p.Email)
	_, err = h.change(ctx, intent{actor: Operator, cause: m.cause(u, 0, p.Has), user: u,
		guard: func(ctx context.Context) ([]eventstore.Write, error) {
			writes, err := h.claim(ctx, claim, u)
			return append(writes, m.unchanged()), err
		},
		decide: func(a domain.Account) ([]domain.Event, error) { return a.MoveIn(u, sealed, p.Has, p.Admin) }})
	if err != nil {
		return Moved{}, m.explain(ctx, err)
	}
	return h.MovedBefore(ctx, p.OldID)
}

// Move moves the difference between what a person has in the replaced system now and what
// was moved before.
func (m *MoveIn) Move(ctx context.Context, before Moved, p Mover) (Moved, error) {
	by := p.Has.Minus(before.Credits)
	_, err := m.handler.change(ctx, intent{actor: Operator, cause: m.cause(before.User, before.times, by), user: before.User,
		guard:  func(context.Context) ([]eventstore.Write, error) { return []eventstore.Write{m.unchanged()}, nil },
		decide: func(a domain.Account) ([]domain.Event, error) { return a.MoveBalance(by) }})
	if err != nil {
		return Moved{}, m.explain(ctx, err)
	}
	return m.handler.MovedBefore(ctx, p.OldID)
}

// explain finds out whether a change that always came too late was overtaken by another run.
func (m *MoveIn) explain(ctx context.Context, err error) error {
	if refusal := domain.RefusalIn(err); refusal == nil || refusal.Code != domain.Busy {
		return err
	}
	_, version, readErr := m.handler.LastMoveIn(ctx)
	if readErr == nil && version != m.accepted {
		return ErrOvertaken
	}
	return errors.Join(err, readErr)
}

// cause names a movement by the person, and by how many there were before: two runs that
// move the same make one entry of it.
func (m *MoveIn) cause(u domain.UserID, before int, by domain.MovedCredits) eventstore.Cause {
	return eventstore.Command{ID: shortHash(fmt.Sprintf("move-in\x00%s\x00%d", u, before)),
		Content: shortHash(fmt.Sprintf("%d %d", by.Bought, by.Given))}.Cause()
}

// unchanged is the condition that no other run was accepted.
func (m *MoveIn) unchanged() eventstore.Write {
	return eventstore.Write{Stream: eventstore.MoveInStream, Expected: m.accepted}
}

// freeEmail refuses an e-mail that has an account, in any of its spellings.
func (h *Handler) freeEmail(ctx context.Context, email string) error {
	_, err := h.FindUser(ctx, email)
	if err == nil {
		return emailTaken()
	}
	if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.AccountNotFound {
		return nil
	}
	return err
}
