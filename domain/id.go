package domain

import "strings"

// idMost bounds an id, in bytes. Those that commands make are shorter.
const idMost = 64

// Valid reports whether it can be an id of ours at all. What comes from outside is asked
// before it reaches a query: PostgreSQL fails on some strings, such as one with a zero.
func (u UserID) Valid() bool { return validID("u_", string(u)) }

// Valid is the same of a prediction.
func (p PredictionID) Valid() bool { return validID("p_", string(p)) }

func validID(prefix, id string) bool {
	name, ok := strings.CutPrefix(id, prefix)
	return ok && name != "" && len(id) <= idMost && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
