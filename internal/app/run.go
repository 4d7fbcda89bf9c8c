package app

import (
	"context"
	"errors"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"kassa/catalog"
	"kassa/eventstore"
	"kassa/internal/bus"
)

// RelayName is that of the relay's leadership and checkpoint.
const RelayName = "relay"

// Front is the surface of a process, which runs before its parts.
type Front struct {
	Serve func(context.Context) error // until its context ends; those who wait for an answer still get it
	Drain func(context.Context)       // returns when no more requests are expected, or when its context ends; nil: at once
}

// Run goes on until ctx ends or a part fails. Then, in this order: the front drains; it
// closes; the relay, the bus and the clocks stop; the caller closes the ledger.
func (s *Service) Run(ctx context.Context, front Front) error {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	parts, behind := errgroup.WithContext(behind)
	before, shut := context.WithCancel(context.WithoutCancel(ctx))
	defer shut()
	context.AfterFunc(ctx, func() {
		if front.Drain != nil {
			front.Drain(behind)
		}
		shut()
	})
	context.AfterFunc(behind, shut) // a part failed: stop serving

	for _, part := range s.parts() {
		parts.Go(func() error { return part(behind) })
	}
	parts.Go(func() error {
		defer stop()
		return front.Serve(before)
	})
	if err := parts.Wait(); err != nil && (ctx.Err() == nil || !errors.Is(err, context.Canceled)) {
		return err
	}
	return nil
}

// parts are what this process does behind its HTTP surface, by its roles.
func (s *Service) parts() []func(context.Context) error {
	has := s.Has
	list := []func(context.Context) error{s.watch}
	if has(API, Relay, Matcher) {
		list = append(list, func(ctx context.Context) error { return s.Catalogue.Follow(ctx, s.log) })
	}
	if s.bus != nil {
		list = append(list, s.carry)
	}
	if has(Relay) {
		list = append(list, func(ctx context.Context) error { return s.Store.Lead(ctx, RelayName, s.relay) })
	}
	if has(Projector) {
		list = append(list, s.keepViews)
	}
	if has(Expirer) {
		list = append(list, func(ctx context.Context) error { return s.Store.Lead(ctx, "expirer", s.expire) })
	}
	if has(Projector) && s.config.AttestEvery > 0 {
		list = append(list, func(ctx context.Context) error { return s.Store.Lead(ctx, "attester", s.attest) })
	}
	if s.config.LogKeys.Sign() {
		list = append(list, func(ctx context.Context) error { return s.Store.Lead(ctx, "signer", s.sign) })
	}
	if s.config.LogKeys.Sign() && s.config.Witnesses.Witnesses() > 0 {
		list = append(list, func(ctx context.Context) error { return s.Store.Lead(ctx, "collector", s.askWitnesses) })
	}
	if s.config.Mail != nil && has(API, Expirer) {
		list = append(list, s.sendMails)
	}
	if has(API) {
		list = append(list, s.sweep, s.fillFilms)
	}
	return list
}

// watch ends everything when the ledger was found to be broken.
func (s *Service) watch(ctx context.Context) error {
	select {
	case err := <-s.broken:
		return err
	case <-ctx.Done():
		return nil
	}
}

// fillFilms gives films that admins save the vectors that their edition did not wait for.
func (s *Service) fillFilms(ctx context.Context) error {
	var models []catalog.Embedder
	for _, model := range s.config.Models {
		models = append(models, model)
	}
	return s.Catalogue.Fill(ctx, models, func(err error) { s.Store.Report("embed saved films", err) })
}

// carry takes messages off the bus, by the process's roles.
func (s *Service) carry(ctx context.Context) error {
	var h bus.Handlers
	if s.Has(Projector) && s.Store.NeedsHints() {
		h.Hint = s.Store.Hint
	}
	if s.Has(Worker) {
		h.Work = s.config.Work
	}
	if s.Has(Matcher) {
		h.Answer = s.Matcher.Settle
	}
	return s.bus.Run(ctx, h)
}

// keepViews follows the log.
func (s *Service) keepViews(ctx context.Context) error {
	if s.runner != nil {
		return s.runner.Run(ctx)
	}
	return s.replay.Follow(ctx, s.Store, s.log)
}

// relay follows the log. On a bus without storage it begins before the oldest question
// that is still open, because what was under way when the process ended was lost.
func (s *Service) relay(ctx context.Context, leads *eventstore.Leadership) error {
	select {
	case <-s.bus.Running():
	case <-ctx.Done():
		return nil
	}
	from := eventstore.Position(math.MaxInt64)
	if s.replay != nil {
		if oldest, ok := s.replay.Oldest(); ok {
			from = oldest - 1
		}
	}
	relay := &bus.Relay{Events: leads, Bus: s.bus, Logger: s.log, Name: RelayName, Carry: s.Matcher.Carry(s.bus)}
	return relay.Run(ctx, from)
}

// sweep deletes expired sessions, uploads and old tries once an hour.
func (s *Service) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		now := time.Now()
		err := errors.Join(s.Vault.DropExpired(ctx, now), s.Catalogue.DropExpired(ctx, now))
		if s.Tries != nil {
			err = errors.Join(err, s.Tries.Forget(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("what is over cannot be dropped", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
