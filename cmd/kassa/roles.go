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

var allRoles = []role{roleAPI, roleRelay, roleProjector, roleMatcher, roleExpirer, roleWorker}

// brokerSettings say where RabbitMQ is.
type brokerSettings struct {
	AMQPURL     string `name:"amqp-url" placeholder:"URL" help:"amqp://… of RabbitMQ."`
	AMQPURLFile string `name:"amqp-url-file" type:"existingfile" placeholder:"FILE" help:"File that holds --amqp-url."`
}

func (b brokerSettings) amqp() (string, error) { return oneOf(b.AMQPURL, b.AMQPURLFile) }

// productionSettings are for the shape of many processes.
type productionSettings struct {
	brokerSettings
	Roles []role `placeholder:"ROLE,..." help:"What this process does: api, relay, projector, matcher, expirer, worker. Any number of processes may have each. Default: all."`
}

// has says whether the process has one of the roles.
func (p productionSettings) has(any ...role) bool {
	return slices.ContainsFunc(any, func(r role) bool { return len(p.Roles) == 0 || slices.Contains(p.Roles, r) })
}

func (p productionSettings) validateRoles() error {
	for _, r := range p.Roles {
		if !slices.Contains(allRoles, r) {
			return fmt.Errorf("--roles: there is no role %q; the roles are %s", r, strings.Trim(fmt.Sprint(allRoles), "[]"))
		}
	}
	return nil
}
