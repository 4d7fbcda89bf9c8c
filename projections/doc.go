// Package projections builds the views from the log: balances, transactions, predictions,
// users, and the trial balance of the whole ledger.
//
// facts.go and folds.go define, as pure functions, what events mean for a view. Every
// form of the views uses them: Memory is replayed at each start and serves the embedded
// default; it is also the auditor's replay and the oracle for any other form (the suite in
// projectionstest runs on each). Postgres has tables, one file for each
// (postgres_balances.go and so on), which a Runner keeps up with the log and a Rebuild
// builds again.
package projections
