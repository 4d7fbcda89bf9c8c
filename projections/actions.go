package projections

import (
	"strings"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Action is what an admin or the operator did.
type Action struct {
	Position  eventstore.Position
	At        time.Time
	Type      domain.EventType
	Admin     domain.UserID  // "": the operator
	Operator  string         // the operator's name, where it is in the log
	User      domain.UserID  // whom it concerns; "": the house
	Amount    domain.Credits // of an adjustment or a proposal; of a price, the credits
	Role      domain.Role
	Reason    string
	Reference string
}

// ActionTypes are the types of events that are actions, for filters.
var ActionTypes = []domain.EventType{domain.TypeBalanceAdjusted, domain.TypeAdjustmentProposed, domain.TypeAdjustmentApproved, domain.TypeAdjustmentRejected,
	domain.TypeRoleGranted, domain.TypeRoleRevoked, domain.TypeAdminGranted, domain.TypeAdminRevoked, domain.TypeAccountLocked, domain.TypeAccountUnlocked,
	domain.TypeErasureRequested, domain.TypeErasureCancelled, domain.TypePriceSet, domain.TypeAdjustmentLimitsSet, domain.TypePeriodClosed, domain.TypeMoveInAccepted}

// actionOf gives the action that an entry is; ok is false for all others, such as what people
// do with their own accounts, and what parts of the service do.
func actionOf(rec eventstore.Recorded) (a Action, ok bool) {
	a = Action{Position: rec.Position, At: rec.Time, Type: rec.Type, User: rec.Event.Subject()}
	order := func(o domain.Order) { a.Admin, a.Operator, a.Reason = o.Admin, o.By, o.Reason }
	switch e := rec.Event.(type) {
	case domain.BalanceAdjusted:
		a.Admin, a.Amount, a.Reason, a.Reference = e.Admin, e.Amount, e.Reason, e.Reference
	case domain.AdjustmentProposed:
		a.Admin, a.Amount, a.Reason, a.Reference = e.Admin, e.Amount, e.Reason, e.Reference
	case domain.AdjustmentApproved:
		a.Admin, a.Reason = e.Admin, e.Reason
	case domain.AdjustmentRejected:
		a.Admin, a.Reason = e.Admin, e.Reason
	case domain.RoleGranted:
		a.Role = e.Role
		order(e.Order)
	case domain.RoleRevoked:
		a.Role = e.Role
		order(e.Order)
	case domain.AdminGranted, domain.AdminRevoked:
		a.Role = domain.AdminRole
	case domain.AccountLocked:
		order(e.Order)
	case domain.AccountUnlocked:
		order(e.Order)
	case domain.ErasureRequested:
		a.Admin, a.Reason = e.Admin, e.Reason
		return a, !byThemselves(rec)
	case domain.ErasureCancelled:
		a.Admin, a.Reason = e.Admin, e.Reason
		return a, !byThemselves(rec)
	case domain.PriceSet:
		a.Amount = e.Price
	case domain.PeriodClosed:
		a.Admin, a.Reference = e.Admin, e.From.UTC().Format(time.RFC3339)+" – "+e.Until.UTC().Format(time.RFC3339)
	case domain.MoveInAccepted:
		a.Operator, a.Amount = e.By, e.Bought+e.Given
	case domain.AdjustmentLimitsSet:
		a.Amount = e.FourEyesAbove
	default:
		return Action{}, false
	}
	return a, true
}

// byThemselves reports whether the person whom the entry is about has done it.
func byThemselves(rec eventstore.Recorded) bool {
	return rec.Actor == "user:"+string(rec.Event.Subject())
}

// said is what a text is looked for in, whatever its case.
func (a *Action) said() string {
	return strings.ToLower(a.Reason + "\n" + a.Reference + "\n" + a.Operator)
}

// ActionQuery chooses actions; what is empty chooses all.
type ActionQuery struct {
	PageQuery
	By          string // the id of an admin, or the name of an operator
	Type        domain.EventType
	User        domain.UserID
	From, Until time.Time // the second is not among them
	Text        string    // in the reason, the reference, or the operator's name, in any case
}

// finds reports whether an action is chosen.
func (q ActionQuery) finds(a *Action) bool {
	return (q.By == "" || string(a.Admin) == q.By || a.Operator == q.By) && (q.Type == "" || a.Type == q.Type) && (q.User == "" || a.User == q.User) &&
		(q.From.IsZero() || !a.At.Before(q.From)) && (q.Until.IsZero() || a.At.Before(q.Until)) && strings.Contains(a.said(), strings.ToLower(q.Text))
}

// actionRows are the rows of actions, which are only ever added.
type actionRows struct{}

func (actionRows) apply(batch []eventstore.Recorded, each func(Row)) error {
	for _, rec := range batch {
		if a, ok := actionOf(rec); ok {
			giveAll(actionFields(a), each)
		}
	}
	return nil
}

func (actionRows) rest(func(Row)) {}

func actionFields(a Action) []field {
	return []field{{"position", a.Position, key}, {"at", a.At, rest}, {"type", a.Type, rest}, {"admin", a.Admin, rest}, {"operator", a.Operator, rest}, {"user_id", a.User, rest},
		{"amount", a.Amount, rest}, {"role", a.Role, rest}, {"reason", a.Reason, rest}, {"reference", a.Reference, rest}, {"said", a.said(), rest}}
}
