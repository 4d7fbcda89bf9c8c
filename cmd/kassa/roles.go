package main

import (
	"fmt"
	"slices"
	"strings"
)

// role is a part of the service that a process can have.
type role string

// The roles. The embedded default has them all in one process.
const (
	roleAPI       role = "api"       // the pages and the API
	roleRelay     role = "relay"     // carries the log to the bus; one leads, the others wait
	roleProjector role = "projector" // keeps the views
	roleMatcher   role = "matcher"   // finds films for vectors, and settles
	roleExpirer   role = "expirer"   // ends holds whose time is up; one leads
	roleWorker    role = "worker"    // turns texts into vectors
)

// brokerRoles are those that send or take messages. The others do without a broker, and
// are not told where it is.
var brokerRoles = []role{roleRelay, roleProjector, roleMatcher, roleWorker}

var allRoles = []role{roleAPI, roleRelay, roleProjector, roleMatcher, roleExpirer, roleWorker}

// productionSettings are for the shape of many processes.
type productionSettings struct {
	brokerSettings
	Roles []role `placeholder:"ROLE,..." help:"What this process does: api, relay, projector, matcher, expirer, worker. Any number of processes may have each. Default: all."`
}

// has says whether the process has one of the roles.
func (p productionSettings) has(any ...role) bool {
	return slices.ContainsFunc(any, func(r role) bool { return len(p.Roles) == 0 || slices.Contains(p.Roles, r) })
}

// rolesText names the roles, for people.
func (p productionSettings) rolesText() string {
	if len(p.Roles) == 0 {
		return "all roles"
	}
	return strings.Trim(fmt.Sprint(p.Roles), "[]")
}

func (p productionSettings) validateRoles() error {
	for _, r := range p.Roles {
		if !slices.Contains(allRoles, r) {
			return fmt.Errorf("--roles: there is no role %q; the roles are %s", r, strings.Trim(fmt.Sprint(allRoles), "[]"))
		}
	}
	return nil
}
