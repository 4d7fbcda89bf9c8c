package eventstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"kassa/internal/wait"
)

// A leader holds a lease: a row that it renews before it expires, by the database's
// clock. It holds no session, so it works behind a connection pooler, and a leader
// that dies is followed when its lease is over.
//
// A leader stops by itself before another can begin: it counts the time of its lease
// from before it asked for it. Where that is not enough, because the process was
// frozen in the middle, what it still writes as a leader is refused by the lease's
// epoch.

// leaseTime is how long a leader that died keeps others from leading.
const leaseTime = 5 * time.Second

// leadThe is the prefix of this work's name in the list of troubles.
const leadThe = "lead the "

// ErrDeposed: another process leads meanwhile. Nothing was written.
var ErrDeposed = errors.New("eventstore: another process leads now")

// ErrLed: another process leads. Nothing was done.
var ErrLed = errors.New("eventstore: another process leads")

// lease is the right of one process to lead by a name.
type lease struct {
	name   string
	holder string // for people who look at the table
	epoch  int64  // counts the leaders by that name
}

// Leadership is the store as a leader uses it: what it writes is refused once another
// process leads.
type Leadership struct {
	*Store
	lease lease
	asked time.Time // before the lease was requested: its time is counted from here
}

// SetCheckpoint moves a follower's checkpoint. The error wraps ErrDeposed where this
// process leads no more.
func (l *Leadership) SetCheckpoint(ctx context.Context, name string, at Position) error {
	if err := l.engine.setCheckpoint(ctx, name, at, l.lease); err != nil {
		return fmt.Errorf("move checkpoint %s to %d: %w", name, at, err)
	}
	return nil
}

// newHolder names this store among all that share the log.
func newHolder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s %d %s", host, os.Getpid(), rand.Text()[:8])
}

// Lead runs do while this process is the only one that leads by that name among all
// that share the log, and waits until it is. The context of do ends when that is no
// longer so, and do runs again when it is once more. Lead returns how do ended, or
// nil with ctx.
//
// A process that is too old for the log (ErrNewer) gives its leadership up for good:
// Lead then only waits for ctx.
func (s *Store) Lead(ctx context.Context, name string, do func(context.Context, *Leadership) error) error {
	for ctx.Err() == nil {
		if s.tooOld() != nil {
			<-ctx.Done()
			return nil
		}
		term, err := s.takeLease(ctx, name)
		if ctx.Err() != nil {
			return nil
		}
		s.Report(leadThe+name, err)
		if term != nil {
			if ended, err := s.hold(ctx, term, do); ended && !s.noteNewer(err) {
				return err
			}
			continue
		}
		wait.For(ctx, s.leaseTime/5)
	}
	return nil
}

// LeadNow is Lead without waiting: where another process leads it does nothing, and the
// error wraps ErrLed. It wraps ErrDeposed where the leadership was lost in the middle.
func (s *Store) LeadNow(ctx context.Context, name string, do func(context.Context, *Leadership) error) error {
	term, err := s.takeLease(ctx, name)
	if err != nil {
		return err
	}
	if term == nil {
		return fmt.Errorf("%w: %s", ErrLed, name)
	}
	ended, err := s.hold(ctx, term, do)
	if !ended {
		return fmt.Errorf("%w: %s", ErrDeposed, name)
	}
	return err
}

// takeLease gives nil where another process leads.
func (s *Store) takeLease(ctx context.Context, name string) (*Leadership, error) {
	l, asked := lease{name: name, holder: s.holder}, time.Now()
	var err error
	if l.epoch, err = s.engine.takeLease(ctx, l, s.leaseTime); err != nil || l.epoch == 0 {
		return nil, err
	}
	return &Leadership{s, l, asked}, nil
}

// hold runs do and renews the lease meanwhile; ended reports whether do ended by itself.
func (s *Store) hold(ctx context.Context, term *Leadership, do func(context.Context, *Leadership) error) (ended bool, err error) {
	s.logger().InfoContext(ctx, "this process leads", "what", term.lease.name, "epoch", term.lease.epoch)
	leading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, 1)
	go func() { done <- do(leading, term) }()
	renew := time.NewTicker(s.leaseTime / 5)
	defer renew.Stop()
	over := time.NewTimer(time.Until(term.asked.Add(s.leaseTime)))
	defer over.Stop()
	for {
		select {
		case err := <-done:
			s.endLease(ctx, term.lease)
			return true, err
		case <-renew.C:
			if err := s.tooOld(); err != nil { // another part of the process met it
				stop(err)
				<-done
				s.endLease(ctx, term.lease)
				return true, err
			}
			asked := time.Now()
			if err = s.renew(ctx, term.lease); err == nil {
				over.Reset(time.Until(asked.Add(s.leaseTime)))
			}
			if s.Report(leadThe+term.lease.name, err); !errors.Is(err, ErrDeposed) {
				continue
			}
		case <-over.C:
		}
		s.logger().WarnContext(ctx, "this process leads no more", "what", term.lease.name, "epoch", term.lease.epoch, "error", err)
		stop(ErrDeposed)
		<-done
		return false, nil
	}
}

// renew goes on after ctx has ended, since do still has to finish.
func (s *Store) renew(ctx context.Context, l lease) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.leaseTime*2/5)
	defer cancel()
	return s.engine.renewLease(within, l, s.leaseTime)
}

// endLease lets another process lead at once, also where ctx has ended.
func (s *Store) endLease(ctx context.Context, l lease) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.engine.endLease(last, l); err != nil { // else it expires
		s.logger().WarnContext(ctx, "a lease is left to expire", "what", l.name, "error", err)
	}
}
