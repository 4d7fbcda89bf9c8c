package domain

import "time"

// Event is a fact of the ledger.
type Event interface {
	// Type is the name under which the fact is stored, for ever.
	Type() EventType
	// Subject is the person whom the fact is about.
	Subject() UserID
}

// Mover is an event that moves money.
type Mover interface {
	Event
	Moved() Movement
}

// EventType is the stored name of a kind of event.
type EventType string

// Every kind of event that was ever stored.
const (
	TypeEmailClaimed        EventType = "EmailClaimed"
	TypePaymentClaimed      EventType = "PaymentClaimed"
	TypeSignedUp            EventType = "SignedUp"
	TypeBonusGranted        EventType = "BonusGranted"
	TypeDeposited           EventType = "Deposited"
	TypeWithdrawn           EventType = "Withdrawn"
	TypePredictionRequested EventType = "PredictionRequested"
	TypePredictionCompleted EventType = "PredictionCompleted"
	TypePredictionFailed    EventType = "PredictionFailed"
	TypePredictionExpired   EventType = "PredictionExpired"
	TypeBalanceAdjusted     EventType = "BalanceAdjusted"
	TypeAdminGranted        EventType = "AdminGranted"
	TypeAdminRevoked        EventType = "AdminRevoked"
)

// Sealed is personal data under its subject's own key: unreadable, and after an
// erasure unreadable for ever, yet bound by the hash of its entry.
type Sealed []byte

// EmailClaimed stands first, and alone, in the stream of an e-mail's keyed
// hash: it is what makes an e-mail belong to one account.
type EmailClaimed struct {
	User UserID `json:"user_id"`
}

// PaymentClaimed stands first, and alone, in the stream of a payment: it is what
// makes a payment, in or out, be booked once.
type PaymentClaimed struct {
	User UserID `json:"user_id"`
}

// SignedUp opens an account.
type SignedUp struct {
	User  UserID `json:"user_id"`
	Email Sealed `json:"email_sealed"`
}

// BonusGranted welcomes a person with credits (house:given_bonus → given).
type BonusGranted struct {
	User   UserID  `json:"user_id"`
	Amount Credits `json:"amount"`
	Movement
}

// Deposited is money that a person paid in (house:cash → available).
type Deposited struct {
	User     UserID  `json:"user_id"`
	Amount   Credits `json:"amount"`
	Provider string  `json:"provider"` // of the payment
	Payment  string  `json:"payment"`  // the provider's reference of it
	Movement
}

// Withdrawn is money that goes back to a person (available → house:cash).
type Withdrawn struct {
	User     UserID  `json:"user_id"`
	Amount   Credits `json:"amount"`
	Provider string  `json:"provider"`
	Payment  string  `json:"payment"`
	Movement
}

// PredictionRequested is a question and the hold of its price: given credits first
// (given → given_held), bought ones for the rest (available → held).
type PredictionRequested struct {
	User       UserID       `json:"user_id"`
	Prediction PredictionID `json:"prediction_id"`
	Text       Sealed       `json:"text_sealed"`
	Price      Credits      `json:"price"`
	Limit      int          `json:"limit"` // how many films are asked for
	ExpiresAt  time.Time    `json:"expires_at"`
	Movement
}

// Match is one film of an answer. Score is a similarity from -1 to 1.
type Match struct {
	Movie string  `json:"movie_id"`
	Score float64 `json:"score"`
}

// PredictionCompleted is the answer; its price is captured, from where it was held
// (given_held → house:given_spent, held → house:revenue).
type PredictionCompleted struct {
	User           UserID       `json:"user_id"`
	Prediction     PredictionID `json:"prediction_id"`
	Price          Credits      `json:"price"`
	Movies         []Match      `json:"movies"`
	Model          string       `json:"model_version"`
	Catalogue      string       `json:"catalogue_version"`
	ProcessingTime float64      `json:"processing_time"` // of the worker, seconds
	Movement
}

// FailureReason says, in a stable word, why a prediction ended without an answer.
type FailureReason string

// Why predictions fail.
const (
	FailedNoMeaning FailureReason = "text_not_understood" // no word of it is known to the model
	FailedWorker    FailureReason = "worker_failed"
	FailedErased    FailureReason = "text_erased" // its key is gone
)

// PredictionFailed ends a question without an answer; its price goes back to where it
// was taken from (given_held → given, held → available).
type PredictionFailed struct {
	User       UserID        `json:"user_id"`
	Prediction PredictionID  `json:"prediction_id"`
	Price      Credits       `json:"price"`
	Reason     FailureReason `json:"reason"`
	Movement
}

// PredictionExpired ends a question whose answer did not come in time; its price goes
// back as that of one that failed. It is a fact written by a clock process, never a
// lazy reading.
type PredictionExpired struct {
	User       UserID       `json:"user_id"`
	Prediction PredictionID `json:"prediction_id"`
	Price      Credits      `json:"price"`
	Movement
}

// BalanceAdjusted is an admin's correction, positive or negative, of given credits
// (house:given_adjustments ↔ given) and of bought ones (house:adjustments ↔ available).
type BalanceAdjusted struct {
	User        UserID  `json:"user_id"`
	Admin       UserID  `json:"admin_id"`
	Amount      Credits `json:"amount"`
	GivenAmount Credits `json:"given_amount"` // how much of the amount is of given credits, with its sign
	Reason      string  `json:"reason"`
	Reference   string  `json:"reference,omitempty"`
	Movement
}

// AdminGranted makes a person an admin.
type AdminGranted struct {
	User UserID `json:"user_id"`
}

// AdminRevoked ends it.
type AdminRevoked struct {
	User UserID `json:"user_id"`
}

func (EmailClaimed) Type() EventType        { return TypeEmailClaimed }
func (PaymentClaimed) Type() EventType      { return TypePaymentClaimed }
func (SignedUp) Type() EventType            { return TypeSignedUp }
func (BonusGranted) Type() EventType        { return TypeBonusGranted }
func (Deposited) Type() EventType           { return TypeDeposited }
func (Withdrawn) Type() EventType           { return TypeWithdrawn }
func (PredictionRequested) Type() EventType { return TypePredictionRequested }
func (PredictionCompleted) Type() EventType { return TypePredictionCompleted }
func (PredictionFailed) Type() EventType    { return TypePredictionFailed }
func (PredictionExpired) Type() EventType   { return TypePredictionExpired }
func (BalanceAdjusted) Type() EventType     { return TypeBalanceAdjusted }
func (AdminGranted) Type() EventType        { return TypeAdminGranted }
func (AdminRevoked) Type() EventType        { return TypeAdminRevoked }

func (e EmailClaimed) Subject() UserID        { return e.User }
func (e PaymentClaimed) Subject() UserID      { return e.User }
func (e SignedUp) Subject() UserID            { return e.User }
func (e BonusGranted) Subject() UserID        { return e.User }
func (e Deposited) Subject() UserID           { return e.User }
func (e Withdrawn) Subject() UserID           { return e.User }
func (e PredictionRequested) Subject() UserID { return e.User }
func (e PredictionCompleted) Subject() UserID { return e.User }
func (e PredictionFailed) Subject() UserID    { return e.User }
func (e PredictionExpired) Subject() UserID   { return e.User }
func (e BalanceAdjusted) Subject() UserID     { return e.User }
func (e AdminGranted) Subject() UserID        { return e.User }
func (e AdminRevoked) Subject() UserID        { return e.User }
