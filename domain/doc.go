// Package domain is Kassa's rule book: credits, events with their postings,
// the state of an account, and the decisions that turn a request into new
// facts or into a refusal with a stable code.
//
// It is pure. It imports nothing of ours and does no I/O; time and ids come in
// as arguments, so that every rule can be read, and tested, as a table.
package domain
