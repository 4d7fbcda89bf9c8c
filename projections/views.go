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

// Views are the queries. Lists come newest first.
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
	// CountTransactions counts those that the query finds, whatever its cursor and limit; where
	// there are more than most, it gives most.
	CountTransactions(ctx context.Context, u domain.UserID, q TransactionQuery, most int) (int, error)
	// Predictions gives questions, without their follow-ups.
	Predictions(ctx context.Context, u domain.UserID, q PredictionQuery, least eventstore.Position) (Page[Prediction], eventstore.Position, error)
	// Prediction gives one of the person's predictions; ErrNotFound also where it
	// is another's.
	Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (Prediction, eventstore.Position, error)
	// FollowUps gives the follow-ups of the person's predictions that are named, by their ids,
	// the oldest first.
	FollowUps(ctx context.Context, u domain.UserID, of []domain.PredictionID, least eventstore.Position) (map[domain.PredictionID][]Prediction, error)
	// Questions gives the sealed texts of the person's predictions that are named, by id.
	Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error)
	// Ended waits until a prediction has ended that was held at a position, and gives it
	// as it is at another; where ctx ends first, as it was. The views may come there a
	// moment later.
	Ended(ctx context.Context, p Prediction, held eventstore.Position) (Prediction, eventstore.Position, error)
	User(ctx context.Context, u domain.UserID, least eventstore.Position) (User, eventstore.Position, error)
	Users(ctx context.Context, q PageQuery, least eventstore.Position) (Page[User], eventstore.Position, error)
	// Erased gives the persons whose data was erased; the order is none.
	Erased(ctx context.Context) ([]domain.UserID, error)
	// Trial has its position in it.
	Trial(ctx context.Context, least eventstore.Position) (Trial, error)
	// OpenHolds lists predictions that have not ended and expire before the time,
	// at most limit of them, the oldest expiry first.
	OpenHolds(ctx context.Context, before time.Time, limit int) ([]Prediction, error)
	// Days gives what was counted on n days in a row.
	Days(ctx context.Context, from Date, n int, least eventstore.Position) (Course, eventstore.Position, error)
	// Actions gives what admins and the operator did.
	Actions(ctx context.Context, q ActionQuery, least eventstore.Position) (Page[Action], eventstore.Position, error)
	// Day gives what was counted on one day, and reads nothing of others.
	Day(ctx context.Context, on Date) (Figures, error)
	// Refunders lists those to whom questions were refunded behind the position, at most limit
	// of them, those with most refunds first, then by the last.
	Refunders(ctx context.Context, since eventstore.Position, limit int) ([]Refunder, error)
}

// ErrNotFound: there is no such thing, or it is another's.
var ErrNotFound = errors.New("projections: not found")

// ErrBehind: the views did not come to the position in time. The same read may
// succeed later.
var ErrBehind = errors.New("projections: the views are behind")

// behindIn is the error where time was up before the views came to the position.
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
	Forfeiture      TransactionType = "forfeiture" // of all credits, when the person is erased
	MovedIn         TransactionType = "moved_in"   // from the system that Kassa replaces
)

// TransactionTypes lists them all, for filters.
var TransactionTypes = []TransactionType{Bonus, Deposit, Withdrawal, Charge, AdminAdjustment, Forfeiture, MovedIn}

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
	RefundedAt     time.Time           // zero where it was not refunded
	RefundPosition eventstore.Position // 0 where it was not refunded
	Movies         []domain.Match
	Model          string
	Catalogue      string
	ProcessingTime float64 // seconds
	Confidence     int     // that the first film is meant, per mille; 0: not known
	Failure        domain.FailureReason

	FollowUpOf      domain.PredictionID // the paid prediction; "" where it is a question of its own
	Excluded        []string            // ids of films that a follow-up was not to find
	Confirmed       string              // id of the film that was the one; "" where none was
	ConfirmedAt     time.Time
	ConfirmPosition eventstore.Position
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

// Refunder is a person to whom questions were refunded.
type Refunder struct {
	User    domain.UserID
	Refunds int
	Last    eventstore.Position
}

// PageQuery asks for one page of a list. Cursor is empty for the first page, else
// the Next of the page before.
type PageQuery struct {
	Cursor string
	Limit  int // 1 to MaxPage
}

// MaxPage bounds a page.
const MaxPage = 100

// TransactionQuery filters by type, empty for all, and by position. Its cursor is the Next or
// the Previous of another page.
type TransactionQuery struct {
	PageQuery
	Type  TransactionType
	Since eventstore.Position // only lines behind it
	UpTo  eventstore.Position // only lines up to it; 0 for all
}

// stretch is between which positions the lines of a page are, both not among them, and at which
// end: with oldest, the page has the oldest of them.
type stretch struct {
	since, before eventstore.Position
	oldest        bool
}

func (q TransactionQuery) stretch() (stretch, error) {
	before := eventstore.Position(1<<63 - 1)
	if q.UpTo > 0 {
		before = q.UpTo + 1
	}
	return q.between(q.Since, before)
}

// between is what the cursor leaves of a stretch.
func (q PageQuery) between(since, until eventstore.Position) (s stretch, err error) {
	s = stretch{since: since, before: until}
	if after, ok := positionIn(q.Cursor, newerCursor); ok {
		s.since, s.oldest = max(s.since, after), true
		return s, nil
	}
	before, err := q.before()
	s.before = min(s.before, before)
	return s, err
}

// pageOf makes a page of lines, the newest first, of which there may be one more than it shows, at
// its far end.
func pageOf[T any](q PageQuery, s stretch, list []T, at func(*T) eventstore.Position) Page[T] {
	more, size := len(list) > q.size(), min(len(list), q.size())
	p := Page[T]{Items: append([]T{}, list[:size]...)}
	if s.oldest {
		p.Items = append([]T{}, list[len(list)-size:]...)
	}
	if size == 0 {
		return p
	}
	if s.oldest || more {
		p.Next = cursorAt(at(&p.Items[size-1]))
	}
	if s.oldest && more || !s.oldest && q.Cursor != "" {
		p.Previous = cursorOf(newerCursor, at(&p.Items[0]))
	}
	return p
}

// PredictionQuery filters by state; empty for all.
type PredictionQuery struct {
	PageQuery
	State domain.PredictionState
}

// Page is part of a list. Next is empty on the last page. Previous is empty on the first page, and
// for lists that are read in one direction only.
type Page[T any] struct {
	Items    []T
	Next     string
	Previous string
}

// before reads a cursor: the page holds what is before this position.
func (q PageQuery) before() (eventstore.Position, error) {
	if q.Cursor == "" {
		return 1<<63 - 1, nil
	}
	at, ok := positionIn(q.Cursor, olderCursor)
	if !ok {
		return 0, ErrBadCursor
	}
	return at, nil
}

// Kinds of cursors: for what is older than a position, and for what is newer.
const (
	olderCursor = 'p'
	newerCursor = 'n'
)

// positionIn reads a cursor of a kind.
func positionIn(cursor string, kind byte) (at eventstore.Position, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) == 0 || b[0] != kind {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b[1:]), 10, 64)
	at = eventstore.Position(n)
	return at, err == nil && n > 0 && cursorOf(kind, at) == cursor // a position has one spelling
}

func (q PageQuery) size() int { return min(max(q.Limit, 1), MaxPage) }

func cursorAt(p eventstore.Position) string { return cursorOf(olderCursor, p) }

func cursorOf(kind byte, p eventstore.Position) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt([]byte{kind}, int64(p), 10))
}
