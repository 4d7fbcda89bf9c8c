package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"kassa/eventstore"
	"kassa/projections"
)

// servedViews compares the tables from which reads are served with what the log gives,
// row by row and column by column, each at its own position.
//
//  1. readServed sums hashes of the stored rows, in one short snapshot of the
//     database
//  2. check, as a check of Verify, folds the log up to each table's position and
//     subtracts the hashes of the expected rows from the sums
//  3. compare: a sum that is not zero differs. Only then both are read again, and
//     the rows of those sums are compared one by one
//
// So memory grows with accounts and open predictions, as the replay's does, and not
// with rows; and no long transaction holds back the database's vacuum.
type servedViews struct {
	tables Tables
	key    [32]byte // random, so that an attacker cannot prepare rows with equal sums
	list   []*served
	batch  []eventstore.Recorded // not folded yet
}

// Tables reads the served tables: projections.ReadTables on its pool.
type Tables func(ctx context.Context, begin func(projections.TableAt) (each func(projections.Row))) error

// side is where a row comes from.
type side int

const (
	stored side = iota
	expected
)

// served is one table.
type served struct {
	projections.TableAt
	fold     *projections.Expected
	sums     []sum
	rows     int                  // stored
	kept     [2]map[string]string // by side: rows by key, of the sums that differ
	suspects *suspects            // nil in the first pass
}

// suspects are the sums of a table that differ.
type suspects struct {
	places map[int]bool // at most sumsLookedAt
	more   int          // others that differ
}

// sum is the sum of hashes of rows, in any order.
type sum [2]uint64

// sumsATable is the number of sums of a table. A row belongs to one by its key, so for
// one wrong row only few others are compared.
const sumsATable = 1 << 14

// Limits of what is compared, and of what is reported, for one table.
const (
	sumsLookedAt   = 64
	maxDifferences = 20
)

// readServed is step 1.
func readServed(ctx context.Context, tables Tables) (*servedViews, error) {
	s := &servedViews{tables: tables}
	rand.Read(s.key[:])
	return s, s.read(ctx, nil)
}

// read reads the tables; differs are the sums of each that differed, nil in the first
// pass.
func (s *servedViews) read(ctx context.Context, differs map[string]*suspects) error {
	s.list = nil
	return s.tables(ctx, func(at projections.TableAt) func(projections.Row) {
		t := &served{TableAt: at, fold: projections.Expect(at.Table), sums: make([]sum, sumsATable),
			kept: [2]map[string]string{{}, {}}, suspects: differs[at.Table]}
		s.list = append(s.list, t)
		return func(row projections.Row) {
			t.rows++
			s.add(t, stored, row)
		}
	})
}

// add adds a stored row's hash to its sum, or subtracts an expected one's. In the
// second pass it keeps the row instead, if its sum differed.
func (s *servedViews) add(t *served, from side, row projections.Row) {
	place, hash := s.hash(row)
	if t.suspects != nil {
		if t.suspects.places[place] {
			t.keepRow(from, row)
		}
		return
	}
	for i, h := range hash {
		if from == expected {
			h = -h
		}
		t.sums[place][i] += h
	}
}

// keepRow keeps a row for comparison. Two rows with one key, where the table has lost
// its key, are joined to one text.
func (t *served) keepRow(from side, row projections.Row) {
	if before, twice := t.kept[from][row.Key]; twice {
		row.Text = before + ", and again " + row.Text
	}
	t.kept[from][row.Key] = row.Text
}

// hash returns the sum to which a row belongs, by its key alone, and its hash.
func (s *servedViews) hash(row projections.Row) (place int, h sum) {
	b := sha256.Sum256(slices.Concat(s.key[:], []byte(row.Key)))
	place = int(binary.BigEndian.Uint64(b[:]) % sumsATable)
	b = sha256.Sum256(slices.Concat(s.key[:], []byte(row.Key), []byte{0}, []byte(row.Text)))
	return place, sum{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

// foldAtOnce is how many entries are folded together.
const foldAtOnce = 1000

// check is step 2: a Check for Verify.
func (s *servedViews) check(rec eventstore.Recorded) error {
	if s.batch = append(s.batch, rec); len(s.batch) < foldAtOnce {
		return nil
	}
	return s.foldBatch()
}

// foldBatch folds the batch into each table that has reached it.
func (s *servedViews) foldBatch() error {
	for _, t := range s.list {
		held, _ := slices.BinarySearchFunc(s.batch, t.Position+1, func(rec eventstore.Recorded, at eventstore.Position) int {
			return cmp.Compare(rec.Position, at)
		})
		if err := t.fold.Apply(s.batch[:held], func(row projections.Row) { s.add(t, expected, row) }); err != nil {
			return err
		}
	}
	s.batch = s.batch[:0]
	return nil
}

// finish folds the rest, and adds the rows that later entries could have changed.
func (s *servedViews) finish() error {
	err := s.foldBatch()
	for _, t := range s.list {
		t.fold.Rest(func(row projections.Row) { s.add(t, expected, row) })
	}
	return err
}

// ServedView is one table that was compared.
type ServedView struct {
	Table    string              `json:"table"`
	Position eventstore.Position `json:"position"`
	Rows     int                 `json:"rows"`
}

// compare is step 3, after the log was proved up to the head.
func (s *servedViews) compare(ctx context.Context, log FullLog, head eventstore.Head, found *Faults) ([]ServedView, error) {
	if err := s.finish(); err != nil {
		return nil, err
	}
	var views []ServedView
	differs := map[string]*suspects{}
	for _, t := range s.list {
		switch {
		case t.Fault != "":
			found.add(t.fault(ViewMissing, "the view cannot be compared: %s", t.Fault))
		case t.Position > head.Size:
			found.add(t.fault(ViewAhead, "the view is ahead of the log").between(head.Size, t.Position))
		default:
			views = append(views, ServedView{t.Table, t.Position, t.rows})
			if left := t.nonzero(); left != nil {
				differs[t.Table] = left
			}
		}
	}
	if len(differs) == 0 {
		return views, nil
	}
	return views, s.compareRows(ctx, log, differs, found)
}

// fault is a fault of the whole table.
func (t *served) fault(code Code, format string, args ...any) *Fault {
	f := fault(code, t.Position, format, args...)
	f.View = t.Table
	return f
}

// nonzero returns the sums that are not zero, nil if all are.
func (t *served) nonzero() *suspects {
	var found *suspects
	for place, left := range t.sums {
		if left == (sum{}) {
			continue
		}
		if found == nil {
			found = &suspects{places: map[int]bool{}}
		}
		if len(found.places) < sumsLookedAt {
			found.places[place] = true
		} else {
			found.more++
		}
	}
	return found
}

// errPastViews ends a scan: no table has reached this entry.
var errPastViews = errors.New("past the views")

// compareRows reads tables and log again, and finds the rows that differ.
func (s *servedViews) compareRows(ctx context.Context, log FullLog, differs map[string]*suspects, found *Faults) error {
	if err := s.read(ctx, differs); err != nil {
		return err
	}
	s.list = slices.DeleteFunc(s.list, func(t *served) bool { return t.suspects == nil })
	var end eventstore.Position
	for _, t := range s.list {
		end = max(end, t.Position)
	}
	err := log.Scan(ctx, 0, func(page []eventstore.Recorded) error {
		if page[0].Position > end {
			return errPastViews
		}
		s.batch = page
		return s.foldBatch()
	})
	if err != nil && !errors.Is(err, errPastViews) {
		return err
	}
	s.batch = nil
	if err := s.finish(); err != nil {
		return err
	}
	for _, t := range s.list {
		t.differences(found)
	}
	return nil
}

// differences compares the rows one by one.
func (t *served) differences(found *Faults) {
	have, want := t.kept[stored], t.kept[expected]
	keys := map[string]bool{}
	for _, rows := range t.kept {
		for key := range rows {
			if orNone(have, key) != orNone(want, key) {
				keys[key] = true
			}
		}
	}
	if len(keys) == 0 {
		found.add(t.fault(ViewDiffers, "rows were not what the log gives, and when they were looked at again they were"))
	}
	for i, key := range slices.Sorted(maps.Keys(keys)) {
		if i == maxDifferences {
			found.add(t.fault(ViewDiffers, "%d more rows are not what the log gives", len(keys)-i))
			break
		}
		f := t.fault(ViewDiffers, "a row is not what the log gives").between(orNone(want, key), orNone(have, key))
		f.Key = key
		found.add(f)
	}
	if t.suspects.more > 0 {
		found.add(t.fault(ViewDiffers, "there are more such rows: of %d sums over the table, %d more differ", sumsATable, t.suspects.more))
	}
}

// orNone is the row's text, or "none".
func orNone(rows map[string]string, key string) string {
	if text, there := rows[key]; there {
		return text
	}
	return "no such row"
}
