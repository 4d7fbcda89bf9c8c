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

// PositionHeader says, in the answer of a read, up to which position it shows the log,
// and in that of a command, where it was written.
const PositionHeader = "Kassa-Position"

func sayPosition(w http.ResponseWriter, at eventstore.Position) {
	w.Header().Set(PositionHeader, strconv.FormatInt(int64(at), 10))
}

// least is the position up to which the read must show the log, which reach found.
func least(r *http.Request) eventstore.Position { return identity.Least(r.Context()) }

// reach waits until the views hold what the client has seen before (min_position) and
// what the person has written. The read that follows is asked for it too.
func (s *Server) reach(w http.ResponseWriter, r *http.Request, u domain.UserID) (*http.Request, error) {
	at, err := s.minPosition(r)
	if err != nil {
		return r, err
	}
	if at, err = s.written(w, r, u, at); err != nil {
		return r, err
	}
	return r.WithContext(identity.WithLeast(r.Context(), at)), s.waitFor(r, at)
}

// visited is reach for the pages, which have no min_position.
func (s *Server) visited(pages http.Handler) http.Handler {
	return s.edge().answer(func(w http.ResponseWriter, r *http.Request) error {
		if who, ok := identity.From(r.Context()); ok {
			at, err := s.written(w, r, who.User, 0)
			if err == nil {
				err = s.waitFor(r, at)
			}
			if err != nil {
				return err
			}
			r = r.WithContext(identity.WithLeast(r.Context(), at))
		}
		pages.ServeHTTP(w, r)
		return nil
	})
}

// minPosition reads the parameter. What no log has yet is refused at once: waiting
// would not bring it.
func (s *Server) minPosition(r *http.Request) (eventstore.Position, error) {
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

// doubt is how long the views may take to come to what was written, before somebody
// asks whether it is still in the log.
const doubt = 250 * time.Millisecond

// written gives the position that the person has written, where it is more than the
// other one. Where an older log was put back it gives the other: an end that does not
// come is not waited for again and again.
func (s *Server) written(w http.ResponseWriter, r *http.Request, u domain.UserID, other eventstore.Position) (eventstore.Position, error) {
	wrote := s.Identity.Wrote(r, u)
	if wrote <= other {
		return other, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), doubt)
	defer cancel()
	if s.Views.Wait(ctx, wrote) == nil {
		return wrote, nil
	}
	head, err := s.Head(r.Context())
	if err != nil {
		return 0, err
	}
	if wrote > head.Size {
		s.Identity.Unwritten(w, r, u)
		return other, nil
	}
	return wrote, nil
}

// waitFor bounds the wait for the views.
func (s *Server) waitFor(r *http.Request, at eventstore.Position) error {
	ctx, cancel := context.WithTimeout(r.Context(), cmp.Or(s.PositionWait, positionWait))
	defer cancel()
	err := s.Views.Wait(ctx, at)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: position %d: %w", projections.ErrBehind, at, err)
	}
	return err
}
