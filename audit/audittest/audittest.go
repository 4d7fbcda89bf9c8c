// Package audittest checks the ledger at the end of tests that write to one.
package audittest

import (
	"context"
	"time"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// CheckLedger verifies the whole ledger, and fails the test with the first fault.
func CheckLedger(t eventstoretest.TB, store *eventstore.Store, checks ...audit.Check) audit.Report {
	t.Helper()
	// Not the test's context: ledgers are also checked in cleanups, after it has ended.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	report, err := audit.Verify(ctx, store, checks...)
	if err != nil {
		t.Fatalf("the ledger is wrong: %v", err)
	}
	return report
}
