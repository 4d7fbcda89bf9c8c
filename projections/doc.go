// Package projections builds what people look at from the log: balances, lines of
// transactions, predictions, users, and the trial balance of the whole ledger.
//
// lines.go and folds.go say, as pure functions, what events mean for a view. Every
// form of the views is made of them: Memory, which is replayed from nothing at each
// start and serves the embedded default, is also the auditor's replay and the
// oracle for any other form (the suite in projectionstest runs on each). Postgres
// is tables, one file for each (postgres_balances.go and so on), which a Runner
// keeps up with the log and a Rebuild makes anew.
package projections
