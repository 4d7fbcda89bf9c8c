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
	took    time.Duration // the last reading of the views

	revision int64     // of the catalogue that was compared last; -1 before
	compared time.Time // when
	differs  error     // errUnrecorded, if it did
}

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

// since is when an interval began: with the last record, or with this leadership.
func (a *Attestations) since(last eventstore.Recorded) time.Time {
	if last.Version > 0 {
		return last.Time
	}
	return a.began
}

// views attests the views where that is due.
func (a *Attestations) views(ctx context.Context) error {
	s := a.service
	last, err := s.Commands.LastRecord(ctx, eventstore.AttestationsStream)
	if err != nil || s.Commands.Now().Sub(a.since(last)) < max(a.every, attestShare*a.took) {
		return err
	}
	begin := time.Now()
	views, err := s.states(ctx)
	if a.took = time.Since(begin); err != nil || len(views) == 0 {
		return err
	}
	_, err = s.Commands.AttestViews(ctx, last.Version, domain.ViewsAttested{Program: s.config.Version, Views: views})
	return err
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
	if revision == a.revision && s.Commands.Now().Sub(a.compared) < a.every {
		return a.differs
	}
	head, err := s.Store.Head(ctx)
	if err != nil || head.Size == 0 { // an entry follows from an earlier one
		return err
	}
	now, err := s.Record(ctx)
	if err != nil {
		return err
	}
	var before domain.CatalogueRecorded
	if last.Version > 0 {
		var ok bool
		if before, ok = last.Event.(domain.CatalogueRecorded); !ok {
			return fmt.Errorf("%w: %s among the recorded catalogues", domain.ErrBroken, last.Type)
		}
	}
	a.differs = nil
	switch {
	case now.Root == before.Root && now.Catalogue == before.Catalogue:
	case last.Version > 0 && now.Revision <= before.Revision:
		a.differs = errUnrecorded
	default:
		if _, err := s.Commands.RecordCatalogue(ctx, last.Version, head.Size, now); err != nil {
			return err
		}
	}
	a.revision, a.compared = now.Revision, s.Commands.Now()
	return a.differs
}
