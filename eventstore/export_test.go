package eventstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// The formats of the snapshots that are read.
const (
	OldestFormat = oldestFormat
	NewestFormat = newestFormat
)

// AppendUnused is the statement of an append on condition.
const AppendUnused = appendUnused

// Faults is an engine that does what a test wants at a named step, and counts
// the rows that it reads.
type Faults struct {
	engine
	mu     sync.Mutex
	once   map[Step]func() error
	always map[Step]func() error
	reads  atomic.Int64
	locks  atomic.Int64
	heads  atomic.Int64

	last     inLine // append on condition
	underWay atomic.Int64
	behind   atomic.Int64
}

// Step is a moment in the life of a batch or of a read.
type Step string

// The steps at which a test can step in.
const (
	AtBegin      Step = "begin"         // before the lock on the head row is asked for
	AtEdge       Step = "read the edge" // of the tree, while the lock is held
	BeforeCommit Step = "before commit" // the rows are not written yet
	AfterCommit  Step = "after commit"  // and nobody was told
	AtHead       Step = "read the head"
	AtSnapshot   Step = "save snapshots"
	AtLoad       Step = "load a snapshot"
	AtTake       Step = "take a lease"
	AtRenew      Step = "renew a lease"
	AtProbe      Step = "probe"
)

// OpenFaults opens a store on the file's engine with faults around it.
func OpenFaults(ctx context.Context, db *schema.SQLite) (*Store, *Faults, error) {
	e, err := newSQLite(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	f := &Faults{engine: e, once: map[Step]func() error{}, always: map[Step]func() error{}}
	s, err := open(ctx, f)
	return s, f, err
}

// OpenFaultsPostgres is OpenFaults in a database.
func OpenFaultsPostgres(ctx context.Context, pool *pgxpool.Pool) (*Store, *Faults, error) {
	f := &Faults{engine: newPostgres(pool), once: map[Step]func() error{}, always: map[Step]func() error{}}
	s, err := open(ctx, f)
	return s, f, err
}

// unnotified is an engine whose notifications are all lost.
type unnotified struct{ *postgres }

func (unnotified) listen(context.Context, func(Position), func(error)) {}

// OpenUnnotified opens a store that gets no notifications.
func OpenUnnotified(ctx context.Context, pool *pgxpool.Pool) (*Store, error) {
	return open(ctx, unnotified{newPostgres(pool)})
}

// Always lets fn run whenever the step is reached, until it is nil.
func (f *Faults) Always(at Step, fn func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always[at] = fn
}

// Once lets fn run at the next time that the step is reached. Its error is the
// step's.
func (f *Faults) Once(at Step, fn func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.once[at] = fn
}

// Fired reports whether nothing waits at the step.
func (f *Faults) Fired(at Step) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.once[at] == nil
}

// RowsRead counts the rows that were read since it was last asked.
func (f *Faults) RowsRead() int { return int(f.reads.Swap(0)) }

// Locked counts the batches that took the head's lock since it was last asked.
func (f *Faults) Locked() int { return int(f.locks.Swap(0)) }

// SetLeaseTime makes a store's leases shorter than others'.
func SetLeaseTime(s *Store, long time.Duration) { s.leaseTime = long }

// HeadsRead counts the reads of the head since it was last asked.
func (f *Faults) HeadsRead() int { return int(f.heads.Swap(0)) }

// Known is how far a store has seen the log come.
func Known(s *Store) Position { return s.known() }

// Fetch reads what others appended, as a hint makes a store do while somebody waits.
func Fetch(ctx context.Context, s *Store) error { return s.fetch(ctx) }

// AppendedBefore is a batch that the store learns of when what it remembered was dropped.
func AppendedBefore(s *Store, size Position, events ...Recorded) {
	era, _ := s.recent.end()
	s.forget()
	s.publish(era, size, []*request{{receipt: Receipt{Events: events}}})
}

// PollInterval is how often a store looks by itself.
const PollInterval = pollInterval

// Queued is how many appends wait for the sequencer.
func Queued(s *Store) int { return len(s.queue) }

func (f *Faults) reach(at Step) error {
	f.mu.Lock()
	fn := f.once[at]
	delete(f.once, at)
	if fn == nil {
		fn = f.always[at]
	}
	f.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn()
}

func (f *Faults) begin(ctx context.Context, at Position, streams []Stream, commands []string) (transaction, error) {
	if err := f.reach(AtBegin); err != nil {
		return nil, err
	}
	f.locks.Add(1)
	b, err := f.engine.begin(ctx, at, streams, commands)
	return faultyTransaction{b, f}, err
}

func (f *Faults) pipelined() int { return max(2, f.engine.pipelined()) }

// inLine is an append on condition: when the engine has it, and when it is answered.
type inLine struct{ handed, ended chan struct{} }

// wait is for the one before; there may be none.
func (inLine) wait(moment <-chan struct{}) {
	if moment != nil {
		<-moment
	}
}

// appendIf hands the appends to the engine and answers them in their order, and holds up
// its caller at the first step only.
func (f *Faults) appendIf(ctx context.Context, was Head, streams []condition, rows []row, head Head) <-chan error {
	if err := f.reach(AtBegin); err != nil {
		return answered(err)
	}
	before, mine, outer := f.last, inLine{make(chan struct{}), make(chan struct{})}, make(chan error, 1)
	f.last = mine
	if f.underWay.Add(1) == 2 {
		f.behind.Add(1)
	}
	go func() {
		before.wait(before.handed)
		err := f.reach(BeforeCommit)
		var inner <-chan error
		if err == nil {
			inner = f.engine.appendIf(ctx, was, streams, rows, head)
		}
		close(mine.handed)
		before.wait(before.ended)
		if inner != nil {
			if err = <-inner; err == nil {
				err = f.reach(AfterCommit)
			}
		}
		f.underWay.Add(-1)
		close(mine.ended)
		outer <- atCommit(err)
	}()
	return outer
}

// Pipelined counts the appends on condition that were sent behind another.
func (f *Faults) Pipelined() int { return int(f.behind.Load()) }

// UnderWay counts the appends on condition that are not answered.
func (f *Faults) UnderWay() int { return int(f.underWay.Load()) }

func (f *Faults) head(ctx context.Context) (Head, error) {
	f.heads.Add(1)
	if err := f.reach(AtHead); err != nil {
		return Head{}, err
	}
	return f.engine.head(ctx)
}

func (f *Faults) nodes(ctx context.Context, at []Position) (map[Position][]byte, error) {
	if err := f.reach(AtEdge); err != nil {
		return nil, err
	}
	return f.engine.nodes(ctx, at)
}

func (f *Faults) saveSnapshots(ctx context.Context, list []snapshot) error {
	if err := f.reach(AtSnapshot); err != nil {
		return err
	}
	return f.engine.saveSnapshots(ctx, list)
}

func (f *Faults) snapshot(ctx context.Context, s Stream) (snapshot, error) {
	if err := f.reach(AtLoad); err != nil {
		return snapshot{}, err
	}
	return f.engine.snapshot(ctx, s)
}

// File is the database file under a store of OpenFaults.
func (f *Faults) File() *schema.SQLite { return f.engine.(sqlite).db }

func (f *Faults) takeLease(ctx context.Context, l lease, long time.Duration) (int64, error) {
	if err := f.reach(AtTake); err != nil {
		return 0, err
	}
	return f.engine.takeLease(ctx, l, long)
}

func (f *Faults) renewLease(ctx context.Context, l lease, long time.Duration) error {
	if err := f.reach(AtRenew); err != nil {
		return err
	}
	return f.engine.renewLease(ctx, l, long)
}

func (f *Faults) probe(ctx context.Context) error {
	if err := f.reach(AtProbe); err != nil {
		return err
	}
	return f.engine.probe(ctx)
}

func (f *Faults) after(ctx context.Context, at Position, limit int) ([]row, error) {
	rows, err := f.engine.after(ctx, at, limit)
	f.reads.Add(int64(len(rows)))
	return rows, err
}

func (f *Faults) entries(ctx context.Context, at Position, limit int) ([]row, error) {
	rows, err := f.engine.entries(ctx, at, limit)
	f.reads.Add(int64(len(rows)))
	return rows, err
}

func (f *Faults) at(ctx context.Context, at []Position) ([]row, error) {
	rows, err := f.engine.at(ctx, at)
	f.reads.Add(int64(len(rows)))
	return rows, err
}

func (f *Faults) stream(ctx context.Context, s Stream, after Version, limit int) ([]row, error) {
	rows, err := f.engine.stream(ctx, s, after, limit)
	f.reads.Add(int64(len(rows)))
	return rows, err
}

type faultyTransaction struct {
	transaction
	faults *Faults
}

func (b faultyTransaction) commit(ctx context.Context, rows []row, head Head) error {
	if err := b.faults.reach(BeforeCommit); err != nil {
		b.rollback()
		return atCommit(err)
	}
	if err := b.transaction.commit(ctx, rows, head); err != nil {
		return err
	}
	return atCommit(b.faults.reach(AfterCommit))
}
