package projections

import (
	"context"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
)

// The state of a view is one hash of all its rows, in any order: LtHash, the sum of 1,024
// numbers of 16 bits for each row (docs/format.md). So a replay adds and takes away the rows
// that an entry changes, and whoever reads the tables need not sort them.

// lanes is how many numbers a row is hashed to.
const lanes = 1024

// rowSum is the sum of rows.
type rowSum [lanes]uint16

func (s *rowSum) add(row Row) {
	for i, n := range hashed(row) {
		s[i] += n
	}
}

// hashed is what a row adds: SHAKE128 of its key, a byte of 0, and its other columns.
func hashed(row Row) (numbers rowSum) {
	h := sha3.NewSHAKE128()
	h.Write([]byte(row.Key))
	h.Write([]byte{0})
	h.Write([]byte(row.Text))
	var bytes [2 * lanes]byte
	h.Read(bytes[:])
	for i := range numbers {
		numbers[i] = binary.LittleEndian.Uint16(bytes[2*i:])
	}
	return numbers
}

// leastInParallel is how many rows are worth a goroutine.
const leastInParallel = 64

// sumOf adds up rows, on all processors.
func sumOf(rows []Row) (all rowSum) {
	parts := max(1, min(runtime.GOMAXPROCS(0), len(rows)/leastInParallel))
	sums := make([]rowSum, parts)
	var working sync.WaitGroup
	for i := range sums {
		working.Go(func() {
			for _, row := range rows[len(rows)*i/parts : len(rows)*(i+1)/parts] {
				sums[i].add(row)
			}
		})
	}
	working.Wait()
	for i := range sums {
		all.plus(&sums[i])
	}
	return all
}

func (s *rowSum) plus(more *rowSum) {
	for i := range s {
		s[i] += more[i]
	}
}

func (s *rowSum) minus(less *rowSum) {
	for i := range s {
		s[i] -= less[i]
	}
}

// state is the hash over the sum, in hexadecimal.
func (s *rowSum) state() string {
	var bytes [2 * lanes]byte
	for i, n := range s {
		binary.LittleEndian.PutUint16(bytes[2*i:], n)
	}
	sum := sha256.Sum256(bytes[:])
	return hex.EncodeToString(sum[:])
}

// gathered are rows of a table on their way into its sum.
type gathered struct {
	table string
	rows  []Row
	sum   rowSum
}

// gatherAtOnce bounds the rows that wait.
const gatherAtOnce = 4096

func (g *gathered) add(row Row) {
	if !ofState(g.table, row) {
		return
	}
	if g.rows = append(g.rows, row); len(g.rows) == gatherAtOnce {
		g.finish()
	}
}

// finish adds the rows that wait.
func (g *gathered) finish() {
	more := sumOf(g.rows)
	g.sum.plus(&more)
	g.rows = g.rows[:0]
}

// ofState reports whether a row counts: sums of nothing do not, because not every form of the
// trial balance has a row for them.
func ofState(table string, row Row) bool { return table != trialTable || row.Text != "amount=0" }

// Stated folds a log, in order, into the states of one view.
type Stated struct {
	table string
	fold  expectation
	sum   rowSum // of rows that do not change any more; of a view with a row for each name, of all at the last State
}

// StatedBy gives the fold of an empty log for a view that is attested, nil for one that this
// program does not know.
func StatedBy(view string) *Stated {
	for _, p := range declared {
		if p.Table() != view {
			continue
		}
		fold := p.Expect()
		if named, ok := fold.(noting); ok {
			fold = named.noted()
		}
		return &Stated{table: view, fold: fold}
	}
	return nil
}

// noting are expectations of which all rows may change, and which note those that do.
type noting interface {
	noted() expectation
	// changed calls each with the rows that were changed since it was called last, as they
	// were then and as they are.
	changed(each func(was bool, row Row))
}

// Apply folds entries that follow. An error wraps domain.ErrBroken.
func (s *Stated) Apply(batch []eventstore.Recorded) error {
	done := gathered{table: s.table}
	err := s.fold.apply(batch, done.add)
	done.finish()
	s.sum.plus(&done.sum)
	return err
}

// State is the state of the view now.
func (s *Stated) State() string {
	if named, ok := s.fold.(noting); ok {
		gone, come := gathered{table: s.table}, gathered{table: s.table}
		named.changed(func(was bool, row Row) {
			if was {
				gone.add(row)
			} else {
				come.add(row)
			}
		})
		gone.finish()
		come.finish()
		s.sum.minus(&gone.sum)
		s.sum.plus(&come.sum)
		return s.sum.state()
	}
	rest := gathered{table: s.table, sum: s.sum}
	s.fold.rest(rest.add)
	rest.finish()
	return rest.sum.state()
}

// ReadStates gives the states of the tables that this program serves from, in the order of
// their names, as one snapshot of the database sees them. Views that reads refuse are left
// out: they serve nobody. It reads every row, and keeps no writer waiting.
func ReadStates(ctx context.Context, pool *pgxpool.Pool) (views []domain.AttestedView, err error) {
	var list []*gathered
	err = readTables(ctx, pool, readServedPositions, func(at TableAt) func(Row) {
		if at.Fault != "" || at.Position == 0 {
			return nil
		}
		g := &gathered{table: at.Table}
		list = append(list, g)
		views = append(views, domain.AttestedView{View: at.Table, Position: int64(at.Position)})
		return g.add
	})
	if err != nil {
		return nil, err
	}
	for i, g := range list {
		g.finish()
		views[i].State = g.sum.state()
	}
	slices.SortFunc(views, func(a, b domain.AttestedView) int { return strings.Compare(a.View, b.View) })
	return views, nil
}

// States gives the states of what is served from memory: balances, persons and the trial
// balance, in the order of their names. Histories are read from the log. Only copying keeps
// the views waiting.
func (m *Memory) States() []domain.AttestedView {
	m.mu.RLock()
	position, all, house := m.position, m.all, maps.Clone(m.house)
	people := make([]User, len(m.users))
	for i, w := range m.users {
		people[i] = w.user
	}
	m.mu.RUnlock()
	if position == 0 {
		return nil
	}
	house[allUsers] = domain.Credits(len(people))
	house[allAvailable], house[allHeld], house[allGiven], house[allGivenHeld] = all.Available, all.Held, all.Given, all.GivenHeld
	state := func(table string, give func(each func(Row))) domain.AttestedView {
		g := gathered{table: table}
		give(g.add)
		g.finish()
		return domain.AttestedView{View: table, Position: int64(position), State: g.sum.state()}
	}
	return []domain.AttestedView{
		state(balancesTable, func(each func(Row)) {
			for _, u := range people {
				giveAll(balanceFields(u.ID, u.Balance), each)
			}
		}),
		state(trialTable, func(each func(Row)) {
			for account, amount := range house {
				giveAll(trialFields(account, amount), each)
			}
		}),
		state(usersTable, func(each func(Row)) {
			for _, u := range people {
				giveAll(userFields(u.ID, u), each)
			}
		}),
	}
}
