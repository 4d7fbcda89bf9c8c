// Package audit proves a ledger from its stored rows alone, trusting nothing
// that a program or a person may have written beside them.
//
// Verify replays the whole log and finds what contradicts itself, and what no
// program of ours could have written (rules.go). It cannot find a forger who
// rewrites an entry and everything that follows from it, the tree and the head
// included; for that a head must have been kept elsewhere, and Consistent proves
// that the log of today continues the log of that head.
package audit
