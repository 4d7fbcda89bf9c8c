package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Adjust is an admin's correction of a balance.
type Adjust struct {
	Admin domain.UserID
	User  domain.UserID
	domain.Correction
	Key string // Idempotency-Key, may be empty
}

// Adjust corrects the balance, or proposes that where the amount is above the limit of what
// one admin does alone.
func (h *Handler) Adjust(ctx context.Context, c Adjust) (Result, error) {
	return h.adjust(ctx, c, "adjust", domain.Adjustments.Adjust)
}

// AdjustAlone corrects the balance. Above the limit it is refused with approval_required.
func (h *Handler) AdjustAlone(ctx context.Context, c Adjust) (Result, error) {
	return h.adjust(ctx, c, "adjust", func(a domain.Adjustments, of, by domain.Account, c domain.Correction, _ domain.ProposalID, now, _ time.Time) (domain.Adjusting, error) {
		return a.AdjustAlone(of, by, c, now)
	})
}

// Propose asks another admin for an adjustment, of any amount.
func (h *Handler) Propose(ctx context.Context, c Adjust) (Result, error) {
	return h.adjust(ctx, c, "propose", domain.Adjustments.Propose)
}

func (h *Handler) adjust(ctx context.Context, c Adjust, what string, decide func(a domain.Adjustments, of, by domain.Account, c domain.Correction, id domain.ProposalID, now, until time.Time) (domain.Adjusting, error)) (Result, error) {
	if !c.User.Valid() {
		return Result{}, domain.Reject(domain.AccountNotFound, "there is no such account")
	}
	content := fmt.Sprintf("%s %s %d %q %q", what, c.User, c.Amount, c.Reason, c.Reference)
	if c.Kind != "" { // without one the content is that of keys from before there were kinds
		content += " " + string(c.Kind)
	}
	id := domain.NewProposalID(newID(h.Now()))
	return h.changeByAdmin(ctx, c.Admin, c.User, c.Key, content, func(d *adjusting, of domain.Account) (domain.Adjusting, error) {
		return decide(d.Adjustments, of, d.admin, c.Correction, id, d.now, d.now.Add(h.ProposalLife).Truncate(time.Microsecond))
	})
}

// Decide is an admin's decision about another's proposal.
type Decide struct {
	Admin    domain.UserID
	Proposal domain.ProposalID
	Reason   string
	Key      string // Idempotency-Key, may be empty
}

// Approve carries a proposal out.
func (h *Handler) Approve(ctx context.Context, c Decide) (Result, error) {
	return h.decide(ctx, c, "approve", func(d *adjusting, of domain.Account) (domain.Adjusting, error) {
		return d.Adjustments.Approve(c.Proposal, of, d.admin, c.Reason, d.now)
	})
}

// Reject ends a proposal; nothing is moved.
func (h *Handler) Reject(ctx context.Context, c Decide) (Result, error) {
	return h.decide(ctx, c, "reject", func(d *adjusting, _ domain.Account) (domain.Adjusting, error) {
		return d.Adjustments.Reject(c.Proposal, d.admin, c.Reason, d.now)
	})
}

func (h *Handler) decide(ctx context.Context, c Decide, what string, decide decideAdjusting) (Result, error) {
	p, err := h.Proposal(ctx, c.Proposal)
	if domain.RefusalIn(err) != nil {
		p.User = c.Admin // the decision refuses it, unless the command was done long ago
	} else if err != nil {
		return Result{}, err
	}
	return h.changeByAdmin(ctx, c.Admin, p.User, c.Key, fmt.Sprintf("%s %s %q", what, c.Proposal, c.Reason), decide)
}

// Proposal gives one that waits or ended lately, as the log has it.
func (h *Handler) Proposal(ctx context.Context, id domain.ProposalID) (domain.Proposal, error) {
	a, err := h.loadAdjustments(ctx)
	if err != nil {
		return domain.Proposal{}, err
	}
	p, known := a.Proposal(id)
	if !known {
		return domain.Proposal{}, domain.NoProposal()
	}
	return p, nil
}

// Proposals gives those that wait, the oldest first, as the log has them. There are at most
// domain.MaxOpenProposals.
func (h *Handler) Proposals(ctx context.Context) ([]domain.Proposal, error) {
	a, err := h.loadAdjustments(ctx)
	return a.Open(), err
}

// ExpireProposals ends the proposals whose time is up. Each is ended by itself: one that cannot
// be ended now keeps none of the others open.
func (h *Handler) ExpireProposals(ctx context.Context) error {
	a, err := h.loadAdjustments(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, p := range a.Open() {
		if !p.Due(h.Now()) {
			continue
		}
		d := &adjusting{h: h}
		_, err := h.change(ctx, intent{actor: "system:expirer", cause: eventstore.ByPosition(a.proposed[p.ID]), user: p.User,
			guard: d.guard, decide: d.with(func(d *adjusting, _ domain.Account) (domain.Adjusting, error) {
				return d.Adjustments.Expire(p.ID, d.now), nil
			}), decidedAt: func() time.Time { return d.now }})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("expire the proposal %s: %w", p.ID, err))
		}
	}
	return failed
}

// decideAdjusting decides by the account whose balance it is, beside what is in d.
type decideAdjusting func(d *adjusting, of domain.Account) (domain.Adjusting, error)

// adjusting is one attempt at a command that rests on the stream of adjustments, and on the
// account of the admin who sends it. Both are read from the database before each decision and
// guarded by the append: a right that is revoked in the same moment does not count any more,
// and of two decisions about one proposal, or two that share a daily limit, one is decided again.
type adjusting struct {
	h      *Handler
	by     domain.UserID // "" for the clock process
	admin  domain.Account
	now    time.Time
	writes []eventstore.Write // the last is to the stream of adjustments
	loadedAdjustments
}

// changeByAdmin carries out a command of an admin about a person's balance.
func (h *Handler) changeByAdmin(ctx context.Context, by, user domain.UserID, key, content string, decide decideAdjusting) (Result, error) {
	command, end, err := h.beginFor(ctx, by, key, content)
	if err != nil {
		return Result{}, err
	}
	defer end()
	// With limits, nearly every adjustment writes to their stream: two at once in this process
	// would only conflict. Without them an adjustment writes nothing there, and none waits.
	if h.Limits != (domain.AdjustmentLimits{}) {
		if err := h.adjusting.Lock(ctx, struct{}{}); err != nil {
			return Result{}, fmt.Errorf("wait for the stream of adjustments: %w", err)
		}
		defer h.adjusting.Unlock(struct{}{})
	}
	d := &adjusting{h: h, by: by}
	r, err := h.change(ctx, intent{actor: userActor(by), cause: command.Cause(), user: user,
		guard: d.guard, decide: d.with(decide), decidedAt: func() time.Time { return d.now }})
	if err != nil {
		return Result{}, err
	}
	return result(r), nil
}

// guard reads what the decision rests on.
func (d *adjusting) guard(ctx context.Context) (_ []eventstore.Write, err error) {
	d.now, d.writes = d.h.Now(), nil
	if d.by != "" {
		loaded, err := d.h.Store.Refresh(ctx, d.by)
		if err != nil {
			return nil, err
		}
		d.admin = loaded.Account
		d.writes = append(d.writes, loaded.Write(d.by))
	}
	if d.loadedAdjustments, err = d.h.loadAdjustments(ctx); err != nil {
		return nil, err
	}
	if d.admin.MayAdminister() {
		if err := d.stateLimits(ctx); err != nil {
			return nil, err
		}
	}
	d.writes = append(d.writes, eventstore.Write{Stream: eventstore.AdjustmentsStream, Expected: d.version})
	return d.writes, nil
}

// stateLimits writes the limits of this process to the log, where it has others. The command
// that follows is decided by these: where another process states other ones in between, or
// meanwhile, it conflicts, and is tried again.
func (d *adjusting) stateLimits(ctx context.Context) error {
	events := d.SetLimits(d.h.Limits)
	if len(events) == 0 {
		return nil
	}
	cause := eventstore.Command{ID: newID(d.now), Content: "limits"}.Cause()
	_, err := d.h.Store.Append(ctx, eventstore.Append{Time: d.now, Actor: Operator, Cause: cause,
		Writes: []eventstore.Write{{Stream: eventstore.AdjustmentsStream, Expected: d.version, Events: events}}})
	if err != nil {
		return fmt.Errorf("state the limits of adjustments: %w", err)
	}
	if d.loadedAdjustments, err = d.h.loadAdjustments(ctx); err != nil {
		return err
	}
	if d.Limits != d.h.Limits {
		return fmt.Errorf("%w: another process has stated other limits", eventstore.ErrConflict)
	}
	return nil
}

// with makes the decision of an intent, whose events for the stream of adjustments go into
// the write that guards it.
func (d *adjusting) with(decide decideAdjusting) func(domain.Account) ([]domain.Event, error) {
	return func(of domain.Account) ([]domain.Event, error) {
		decided, err := decide(d, of)
		d.writes[len(d.writes)-1].Events = decided.Stream
		return decided.Account, err
	}
}

// loadedAdjustments is the fold of the stream of adjustments, with where they were proposed.
type loadedAdjustments struct {
	domain.Adjustments
	version  eventstore.Version
	proposed map[domain.ProposalID]eventstore.Position // of those that are kept
}

// loadAdjustments gives the adjustments as the database has them now.
func (h *Handler) loadAdjustments(ctx context.Context) (out loadedAdjustments, err error) {
	err = h.adjustments.read(ctx, h.Store, eventstore.AdjustmentsStream, (*loadedAdjustments).follow, func(l loadedAdjustments, version eventstore.Version) {
		out = loadedAdjustments{l.Clone(), version, l.proposed}
	})
	if err != nil {
		return loadedAdjustments{}, fmt.Errorf("read the stream of adjustments: %w", err)
	}
	return out, nil
}

func (l *loadedAdjustments) follow(rec eventstore.Recorded) error {
	if err := l.Apply(rec.Event, rec.Time); err != nil {
		return err
	}
	if e, ok := rec.Event.(domain.AdjustmentProposed); ok { // into another map: readers have this one
		proposed := map[domain.ProposalID]eventstore.Position{e.Proposal: rec.Position}
		for _, p := range l.Proposals { // those that are dropped by now are left out
			if at, known := l.proposed[p.ID]; known {
				proposed[p.ID] = at
			}
		}
		l.proposed = proposed
	}
	return nil
}
