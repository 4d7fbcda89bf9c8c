package domain

import "time"

// Event is a fact of the ledger.
type Event interface {
	// Type is the name under which the fact is stored, for ever.
	Type() EventType
	// Subject is the person whom the fact is about; "" for a fact of the house.
	Subject() UserID
}

// MoneyEvent is an event that moves money.
type MoneyEvent interface {
	Event
	Money() Movement
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
	TypePredictionRefunded  EventType = "PredictionRefunded"
	TypePredictionConfirmed EventType = "PredictionConfirmed"
	TypeBalanceAdjusted     EventType = "BalanceAdjusted"
	TypeAdminGranted        EventType = "AdminGranted"
	TypeAdminRevoked        EventType = "AdminRevoked"
	TypeRoleGranted         EventType = "RoleGranted"
	TypeRoleRevoked         EventType = "RoleRevoked"
	TypeAccountLocked       EventType = "AccountLocked"
	TypeAccountUnlocked     EventType = "AccountUnlocked"
	TypeErasureRequested    EventType = "ErasureRequested"
	TypeErasureCancelled    EventType = "ErasureCancelled"
	TypeCreditsForfeited    EventType = "CreditsForfeited"
	TypePersonalDataErased  EventType = "PersonalDataErased"
	TypeMoveInAccepted      EventType = "MoveInAccepted"
	TypeBalanceMovedIn      EventType = "BalanceMovedIn"
	TypePriceSet            EventType = "PriceSet"
	TypePeriodClosed        EventType = "PeriodClosed"
	TypeAdjustmentLimitsSet EventType = "AdjustmentLimitsSet"
	TypeAdjustmentCounted   EventType = "AdjustmentCounted"
	TypeAdjustmentProposed  EventType = "AdjustmentProposed"
	TypeAdjustmentApproved  EventType = "AdjustmentApproved"
	TypeAdjustmentRejected  EventType = "AdjustmentRejected"
	TypeAdjustmentExpired   EventType = "AdjustmentExpired"
	TypeViewsAttested       EventType = "ViewsAttested"
	TypeCatalogueRecorded   EventType = "CatalogueRecorded"
	TypeLedgerVerified      EventType = "LedgerVerified"
)

// Sealed is personal data under its subject's own key: unreadable, and after an
// erasure unreadable for ever, yet bound by the hash of its entry.
type Sealed []byte

// EmailClaimed makes an e-mail belong to one account, in the stream of the e-mail's keyed
// hash. It is the only event there, unless that account is erased: then a new account may
// claim the e-mail by the next version.
type EmailClaimed struct {
	User UserID `json:"user_id"`
}

// PaymentClaimed is the only event in the stream of a payment: it makes a payment, in or
// out, be booked once.
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
// (given → given_held), bought ones for the rest (available → held). A follow-up holds
// nothing.
type PredictionRequested struct {
	User       UserID       `json:"user_id"`
	Prediction PredictionID `json:"prediction_id"`
	Text       Sealed       `json:"text_sealed"`
	Price      Credits      `json:"price"`
	Limit      int          `json:"limit"` // how many films are asked for
	ExpiresAt  time.Time    `json:"expires_at"`
	FollowUp   *FollowUp    `json:"follow_up,omitempty"` // nil: a question of its own
	Movement
}

// Match is one film of an answer. Score is a similarity from -1 to 1.
type Match struct {
	MovieID string  `json:"movie_id"`
	Score   float64 `json:"score"`
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
	Confidence     int          `json:"confidence"`      // that the first film is meant, per mille; 0: not known
	Movement
}

// fromVersion2 upcasts an answer from before its confidence was stored.
func (e *PredictionCompleted) fromVersion2() { e.Confidence = 0 }

// FailureReason is the stable code of why a prediction ended without an answer.
type FailureReason string

// Why predictions fail.
const (
	FailedNoMeaning FailureReason = "text_not_understood" // no word of it is known to the model
	FailedWorker    FailureReason = "worker_failed"
	FailedErased    FailureReason = "text_erased" // its key is gone
	FailedNotFound  FailureReason = "not_found"   // no film fits well enough
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

// RefundReason is the reason of a refund. Its values are stable.
type RefundReason string

// NoneOfThese: the user rejected all films of the answer.
const NoneOfThese RefundReason = "none_of_these"

// PredictionRefunded gives the price of an answer back, to where it was taken from
// (house:given_spent → given, house:revenue → available), because the person asks for it.
type PredictionRefunded struct {
	User       UserID       `json:"user_id"`
	Prediction PredictionID `json:"prediction_id"`
	Price      Credits      `json:"price"`
	Reason     RefundReason `json:"reason"`
	Number     int          `json:"number"` // of the account's refunds in this calendar month, from 1
	RefundPolicy
	Movement
}

// PredictionConfirmed ends the conversation of a paid answer: the person says that this film
// of this answer is the one they meant. No refund and no follow-up is after it.
type PredictionConfirmed struct {
	User       UserID       `json:"user_id"`
	Prediction PredictionID `json:"prediction_id"` // the paid one, or one of its follow-ups
	Movie      string       `json:"movie_id"`
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

// AdminGranted makes a person an admin, as they were in the system that this one replaces.
// All others are made one by RoleGranted; before there was that, by this.
type AdminGranted struct {
	User UserID `json:"user_id"`
}

// AdminRevoked ends it. Today RoleRevoked is written.
type AdminRevoked struct {
	User UserID `json:"user_id"`
}

// ErasureRequested begins the time after which a person's data is erased. A later one
// takes its place.
type ErasureRequested struct {
	User   UserID         `json:"user_id"`
	Admin  UserID         `json:"admin_id,omitempty"` // who asks for it, where an admin does
	Reason string         `json:"reason,omitempty"`   // of an admin, or of the operator
	Bought ErasureCredits `json:"bought"`             // what becomes of bought credits
	DueAt  time.Time      `json:"due_at"`             // until then it can be cancelled
}

// ErasureCancelled ends a requested erasure: nothing is erased.
type ErasureCancelled struct {
	User   UserID `json:"user_id"`
	Admin  UserID `json:"admin_id,omitempty"` // who cancels it, where an admin does
	Reason string `json:"reason,omitempty"`   // of an admin
}

// CreditsForfeited takes all credits of an account that is being erased (given →
// house:given_forfeited, available → house:forfeited).
type CreditsForfeited struct {
	User        UserID  `json:"user_id"`
	Amount      Credits `json:"amount"`
	GivenAmount Credits `json:"given_amount"` // how much of the amount is of given credits
	Movement
}

// PersonalDataErased is the last event of an account. From here on, nothing that was
// sealed for the person can be read, and their e-mail can be claimed again.
type PersonalDataErased struct {
	User UserID `json:"user_id"`
}

// MoveInAccepted is the operator's acceptance of what a run moves in from the system that
// this one replaces. It is in a stream of the house, and comes before what it accepts. The
// final one comes after it: exactly this was moved in, and nothing follows.
type MoveInAccepted struct {
	By     string  `json:"by"`     // the operator's name
	Report string  `json:"report"` // SHA-256 of the report that was signed off, in hexadecimal
	People int     `json:"people"` // who have an account by the move, when it is done
	Bought Credits `json:"bought"` // what is moved in altogether, when it is done
	Given  Credits `json:"given"`
	Final  bool    `json:"final"`
}

// BalanceMovedIn is what a person had in the replaced system when they moved in, or a later
// difference of it, which may be negative (house:given_moved_in → given for the given
// amount, house:moved_in → available for the rest).
type BalanceMovedIn struct {
	User        UserID  `json:"user_id"`
	Amount      Credits `json:"amount"`
	GivenAmount Credits `json:"given_amount"` // how much of the amount is of given credits, with its sign
	Movement
}

// PriceSet is what an answer costs from here on, and what a credit costs in money where
// that is stated. It is in a stream of the house, and of no person.
type PriceSet struct {
	Price       Credits `json:"price"`                  // of an answer
	Currency    string  `json:"currency,omitempty"`     // by its code of ISO 4217
	CreditPrice int64   `json:"credit_price,omitempty"` // of one credit, in minor units of the currency
}

// PeriodClosed ends a month: its books were written, and no entry is dated into it any more.
type PeriodClosed struct {
	Admin    UserID    `json:"admin_id"` // in whose name
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`    // its end, which is not in it
	Zone     string    `json:"zone"`     // in which it is a month
	Position int64     `json:"position"` // of its last entry, 0 for none
	Digest   string    `json:"digest"`   // SHA-256 of the summary of its books, in hexadecimal
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
func (PredictionRefunded) Type() EventType  { return TypePredictionRefunded }
func (PredictionConfirmed) Type() EventType { return TypePredictionConfirmed }
func (BalanceAdjusted) Type() EventType     { return TypeBalanceAdjusted }
func (AdminGranted) Type() EventType        { return TypeAdminGranted }
func (AdminRevoked) Type() EventType        { return TypeAdminRevoked }
func (ErasureRequested) Type() EventType    { return TypeErasureRequested }
func (ErasureCancelled) Type() EventType    { return TypeErasureCancelled }
func (CreditsForfeited) Type() EventType    { return TypeCreditsForfeited }
func (PersonalDataErased) Type() EventType  { return TypePersonalDataErased }
func (MoveInAccepted) Type() EventType      { return TypeMoveInAccepted }
func (BalanceMovedIn) Type() EventType      { return TypeBalanceMovedIn }
func (PriceSet) Type() EventType            { return TypePriceSet }
func (PeriodClosed) Type() EventType        { return TypePeriodClosed }

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
func (e PredictionRefunded) Subject() UserID  { return e.User }
func (e PredictionConfirmed) Subject() UserID { return e.User }
func (e BalanceAdjusted) Subject() UserID     { return e.User }
func (e AdminGranted) Subject() UserID        { return e.User }
func (e AdminRevoked) Subject() UserID        { return e.User }
func (e ErasureRequested) Subject() UserID    { return e.User }
func (e ErasureCancelled) Subject() UserID    { return e.User }
func (e CreditsForfeited) Subject() UserID    { return e.User }
func (e PersonalDataErased) Subject() UserID  { return e.User }
func (MoveInAccepted) Subject() UserID        { return "" }
func (e BalanceMovedIn) Subject() UserID      { return e.User }
func (PriceSet) Subject() UserID              { return "" }
func (PeriodClosed) Subject() UserID          { return "" }
