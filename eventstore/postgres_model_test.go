package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// Several processes append to one database. Their batches stall, fail and are cut
// between BEGIN and COMMIT, sessions of strangers hold the head, write what they
// never commit, and are killed, and readers poll. Whatever the interleaving: a
// reader at position N has seen everything up to N, with no gap and with nothing
// that comes later; what was acknowledged is there once, at its place; and the tree
// holds. A process that is alone has two batches under way. KASSA_SEED chooses the
// interleaving, as far as a machine lets one choose.
func TestPostgresInterleavings(t *testing.T) {
	for _, processes := range []int{1, 3} {
		t.Run(fmt.Sprint("processes=", processes), func(t *testing.T) { interleave(t, processes, 12/processes) })
	}
}

func interleave(t *testing.T, processes, writers int) {
	disturbances := 60
	if s := os.Getenv("KASSA_FAULTS"); s != "" {
		var err error
		disturbances, err = strconv.Atoi(s)
		must(t, err)
	}
	m := newInterleaving(t)
	for range processes {
		m.process()
	}
	var writing, reading sync.WaitGroup
	for i, p := range m.processes {
		for w := range writers {
			writing.Go(func() { m.write(p, i*writers+w) })
		}
		reading.Go(func() { m.poll(fmt.Sprint("process ", i+1), p.after) })
	}
	reading.Go(func() { m.poll("plain SQL", m.afterSQL) })
	faults := map[string]int{}
	for range disturbances {
		<-time.After(time.Duration(1+m.random.IntN(20)) * time.Millisecond)
		faults[m.disturb()]++
	}
	close(m.enough)
	writing.Wait()
	for _, p := range m.processes {
		p.faults.Once(eventstore.BeforeCommit, func() error { return nil }) // what was planned happens no more
	}
	log := eventstoretest.CheckLog(t, m.processes[0].store)
	m.end.Store(int64(len(log)))
	reading.Wait()
	m.compare(log)
	t.Logf("%d entries; %v; %d times two batches were under way", len(log), faults, m.processes[0].faults.Pipelined())
}

// interleaving is the model: what was acknowledged, and what each reader saw.
type interleaving struct {
	t         *testing.T
	url       string
	random    *rand.Rand
	processes []*appender
	stranger  *pgx.Conn     // that kills
	enough    chan struct{} // closed when writers are to end

	mu   sync.Mutex
	done map[string]eventstore.Receipt // acknowledged, by the command's key
	seen map[string][]eventstore.Recorded
	end  atomic.Int64 // where readers stop; 0 while there are writers
}

// appender is a process with faults in its engine.
type appender struct {
	store  *eventstore.Store
	faults *eventstore.Faults
}

func newInterleaving(t *testing.T) *interleaving {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KASSA_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		must(t, err)
	}
	t.Logf("KASSA_SEED=%d", seed)
	m := &interleaving{t: t, url: schematest.Postgres(t), random: rand.New(rand.NewPCG(seed, 0)),
		enough: make(chan struct{}), done: map[string]eventstore.Receipt{}, seen: map[string][]eventstore.Recorded{}}
	m.stranger = connect(t, m.url)
	return m
}

func (m *interleaving) process() {
	pool, err := schema.OpenPostgres(m.t.Context(), m.url, 6)
	must(m.t, err)
	m.t.Cleanup(pool.Close)
	store, faults, err := eventstore.OpenFaultsPostgres(m.t.Context(), pool)
	must(m.t, err)
	m.t.Cleanup(store.Close)
	m.processes = append(m.processes, &appender{store, faults})
}

// write appends to one after another of a few streams, which it shares with others.
func (m *interleaving) write(p *appender, writer int) {
	for i := 0; ; i++ {
		select {
		case <-m.enough:
			return
		default:
		}
		key, stream := fmt.Sprintf("%d-%d", writer, i), eventstore.Stream(fmt.Sprint("s-", (writer+i)%5))
		r, err := m.insist(p, key, stream, 1+(writer+i)%3)
		if err != nil {
			m.t.Errorf("append %s: %v", key, err)
			return
		}
		m.mu.Lock()
		m.done[key] = r
		m.mu.Unlock()
	}
}

// insist reads the version, decides, and appends, as a command does. What is
// unknown, or failed, is sent again with the same key until it is known.
func (m *interleaving) insist(p *appender, key string, s eventstore.Stream, events int) (r eventstore.Receipt, err error) {
	for m.t.Context().Err() == nil {
		var version eventstore.Version
		if version, err = m.version(p, s); err == nil {
			if r, err = p.store.Append(m.t.Context(), commanded(plain(s, version, events), key, "x")); err == nil {
				return r, nil
			}
		}
		if errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrKeyReused) {
			return r, err
		}
	}
	return r, m.t.Context().Err()
}

func (m *interleaving) version(p *appender, s eventstore.Stream) (at eventstore.Version, err error) {
	for {
		page, err := p.store.Stream(m.t.Context(), s, at, 500)
		if err != nil || len(page) == 0 {
			return at, err
		}
		at += eventstore.Version(len(page))
	}
}

func (p *appender) after(ctx context.Context, at eventstore.Position) ([]eventstore.Recorded, error) {
	return p.store.After(ctx, at, 7)
}

// afterSQL reads rows as they stand in the table, and lets nobody check them.
func (m *interleaving) afterSQL(ctx context.Context, at eventstore.Position) ([]eventstore.Recorded, error) {
	conn, err := pgx.Connect(ctx, m.url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, _ := conn.Query(ctx, `SELECT entry FROM events WHERE position > $1 ORDER BY position LIMIT 11`, at)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (rec eventstore.Recorded, err error) {
		var entry []byte
		if err = row.Scan(&entry); err != nil {
			return rec, err
		}
		return eventstore.Decode(entry)
	})
}

// poll reads from the beginning to the end, again and again behind what it saw.
// A gap would be filled later, and a late arrival would stand before: neither may
// ever be seen.
func (m *interleaving) poll(name string, after func(context.Context, eventstore.Position) ([]eventstore.Recorded, error)) {
	var all []eventstore.Recorded
	for end := int64(0); end == 0 || int64(len(all)) < end; end = m.end.Load() {
		at := eventstore.Position(len(all))
		page, err := after(m.t.Context(), at)
		if errors.Is(err, eventstore.ErrCorrupt) || m.t.Context().Err() != nil {
			m.t.Errorf("%s after %d: %v", name, at, err)
			return
		}
		for i, rec := range page { // none where the session was cut
			if want := at + eventstore.Position(i) + 1; rec.Position != want {
				m.t.Errorf("%s saw position %d after %d: a gap", name, rec.Position, want-1)
				return
			}
		}
		all = append(all, page...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[name] = all
}

// compare holds what readers saw, and what was acknowledged, against the log.
func (m *interleaving) compare(log []eventstore.Recorded) {
	m.t.Helper()
	same := func(a, b eventstore.Recorded) bool { return bytes.Equal(a.Entry, b.Entry) }
	for name, saw := range m.seen {
		if !slices.EqualFunc(saw, log, same) {
			m.t.Errorf("%s saw %d entries that are not the %d of the log: something arrived late", name, len(saw), len(log))
		}
	}
	if len(m.seen) != len(m.processes)+1 {
		m.t.Errorf("%d readers came to the end", len(m.seen))
	}
	events := 0
	for key, r := range m.done {
		for _, rec := range r.Events {
			events++
			if rec.Position > eventstore.Position(len(log)) || !same(rec, log[rec.Position-1]) {
				m.t.Errorf("the append %s was acknowledged at position %d, where something else stands", key, rec.Position)
			}
		}
	}
	if events != len(log) {
		m.t.Errorf("%d events were acknowledged, the log has %d", events, len(log))
	}
}
