package domain_test

import (
	"testing"

	"kassa/domain"
)

// operator is at the console.
var operator = domain.Orderer{By: "olga"}

func grantedBy(r domain.Role, by domain.Orderer) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.GrantRole(r, by) }
}

func revokedBy(r domain.Role, by domain.Orderer) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.RevokeRole(r, by) }
}

func lockedBy(by domain.Orderer) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Lock(by) }
}

func unlockedBy(by domain.Orderer) request {
	return func(a domain.Account) ([]domain.Event, error) { return a.Unlock(by) }
}

func TestRolesAndLocks(t *testing.T) {
	const admin, auditor = domain.AdminRole, domain.AuditorRole
	as := func(by domain.Account, reason string) domain.Orderer {
		return domain.Orderer{Admin: &by, Reason: reason}
	}
	boss := as(domain.Account{User: root, Admin: true}, "r")
	stays := func(who domain.Account) domain.Orderer { return domain.Orderer{By: "olga", Stays: &who} }
	another := stays(domain.Account{User: root, Admin: true})
	isAdmin, isAuditor := facts(signedUp, granted), facts(signedUp, roleGranted(auditor, byRoot))
	isLocked := facts(signedUp, locked(byRoot))
	for _, tt := range []decision{
		{name: "an admin makes an auditor", given: facts(signedUp), when: grantedBy(auditor, boss), then: facts(roleGranted(auditor, byRoot))},
		{name: "an admin makes an admin", given: facts(signedUp), when: grantedBy(admin, boss), then: facts(roleGranted(admin, byRoot))},
		{name: "so does the operator, without a reason", given: facts(signedUp), when: grantedBy(admin, operator), then: facts(roleGranted(admin, byOlga))},
		{name: "an auditor becomes an admin too", given: isAuditor, when: grantedBy(admin, boss), then: facts(roleGranted(admin, byRoot))},
		{name: "twice decides nothing", given: isAuditor, when: grantedBy(auditor, boss)},
		{name: "an admin of before is one already", given: isAdmin, when: grantedBy(admin, boss)},
		{name: "another admin ends it", given: isAdmin, when: revokedBy(admin, boss), then: facts(roleRevoked(admin, byRoot))},
		{name: "an auditor's too", given: isAuditor, when: revokedBy(auditor, boss), then: facts(roleRevoked(auditor, byRoot))},
		{name: "what was never granted decides nothing", given: isAdmin, when: revokedBy(auditor, boss)},
		{name: "the operator, while another stays", given: isAdmin, when: revokedBy(admin, another), then: facts(roleRevoked(admin, byOlga))},
		{name: "not where that one is the same", given: isAdmin, when: revokedBy(admin, stays(domain.Account{User: ada, Admin: true})), refused: domain.LastAdmin},
		{name: "nor where that one is none", given: isAdmin, when: revokedBy(admin, stays(domain.Account{User: root})), refused: domain.LastAdmin},
		{name: "nor where that one is locked", given: isAdmin, when: revokedBy(admin, stays(domain.Account{User: root, Admin: true, Locked: true})), refused: domain.LastAdmin},
		{name: "an auditor who is the last is no last admin", given: isAuditor, when: revokedBy(auditor, stays(domain.Account{})), then: facts(roleRevoked(auditor, byOlga))},
		{name: "nobody changes their own role", given: isAdmin, when: revokedBy(admin, as(domain.Account{User: ada, Admin: true}, "r")), refused: domain.OwnRole},
		{name: "nor gives themselves another", given: isAdmin, when: grantedBy(auditor, as(domain.Account{User: ada, Admin: true}, "r")), refused: domain.OwnRole},
		{name: "a user does not", given: facts(signedUp), when: grantedBy(auditor, as(domain.Account{User: root}, "r")), refused: domain.NotAdmin},
		{name: "an auditor does not", given: facts(signedUp), when: grantedBy(auditor, as(domain.Account{User: root, Auditor: true}, "r")), refused: domain.NotAdmin},
		{name: "an admin who is locked does not", given: facts(signedUp), when: grantedBy(auditor, as(domain.Account{User: root, Admin: true, Locked: true}, "r")), refused: domain.NotAdmin},
		{name: "an admin gives a reason", given: facts(signedUp), when: grantedBy(auditor, as(domain.Account{User: root, Admin: true}, "")), refused: domain.InvalidReason},
		{name: "no such role", given: facts(signedUp), when: grantedBy("owner", boss), refused: domain.InvalidRole},
		{name: noAccount + "has no role", when: grantedBy(admin, boss), refused: domain.AccountNotFound},
		{name: noAccount + "loses none", when: revokedBy(admin, operator), refused: domain.AccountNotFound},

		{name: "an admin locks", given: facts(signedUp), when: lockedBy(boss), then: facts(locked(byRoot))},
		{name: "an admin is locked by another", given: isAdmin, when: lockedBy(boss), then: facts(locked(byRoot))},
		{name: "twice decides nothing", given: isLocked, when: lockedBy(boss)},
		{name: "nobody locks themselves", given: isAdmin, when: lockedBy(as(domain.Account{User: ada, Admin: true}, "r")), refused: domain.OwnLock},
		{name: "the last admin is not locked", given: isAdmin, when: lockedBy(stays(domain.Account{})), refused: domain.LastAdmin},
		{name: "a lock has a reason", given: facts(signedUp), when: lockedBy(as(domain.Account{User: root, Admin: true}, "")), refused: domain.InvalidReason},
		{name: "a user locks nobody", given: facts(signedUp), when: lockedBy(as(domain.Account{User: root}, "r")), refused: domain.NotAdmin},
		{name: "an admin unlocks", given: isLocked, when: unlockedBy(boss), then: facts(unlocked(byRoot))},
		{name: "so does the operator", given: isLocked, when: unlockedBy(operator), then: facts(unlocked(byOlga))},
		{name: "who is not locked is not unlocked", given: facts(signedUp), when: unlockedBy(boss)},
		{name: noAccount + "is not locked", when: lockedBy(operator), refused: domain.AccountNotFound},
	} {
		tt.check(t)
	}
}

// What others do with an account goes on while it is locked.
func TestLockedAccount(t *testing.T) {
	a := fold(t, new(book).write(facts(signedUp, deposited(30), requested("p_1", 5), granted, roleGranted(domain.AuditorRole, byRoot), locked(byRoot))))
	if err := a.MayAct(); domain.RefusalIn(err) == nil || domain.RefusalIn(err).Code != domain.Locked {
		t.Errorf("what they ask for is refused with %v", err)
	}
	if a.MayAdminister() {
		t.Error("they act as an admin")
	}
	for name, decide := range map[string]request{
		"an answer":    func(a domain.Account) ([]domain.Event, error) { return a.Complete("p_1", domain.Answer{Model: "m"}) },
		"a failure":    func(a domain.Account) ([]domain.Event, error) { return a.Fail("p_1", domain.FailedWorker) },
		"an expiry":    func(a domain.Account) ([]domain.Event, error) { return a.Expire("p_1", noon.AddDate(1, 0, 0)) },
		"a payment":    deposit(7),
		"a correction": adjust(3, "r", ""),
		"an erasure": func(a domain.Account) ([]domain.Event, error) {
			return a.RequestErasure(domain.ErasureOrder{Reason: "letter 7", Bought: domain.WithdrawCredits, DueAt: noon})
		},
	} {
		if events, err := decide(a.Clone()); err != nil || len(events) == 0 {
			t.Errorf("%s gave %v, %v", name, events, err)
		}
	}
	unlocked := fold(t, new(book).write(facts(signedUp, granted, locked(byRoot), unlocked(byOlga))))
	if err := unlocked.MayAct(); err != nil || !unlocked.MayAdminister() {
		t.Errorf("after the lock: %v, %+v", err, unlocked)
	}
}
