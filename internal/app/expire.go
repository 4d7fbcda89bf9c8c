package app

import (
	"context"
	"errors"
	"time"

	"kassa/commands"
	"kassa/eventstore"
)

// expireEvery is how often open holds are listed: by so much a hold may outlive
// its time.
const expireEvery = time.Second

// expiredAtOnce bounds what one look takes.
const expiredAtOnce = 500

// expire ends holds and proposals whose time is over, and finishes erasures that are due, until ctx ends.
// It returns ErrNewer where this program is too old for that.
func (s *Service) expire(ctx context.Context, _ *eventstore.Leadership) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	erasures := s.newErasures()
	for {
		if err := errors.Join(s.ExpireDue(ctx), s.expireProposals(ctx), erasures.look(ctx)); err != nil {
			return err // a newer program can
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ExpireDue ends the holds that are due now. The view is a hint; whether a
// hold is open and due is decided on its account's stream. A failure is logged, for the
// next look. The error is ErrNewer.
func (s *Service) ExpireDue(ctx context.Context) error {
	due, err := s.Views.OpenHolds(ctx, s.Commands.Now(), expiredAtOnce)
	if err != nil && ctx.Err() == nil {
		s.log.Error("open holds cannot be listed", "error", err)
	}
	for _, p := range due {
		_, err := s.Commands.Expire(ctx, commands.Ending{User: p.User, Prediction: p.ID, By: "expirer", Cause: p.Position})
		if errors.Is(err, eventstore.ErrNewer) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("a hold cannot be expired", "prediction", p.ID, "position", p.Position, "error", err)
		}
	}
	return nil
}

// expireProposals ends the proposed adjustments that nobody decided in time. The error is ErrNewer.
func (s *Service) expireProposals(ctx context.Context) error {
	err := s.Commands.ExpireProposals(ctx)
	if errors.Is(err, eventstore.ErrNewer) {
		return err
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("proposed adjustments cannot be expired", "error", err)
	}
	return nil
}
