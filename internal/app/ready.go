package app

import (
	"context"
	"fmt"
	"time"
)

// readyLag is how far the views may be behind the log before the process is not ready.
const readyLag = 10_000

// Ready gives what is missing: the database, space to write to it, the broker where this
// process needs it, views that are not far behind, or a newer program.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.Store.Ready(ctx); err != nil {
		return err
	}
	head, err := s.Store.Head(ctx)
	if err != nil {
		return err
	}
	at, err := s.Views.Position(ctx)
	if err != nil {
		return err
	}
	if head.Size-at > readyLag {
		return fmt.Errorf("the views are at position %d of %d", at, head.Size)
	}
	if _, err := s.Store.Checkpoint(ctx, RelayName); err != nil {
		return err
	}
	if s.bus != nil {
		return s.bus.Connected()
	}
	return nil
}

// Failing lists what fails in the background while requests are answered all the same.
func (s *Service) Failing() (list []string) {
	for _, t := range s.Store.Troubles() {
		list = append(list, fmt.Sprintf("%s, since %s", t.What, t.Since.UTC().Format(time.RFC3339)))
	}
	return list
}
