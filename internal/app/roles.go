package app

import (
	"slices"
	"strings"
)

// Role is a part of the service that a process can have.
type Role string

// The roles. The embedded default has them all in one process.
const (
	API       Role = "api"       // the pages and the API
	Relay     Role = "relay"     // carries the log to the bus; one leads, the others wait
	Projector Role = "projector" // keeps the views
	Matcher   Role = "matcher"   // finds films for vectors, and settles
	Expirer   Role = "expirer"   // ends holds whose time is over; one leads
	Worker    Role = "worker"    // embeds texts
)

// AllRoles are the roles in the order in which they are listed.
var AllRoles = Roles{API, Relay, Projector, Matcher, Expirer, Worker}

// BrokerRoles are those that send or take messages. The others do without a broker, and
// need not know where it is.
var BrokerRoles = Roles{Relay, Projector, Matcher, Worker}

// Roles are those of one process; none means all.
type Roles []Role

// Has reports whether the process has one of the roles.
func (r Roles) Has(any ...Role) bool {
	return slices.ContainsFunc(any, func(one Role) bool { return len(r) == 0 || slices.Contains(r, one) })
}

// String names the roles, for people.
func (r Roles) String() string {
	if len(r) == 0 {
		return "all roles"
	}
	names := make([]string, len(r))
	for i, one := range r {
		names[i] = string(one)
	}
	return strings.Join(names, " ")
}
