package app

import (
	"time"

	"kassa/eventstore"
	"kassa/internal/bus"
	"kassa/internal/matcher"
)

// Observer is told what the parts of a service do, for metrics and traces. Its methods
// must not wait.
type Observer interface {
	matcher.Observer
	// Batch: appends were sequenced together.
	Batch(b eventstore.Batch)
	// Handled: a message of jobs was handled.
	Handled(kind string, jobs []bus.Job, began time.Time)
	// Applied: entries were applied to the views in PostgreSQL.
	Applied(entries []eventstore.Recorded, began time.Time)
}

// Observe has the parts report. It is called before Run.
func (s *Service) Observe(o Observer) {
	s.Store.Observe(o.Batch)
	s.Matcher.Observer = o
	if s.bus != nil {
		s.bus.Observe(o.Handled)
	}
	if s.runner != nil {
		s.runner.Observe(o.Applied)
	}
}
