package main

import (
	"context"
	"errors"
	"math"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"kassa/eventstore"
	"kassa/internal/bus"
)

// run goes on until ctx ends or a part fails. Then, in this order: the process drains;
// the server closes, and those who wait for an answer still get it; the relay, the bus
// and the clock stop; the caller closes the store.
func (s *service) run(ctx context.Context, listener net.Listener) error {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	parts, behind := errgroup.WithContext(behind)
	front, shut := context.WithCancel(context.WithoutCancel(ctx))
	defer shut()
	context.AfterFunc(ctx, func() { s.drain(behind); shut() })
	context.AfterFunc(behind, shut) // a part failed: stop serving

	for _, part := range s.parts() {
		parts.Go(func() error { return part(behind) })
	}
	parts.Go(func() error {
		defer stop()
		s.log.Info("kassa is open", "version", version(), "url", "http://"+listener.Addr().String()+"/web", "films", s.catalog.Len(), "model", s.model.ModelVersion())
		return s.serveHTTP(front, listener)
	})
	err := parts.Wait()
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		s.log.Info("kassa is closed")
		return nil
	}
	return err
}

// drain says for a while that the process is not ready, and answers all the same.
// Connections are not kept from then on, so that none that a proxy keeps is closed
// under a request that it has just sent.
func (s *service) drain(behind context.Context) {
	s.draining.Store(true)
	if !s.settings.has(roleAPI) || s.settings.Drain == 0 {
		return
	}
	s.log.Info("kassa drains", "for", s.settings.Drain.String())
	select {
	case <-time.After(s.settings.Drain):
	case <-behind.Done():
	}
}

// parts are what this process does behind its HTTP surface, by its roles.
func (s *service) parts() []func(context.Context) error {
	has := s.settings.has
	list := []func(context.Context) error{s.watch}
	if has(roleAPI, roleMatcher) {
		list = append(list, func(ctx context.Context) error { return s.catalog.Follow(ctx, s.log) })
	}
	if s.bus != nil {
		list = append(list, s.carry)
	}
	if has(roleRelay) {
		list = append(list, func(ctx context.Context) error { return s.store.Lead(ctx, relayName, s.relay) })
	}
	if has(roleProjector) {
		list = append(list, s.keepViews)
	}
	if has(roleExpirer) {
		list = append(list, func(ctx context.Context) error {
			return s.store.Lead(ctx, "expirer", func(ctx context.Context, _ *eventstore.Leadership) error {
				return expire(ctx, s.views, s.commands, s.log)
			})
		})
	}
	if has(roleAPI) {
		list = append(list, s.sweep)
	}
	return list
}

// watch ends everything when the ledger was found to be broken.
func (s *service) watch(ctx context.Context) error {
	select {
	case err := <-s.failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// carry takes messages off the bus, by the process's roles.
func (s *service) carry(ctx context.Context) error {
	var h bus.Handlers
	if s.settings.has(roleProjector) {
		h.Hint = s.store.Hint
	}
	if s.settings.has(roleWorker) {
		h.Work = embed(s.model)
	}
	if s.settings.has(roleMatcher) {
		h.Answer = s.match.settle
	}
	return s.bus.Run(ctx, h)
}

// keepViews follows the log.
func (s *service) keepViews(ctx context.Context) error {
	if s.runner != nil {
		return s.runner.Run(ctx)
	}
	return s.replay.Follow(ctx, s.store, s.log)
}

// relay follows the log. On a bus that forgets it begins before the oldest
// question that is still open: what was under way when the process ended is
// carried again.
func (s *service) relay(ctx context.Context, leads *eventstore.Leadership) error {
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
	relay := &bus.Relay{Log: leads, Bus: s.bus, Logger: s.log, Name: relayName, Carry: s.match.carry(s.bus)}
	return relay.Run(ctx, from)
}

// sweep forgets expired sessions and old tries once an hour.
func (s *service) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		err := s.vault.DropExpired(ctx, time.Now())
		if s.tries != nil {
			err = errors.Join(err, s.tries.Forget(ctx))
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
