package app

import (
	"context"
	"errors"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/vault"
)

// erasedAtOnce bounds the erasures that one look finishes.
const erasedAtOnce = 100

// erasures are what is left to do of erasures, while this process leads.
type erasures struct {
	service *Service
	compare bool                // the keys of all who are erased are to be deleted again
	upTo    eventstore.Position // to which the views must have come for that
	scrub   bool                // deleted rows may be in the files
}

func (s *Service) newErasures() *erasures { return &erasures{service: s, compare: true, scrub: true} }

// EraseDue finishes the erasures that are due, as the role expirer does every second. The
// error is ErrNewer.
func (s *Service) EraseDue(ctx context.Context) error {
	return s.newErasures().look(ctx)
}

// look finishes what is due. A failure is logged, for the next look. Vault and log may have
// been restored from backups of different ages, so the first look compares them: a key that
// came back is deleted again.
func (e *erasures) look(ctx context.Context) error {
	s := e.service
	due, err := s.Vault.ErasuresDue(ctx, s.Commands.Now(), erasedAtOnce)
	if err != nil && ctx.Err() == nil {
		s.log.Error("erasures that are due cannot be listed", "error", err)
	}
	for _, u := range due {
		deleted, err := s.Commands.FinishErasure(ctx, u)
		e.scrub = e.scrub || deleted
		if errors.Is(err, eventstore.ErrNewer) {
			return err // a newer program can
		}
		if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.Busy {
			continue
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("an erasure cannot be finished", "user", u, "error", err)
		}
	}
	if e.compare {
		e.compareKeys(ctx)
	}
	if e.scrub {
		e.scrubFiles(ctx)
	}
	return nil
}

func (e *erasures) compareKeys(ctx context.Context) {
	done, err := e.eraseAgain(ctx)
	if err != nil && ctx.Err() == nil {
		e.service.log.Error("the vault cannot be compared with the erasures in the log", "error", err)
	}
	e.compare = !done
}

// eraseAgain deletes the keys of all who the views say to be erased. It is done once the
// views have come to where the log was at the first try.
func (e *erasures) eraseAgain(ctx context.Context) (done bool, err error) {
	s := e.service
	if e.upTo == 0 {
		head, err := s.Store.Head(ctx)
		if err != nil {
			return false, err
		}
		e.upTo = head.Size
	}
	at, err := s.Views.Position(ctx)
	if err != nil {
		return false, err
	}
	gone, err := s.Views.Erased(ctx)
	if err != nil {
		return false, err
	}
	deleted, err := s.Vault.Erase(ctx, gone...)
	if deleted {
		e.scrub = true
		s.log.Warn("the vault had rows of people whom the log says to be erased, as after a restore: they are deleted again")
	}
	return err == nil && at >= e.upTo, err
}

// scrubFiles tries until it succeeds; tables that are too large for it are the operator's.
func (e *erasures) scrubFiles(ctx context.Context) {
	err := e.service.Vault.Scrub(ctx)
	e.scrub = err != nil && !errors.Is(err, vault.ErrLarge)
	if ctx.Err() == nil {
		e.service.Store.Report("remove what was erased from the files", err)
	}
}
