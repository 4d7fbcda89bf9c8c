// Package audit proves a ledger from its stored rows alone, and trusts nothing that was
// derived from them.
//
// Verify replays the whole log and finds contradictions, and entries that no program of
// ours could have written (rules.go). It cannot find a forger who rewrites an entry and
// everything that follows from it, including the tree and the head; for that a head
// must have been kept elsewhere, and Consistent proves that today's log continues the
// log of that head.
package audit
