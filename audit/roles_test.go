package audit_test

import (
	"kassa/audit"
	"kassa/domain"
)

// roleLies are changes of roles and locks, and what people who are locked do, that no program
// of the ledger would have written.
func roleLies() []lie {
	return []lie{
		{"a role granted by a user who is no admin", []want{{audit.ActorNotAdmin, 11}}, func(c *logBuilder) {
			c.by("user:u_ada", domain.RoleGranted{User: bob, Role: domain.AuditorRole, Order: domain.Order{Admin: ada, Reason: "r"}})
		}},
		{"a role granted by an auditor", []want{{audit.ActorNotAdmin, 12}}, func(c *logBuilder) {
			c.by("operator", domain.RoleGranted{User: ada, Role: domain.AuditorRole, Order: domain.Order{By: "olga"}})
			c.by("user:u_ada", domain.RoleRevoked{User: bob, Role: domain.AdminRole, Order: domain.Order{Admin: ada, Reason: "r"}})
		}},
		{"a role granted to oneself", []want{{audit.AdminNotActor, 11}, {audit.ActorNotAdmin, 11}}, func(c *logBuilder) {
			c.by("user:u_ada", domain.RoleGranted{User: ada, Role: domain.AdminRole})
		}},
		{"an admin's own role", []want{{audit.OrderedOwn, 11}}, func(c *logBuilder) {
			c.by("user:u_bob", domain.RoleRevoked{User: bob, Role: domain.AdminRole, Order: domain.Order{Admin: bob, Reason: "r"}})
		}},
		{"a role in the name of an admin", []want{{audit.AdminNotActor, 11}}, func(c *logBuilder) {
			c.by("operator", domain.RoleGranted{User: ada, Role: domain.AdminRole, Order: domain.Order{Admin: bob, Reason: "r"}})
		}},
		{"a role granted by a part of the service", []want{{audit.ActorNotAllowed, 11}, {audit.CauseWrongKind, 11}, {audit.AdminNotActor, 11}}, func(c *logBuilder) {
			c.by("system:expirer", domain.RoleGranted{User: ada, Role: domain.AdminRole, Order: domain.Order{Admin: bob}})
		}},
		{"a role granted to a person who has it", []want{{audit.OrderUnchanged, 11}}, func(c *logBuilder) {
			c.by("operator", domain.RoleGranted{User: bob, Role: domain.AdminRole, Order: domain.Order{By: "olga"}})
		}},
		{"a lock of a person who is locked", []want{{audit.OrderUnchanged, 12}}, func(c *logBuilder) {
			lock := domain.AccountLocked{User: ada, Order: domain.Order{Admin: bob, Reason: "r"}}
			c.by("user:u_bob", lock)
			c.by("user:u_bob", lock)
		}},
		{"an unlocked person unlocked", []want{{audit.OrderUnchanged, 11}}, func(c *logBuilder) {
			c.by("operator", domain.AccountUnlocked{User: ada, Order: domain.Order{By: "olga"}})
		}},
		{"a withdrawal of a person who is locked", []want{{audit.ActorLocked, 12}}, func(c *logBuilder) {
			c.by("operator", domain.AccountLocked{User: ada, Order: domain.Order{By: "olga"}})
			c.withdraw(ada, 5, "pay-2")
		}},
		{"an adjustment by an admin who is locked", []want{{audit.ActorLocked, 12}}, func(c *logBuilder) {
			c.by("operator", domain.AccountLocked{User: bob, Order: domain.Order{By: "olga"}})
			c.by("user:u_bob", decided(c.of(ada).Adjust(domain.Account{User: bob, Admin: true}, domain.Correction{Amount: 7, Kind: domain.BoughtCredits, Reason: "paid"}))...)
		}},
	}
}
