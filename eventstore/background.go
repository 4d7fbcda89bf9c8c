package eventstore

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Trouble is work in the background that fails and is tried again.
type Trouble struct {
	What  string // such as "save snapshots"
	Since time.Time
	Err   error
	Stops bool // the process cannot do its work meanwhile
}

// background records what fails beside the appends. The zero value is ready.
type background struct {
	mu       sync.Mutex
	logger   *slog.Logger
	troubles map[string]Trouble
	newer    error // wraps ErrNewer: this program is too old for the log
}

// LogTo lets the store log by l; without it, it logs by the default logger.
func (s *Store) LogTo(l *slog.Logger) {
	s.back.mu.Lock()
	defer s.back.mu.Unlock()
	s.back.logger = l
}

func (s *Store) logger() *slog.Logger {
	s.back.mu.Lock()
	defer s.back.mu.Unlock()
	if s.back.logger == nil {
		return slog.Default()
	}
	return s.back.logger
}

// Troubles lists what fails for now, by what it is.
func (s *Store) Troubles() []Trouble {
	s.back.mu.Lock()
	defer s.back.mu.Unlock()
	list := make([]Trouble, 0, len(s.back.troubles))
	for _, t := range s.back.troubles {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b Trouble) int { return strings.Compare(a.What, b.What) })
	return list
}

// Report records how a piece of work in the background ended, the store's or one that
// follows the log. The log has a line when it begins to fail and when it succeeds again, not
// for each try.
func (s *Store) Report(what string, err error) {
	s.back.mu.Lock()
	_, failed := s.back.troubles[what]
	switch {
	case err == nil:
		delete(s.back.troubles, what)
	case !failed:
		if s.back.troubles == nil {
			s.back.troubles = map[string]Trouble{}
		}
		s.back.troubles[what] = Trouble{what, time.Now(), err, strings.HasPrefix(what, leadThe)}
	}
	s.back.mu.Unlock()
	switch {
	case err != nil && !failed:
		s.logger().Warn("it fails, and is tried again", "what", what, "error", err)
	case err == nil && failed:
		s.logger().Info("it works again", "what", what)
	}
}

// noteNewer reports whether the error is that this program is too old for the log, and
// remembers it: the log keeps what it cannot read.
func (s *Store) noteNewer(err error) bool {
	if !errors.Is(err, ErrNewer) {
		return false
	}
	s.back.mu.Lock()
	first := s.back.newer == nil
	if first {
		s.back.newer = err
	}
	s.back.mu.Unlock()
	if first {
		s.logger().Error("this program is too old for the log, and leaves the work to newer ones", "error", err)
	}
	return true
}

// tooOld gives the error by which it was found that this program is too old for the
// log, or nil.
func (s *Store) tooOld() error {
	s.back.mu.Lock()
	defer s.back.mu.Unlock()
	return s.back.newer
}
