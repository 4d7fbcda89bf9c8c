package domain

import (
	"errors"
	"fmt"
	"time"
)

// Code names a reason for a refusal. Codes are part of the API: they never
// change their meaning.
type Code string

// The refusals of the rule book.
const (
	InvalidAmount      Code = "invalid_amount"
	InvalidEmail       Code = "invalid_email"
	InvalidText        Code = "invalid_text"
	InvalidLimit       Code = "invalid_limit"
	InvalidKind        Code = "invalid_kind"
	InvalidReason      Code = "invalid_reason"
	InvalidReference   Code = "invalid_reference"
	InvalidUser        Code = "invalid_user"
	InvalidCredits     Code = "invalid_credits_choice"
	InvalidKey         Code = "invalid_idempotency_key"
	WeakPassword       Code = "weak_password"
	EmailTaken         Code = "email_taken"
	AccountExists      Code = "account_exists"
	AccountNotFound    Code = "account_not_found"
	PredictionExists   Code = "prediction_exists"
	InsufficientFunds  Code = "insufficient_funds"
	BalanceLimit       Code = "balance_limit"
	TooManyOpen        Code = "too_many_open_predictions"
	TooManyFree        Code = "too_many_free_attempts"
	AlreadyRefunded    Code = "already_refunded"
	NotRefundable      Code = "not_refundable"
	RefundsOff         Code = "refunds_off"
	RefundLimit        Code = "refund_limit_reached"
	AccountTooNew      Code = "account_too_new"
	InvalidMovies      Code = "invalid_movies"
	ConversationClosed Code = "conversation_closed"
	RefinementsOff     Code = "refinements_off"
	RefinementLimit    Code = "refinement_limit_reached"
	RefinementPending  Code = "refinement_pending"
	NewerAnswer        Code = "newer_answer"
	ErasurePending     Code = "erasure_pending"
	NoErasure          Code = "no_erasure_pending"
	OwnErasure         Code = "own_erasure"
	NotAdmin           Code = "admin_required"
	InvalidRole        Code = "invalid_role"
	OwnRole            Code = "own_role"
	OwnLock            Code = "own_lock"
	LastAdmin          Code = "last_admin"
	Locked             Code = "account_locked"
	OwnAdjustment      Code = "own_adjustment"
	ProposalExists     Code = "proposal_exists"
	ProposalNotFound   Code = "proposal_not_found"
	ProposalEnded      Code = "proposal_ended"
	OwnProposal        Code = "own_proposal"
	ApprovalRequired   Code = "approval_required" // by another admin, for the amount
	TooManyProposals   Code = "too_many_open_proposals"
	AdminDailyLimit    Code = "admin_daily_limit"
	PaymentDeclined    Code = "payment_declined"
	KeyReused          Code = "idempotency_key_reused"
	KeyInProgress      Code = "idempotency_key_in_progress"
	Busy               Code = "account_busy"
	InvalidCredentials Code = "invalid_credentials"
)

// Refusal is a clear no to a request: nothing was changed.
type Refusal struct {
	Code   Code
	Detail string // one sentence for people, free of personal data
	// RetryAfter is when the same request may be allowed; 0 where waiting does not help.
	RetryAfter time.Duration
}

func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Detail }

// Reject makes a refusal.
func Reject(code Code, format string, args ...any) error {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// RefusalIn finds the refusal in err, nil when err is something else.
func RefusalIn(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// ErrBroken marks a fact that no decision of this package could have made. The
// ledger is wrong; the reader stops, and names the position.
var ErrBroken = errors.New("ledger invariant broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
}
