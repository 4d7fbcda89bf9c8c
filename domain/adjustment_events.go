package domain

import "time"

// The events of the stream of adjustments.

// AdjustmentLimitsSet states the limits of admins' adjustments from here on: the settings of
// the service, where they differ from what was stated before.
type AdjustmentLimitsSet struct {
	AdjustmentLimits
}

// AdjustmentCounted counts credits for an admin's daily limit. It is in the append of what is
// counted: an adjustment, a proposal or an approval.
type AdjustmentCounted struct {
	User   UserID  `json:"user_id"` // the admin
	Amount Credits `json:"amount"`  // above zero
	Used   Credits `json:"used"`    // by the admin on this day (UTC), this amount among it
}

// AdjustmentProposed asks another admin for an adjustment. Nothing is moved yet.
type AdjustmentProposed struct {
	User      UserID     `json:"user_id"` // whose balance it is
	Proposal  ProposalID `json:"proposal_id"`
	Admin     UserID     `json:"admin_id"`
	Amount    Credits    `json:"amount"`
	Kind      Kind       `json:"kind,omitempty"`
	Reason    string     `json:"reason"`
	Reference string     `json:"reference,omitempty"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// AdjustmentApproved is another admin's approval; the BalanceAdjusted is in the same append.
type AdjustmentApproved struct {
	User     UserID     `json:"user_id"`
	Proposal ProposalID `json:"proposal_id"`
	Admin    UserID     `json:"admin_id"`
	Reason   string     `json:"reason"`
}

// AdjustmentRejected ends a proposal: nothing is moved.
type AdjustmentRejected struct {
	User     UserID     `json:"user_id"`
	Proposal ProposalID `json:"proposal_id"`
	Admin    UserID     `json:"admin_id"`
	Reason   string     `json:"reason"`
}

// AdjustmentExpired ends a proposal that nobody decided in time. It is a fact written by a
// clock process.
type AdjustmentExpired struct {
	User     UserID     `json:"user_id"`
	Proposal ProposalID `json:"proposal_id"`
}

func (AdjustmentLimitsSet) Type() EventType { return TypeAdjustmentLimitsSet }
func (AdjustmentCounted) Type() EventType   { return TypeAdjustmentCounted }
func (AdjustmentProposed) Type() EventType  { return TypeAdjustmentProposed }
func (AdjustmentApproved) Type() EventType  { return TypeAdjustmentApproved }
func (AdjustmentRejected) Type() EventType  { return TypeAdjustmentRejected }
func (AdjustmentExpired) Type() EventType   { return TypeAdjustmentExpired }

// Subject is nobody: the limits are the installation's.
func (AdjustmentLimitsSet) Subject() UserID { return "" }

func (e AdjustmentCounted) Subject() UserID  { return e.User }
func (e AdjustmentProposed) Subject() UserID { return e.User }
func (e AdjustmentApproved) Subject() UserID { return e.User }
func (e AdjustmentRejected) Subject() UserID { return e.User }
func (e AdjustmentExpired) Subject() UserID  { return e.User }
