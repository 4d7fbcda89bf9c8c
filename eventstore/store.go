package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/domain"
	"kassa/schema"
)

// What Append and the reads can answer beside faults.
var (
	// ErrConflict: a stream has moved on; load again and decide again.
	ErrConflict = errors.New("eventstore: stream has moved on")
	// ErrTooLarge: an entry would be over MaxEntry. Nothing was appended.
	ErrTooLarge = errors.New("eventstore: entry is too large")
	// ErrKeyReused: the command's id was used for other content.
	ErrKeyReused = errors.New("eventstore: command id was used with other content")
	// ErrUnknown: the commit failed, or the caller left, in the middle. The events
	// may have been appended; the same command again finds out.
	ErrUnknown = errors.New("eventstore: outcome of the append is unknown")
	// ErrClosed: the store is shut.
	ErrClosed = errors.New("eventstore: closed")
	// ErrAhead: a follower is at a position that the log does not have, or that is another
	// entry now. The log was restored; what was derived from the old one is wrong.
	ErrAhead = errors.New("eventstore: ahead of the log")
	// ErrReadOnly: the store was opened to be read.
	ErrReadOnly = errors.New("eventstore: opened for reading only")
	// ErrCorrupt: what is stored contradicts itself. Stop, and run verify.
	ErrCorrupt = errors.New("eventstore: the log is corrupt")
	// ErrNewer: a newer program has written to the log, and this one is too old to
	// read it. Nothing is wrong with the log. The process must leave the work to
	// newer ones.
	ErrNewer = schema.ErrNewer
)

// Append is a set of facts that become true together or not at all.
type Append struct {
	Time   time.Time
	Actor  string
	Cause  Cause
	Writes []Write
}

// moment is the time that the entries of the append bear.
func (a Append) moment() time.Time { return a.Time.UTC().Truncate(time.Microsecond) }

// Write adds events to one stream that must be at the expected version. With no events
// it only requires the version.
type Write struct {
	Stream   Stream
	Expected Version
	Events   []domain.Event

	era int // of what this process remembered when it gave the version; 0 for a version of elsewhere
}

// Receipt is the result of an append.
type Receipt struct {
	Events   []Recorded // in order of position
	Replayed bool       // the command was done before; these are its first events
}

// Position is that of the receipt's last entry.
func (r Receipt) Position() Position {
	if len(r.Events) == 0 {
		return 0
	}
	return r.Events[len(r.Events)-1].Position
}

// Leaf is the hash of the receipt's last entry in the tree.
func (r Receipt) Leaf() Hash {
	if len(r.Events) == 0 {
		return Hash{}
	}
	return LeafHash(r.Events[len(r.Events)-1].Entry)
}

// Store is the event log over one engine. Its methods may be called by many
// goroutines; several processes may have a Store on the same database.
type Store struct {
	engine   engine
	readOnly bool   // no sequencer runs
	release  func() // gives back what the engine holds; nil where it holds nothing
	queue    chan *request
	closing  chan struct{}
	stopped  sync.WaitGroup
	accounts *lru.Cache[domain.UserID, Loaded]
	folded   chan snapshot
	grown    chan Position // to which the log has come by this process
	recent   recent

	holder    string        // names this store where it leads
	leaseTime time.Duration // see the constant
	back      background
	space     space
	observer  atomic.Pointer[func(Batch)]

	gate sync.RWMutex // read side: a request is being queued; write side: close
	shut bool

	mu      sync.Mutex
	seen    Position      // known to be committed, by a commit or by a read
	moved   chan struct{} // closed when seen grows
	waiting int           // those who wait for the log to grow
	hint    Position      // the highest since the last read

	hinted chan struct{} // a read is due
}

// accountsCached bounds the folded accounts kept in memory (a few hundred bytes each).
const accountsCached = 100_000

// SQLite opens the log in a database file that schema.OpenSQLite opened. An
// error that wraps ErrCorrupt means that the stored head and the stored tree
// disagree.
func SQLite(ctx context.Context, db *schema.SQLite) (*Store, error) {
	e, err := newSQLite(ctx, db)
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, e)
	if err != nil {
		e.close()
		return nil, err
	}
	s.release = e.close
	return s, nil
}

// ReadSQLite opens the log for an audit. The store only reads, Append answers
// ErrReadOnly, and nothing is proved at the start: where the log is corrupt,
// verify reports how.
func ReadSQLite(db *schema.SQLite) (*Store, error) {
	s, err := newStore(sqlite{db: db})
	if err != nil {
		return nil, err
	}
	s.readOnly = true
	return s, nil
}

func newStore(e engine) (*Store, error) {
	cache, err := lru.New[domain.UserID, Loaded](accountsCached)
	if err != nil {
		return nil, err
	}
	return &Store{engine: e, queue: make(chan *request, maxBatch), closing: make(chan struct{}),
		accounts: cache, recent: recent{era: 1}, folded: make(chan snapshot, 64), grown: make(chan Position, 1), moved: make(chan struct{}), hinted: make(chan struct{}, 1),
		holder: newHolder(), leaseTime: leaseTime}, nil
}

func open(ctx context.Context, e engine) (*Store, error) {
	s, err := newStore(e)
	if err != nil {
		return nil, err
	}
	head, err := e.head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the head of the log: %w", err)
	}
	seq := &sequencer{store: s}
	if err := seq.catchUp(ctx, head); err != nil {
		return nil, err
	}
	s.seen = head.Size
	s.space.wrote(nil)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the store outlives its opening
	go func() { <-s.closing; cancel() }()
	s.stopped.Go(seq.run)
	s.stopped.Go(s.keepSnapshots)
	s.stopped.Go(func() { s.followHints(ctx) })
	s.stopped.Go(s.keepExtended)
	s.stopped.Go(func() {
		e.listen(ctx, s.Hint, func(err error) { s.Report("listen for appends of other processes", err) })
	})
	return s, nil
}

// Prove makes sure that the stored head and the stored tree agree, as a start does.
func (s *Store) Prove(ctx context.Context) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	_, err = readEdge(ctx, s.engine, head)
	return err
}

// Close lets the appends that were accepted finish, and refuses new ones.
func (s *Store) Close() {
	s.gate.Lock()
	if !s.shut {
		s.shut = true
		close(s.closing)
	}
	s.gate.Unlock()
	s.stopped.Wait()
	if s.release != nil {
		s.release()
	}
}

// Append commits the events of a. It returns when they are durable.
//
// Errors wrap ErrConflict, ErrTooLarge, ErrKeyReused, ErrDoneBefore or ErrClosed when
// nothing was appended, and ErrUnknown when that is not known. Where ctx ends first,
// the append may still happen, and the error wraps ErrUnknown as well.
func (s *Store) Append(ctx context.Context, a Append) (Receipt, error) {
	r, err := newRequest(a)
	if err != nil {
		return Receipt{}, err
	}
	r.era, _ = s.recent.end()
	for _, w := range a.Writes {
		if w.era != 0 && w.era != r.era { // the log was found to be restored since
			return Receipt{}, fmt.Errorf("%w: version %d of %s may be of a log of before", ErrConflict, w.Expected, w.Stream)
		}
	}
	if err := s.enqueue(ctx, r); err != nil {
		return Receipt{}, err
	}
	select {
	case <-r.done:
		if r.err != nil {
			return Receipt{}, r.err
		}
		if r.replayed > 0 {
			return s.replay(ctx, r.replayed, r.command)
		}
		return r.receipt, nil
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// enqueue gives a request to the sequencer; after an error it was not accepted. The gate
// keeps Close from ending the sequencer between the check of shut and the send.
func (s *Store) enqueue(ctx context.Context, r *request) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.shut {
		return ErrClosed
	}
	if s.readOnly {
		return ErrReadOnly
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
