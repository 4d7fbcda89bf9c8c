package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

const positionWait = 5 * time.Second

// PositionHeader is, in the answer of a read, the position up to which it shows the
// log, and in that of a command, the position that it wrote.
const PositionHeader = "Kassa-Position"

func setPosition(w http.ResponseWriter, at eventstore.Position) {
	w.Header().Set(PositionHeader, strconv.FormatInt(int64(at), 10))
}

// minPosition is the position that the read must reach, as waitForPosition has set it.
func minPosition(r *http.Request) eventstore.Position { return identity.MinPosition(r.Context()) }

// waitForPosition waits until the views have reached what the client has seen before
// (min_position) and what the user has written, and requires that position of the read
// that follows.
func (s *Server) waitForPosition(w http.ResponseWriter, r *http.Request, u domain.UserID) (*http.Request, error) {
	at, err := s.minPositionParam(r)
	if err != nil {
		return r, err
	}
	if at, err = s.ownWrites(w, r, u, at); err != nil {
		return r, err
	}
	return r.WithContext(identity.WithMinPosition(r.Context(), at)), s.waitForViews(r, at)
}

// pagesAfterOwnWrites is waitForPosition for the pages, which have no min_position.
func (s *Server) pagesAfterOwnWrites(pages http.Handler) http.Handler {
	return s.edge().handler(func(w http.ResponseWriter, r *http.Request) error {
		if who, ok := identity.From(r.Context()); ok {
			at, err := s.ownWrites(w, r, who.User, 0)
			if err == nil {
				err = s.waitForViews(r, at)
			}
			if err != nil {
				return err
			}
			r = r.WithContext(identity.WithMinPosition(r.Context(), at))
		}
		pages.ServeHTTP(w, r)
		return nil
	})
}

// minPositionParam reads the parameter. A position beyond the end of the log is refused
// at once: waiting would not help.
func (s *Server) minPositionParam(r *http.Request) (eventstore.Position, error) {
	values := r.URL.Query()
	if !values.Has("min_position") {
		return 0, nil
	}
	n, err := strconv.ParseInt(values.Get("min_position"), 10, 64)
	at := eventstore.Position(n)
	if err != nil || at < 0 {
		return 0, domain.Reject(problem.InvalidPosition, "min_position must be a whole number, 0 or more")
	}
	if at == 0 {
		return 0, nil
	}
	head, err := s.Head(r.Context())
	if err == nil && at > head.Size {
		err = domain.Reject(problem.InvalidPosition, "min_position is %d, and the log ends at %d", at, head.Size)
	}
	return at, err
}

// headCheckAfter is how long the views may take to reach the user's last write before
// the end of the log is read: the write may be lost.
const headCheckAfter = 250 * time.Millisecond

// ownWrites returns the position of the user's last write, or the other one if that is
// greater. Where the log was restored from an older copy and ends before the write, it
// returns the other one, so that later reads do not wait for it again.
func (s *Server) ownWrites(w http.ResponseWriter, r *http.Request, u domain.UserID, other eventstore.Position) (eventstore.Position, error) {
	wrote := s.Identity.LastWrite(r, u)
	if wrote <= other {
		return other, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), headCheckAfter)
	defer cancel()
	if s.Views.Wait(ctx, wrote) == nil {
		return wrote, nil
	}
	head, err := s.Head(r.Context())
	if err != nil {
		return 0, err
	}
	if wrote > head.Size {
		s.Identity.ClearLastWrite(w, r, u)
		return other, nil
	}
	return wrote, nil
}

// waitForViews waits for the views, within a time limit.
func (s *Server) waitForViews(r *http.Request, at eventstore.Position) error {
	ctx, cancel := context.WithTimeout(r.Context(), cmp.Or(s.PositionWait, positionWait))
	defer cancel()
	err := s.Views.Wait(ctx, at)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: position %d: %w", projections.ErrBehind, at, err)
	}
	return err
}
