package domain

// Role is what a person may do beside what everybody may do with their own account.
type Role string

// The roles. A person can have both.
const (
	AdminRole   Role = "admin"   // changes what others have and may do
	AuditorRole Role = "auditor" // reads what admins read, and changes nothing
)

// Known reports whether it is one of them.
func (r Role) Known() bool { return r == AdminRole || r == AuditorRole }

// RoleGranted gives a person a role. AdminGranted is what it was before there were two.
type RoleGranted struct {
	User UserID `json:"user_id"`
	Role Role   `json:"role"`
	Order
}

// RoleRevoked ends it.
type RoleRevoked struct {
	User UserID `json:"user_id"`
	Role Role   `json:"role"`
	Order
}

// AccountLocked ends all that a person does themselves. Their questions that are open are
// settled, a payment that was taken is booked, and admins can still correct the balance.
type AccountLocked struct {
	User UserID `json:"user_id"`
	Order
}

// AccountUnlocked ends that.
type AccountUnlocked struct {
	User UserID `json:"user_id"`
	Order
}

// Order names who has a role or a lock changed: an admin, or else the operator.
type Order struct {
	Admin  UserID `json:"admin_id,omitempty"`
	By     string `json:"by,omitempty"`     // the operator's name, where no admin does
	Reason string `json:"reason,omitempty"` // of an admin always
}

func (RoleGranted) Type() EventType     { return TypeRoleGranted }
func (RoleRevoked) Type() EventType     { return TypeRoleRevoked }
func (AccountLocked) Type() EventType   { return TypeAccountLocked }
func (AccountUnlocked) Type() EventType { return TypeAccountUnlocked }

func (e RoleGranted) Subject() UserID     { return e.User }
func (e RoleRevoked) Subject() UserID     { return e.User }
func (e AccountLocked) Subject() UserID   { return e.User }
func (e AccountUnlocked) Subject() UserID { return e.User }

// Orderer is who orders a change of a role or a lock. That of an admin never takes the last
// admin away: they stay one, because nobody changes their own. It holds in the log too, as
// long as the append is on the condition that the admin's account has not changed.
type Orderer struct {
	Admin  *Account // nil for the operator
	By     string   // the operator's name
	Stays  *Account // the operator's word for an admin who stays one; nil: none is asked for
	Reason string
}

// Has reports whether the account has the role.
func (a *Account) Has(r Role) bool {
	return r == AdminRole && a.Admin || r == AuditorRole && a.Auditor
}

// MayAdminister reports whether the person acts as an admin: one who is locked does not.
func (a *Account) MayAdminister() bool { return a.Admin && !a.Locked }

// GrantRole gives a role; done already, it decides nothing.
func (a Account) GrantRole(r Role, o Orderer) ([]Event, error) {
	order, err := a.changeRole(r, o)
	if err != nil || a.Has(r) {
		return nil, err
	}
	return []Event{RoleGranted{a.User, r, order}}, nil
}

// RevokeRole ends it; done already, it decides nothing.
func (a Account) RevokeRole(r Role, o Orderer) ([]Event, error) {
	order, err := a.changeRole(r, o)
	if err != nil || !a.Has(r) {
		return nil, err
	}
	if r == AdminRole {
		if err := a.anotherStays(o); err != nil {
			return nil, err
		}
	}
	return []Event{RoleRevoked{a.User, r, order}}, nil
}

func (a *Account) changeRole(r Role, o Orderer) (Order, error) {
	if !r.Known() {
		return Order{}, Reject(InvalidRole, "a role is %s or %s", AdminRole, AuditorRole)
	}
	return a.order(o, OwnRole, "a person's own roles are changed by another admin")
}

// Lock ends all that the person does themselves; done already, it decides nothing.
func (a Account) Lock(o Orderer) ([]Event, error) {
	order, err := a.order(o, OwnLock, "nobody locks their own account")
	if err != nil || a.Locked {
		return nil, err
	}
	if a.Admin {
		if err := a.anotherStays(o); err != nil {
			return nil, err
		}
	}
	return []Event{AccountLocked{a.User, order}}, nil
}

// Unlock ends a lock; without one it decides nothing.
func (a Account) Unlock(o Orderer) ([]Event, error) {
	order, err := a.order(o, OwnLock, "an account is unlocked by another admin")
	if err != nil || !a.Locked {
		return nil, err
	}
	return []Event{AccountUnlocked{a.User, order}}, nil
}

// order checks who orders a change of this account. Of one's own it is refused with the code.
func (a *Account) order(o Orderer, own Code, why string) (Order, error) {
	if o.Admin != nil || o.Reason != "" {
		if err := checkReason(o.Reason); err != nil {
			return Order{}, err
		}
	}
	out := Order{By: o.By, Reason: o.Reason}
	if o.Admin != nil {
		if !o.Admin.MayAdminister() {
			return Order{}, Reject(NotAdmin, "only an admin changes roles and locks")
		}
		if o.Admin.User == a.User {
			return Order{}, Reject(own, "%s", why)
		}
		out = Order{Admin: o.Admin.User, Reason: o.Reason}
	}
	return out, a.mustExist()
}

// anotherStays refuses the operator who takes the last admin away.
func (a *Account) anotherStays(o Orderer) error {
	if o.Stays != nil && (!o.Stays.MayAdminister() || o.Stays.User == a.User) {
		return LastAdminStays()
	}
	return nil
}

// LastAdminStays is the refusal to take the last admin away.
func LastAdminStays() error {
	return Reject(LastAdmin, "this is the last admin: make another one first")
}

// MayAct refuses what a person whose account is locked asks for, of whatever kind: commands
// calls it for each command of a person's own.
func (a *Account) MayAct() error {
	if a.Locked {
		return Reject(Locked, "this account is locked: ask the operator of this service")
	}
	return nil
}

// followRole folds a change of a role.
func (a *Account) followRole(t EventType, r Role, has bool) error {
	switch r {
	case AdminRole:
		a.Admin = has
	case AuditorRole:
		a.Auditor = has
	default:
		return broken("%s of the role %q", t, r)
	}
	return nil
}
