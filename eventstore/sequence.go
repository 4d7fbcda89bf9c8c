package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"kassa/domain"
	"kassa/schema"
)

const (
	maxBatch      = 1024    // appends of one commit
	maxBatchBytes = 8 << 20 // payloads of one commit
	batchTimeout  = 30 * time.Second
	maxVarints    = 4 * 10 // bytes that the numbers of an envelope can take
	raceTries     = 5      // of a batch that the database breaks off for the sake of others
)

// request is an append on its way through the sequencer.
type request struct {
	Append
	payloads [][]byte // of all events of all writes, in order
	size     int
	command  Command
	done     chan struct{} // closed when one of these three is set:
	receipt  Receipt
	replayed Position // of the first event that the same command made earlier
	err      error
}

// newRequest encodes the payloads, so that the sequencer has little left to do.
func newRequest(a Append) (*request, error) {
	r := &request{Append: a, done: make(chan struct{})}
	r.command, _ = a.Cause.Command()
	if err := a.check(r.command); err != nil {
		return nil, err
	}
	for _, w := range a.Writes {
		for _, e := range w.Events {
			payload, err := domain.Encode(e)
			if err != nil {
				return nil, err
			}
			size := maxVarints + len(w.Stream) + len(e.Type()) + len(a.Actor) + len(a.Cause) + len(payload)
			if size > MaxEntry {
				return nil, fmt.Errorf("%w: %s takes %d bytes of %d", ErrTooLarge, e.Type(), size, MaxEntry)
			}
			r.payloads = append(r.payloads, payload)
			r.size += size
		}
	}
	if len(r.payloads) == 0 {
		return nil, errors.New("append without events")
	}
	return r, nil
}

// check refuses what could not be read back as it was written. One such append
// would spoil the log, or its neighbours in the batch.
func (a *Append) check(c Command) error {
	if a.Time.Before(Earliest) {
		return fmt.Errorf("append with the time %s, before %s", a.Time, Earliest)
	}
	for _, w := range a.Writes {
		if w.Stream == "" || !isText(string(w.Stream)) {
			return fmt.Errorf("append to a stream called %q", w.Stream)
		}
	}
	if !isText(c.ID) {
		return fmt.Errorf("append by a command called %q", c.ID)
	}
	return nil
}

// isText says whether a name comes back from every database as it went in.
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// sequencer is the one goroutine of a process that appends. What it does with a
// batch, step by step, and what a crash leaves behind at each (sequence_test.go
// and the kill test of cmd/kassa stop it there):
//
//  1. collect the requests that wait              nothing was written
//  2. begin: lock the head row, read what is known nothing was written
//  3. catch the tree up, where another process appended
//  4. check versions and commands, number, hash   nothing was written
//  5. commit rows and head: FROM HERE THE BATCH COUNTS; a crash in the middle is
//     all or nothing by the database, but the caller cannot know which
//  6. publish in memory, wake the waiting         a restart reads it all again
//  7. answer the callers                          their retry finds the command
//
// Where nobody else appended since the last batch, steps 2 and 3 would tell what
// is known. They are left out, and step 5 is an append on condition: that the head
// is where it was left, and no version or command is taken. Where that does not
// hold, nothing was written, and the batch takes all the steps.
type sequencer struct {
	store *Store
	tree  Tree
	alone bool // the last batch was ours, or found the log as we left it
}

func (q *sequencer) run() {
	for {
		select {
		case r := <-q.store.queue:
			q.sequence(q.collect(r))
		case <-q.store.closing:
			for { // what was accepted before the close is still done
				select {
				case r := <-q.store.queue:
					q.sequence(q.collect(r))
				default:
					return
				}
			}
		}
	}
}

// collect takes what waits, and never waits itself: a lone append is not held
// back, and under load the queue fills while a commit runs.
func (q *sequencer) collect(first *request) []*request {
	batch, size := []*request{first}, first.size
	for len(batch) < maxBatch && size < maxBatchBytes {
		select {
		case r := <-q.store.queue:
			batch, size = append(batch, r), size+r.size
		default:
			return batch
		}
	}
	return batch
}

// sequence takes one batch through the steps. Every request leaves it with an
// error, with a receipt, or with the position of the events that its command
// made earlier.
func (q *sequencer) sequence(requests []*request) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	err := q.commit(ctx, requests)
	q.store.space.wrote(err)
	if err != nil {
		for _, r := range requests {
			if r.err == nil { // a conflict stays a conflict, whatever became of the rest
				r.err = err
			}
		}
	}
	for _, r := range requests {
		close(r.done) // step 7
	}
}

func (q *sequencer) commit(ctx context.Context, requests []*request) error {
	if q.alone && q.store.observed(requests) {
		err := q.onCondition(ctx, requests)
		if !errors.Is(err, errRaced) {
			q.alone = !errors.Is(err, ErrUnknown)
			return err
		}
	}
	err := q.underLock(ctx, requests)
	for tries := 1; tries < raceTries && lostRace(err); tries++ {
		err = q.underLock(ctx, requests)
	}
	return err
}

// lostRace says whether nothing was written because others were at work.
func lostRace(err error) bool {
	return !errors.Is(err, ErrUnknown) && (errors.Is(err, errRaced) || schema.FaultOf(err) == schema.Raced)
}

// onCondition takes a batch through the steps without the lock. Each stream is
// taken to stand where its first write expects it: the append fails where that
// version is used already.
func (q *sequencer) onCondition(ctx context.Context, requests []*request) error {
	was, err := q.tree.Head()
	if err != nil {
		return err
	}
	grown := q.tree                                                                                                             // q.tree stays as it is until the commit is known: after an unknown one the head tells
	rows, err := number(&grown, requests, known{versions: map[Stream]Version{}, commands: map[string]Position{}, unread: true}) // step 4
	if err != nil {
		return err
	}
	head, err := grown.Head()
	if err != nil {
		return err
	}
	if err := q.store.engine.appendIf(ctx, was, rows, head); err != nil { // step 5
		return fmt.Errorf("append positions %d to %d: %w", rows[0].position, head.Size, err)
	}
	q.tree = grown
	q.store.publish(head.Size, requests) // step 6
	return nil
}

func (q *sequencer) underLock(ctx context.Context, requests []*request) error {
	before := q.store.known()
	tx, err := q.store.engine.begin(ctx, streamsOf(requests), commandsOf(requests)) // step 2
	if err != nil {
		return fmt.Errorf("begin a batch of %d appends: %w", len(requests), err)
	}
	known := tx.known()
	q.store.learn(before, known.head.Size)
	q.alone = int64(known.head.Size) == q.tree.size
	if err := q.catchUp(ctx, known.head); err != nil { // step 3
		tx.rollback()
		return err
	}
	grown := q.tree
	rows, err := number(&grown, requests, known) // step 4
	if err != nil || len(rows) == 0 {
		tx.rollback()
		return err
	}
	head, err := grown.Head()
	if err != nil {
		tx.rollback()
		return err
	}
	if err := tx.commit(ctx, rows, head); err != nil { // step 5
		q.alone = false
		return fmt.Errorf("commit positions %d to %d: %w", rows[0].position, head.Size, err)
	}
	q.tree = grown
	q.store.publish(head.Size, requests) // step 6
	return nil
}

// catchUp makes the tree in memory that of the head. It has something to do at
// the start, after a commit of unknown outcome, and when another process
// appended: then it reads the right edge, a few entries, and proves it by the root.
func (q *sequencer) catchUp(ctx context.Context, head Head) error {
	if own, err := q.tree.Head(); err != nil || own == head && head.Size > 0 {
		return err
	}
	edge, err := readEdge(ctx, q.store.engine, head)
	if err != nil {
		return err
	}
	q.tree = edge
	return nil
}

// number decides each request under the lock, gives its events their positions
// and versions, and grows the tree. A request that cannot be is marked, and the
// others go on.
func number(t *Tree, requests []*request, known known) ([]row, error) {
	var rows []row
	for _, r := range requests {
		r.receipt, r.replayed, r.err = Receipt{}, 0, nil // an append on condition may have failed before
		if at, used := known.commands[r.command.ID]; used && r.command.ID != "" {
			r.replayed = at
			continue
		}
		if r.err = conflict(r.Writes, known); r.err != nil {
			continue
		}
		if r.command.ID != "" {
			known.commands[r.command.ID] = Position(t.size + 1)
		}
		next := 0
		for _, w := range r.Writes {
			if known.unread {
				known.versions[w.Stream] = max(known.versions[w.Stream], w.Expected)
			}
			for _, event := range w.Events {
				known.versions[w.Stream]++
				env := Envelope{Position: Position(t.size + 1), Stream: w.Stream, Version: known.versions[w.Stream],
					Type: event.Type(), Schema: event.Type().Version(), Time: r.Time.UTC().Truncate(time.Microsecond),
					Actor: r.Actor, Cause: r.Cause}
				entry := EncodeEntry(env, r.payloads[next])
				nodes, err := t.Grow(LeafHash(entry))
				if err != nil {
					return nil, err
				}
				row := row{position: env.Position, stream: env.Stream, version: env.Version, nodes: joinNodes(nodes), entry: entry}
				if next == 0 {
					row.command = r.command.ID
				}
				rows = append(rows, row)
				r.receipt.Events = append(r.receipt.Events, Recorded{Envelope: env, Event: event, Entry: entry})
				next++
			}
		}
	}
	return rows, nil
}

func conflict(writes []Write, known known) error {
	for _, w := range writes {
		if at, read := known.versions[w.Stream]; at != w.Expected && (read || !known.unread) {
			return fmt.Errorf("%w: %s is at version %d, expected %d", ErrConflict, w.Stream, at, w.Expected)
		}
	}
	return nil
}

// observed says whether every write adds to a stream that is new, or that was seen
// in the log at the version expected or a later one: an append on condition finds a
// version that is used, and could not find that the one before it is missing.
func (s *Store) observed(requests []*request) bool {
	for _, r := range requests {
		for _, w := range r.Writes {
			u, _ := w.Stream.User()
			if seen, _ := s.accounts.Peek(u); len(w.Events) == 0 || w.Expected < 0 || seen.Version < w.Expected {
				return false
			}
		}
	}
	return true
}

func streamsOf(requests []*request) []Stream {
	var list []Stream
	for _, r := range requests {
		for _, w := range r.Writes {
			list = append(list, w.Stream)
		}
	}
	return list
}

func commandsOf(requests []*request) []string {
	var list []string
	for _, r := range requests {
		if r.command.ID != "" {
			list = append(list, r.command.ID)
		}
	}
	return list
}
