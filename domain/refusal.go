package domain

import (
	"errors"
	"fmt"
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
	InvalidKey         Code = "invalid_idempotency_key"
	WeakPassword       Code = "weak_password"
	EmailTaken         Code = "email_taken"
	AccountExists      Code = "account_exists"
	AccountNotFound    Code = "account_not_found"
	PredictionExists   Code = "prediction_exists"
	InsufficientFunds  Code = "insufficient_funds"
	BalanceLimit       Code = "balance_limit"
	TooManyOpen        Code = "too_many_open_predictions"
	NotAdmin           Code = "admin_required"
	OwnAdjustment      Code = "own_adjustment"
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
// ledger is wrong; whoever meets it stops, and names the position.
var ErrBroken = errors.New("ledger invariant broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
}
