package projections

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Views is what can be asked. Lists come newest first.
//
// A read takes the least position that it must show, 0 where any will do, and gives
// the position up to which it shows the log; both belong to the moment in which the
// rows were read. It waits for the least position until ctx ends, and then gives
// ErrBehind. ErrNotFound comes with a position too: up to there, it was not there.
type Views interface {
	// Wait returns when the views were seen to hold everything up to the position. It
	// promises nothing of a later read: that is asked for the position itself.
	Wait(ctx context.Context, at eventstore.Position) error
	// Position is up to where they hold everything now.
	Position(ctx context.Context) (eventstore.Position, error)

	Balance(ctx context.Context, u domain.UserID, least eventstore.Position) (Balance, eventstore.Position, error)
	Transactions(ctx context.Context, u domain.UserID, q TransactionQuery, least eventstore.Position) (Page[Transaction], eventstore.Position, error)
	Predictions(ctx context.Context, u domain.UserID, q PredictionQuery, least eventstore.Position) (Page[Prediction], eventstore.Position, error)
	// Prediction gives one of the person's predictions; ErrNotFound also where it
	// is another's.
	Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (Prediction, eventstore.Position, error)
	// Questions gives the sealed texts of the person's predictions that are named, by id.
	Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error)
	// Ended waits until the prediction has ended and gives it; where ctx ends
	// first, it gives the prediction as it is.
	Ended(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (Prediction, eventstore.Position, error)
	User(ctx context.Context, u domain.UserID, least eventstore.Position) (User, eventstore.Position, error)
	Users(ctx context.Context, q PageQuery, least eventstore.Position) (Page[User], eventstore.Position, error)
	// Trial says its position itself.
	Trial(ctx context.Context, least eventstore.Position) (Trial, error)
	// OpenHolds lists predictions that have not ended and expire before the time,
	// at most limit of them, the oldest expiry first.
	OpenHolds(ctx context.Context, before time.Time, limit int) ([]Prediction, error)
}

// ErrNotFound: there is no such thing, or it is another's.
var ErrNotFound = errors.New("projections: not found")

// ErrBehind: the views did not come to the position in time. The same read may
// succeed later.
var ErrBehind = errors.New("projections: the views are behind")

// behindIn says that the time was up before the views came to the position.
func behindIn(ctx context.Context, at eventstore.Position) error {
	return fmt.Errorf("%w: not yet at position %d: %w", ErrBehind, at, ctx.Err())
}

// ErrBadCursor: the cursor is not one that a page gave.
var ErrBadCursor = errors.New("projections: bad cursor")

// Balance is what a wallet holds.
type Balance struct {
	User      domain.UserID
	Available domain.Credits      // given ones among them
	Held      domain.Credits      // given ones among them
	Given     domain.Credits      // how many of the available ones are given
	GivenHeld domain.Credits      // how many of the held ones are given
	Position  eventstore.Position // of the last event that moved it
}

// Withdrawable is how many credits can be paid out: the bought ones.
func (b Balance) Withdrawable() domain.Credits { return b.Available - b.Given }

// add takes what an event moves into the balance.
func (b *Balance) add(w domain.Wallet) {
	b.Available += w.Available
	b.Held += w.Held
	b.Given += w.Given
	b.GivenHeld += w.GivenHeld
}

// TransactionType is what people see of a movement.
type TransactionType string

// The types of transactions.
const (
	Bonus           TransactionType = "bonus"
	Deposit         TransactionType = "deposit"
	Withdrawal      TransactionType = "withdrawal"
	Charge          TransactionType = "prediction"
	AdminAdjustment TransactionType = "admin_adjustment"
)

// TransactionTypes lists them all, for filters.
var TransactionTypes = []TransactionType{Bonus, Deposit, Withdrawal, Charge, AdminAdjustment}

// StatusDone is the status of every transaction that is not a prediction's; those
// have the state of their prediction (domain.PredictionState).
const StatusDone = "completed"

// Transaction is one movement of the available balance, so the amounts of all of
// a wallet's transactions add up to it. A prediction's charge is one line when it
// is held, whose status follows the prediction, and where the credits come back,
// a second line.
type Transaction struct {
	Position     eventstore.Position // also its identity
	User         domain.UserID
	Type         TransactionType
	Status       string
	Amount       domain.Credits
	Given        domain.Credits // how much of the amount is of given credits, with its sign
	BalanceAfter domain.Credits // available
	At           time.Time
	Prediction   domain.PredictionID // of a prediction's lines
	Admin        domain.UserID       // of an adjustment
	Reason       string
	Reference    string
}

// Prediction is one question and what became of it.
type Prediction struct {
	ID             domain.PredictionID
	User           domain.UserID
	State          domain.PredictionState
	Text           domain.Sealed
	Price          domain.Credits
	Limit          int
	RequestedAt    time.Time
	ExpiresAt      time.Time
	EndedAt        time.Time           // zero while held
	Position       eventstore.Position // of the request
	EndPosition    eventstore.Position // 0 while held
	Movies         []domain.Match
	Model          string
	Catalogue      string
	ProcessingTime float64 // seconds
	Failure        domain.FailureReason
}

// User is a person as admins see them.
type User struct {
	ID         domain.UserID
	Email      domain.Sealed
	Admin      bool
	SignedUpAt time.Time
	Position   eventstore.Position // of the sign-up
	Balance    Balance
}

// Trial is the sum of every account of the ledger, persons' together. Its total
// is zero, and so is that of each book, or the ledger is broken.
type Trial struct {
	Position  eventstore.Position
	Accounts  map[domain.LedgerAccount]domain.Credits // the house's
	Available domain.Credits                          // of all persons, given ones among them
	Held      domain.Credits
	Given     domain.Credits // how many of the available ones are given
	GivenHeld domain.Credits
	Users     int
}

// Owed is what people bought and have not spent, and could take back.
func (t Trial) Owed() domain.Credits { return t.Available + t.Held - t.Outstanding() }

// Outstanding is what was given to people and is not spent.
func (t Trial) Outstanding() domain.Credits { return t.Given + t.GivenHeld }

// Total is zero.
func (t Trial) Total() domain.Credits { return t.Bought() + t.GivenAway() }

// Bought is the sum of the book of bought credits, which is zero.
func (t Trial) Bought() domain.Credits { return t.Owed() + t.house(false) }

// GivenAway is the sum of the book of given credits, which is zero.
func (t Trial) GivenAway() domain.Credits { return t.Outstanding() + t.house(true) }

// house sums the house's accounts of one book.
func (t Trial) house(given bool) (sum domain.Credits) {
	for account, c := range t.Accounts {
		if account.Given() == given {
			sum += c
		}
	}
	return sum
}

// PageQuery asks for one page of a list. Cursor is empty for the first page, else
// the Next of the page before.
type PageQuery struct {
	Cursor string
	Limit  int // 1 to MaxPage
}

// MaxPage bounds a page.
const MaxPage = 100

// TransactionQuery filters by type; empty for all.
type TransactionQuery struct {
	PageQuery
	Type TransactionType
}

// PredictionQuery filters by state; empty for all.
type PredictionQuery struct {
	PageQuery
	State domain.PredictionState
}

// Page is part of a list. Next is empty on the last page.
type Page[T any] struct {
	Items []T
	Next  string
}

// before reads a cursor: the page holds what stands before this position.
func (q PageQuery) before() (eventstore.Position, error) {
	if q.Cursor == "" {
		return 1<<63 - 1, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || len(b) == 0 || b[0] != 'p' {
		return 0, ErrBadCursor
	}
	n, err := strconv.ParseInt(string(b[1:]), 10, 64)
	at := eventstore.Position(n)
	if err != nil || n < 1 || cursorAt(at) != q.Cursor { // a position has one spelling
		return 0, ErrBadCursor
	}
	return at, nil
}

func (q PageQuery) size() int { return min(max(q.Limit, 1), MaxPage) }

func cursorAt(p eventstore.Position) string {
	return base64.RawURLEncoding.EncodeToString([]byte("p" + strconv.FormatInt(int64(p), 10)))
}
