package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// attestLook is how often it is looked whether something is due to be recorded.
const attestLook = 5 * time.Second

// attestShare bounds the time that is spent with reading what is served: after it was read, the
// next time is no sooner than so many times as long.
const attestShare = 100

// What is recorded names itself in the list of what fails.
const (
	attesting = "attest the views"
	recording = "record the catalogue"
)

// errUnrecorded: films or vectors are others than those that were recorded, and nothing says
// that they were changed.
var errUnrecorded = errors.New("the films or vectors are not those that were recorded, and their revision says that nothing was changed: run kassa verify")

// Attestations are what is recorded in the log of what is served, by the process that leads.
//
// An older process beside this one cannot read these entries. So the first of a log is written
// when a whole interval has passed since this process began to lead: until then the others
// were replaced.
type Attestations struct {
	service *Service
	every   time.Duration
	began   time.Time

	attested try   // of the views
	compared try   // of the catalogue
	revision int64 // of the catalogue that was compared last; -1 before, and where that failed
}

// try is the last time that something that is served was read, to be recorded.
type try struct {
	at   time.Time // zero before the first
	took time.Duration
	err  error
}

// do tries now.
func (t *try) do(now time.Time, record func() error) error {
	begin := time.Now()
	t.err = record()
	t.at, t.took = now, time.Since(begin)
	return t.err
}

// pause is how long nothing is read after a try.
func (t *try) pause() time.Duration { return attestShare * t.took }

// NewAttestations begins with what is recorded from now on, so often.
func (s *Service) NewAttestations(every time.Duration) *Attestations {
	return &Attestations{service: s, every: every, began: s.Commands.Now(), revision: -1}
}

// attest records what is due until ctx ends. It returns ErrNewer where this program is too old.
func (s *Service) attest(ctx context.Context, _ *eventstore.Leadership) error {
	a := s.NewAttestations(s.config.AttestEvery)
	tick := time.NewTicker(min(attestLook, s.config.AttestEvery))
	defer tick.Stop()
	for {
		if err := a.Look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look records what is due now. What fails is reported, for the next look; the error is ErrNewer.
func (a *Attestations) Look(ctx context.Context) error {
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{attesting, a.views}, {recording, a.catalogue}} {
		err := part.do(ctx)
		if errors.Is(err, eventstore.ErrNewer) {
			return err // a newer program can
		}
		if errors.Is(err, eventstore.ErrConflict) {
			err = nil // another process recorded it meanwhile: the next look sees that
		}
		a.service.reportUnlessEnded(ctx, part.name, err)
	}
	return nil
}

// since is when an interval began: with the last record, with the last try, or with this
// leadership. A time that is still to come is of a clock that was ahead, and does not count.
func (a *Attestations) since(last eventstore.Recorded, now time.Time) time.Time {
	begin := a.began
	if last.Version > 0 && !last.Time.After(now) {
		begin = last.Time
	}
	if tried := a.attested.at; tried.After(begin) && !tried.After(now) {
		begin = tried
	}
	return begin
}

// views attests the views where that is due.
func (a *Attestations) views(ctx context.Context) error {
	s := a.service
	last, err := s.Commands.LastRecord(ctx, eventstore.AttestationsStream)
	if err != nil {
		return err
	}
	now := s.Commands.Now()
	if now.Sub(a.since(last, now)) < max(a.every, a.attested.pause()) {
		return a.attested.err
	}
	return a.attested.do(now, func() error {
		views, err := s.states(ctx)
		if err != nil || len(views) == 0 {
			return err
		}
		_, err = s.Commands.AttestViews(ctx, last.Version, domain.ViewsAttested{Program: s.config.Version, Views: views})
		return err
	})
}

// states reads what is served.
func (s *Service) states(ctx context.Context) ([]domain.AttestedView, error) {
	if s.replay != nil {
		return s.replay.States(), nil
	}
	return projections.ReadStates(ctx, s.Pool)
}

// catalogue records the films and vectors where they have changed, and compares them with the
// recorded ones as often as the views are attested.
func (a *Attestations) catalogue(ctx context.Context) error {
	s := a.service
	last, err := s.Commands.LastRecord(ctx, eventstore.CatalogueStream)
	if err != nil || last.Version == 0 && s.Commands.Now().Sub(a.began) < a.every {
		return err
	}
	revision, err := s.Catalogue.Revision(ctx)
	if err != nil {
		return err
	}
	pause, now := a.compared.pause(), s.Commands.Now()
	if revision == a.revision {
		pause = max(pause, a.every)
	}
	if now.Sub(a.compared.at) < pause {
		return a.compared.err
	}
	head, err := s.Store.Head(ctx)
	if err != nil || head.Size == 0 { // an entry follows from an earlier one
		return err
	}
	return a.compared.do(now, func() error { return a.compare(ctx, last, head.Size) })
}

// compare reads the films and vectors, and records what was changed since the last record.
func (a *Attestations) compare(ctx context.Context, last eventstore.Recorded, behind eventstore.Position) error {
	a.revision = -1
	before, ok := last.Event.(domain.CatalogueRecorded)
	if !ok && last.Version > 0 {
		return fmt.Errorf("%w: %s among the recorded catalogues", domain.ErrBroken, last.Type)
	}
	now, err := a.service.Record(ctx)
	if err != nil {
		return err
	}
	same := now.Root == before.Root && now.Catalogue == before.Catalogue
	switch {
	case same && now.Revision == before.Revision:
	case last.Version > 0 && !same && now.Revision <= before.Revision:
		err = errUnrecorded
	default:
		// Also where the revision alone has moved, as by another weight: while the recorded one
		// is older, a silent change looks like one that was made since.
		if _, err := a.service.Commands.RecordCatalogue(ctx, last.Version, behind, now); err != nil {
			return err
		}
	}
	a.revision = now.Revision
	return err
}
