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

// servedViews compares the tables that people's questions are answered from with what
// the log gives, row by row and column by column, each at its own position.
//
//  1. readServed sums up hashes of the stored rows, in one short snapshot of the
//     database
//  2. check, as a check of Verify, folds the log up to each table's position and
//     takes the hashes of the rows that it gives away from the sums
//  3. compare: a sum that is not zero differs. Only then both are read again, and
//     the rows behind those sums are compared one by one
//
// So memory grows with accounts and open predictions, as the replay's does, and not
// with rows; and no long transaction holds up the database's vacuum.
type servedViews struct {
	tables Tables
	key    [32]byte // of the hashes: nobody can prepare rows whose sums agree
	list   []*served
	batch  []eventstore.Recorded // not folded yet
}

// Tables reads the served tables: projections.ReadTables on its pool.
type Tables func(ctx context.Context, begin func(projections.TableAt) (each func(projections.Row))) error

// side says where a row comes from.
type side int

const (
	stored side = iota
	expected
)

// served is one table.
type served struct {
	projections.TableAt
	fold  *projections.Expected
	sums  []sum
	rows  int                  // stored
	kept  [2]map[string]string // by side: rows by key behind the suspect sums
	again *suspects            // nil in the first reading
}

// suspects are the sums of a table that differed.
type suspects struct {
	places map[int]bool // at most sumsLookedAt
	more   int          // that differed too
}

// sum adds up hashes of rows, whatever their order.
type sum [2]uint64

// sumsATable is into how many sums the rows of a table go, by their keys: where one
// row differs, a few others are looked at beside it.
const sumsATable = 1 << 14

// These bound what is looked at, and what is listed, of one table.
const (
	sumsLookedAt    = 64
	differencesMost = 20
)

// readServed is step 1.
func readServed(ctx context.Context, tables Tables) (*servedViews, error) {
	s := &servedViews{tables: tables}
	rand.Read(s.key[:])
	return s, s.read(ctx, nil)
}

// read reads the tables; differs says of each which sums differed, nil the first time.
func (s *servedViews) read(ctx context.Context, differs map[string]*suspects) error {
	s.list = nil
	return s.tables(ctx, func(at projections.TableAt) func(projections.Row) {
		t := &served{TableAt: at, fold: projections.Expect(at.Table), sums: make([]sum, sumsATable),
			kept: [2]map[string]string{{}, {}}, again: differs[at.Table]}
		s.list = append(s.list, t)
		return func(row projections.Row) {
			t.rows++
			s.add(t, stored, row)
		}
	})
}

// add counts a row in: a stored one is added, an expected one taken away. In the second
// reading it is kept instead, where its sum differed.
func (s *servedViews) add(t *served, from side, row projections.Row) {
	place, hash := s.hash(row)
	if t.again != nil {
		if t.again.places[place] {
			t.keep(from, row)
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

// keep keeps a row to be compared. Two rows with one key, where the table has lost its
// key, are one text.
func (t *served) keep(from side, row projections.Row) {
	if before, twice := t.kept[from][row.Key]; twice {
		row.Text = before + ", and again " + row.Text
	}
	t.kept[from][row.Key] = row.Text
}

// hash gives the sum in which a row counts, by its key alone, and what it adds.
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

// foldBatch folds the entries that came into each table that holds them.
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

// finish folds what is left, and counts in the rows that later entries could change.
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
func (s *servedViews) compare(ctx context.Context, store *eventstore.Store, head eventstore.Head, found *Faults) ([]ServedView, error) {
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
			if left := t.left(); left != nil {
				differs[t.Table] = left
			}
		}
	}
	if len(differs) == 0 {
		return views, nil
	}
	return views, s.lookAgain(ctx, store, differs, found)
}

// fault is one of the whole table.
func (t *served) fault(code Code, format string, args ...any) *Fault {
	f := fault(code, t.Position, format, args...)
	f.View = t.Table
	return f
}

// left gives the sums that are not zero, nil where all are.
func (t *served) left() *suspects {
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

// errPastViews ends a scan: no table holds more.
var errPastViews = errors.New("past the views")

// lookAgain reads tables and log once more, and finds the rows that differ.
func (s *servedViews) lookAgain(ctx context.Context, store *eventstore.Store, differs map[string]*suspects, found *Faults) error {
	if err := s.read(ctx, differs); err != nil {
		return err
	}
	s.list = slices.DeleteFunc(s.list, func(t *served) bool { return t.again == nil })
	var end eventstore.Position
	for _, t := range s.list {
		end = max(end, t.Position)
	}
	err := store.Scan(ctx, 0, func(page []eventstore.Recorded) error {
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

// differences compares row with row.
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
		if i == differencesMost {
			found.add(t.fault(ViewDiffers, "%d more rows are not what the log gives", len(keys)-i))
			break
		}
		f := t.fault(ViewDiffers, "a row is not what the log gives").between(orNone(want, key), orNone(have, key))
		f.Key = key
		found.add(f)
	}
	if t.again.more > 0 {
		found.add(t.fault(ViewDiffers, "there are more such rows: of %d sums over the table, %d more differ", sumsATable, t.again.more))
	}
}

// orNone is the row's text, or says that there is none.
func orNone(rows map[string]string, key string) string {
	if text, there := rows[key]; there {
		return text
	}
	return "no such row"
}
