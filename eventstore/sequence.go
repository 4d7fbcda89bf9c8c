package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/schema"
)

const (
	maxBatch      = 1024    // appends of one commit
	maxBatchBytes = 8 << 20 // payloads of one commit
	batchTimeout  = 30 * time.Second
	maxVarints    = 4 * 10 // bytes that the numbers of an envelope can take
	raceTries     = 5      // of a batch that the database aborts in favour of another transaction
)

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
// Where no other process appended since the last batch, steps 2 and 3 would find nothing new.
// They are left out, and step 5 is an append on condition: that the head has not moved,
// each stream is at the version that its first write expects, and no command is used.
// Where that does not hold, nothing was written, and the batch takes all the steps.
//
// Appends on condition are sent before the last one is answered: each has the head of
// the one before it as its condition, so after one that fails all behind it fail.
type sequencer struct {
	store *Store
	tree  Tree
	alone bool     // the last batch was ours, or found the log as we left it
	under []*batch // under way, in order; each is numbered upon the one before

	pending []*request // of the next batch
	size    int        // of their payloads
}

// batch is an append on condition that was sent.
type batch struct {
	requests []*request
	numbering
	head     Head // after it
	answered <-chan error
	cancel   context.CancelFunc
}

func (q *sequencer) run() {
	for {
		select {
		case r := <-q.waiting():
			q.collect(r)
		case err := <-q.firstAnswer():
			q.settle(err)
		case <-q.store.closing:
			q.finish()
			return
		}
		if q.due() {
			q.sequence()
		}
	}
}

// waiting is the queue, unless the next batch is full.
func (q *sequencer) waiting() <-chan *request {
	if q.full() {
		return nil
	}
	return q.store.queue
}

func (q *sequencer) full() bool { return len(q.pending) >= maxBatch || q.size >= maxBatchBytes }

// firstAnswer is that of the first batch under way.
func (q *sequencer) firstAnswer() <-chan error {
	if len(q.under) == 0 {
		return nil
	}
	return q.under[0].answered
}

// collect takes the requests that wait, and never waits itself.
func (q *sequencer) collect(first *request) {
	q.add(first)
	for !q.full() {
		select {
		case r := <-q.store.queue:
			q.add(r)
		default:
			return
		}
	}
}

func (q *sequencer) add(r *request) {
	r.taken = time.Now()
	q.pending, q.size = append(q.pending, r), q.size+r.size
}

// due reports whether the next batch is to be sent: at once where nothing is under way,
// so a lone append is not held back. Behind another batch it would only wait in the
// database, so it is sent when it is as large as that one: small batches cost more.
func (q *sequencer) due() bool {
	n := len(q.under)
	if n == 0 || len(q.pending) == 0 {
		return len(q.pending) > 0
	}
	return n < q.store.engine.pipelined() && (q.full() || len(q.pending) >= len(q.under[n-1].requests))
}

// finish does what was accepted before the close.
func (q *sequencer) finish() {
	for {
		if len(q.pending) > 0 {
			q.sequence()
		}
		q.drain()
		select {
		case r := <-q.store.queue:
			q.collect(r)
		default:
			return
		}
	}
}

// drain waits until nothing is under way.
func (q *sequencer) drain() {
	for len(q.under) > 0 {
		q.settle(<-q.firstAnswer())
	}
}

// sequence takes the next batch through the steps. Every request leaves them with an
// error, with a receipt, or with the position of the events that its command
// made earlier.
func (q *sequencer) sequence() {
	requests := q.pending
	q.pending, q.size = nil, 0
	q.follow()
	if q.alone && !q.store.outdated(requests) {
		q.send(requests)
		return
	}
	q.drain()
	q.decide(requests)
}

// answer is step 7.
func (q *sequencer) answer(requests []*request, err error) {
	q.store.space.wrote(err)
	for _, r := range requests {
		if err != nil && r.err == nil { // a conflict stays a conflict, however the batch ends
			r.err = err
		}
	}
	q.store.report(requests)
	for _, r := range requests {
		close(r.done)
	}
}

// send takes a batch to step 5 without the lock. Each stream is assumed to be at the
// version that its first write expects, unless a batch under way writes to it.
func (q *sequencer) send(requests []*request) {
	b := &batch{requests: requests, numbering: numbering{tree: q.tree, log: logState{unread: true}}}
	if n := len(q.under); n > 0 {
		b.tree, b.log.before = q.under[n-1].tree, &q.under[n-1].log
	}
	b.numbering.era, _ = q.store.recent.end()
	was, err := b.tree.Head()
	if err == nil {
		err = b.addAll(requests) // step 4
	}
	if err == nil {
		b.head, err = b.tree.Head()
	}
	if err != nil {
		q.drain()
		q.answer(requests, err)
		return
	}
	var ctx context.Context
	ctx, b.cancel = context.WithTimeout(context.Background(), batchTimeout)
	if len(b.rows) > 0 {
		b.answered = q.store.engine.appendIf(ctx, was, b.log.assumed, b.rows, b.head)
	} else { // all of its requests conflict with a batch under way, or were done in one
		b.answered = answered(nil)
	}
	q.under = append(q.under, b)
}

// settle ends the first batch under way. Where it failed, those behind it failed too:
// they are decided again, under the lock, unless they may be in the log.
func (q *sequencer) settle(err error) {
	first := q.under[0]
	first.cancel()
	if err == nil {
		q.under = q.under[1:]
		if len(q.under) > 0 {
			q.under[0].log.before = nil // what it knew, the log has now
		}
		q.tree = first.tree
		q.store.publish(first.era, first.head.Size, first.requests) // step 6
		q.answer(first.requests, nil)
		return
	}
	failed := q.under
	q.under, q.alone = nil, !errors.Is(err, ErrUnknown)
	for i, b := range failed {
		if i > 0 {
			if next := <-b.answered; !errors.Is(err, ErrUnknown) {
				err = behind(next)
			}
			b.cancel()
		}
		if errors.Is(err, errRaced) {
			q.decide(b.requests)
			continue
		}
		q.answer(b.requests, fmt.Errorf("append positions up to %d: %w", b.head.Size, err))
	}
}

// behind is the outcome of a batch behind one that failed, by its own answer. Its success
// would mean that the one before it is in the log, so it is not known what happened.
func behind(own error) error {
	if own == nil {
		return fmt.Errorf("%w: the batch before it is said to have failed", ErrUnknown)
	}
	return own
}

// decide takes a batch through all the steps, under the lock.
func (q *sequencer) decide(requests []*request) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	err := q.underLock(ctx, requests)
	for tries := 1; tries < raceTries && lostRace(err); tries++ {
		err = q.underLock(ctx, requests)
	}
	q.answer(requests, err)
}

// lostRace reports whether nothing was written because another process appended.
func lostRace(err error) bool {
	return !errors.Is(err, ErrUnknown) && (errors.Is(err, errRaced) || schema.FaultOf(err) == schema.Raced)
}

func (q *sequencer) underLock(ctx context.Context, requests []*request) error {
	before := q.store.known()
	tx, err := q.store.engine.begin(ctx, Position(q.tree.size), streamsOf(requests), commandsOf(requests)) // step 2
	if err != nil {
		return fmt.Errorf("begin a batch of %d appends: %w", len(requests), err)
	}
	log := tx.state()
	q.store.learn(before, log.head.Size)
	q.alone = int64(log.head.Size) == q.tree.size
	era, _ := q.store.recent.end()
	if !q.grow(era, log) { // step 3
		if err := q.catchUp(ctx, log.head); err != nil {
			tx.rollback()
			return err
		}
	}
	n := numbering{tree: q.tree, log: log}
	n.era, _ = q.store.recent.end()                                // another than that of requests, where the log was found to be restored
	if err := n.addAll(requests); err != nil || len(n.rows) == 0 { // step 4
		tx.rollback()
		return err
	}
	head, err := n.tree.Head()
	if err != nil {
		tx.rollback()
		return err
	}
	if err := tx.commit(ctx, n.rows, head); err != nil { // step 5
		q.alone = false
		return fmt.Errorf("commit positions %d to %d: %w", n.rows[0].position, head.Size, err)
	}
	q.tree = n.tree
	q.store.publish(n.era, head.Size, requests) // step 6
	return nil
}

// follow grows the tree by what other processes appended, where this one has read that to
// the end of the log, as far as it knows. The next append may then be one on condition: it
// has the root as its condition, so the database proves the tree.
func (q *sequencer) follow() {
	if len(q.under) > 0 {
		return
	}
	list, ok := q.store.recent.after(Position(q.tree.size), recentGap)
	if !ok || list[len(list)-1].Position != q.store.known() {
		return
	}
	grown := q.tree
	for _, rec := range list {
		if _, err := grown.Grow(LeafHash(rec.Entry)); err != nil {
			return // the lock finds out
		}
	}
	q.tree, q.alone = grown, true
}

// grow makes the tree that of the head, by the entries that were read under the lock, which
// the head's root proves. It reports whether they were enough.
func (q *sequencer) grow(era int, log logState) bool {
	grown := q.tree
	for _, row := range log.behind {
		if _, err := grown.Grow(LeafHash(row.entry)); err != nil {
			return false
		}
	}
	if own, err := grown.Head(); err != nil || own != log.head {
		return false
	}
	if list, err := q.store.decodeRows(log.behind, Position(q.tree.size)); err == nil {
		q.store.remembered(era, list)
	}
	q.tree = grown
	return true
}

// catchUp makes the tree in memory that of the head. It has something to do at
// the start, after a commit of unknown outcome, and when another process
// appended more than it has read: then it reads the right edge, a few entries, and proves
// it by the root. Where the log does not continue that of the tree before, it was restored,
// and what is remembered of it is dropped.
func (q *sequencer) catchUp(ctx context.Context, head Head) error {
	own, err := q.tree.Head()
	if err != nil || own == head && head.Size > 0 {
		return err
	}
	if own.Size > 0 && own.Size <= head.Size {
		root, err := tlog.TreeHash(int64(own.Size), q.store.Nodes(ctx))
		if err != nil {
			return fmt.Errorf("read the root of the log at position %d: %w", own.Size, err)
		}
		if Hash(root) != own.Root {
			q.store.forget()
		}
	}
	edge, err := readEdge(ctx, q.store.engine, head)
	if err != nil {
		return err
	}
	q.tree = edge
	return nil
}

// outdated reports whether a write expects a version that this process knows to be past:
// the append on condition would fail, and its neighbours in the batch with it.
func (s *Store) outdated(requests []*request) bool {
	for _, r := range requests {
		for _, w := range r.Writes {
			u, _ := w.Stream.User()
			if seen, _ := s.accounts.Peek(u); seen.Version > w.Expected {
				return true
			}
		}
	}
	return false
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
