// Package audittest ends the tests that write to a ledger.
package audittest

import (
	"context"
	"time"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// CheckLedger proves the whole ledger, and fails the test with the first fault.
func CheckLedger(t eventstoretest.TB, store *eventstore.Store, checks ...audit.Check) audit.Report {
	t.Helper()
	// Not the test's context: a ledger is checked in clean-ups too, after that ended.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	report, err := audit.Verify(ctx, store, checks...)
	if err != nil {
		t.Fatalf("the ledger is wrong: %v", err)
	}
	return report
}
