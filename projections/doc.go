// Package projections builds what people look at from the log: balances, lines of
// transactions, predictions, users, and the trial balance of the whole ledger.
//
// lines.go says, as pure functions, what each event means for a view. Every form
// of the views is made of them: Memory, which is replayed from nothing at each
// start and serves the embedded default, is also the auditor's replay and the
// oracle for any other form (the suite in projectionstest runs on each).
package projections
