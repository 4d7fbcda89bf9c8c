package domain

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Bounds of proposals.
const (
	MaxOpenProposals = 100                 // that wait for another admin, of all admins together
	keptProposals    = 100                 // that have ended, those that ended last
	MaxProposalLife  = 90 * 24 * time.Hour // from the proposal to its expiry
)

// ProposalID names a proposed adjustment.
type ProposalID string

// proposalPrefix begins every id of a proposal.
const proposalPrefix = "adj_"

// NewProposalID gives the id with a name of lower-case letters and digits.
func NewProposalID(name string) ProposalID { return ProposalID(proposalPrefix + name) }

// Valid reports whether an id can be one of ours.
func (id ProposalID) Valid() bool { return validID(proposalPrefix, string(id)) }

// AdjustmentLimits are the limits of what one admin does alone; they are stored where they
// change, so that an audit does not need the settings of that time.
type AdjustmentLimits struct {
	FourEyesAbove Credits `json:"four_eyes_above"` // above so many credits another admin approves; 0: never
	DailyLimit    Credits `json:"daily_limit"`     // of what an admin adjusts, proposes and approves on a day (UTC); 0: none
}

// Check refuses limits that are out of bounds.
func (l AdjustmentLimits) Check() error {
	if l.FourEyesAbove < 0 || l.FourEyesAbove > MaxAmount {
		return fmt.Errorf("the amount above which another admin approves must be from 0 to %d credits", MaxAmount)
	}
	if l.DailyLimit < 0 || l.DailyLimit > MaxBalance {
		return fmt.Errorf("the daily limit of an admin must be from 0 to %d credits", MaxBalance)
	}
	return nil
}

// Above reports whether an adjustment needs another admin.
func (l AdjustmentLimits) Above(amount Credits) bool {
	return l.FourEyesAbove > 0 && amount.size() > l.FourEyesAbove
}

// size is the amount without its sign.
func (c Credits) size() Credits { return max(c, -c) }

// ProposalState is whether a proposal waits, or how it ended.
type ProposalState string

// The states of proposals.
const (
	ProposalOpen     ProposalState = "open"
	ProposalApproved ProposalState = "approved"
	ProposalRejected ProposalState = "rejected"
	ProposalExpired  ProposalState = "expired"
)

// Proposal is an adjustment that waits for another admin, or did.
type Proposal struct {
	ID         ProposalID
	User       UserID // whose balance it is
	ProposedBy UserID
	Correction
	ProposedAt time.Time
	ExpiresAt  time.Time

	State     ProposalState
	DecidedBy UserID // "" while it is open, and where it expired
	Decision  string // the reason of who decided
	EndedAt   time.Time
}

// Due reports whether it can be decided no more.
func (p Proposal) Due(now time.Time) bool { return !now.Before(p.ExpiresAt) }

// Adjustments is the fold of the stream in which admins' adjustments are limited, proposed
// and decided. The zero value is that of an empty stream: nothing is limited.
type Adjustments struct {
	Limits    AdjustmentLimits
	Proposals []Proposal // open ones, and those that ended last; in order of the proposals

	ended []ProposalID       // of them, in the order in which they ended
	day   string             // such as 2026-03-01: the newest on which something was counted
	used  map[UserID]Credits // of each admin, on that day
}

// Clone gives a copy that can change without the first.
func (a *Adjustments) Clone() Adjustments {
	c := *a
	c.Proposals, c.ended, c.used = slices.Clone(a.Proposals), slices.Clone(a.ended), maps.Clone(a.used)
	return c
}

// Open gives the proposals that wait.
func (a *Adjustments) Open() []Proposal {
	return slices.DeleteFunc(slices.Clone(a.Proposals), func(p Proposal) bool { return p.State != ProposalOpen })
}

// Proposal finds one that waits, or ended lately.
func (a *Adjustments) Proposal(id ProposalID) (Proposal, bool) {
	i := a.find(id)
	if i < 0 {
		return Proposal{}, false
	}
	return a.Proposals[i], true
}

func (a *Adjustments) find(id ProposalID) int {
	return slices.IndexFunc(a.Proposals, func(p Proposal) bool { return p.ID == id })
}

// Used is what counts for an admin's daily limit. A day never goes back: the clocks of several
// processes differ.
func (a *Adjustments) Used(by UserID, now time.Time) Credits {
	if dayOf(now) > a.day {
		return 0
	}
	return a.used[by]
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// SetLimits states the limits, where they are others.
func (a Adjustments) SetLimits(l AdjustmentLimits) []Event {
	if l == a.Limits {
		return nil
	}
	return []Event{AdjustmentLimitsSet{AdjustmentLimits: l}}
}

// count is the event that counts an amount for an admin's daily limit; none where there is
// no limit.
func (a Adjustments) count(by UserID, amount Credits, now time.Time) ([]Event, error) {
	if a.Limits.DailyLimit == 0 {
		return nil, nil
	}
	e := AdjustmentCounted{User: by, Amount: amount.size(), Used: a.Used(by, now) + amount.size()}
	if e.Used > a.Limits.DailyLimit {
		tomorrow := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		return nil, &Refusal{Code: AdminDailyLimit, RetryAfter: tomorrow.Sub(now),
			Detail: fmt.Sprintf("an admin adjusts at most %d credits on a day (UTC); this would make %d", a.Limits.DailyLimit, e.Used)}
	}
	return []Event{e}, nil
}

// Adjusting is the result of a decision: what is appended to the stream of adjustments, and
// what to the person's account.
type Adjusting struct{ Stream, Account []Event }

// Adjust corrects a balance. Above the limit of what one admin does alone, the correction is
// proposed, with the id and until the time.
func (a Adjustments) Adjust(of, by Account, c Correction, id ProposalID, now, until time.Time) (Adjusting, error) {
	if a.Limits.Above(c.Amount) {
		return a.Propose(of, by, c, id, now, until)
	}
	return a.AdjustAlone(of, by, c, now)
}

// AdjustAlone corrects a balance, and proposes nothing: above the limit it is refused, where
// nothing is wrong with the correction itself.
func (a Adjustments) AdjustAlone(of, by Account, c Correction, now time.Time) (Adjusting, error) {
	moved, err := of.Adjust(by, c)
	if err != nil {
		return Adjusting{}, err
	}
	if a.Limits.Above(c.Amount) {
		return Adjusting{}, Reject(ApprovalRequired, "an adjustment of more than %d credits is proposed, and another admin approves it", a.Limits.FourEyesAbove)
	}
	counted, err := a.count(by.User, c.Amount, now)
	if err != nil {
		return Adjusting{}, err
	}
	return Adjusting{counted, moved}, nil
}

// Propose asks another admin for an adjustment. It is refused where the adjustment would be.
func (a Adjustments) Propose(of, by Account, c Correction, id ProposalID, now, until time.Time) (Adjusting, error) {
	if _, err := of.Adjust(by, c); err != nil {
		return Adjusting{}, err
	}
	if a.find(id) >= 0 {
		return Adjusting{}, Reject(ProposalExists, "this adjustment was proposed already")
	}
	if len(a.Open()) >= MaxOpenProposals {
		return Adjusting{}, Reject(TooManyProposals, "%d proposals wait for another admin already", MaxOpenProposals)
	}
	counted, err := a.count(by.User, c.Amount, now)
	if err != nil {
		return Adjusting{}, err
	}
	return Adjusting{Stream: append(counted, AdjustmentProposed{User: of.User, Proposal: id, Admin: by.User, Amount: c.Amount, Kind: c.Kind,
		Reason: c.Reason, Reference: c.Reference, ExpiresAt: until.UTC()})}, nil
}

// Approve carries a proposal out: the approval and the movement are one change.
func (a Adjustments) Approve(id ProposalID, of, by Account, reason string, now time.Time) (Adjusting, error) {
	p, err := a.decidable(id, by, reason, now)
	switch {
	case err != nil:
		return Adjusting{}, err
	case p.ProposedBy == by.User:
		return Adjusting{}, Reject(OwnProposal, "an adjustment is approved by another admin than the one who proposes it")
	case p.User != of.User:
		return Adjusting{}, fmt.Errorf("the proposal %s is of %s, and was to be decided on the account of %s", id, p.User, of.User)
	}
	moved, err := of.Adjust(by, p.Correction)
	if err != nil {
		return Adjusting{}, err
	}
	counted, err := a.count(by.User, p.Amount, now)
	if err != nil {
		return Adjusting{}, err
	}
	return Adjusting{append(counted, AdjustmentApproved{User: p.User, Proposal: id, Admin: by.User, Reason: reason}), moved}, nil
}

// Reject ends a proposal, and nothing is moved. Admins may reject what they proposed themselves.
func (a Adjustments) Reject(id ProposalID, by Account, reason string, now time.Time) (Adjusting, error) {
	p, err := a.decidable(id, by, reason, now)
	if err != nil {
		return Adjusting{}, err
	}
	return Adjusting{Stream: []Event{AdjustmentRejected{User: p.User, Proposal: id, Admin: by.User, Reason: reason}}}, nil
}

// decidable gives a proposal that an admin may decide, but for who proposed it.
func (a *Adjustments) decidable(id ProposalID, by Account, reason string, now time.Time) (Proposal, error) {
	if err := checkReason(reason); err != nil {
		return Proposal{}, err
	}
	if !by.MayAdminister() {
		return Proposal{}, Reject(NotAdmin, "only an admin decides about a proposal")
	}
	p, known := a.Proposal(id)
	switch {
	case !known:
		return Proposal{}, NoProposal()
	case by.User == p.User:
		return Proposal{}, Reject(OwnAdjustment, "an admin's own balance is adjusted by other admins")
	case p.State == ProposalOpen && p.Due(now):
		p.State = ProposalExpired
	}
	if p.State != ProposalOpen {
		return Proposal{}, Reject(ProposalEnded, "this proposal has ended: %s", p.State)
	}
	return p, nil
}

// NoProposal is the refusal of an id that no proposal has, or one that ended long ago.
func NoProposal() error {
	return Reject(ProposalNotFound, "there is no such proposal, or it ended long ago")
}

// Expire ends a proposal whose time is up. Before that time it decides nothing.
func (a Adjustments) Expire(id ProposalID, now time.Time) Adjusting {
	p, known := a.Proposal(id)
	if !known || p.State != ProposalOpen || !p.Due(now) {
		return Adjusting{}
	}
	return Adjusting{Stream: []Event{AdjustmentExpired{User: p.User, Proposal: id}}}
}

// Apply folds one fact into the adjustments, with the time of its entry. An error wraps ErrBroken.
func (a *Adjustments) Apply(e Event, at time.Time) error {
	switch e := e.(type) {
	case AdjustmentLimitsSet:
		if err := e.Check(); err != nil {
			return broken("%s: %s", e.Type(), err)
		}
		a.Limits = e.AdjustmentLimits
	case AdjustmentCounted:
		return a.follow(e, at)
	case AdjustmentProposed:
		if a.find(e.Proposal) >= 0 || checkAmount(e.Amount.size()) != nil {
			return broken("%s of %s twice, or of %d credits", e.Type(), e.Proposal, e.Amount)
		}
		a.Proposals = append(a.Proposals, Proposal{ID: e.Proposal, User: e.User, ProposedBy: e.Admin, State: ProposalOpen, ProposedAt: at, ExpiresAt: e.ExpiresAt,
			Correction: Correction{Amount: e.Amount, Kind: e.Kind, Reason: e.Reason, Reference: e.Reference}})
	case AdjustmentApproved:
		return a.end(e, e.Proposal, ProposalApproved, e.Admin, e.Reason, at)
	case AdjustmentRejected:
		return a.end(e, e.Proposal, ProposalRejected, e.Admin, e.Reason, at)
	case AdjustmentExpired:
		return a.end(e, e.Proposal, ProposalExpired, "", "", at)
	default:
		return broken("%s does not belong to the stream of adjustments", e.Type())
	}
	return nil
}

// follow adds what was counted to the sum of the day.
func (a *Adjustments) follow(e AdjustmentCounted, at time.Time) error {
	if day := dayOf(at); day > a.day || a.used == nil {
		a.day, a.used = max(day, a.day), map[UserID]Credits{}
	}
	if checkAmount(e.Amount) != nil || a.used[e.User]+e.Amount != e.Used {
		return broken("%s counts %d on %s, which makes %d, and says %d", e.Type(), e.Amount, a.day, a.used[e.User]+e.Amount, e.Used)
	}
	a.used[e.User] = e.Used
	return nil
}

// end ends an open proposal, and of too many that have ended drops the one that ended first.
func (a *Adjustments) end(e Event, id ProposalID, state ProposalState, by UserID, reason string, at time.Time) error {
	i := a.find(id)
	if i < 0 || a.Proposals[i].State != ProposalOpen || a.Proposals[i].User != e.Subject() {
		return broken("%s of %s, which is not open for this person", e.Type(), id)
	}
	p := &a.Proposals[i]
	p.State, p.DecidedBy, p.Decision, p.EndedAt = state, by, reason, at
	if a.ended = append(a.ended, id); len(a.ended) > keptProposals {
		first := a.find(a.ended[0])
		a.Proposals, a.ended = slices.Delete(a.Proposals, first, first+1), a.ended[1:]
	}
	return nil
}
