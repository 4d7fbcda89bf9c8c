package app

import (
	"context"
	"time"

	"kassa/eventstore"
	"kassa/projections"
)

// Progress is how far the log has come, and those who follow it.
type Progress struct {
	Head  eventstore.Position
	Relay eventstore.Position            // up to where the log was carried to the broker
	Views map[string]eventstore.Position // by view
}

// Progress reads the progress of all processes from the database.
func (s *Service) Progress(ctx context.Context) (p Progress, err error) {
	if p.Relay, err = s.Store.Checkpoint(ctx, RelayName); err != nil {
		return p, err
	}
	if p.Views, err = s.ViewPositions(ctx); err != nil {
		return p, err
	}
	head, err := s.Store.Head(ctx) // last: nobody is ahead of it
	p.Head = head.Size
	return p, err
}

// ViewPositions is up to where each view shows the log; the views in memory are one.
func (s *Service) ViewPositions(ctx context.Context) (map[string]eventstore.Position, error) {
	if s.tables != nil {
		return s.tables.Positions(ctx)
	}
	at, err := s.Views.Position(ctx)
	return map[string]eventstore.Position{"memory": at}, err
}

// Today counts the questions of this day (UTC), by what was said of them on it.
func (s *Service) Today(ctx context.Context) (map[string]int64, error) {
	day, err := s.Views.Day(ctx, projections.DateOf(s.Commands.Now()))
	if err != nil {
		return nil, err
	}
	counted := map[string]int64{}
	for _, m := range []projections.Measure{projections.QuestionsAsked, projections.Answered, projections.FoundAtOnce, projections.FoundRefined,
		projections.NotFound, projections.Refunded, projections.Failed, projections.Expired} {
		counted[string(m)] = day.Of(m)
	}
	return counted, nil
}

// OldestHold is when the oldest question that is still open was asked; zero where there is
// none. The hold that expires first is taken for it: they last equally long, unless the
// setting was changed.
func (s *Service) OldestHold(ctx context.Context) (time.Time, error) {
	const ever = 100 * 365 * 24 * time.Hour
	holds, err := s.Views.OpenHolds(ctx, s.Commands.Now().Add(ever), 1)
	if err != nil || len(holds) == 0 {
		return time.Time{}, err
	}
	return holds[0].RequestedAt, nil
}
