package eventstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"kassa/internal/wait"
)

// pageSize is how many entries one query of a long read takes.
const pageSize = 1000

// pollInterval bounds how late this process notices what another appended.
const pollInterval = 100 * time.Millisecond

// hintTimeout bounds a read of the head that a hint caused.
const hintTimeout = 5 * time.Second

// Head gives the committed size and root.
func (s *Store) Head(ctx context.Context) (Head, error) {
	before := s.known()
	head, err := s.engine.head(ctx)
	if err != nil {
		return Head{}, fmt.Errorf("read the head of the log: %w", err)
	}
	s.learn(before, head.Size)
	return head, nil
}

// After reads up to limit entries behind the position, in order. The error wraps
// ErrArchived where the first of them is.
func (s *Store) After(ctx context.Context, at Position, limit int) ([]Recorded, error) {
	rows, err := s.entries(ctx, at, limit)
	if err != nil {
		return nil, fmt.Errorf("read the log after position %d: %w", at, err)
	}
	return s.decodeRows(rows, at)
}

// At reads the entries at these positions, in one query. Those that are archived, or that
// the log does not have, are missing.
func (s *Store) At(ctx context.Context, at []Position) (map[Position]Recorded, error) {
	found := make(map[Position]Recorded, len(at))
	if len(at) == 0 {
		return found, nil
	}
	rows, err := s.engine.at(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("read %d entries of the log: %w", len(at), err)
	}
	for _, row := range rows {
		rec, err := s.decode(row.entry)
		if err != nil {
			return nil, err
		}
		if rec.Position != row.position {
			return nil, fmt.Errorf("%w: the entry in row %d says position %d", ErrCorrupt, row.position, rec.Position)
		}
		found[rec.Position] = rec
	}
	return found, nil
}

// Stream reads up to limit entries of one stream behind the version, in order. The error
// wraps ErrArchived where one of them is.
func (s *Store) Stream(ctx context.Context, stream Stream, after Version, limit int) ([]Recorded, error) {
	rows, err := s.engine.stream(ctx, stream, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read stream %s after version %d: %w", stream, after, err)
	}
	list := make([]Recorded, 0, len(rows))
	for i, row := range rows {
		if row.archived && len(row.entry) == 0 {
			return nil, fmt.Errorf("%w: version %d of %s, at position %d", ErrArchived, row.version, stream, row.position)
		}
		rec, err := s.decode(row.entry)
		if err != nil {
			return nil, err
		}
		if rec.Stream != stream || rec.Version != after+Version(i)+1 {
			return nil, fmt.Errorf("%w: position %d is version %d of %s, expected version %d of %s",
				ErrCorrupt, row.position, rec.Version, rec.Stream, after+Version(i)+1, stream)
		}
		list = append(list, rec)
	}
	return list, nil
}

// decode reads an entry, and records where this program is too old for it.
func (s *Store) decode(entry []byte) (Recorded, error) {
	rec, err := Decode(entry)
	s.noteNewer(err)
	return rec, err
}

// decodeRows reads entries, and checks that they are the next ones.
func (s *Store) decodeRows(rows []row, at Position) ([]Recorded, error) {
	list := make([]Recorded, 0, len(rows))
	for i, row := range rows {
		rec, err := s.decode(row.entry)
		if err != nil {
			return nil, err
		}
		if want := at + Position(i) + 1; rec.Position != want || row.position != want {
			return nil, fmt.Errorf("%w: the entry in row %d says position %d, expected %d", ErrCorrupt, row.position, rec.Position, want)
		}
		list = append(list, rec)
	}
	return list, nil
}

// Scan gives fn every entry behind the position up to the head that it finds, in
// order, some hundreds at a time. The error wraps ErrArchived as of After.
func (s *Store) Scan(ctx context.Context, at Position, fn func([]Recorded) error) error {
	return inPages(ctx, s.entries, at, s.decodeRows, fn)
}

// inPages reads all rows behind the position. One goroutine reads ahead, all
// cores work on the pages, and fn gets what came of them in order.
func inPages[T any](ctx context.Context, read func(ctx context.Context, at Position, limit int) ([]row, error), at Position, work func([]row, Position) (T, error), fn func(T) error) error {
	type page struct {
		done T
		err  error
	}
	g, ctx := errgroup.WithContext(ctx)
	pages := make(chan chan page, 2*runtime.GOMAXPROCS(0))
	g.Go(func() error {
		defer close(pages)
		for {
			rows, err := read(ctx, at, pageSize)
			if err != nil {
				return fmt.Errorf("read the log after position %d: %w", at, err)
			}
			if len(rows) == 0 {
				return nil
			}
			worked, from := make(chan page, 1), at
			go func() {
				done, err := work(rows, from)
				worked <- page{done, err}
			}()
			select {
			case pages <- worked:
			case <-ctx.Done():
				return ctx.Err()
			}
			if at = rows[len(rows)-1].position; len(rows) < pageSize {
				return nil
			}
		}
	})
	g.Go(func() error {
		for worked := range pages {
			p := <-worked
			if p.err != nil {
				return p.err
			}
			if err := fn(p.done); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// Done finds the receipt of a command, ok false where it was never done. A
// retry asks for it before it is decided again. The error wraps ErrDoneBefore where the
// command is archived.
func (s *Store) Done(ctx context.Context, c Command) (r Receipt, ok bool, err error) {
	at, err := s.engine.command(ctx, c.ID)
	if err != nil {
		return Receipt{}, false, fmt.Errorf("look for an earlier command: %w", err)
	}
	if at == 0 {
		return Receipt{}, false, nil
	}
	r, err = s.replay(ctx, at, c)
	return r, err == nil, err
}

// replayPage is how many entries a replayed command reads at a time: most
// commands made one or two.
const replayPage = 8

// replay reads the events of a command that was done before, from the first.
func (s *Store) replay(ctx context.Context, first Position, c Command) (Receipt, error) {
	r := Receipt{Replayed: true}
	for {
		list, err := s.After(ctx, first-1+Position(len(r.Events)), replayPage)
		if errors.Is(err, ErrArchived) {
			return Receipt{}, fmt.Errorf("%w: from position %d", ErrDoneBefore, first)
		}
		if err != nil {
			return Receipt{}, err
		}
		for _, rec := range list {
			if rec.Cause == c.Cause() {
				r.Events = append(r.Events, rec)
				continue
			}
			if len(r.Events) == 0 {
				return Receipt{}, ErrKeyReused
			}
			return r, nil
		}
		if len(r.Events) == 0 {
			return Receipt{}, fmt.Errorf("%w: position %d is gone", ErrCorrupt, first)
		}
		if len(list) < replayPage {
			return r, nil
		}
	}
}

// Wait returns when the log holds something behind the position. In this process
// an append wakes it; what other processes append is found by a hint, or by polling. The
// error wraps ErrAhead where the log ends before the position: the caller read another
// log, before a restore.
func (s *Store) Wait(ctx context.Context, after Position) error {
	s.wait(1)
	defer s.wait(-1)
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		s.mu.Lock()
		seen, moved := s.seen, s.moved
		s.mu.Unlock()
		if seen > after {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing:
			return ErrClosed
		case <-moved:
		case <-poll.C:
			head, err := s.Head(ctx)
			if err != nil {
				return err
			}
			if head.Size < after {
				return fmt.Errorf("%w: the log ends at position %d, before %d", ErrAhead, head.Size, after)
			}
		}
	}
}

func (s *Store) wait(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting += more
}

// known is the highest position that this process has seen.
func (s *Store) known() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// learn records the head that a read found which began when the log was known to be at
// before. A head behind that is of a database that was restored or failed over: what
// this process remembers of the log is dropped.
func (s *Store) learn(before, at Position) {
	if at >= before {
		s.see(at)
		return
	}
	s.mu.Lock()
	s.seen = at
	s.mu.Unlock()
	s.forget()
}

// NeedsHints reports whether appends of other processes are found only by hints, or by
// polling. Else the database notifies of them, or there are none.
func (s *Store) NeedsHints() bool { return s.engine.unheard() }

// Hint wakes those who wait for the position before they poll, if the log has come there.
// It may be wrong and from an untrusted sender: all that it causes is a read.
func (s *Store) Hint(at Position) {
	s.mu.Lock()
	news := at > s.seen
	if news {
		s.hint = max(s.hint, at)
	}
	s.mu.Unlock()
	if news {
		select {
		case s.hinted <- struct{}{}:
		default: // a read is due already
		}
	}
}

// followHints reads when a hint is ahead of what is known: the entries where they are waited
// for, else the head. After a wrong one it reads no sooner than without hints, so forged
// hints cost no more than polling.
func (s *Store) followHints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hinted:
		}
		s.mu.Lock()
		hint, waiting := s.hint, s.waiting > 0
		s.hint = 0
		s.mu.Unlock()
		if hint <= s.known() { // it was found meanwhile
			continue
		}
		look, cancel := context.WithTimeout(ctx, hintTimeout)
		var err error
		if waiting {
			err = s.fetch(look)
		} else {
			_, err = s.Head(look)
		}
		cancel()
		if err == nil && s.known() >= hint {
			continue
		}
		if !wait.For(ctx, pollInterval) {
			return
		}
	}
}

// see records that the log has grown to the position, and wakes those who wait for it.
func (s *Store) see(at Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at > s.seen {
		s.seen = at
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// Nodes reads stored nodes of the tree by tlog's index, for proofs.
func (s *Store) Nodes(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		at := make([]Position, len(indexes))
		for i, index := range indexes {
			at[i], _ = nodeAt(index)
		}
		stored, err := s.engine.nodes(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("read nodes of the tree: %w", err)
		}
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			at, level := nodeAt(index)
			nodes, err := splitNodes(stored[at])
			if err != nil || level >= len(nodes) {
				return nil, errors.Join(fmt.Errorf("%w: node of level %d at position %d is missing", ErrCorrupt, level, at), err)
			}
			hashes[i] = tlog.Hash(nodes[level])
		}
		return hashes, nil
	})
}

// Checkpoint reads how far a follower has come; 0 for one that never moved. The error wraps
// ErrAhead where the log does not have the entry that it was at.
func (s *Store) Checkpoint(ctx context.Context, name string) (Position, error) {
	at, follows, err := s.engine.checkpoint(ctx, name)
	if err == nil && !follows {
		err = fmt.Errorf("%w: the log does not have the entry of position %d that it was at", ErrAhead, at)
	}
	if err != nil {
		return 0, fmt.Errorf("read checkpoint %s: %w", name, err)
	}
	return at, nil
}

// Checkpoints reads how far every follower has come.
func (s *Store) Checkpoints(ctx context.Context) (map[string]Position, error) {
	all, err := s.engine.checkpoints(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints: %w", err)
	}
	return all, nil
}

// SetCheckpoint moves it without a lease; see Leadership.SetCheckpoint.
func (s *Store) SetCheckpoint(ctx context.Context, name string, at Position) error {
	if err := s.engine.setCheckpoint(ctx, name, at, lease{}); err != nil {
		return fmt.Errorf("move checkpoint %s to %d: %w", name, at, err)
	}
	return nil
}

// MissingGuards names the triggers and constraints that keep the log from being changed
// and are missing or altered, which takes the rights of the database's owner. It changes
// nothing.
func (s *Store) MissingGuards(ctx context.Context) ([]string, error) {
	gone, err := s.engine.missingGuards(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for what keeps the log from being changed: %w", err)
	}
	return gone, nil
}
