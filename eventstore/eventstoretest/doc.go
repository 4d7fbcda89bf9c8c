// Package eventstoretest holds what tests of the log need: the suite that every
// engine has to pass, a store that loses answers, a workload that fills a
// ledger, and the check that a log is whole.
package eventstoretest
