package audit

import (
	"bufio"
	"cmp"
	"container/heap"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"

	"kassa/domain"
	"kassa/eventstore"
)

// nameKind is a kind of name that may be used by one entry of the log only.
type nameKind uint64

const (
	commandName nameKind = iota
	paymentName
	predictionName
	emailName
)

// names remember which entry uses which name, to find those that are used twice, in 16
// bytes each: a hash of the name, and the position. They are sorted in a temporary file,
// so that memory does not grow with the log. The hashes are keyed, and the file is
// removed as soon as it is open.
type names struct {
	key    [16]byte
	buffer []use
	file   *os.File // nil while the buffer is enough
	runs   []run
	end    int64    // of the file
	kept   *os.File // of an earlier replay; nil for none
}

// use is one name in one entry. The lowest bits of the hash are the name's kind.
type use struct {
	hash uint64
	at   eventstore.Position
}

func (u use) kind() nameKind { return nameKind(u.hash & 3) }

func compareUses(a, b use) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.at, b.at)) }

// run is a sorted part of a file.
type run struct {
	file        *os.File
	from, bytes int64
}

// usesAtOnce is how many uses are sorted in memory: 8 MiB.
var usesAtOnce = 1 << 19

const (
	useBytes    = 16
	bytesOfARun = 64 << 10 // that are in memory of each run
)

func newNames() *names {
	n := &names{}
	rand.Read(n.key[:])
	return n
}

// add notes that the entry at a position uses a name.
func (n *names) add(kind nameKind, name string, at eventstore.Position) error {
	h := sha256.New()
	h.Write(n.key[:])
	h.Write([]byte(name))
	var sum [sha256.Size]byte
	n.buffer = append(n.buffer, use{binary.BigEndian.Uint64(h.Sum(sum[:0]))&^3 | uint64(kind), at})
	if len(n.buffer) < usesAtOnce {
		return nil
	}
	return n.spill()
}

// spill writes the buffer as a run.
func (n *names) spill() (err error) {
	if n.file == nil {
		if n.file, err = temporaryFile(); err != nil {
			return err
		}
	}
	slices.SortFunc(n.buffer, compareUses)
	out := bufio.NewWriterSize(io.NewOffsetWriter(n.file, n.end), bytesOfARun)
	for _, u := range n.buffer {
		b := u.bytes()
		out.Write(b[:]) // Flush gives the error
	}
	length := int64(len(n.buffer)) * useBytes
	n.runs, n.end, n.buffer = append(n.runs, run{n.file, n.end, length}), n.end+length, n.buffer[:0]
	return out.Flush()
}

// temporaryFile opens a file that is gone when it is closed.
func temporaryFile() (*os.File, error) {
	file, err := os.CreateTemp("", "kassa-verify-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // where an open file cannot be removed, close does
	return file, nil
}

func (n *names) close() (err error) {
	if n.kept != nil {
		err = n.kept.Close()
	}
	if n.file == nil {
		return err
	}
	err = errors.Join(err, n.file.Close())
	if gone := os.Remove(n.file.Name()); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// count is the number of uses.
func (n *names) count() int64 {
	count := int64(len(n.buffer))
	for _, r := range n.runs {
		count += r.bytes / useBytes
	}
	return count
}

// bytes is the use in a file.
func (u use) bytes() (b [useBytes]byte) {
	binary.BigEndian.PutUint64(b[:8], u.hash)
	binary.BigEndian.PutUint64(b[8:], uint64(u.at))
	return b
}

// sorted are all uses in the order of their hashes and positions.
func (n *names) sorted() merged {
	slices.SortFunc(n.buffer, compareUses)
	rest := n.buffer
	sources := merged{{next: func() (u use, err error) {
		if len(rest) == 0 {
			return use{}, io.EOF
		}
		u, rest = rest[0], rest[1:]
		return u, nil
	}}}
	for _, r := range n.runs {
		in := bufio.NewReaderSize(io.NewSectionReader(r.file, r.from, r.bytes), bytesOfARun)
		sources = append(sources, &source{next: func() (use, error) {
			var b [useBytes]byte
			_, err := io.ReadFull(in, b[:])
			return use{binary.BigEndian.Uint64(b[:8]), eventstore.Position(binary.BigEndian.Uint64(b[8:]))}, err
		}})
	}
	return sources
}

// repeated calls fn with the uses of each hash that is there more than once, in order of
// position.
func (n *names) repeated(fn func([]use) error) error {
	var same []use
	err := n.sorted().each(func(u use) error {
		if len(same) > 0 && same[0].hash == u.hash {
			same = append(same, u)
			return nil
		}
		group := same
		same = []use{u}
		if len(group) < 2 {
			return nil
		}
		return fn(group)
	})
	if err == nil && len(same) > 1 {
		err = fn(same)
	}
	return err
}

// source is a sorted sequence of uses.
type source struct {
	next  func() (use, error) // io.EOF at the end
	first use
}

// merged is a heap of sources by their first use.
type merged []*source

func (m merged) Len() int           { return len(m) }
func (m merged) Less(i, j int) bool { return compareUses(m[i].first, m[j].first) < 0 }
func (m merged) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merged) Push(any)          {} // none is added
func (m *merged) Pop() any          { *m = (*m)[:len(*m)-1]; return nil }

// each calls fn with all uses, in order.
func (m merged) each(fn func(use) error) error {
	var err error
	m = slices.DeleteFunc(m, func(s *source) bool {
		var end error
		if s.first, end = s.next(); end != nil && !errors.Is(end, io.EOF) {
			err = end
		}
		return end != nil
	})
	heap.Init(&m)
	for len(m) > 0 && err == nil {
		if err = fn(m[0].first); err != nil {
			return err
		}
		u, end := m[0].next()
		switch {
		case errors.Is(end, io.EOF):
			heap.Pop(&m)
		case end != nil:
			return end
		default:
			m[0].first = u
			heap.Fix(&m, 0)
		}
	}
	return err
}

// nameIn is the name of a kind that an entry uses, "" for none.
func nameIn(kind nameKind, rec eventstore.Recorded) string {
	switch e := rec.Event.(type) {
	case domain.Deposited:
		if kind == paymentName {
			return string(eventstore.PaymentStream(e.Provider, e.Payment))
		}
	case domain.Withdrawn:
		if kind == paymentName {
			return string(eventstore.PayoutStream(e.Provider, e.Payment))
		}
	case domain.PredictionRequested:
		if kind == predictionName {
			return string(e.Prediction)
		}
	case domain.EmailClaimed:
		if kind == emailName {
			return claimName(rec)
		}
	}
	if kind == commandName {
		command, _ := rec.Cause.Command()
		return command.ID
	}
	return ""
}

// repeatedNames finds the entries that use a name again.
func (r *replay) repeatedNames(ctx context.Context) (list []*Fault, err error) {
	err = r.names.repeated(func(group []use) error {
		first := map[string]eventstore.Position{}
		for _, u := range group { // two names may have one hash, once in many billions
			rec, err := r.entryAt(ctx, u.at)
			if err != nil {
				return err
			}
			name := nameIn(u.kind(), rec)
			if at, met := first[name]; met && name != "" {
				list = append(list, repeatedFault(u.kind(), rec, name, at))
			} else {
				first[name] = u.at
			}
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b *Fault) int { return cmp.Compare(a.Position, b.Position) })
	return list, err
}

func repeatedFault(kind nameKind, rec eventstore.Recorded, name string, first eventstore.Position) *Fault {
	var f *Fault
	switch kind {
	case commandName:
		f = fault(CommandRepeated, rec.Position, "the command %s was done before, at position %d", name, first)
	case paymentName:
		f = fault(PaymentRepeated, rec.Position, "the payment of %q was booked before, at position %d", name, first)
	case predictionName:
		f = fault(PredictionRepeated, rec.Position, "the prediction %s was asked before, at position %d", name, first)
	case emailName:
		f = fault(ClaimNotAlone, rec.Position, "an e-mail's claim is not alone in its stream")
	}
	f.Stream = rec.Stream
	return f
}

// run replays all rows, ends with finish, and then finds the names that are used again, as if
// each had been found at its entry: a command or a claim that comes again ends the replay there.
func (r *replay) run(ctx context.Context, finish func(context.Context) error) error {
	from := r.at
	if from == 0 {
		from = math.MinInt64 // a forger may have put rows before the first
	}
	err := r.store.Rows(ctx, from, func(rows []eventstore.Stored) error { return r.rows(ctx, rows) })
	if err == nil || errors.Is(err, errBehindHead) {
		err = finish(ctx)
	}
	list, unread := r.repeatedNames(ctx)
	if unread != nil {
		return errors.Join(err, unread)
	}
	ends := slices.IndexFunc(list, func(f *Fault) bool { return f.Code == CommandRepeated || f.Code == ClaimNotAlone })
	if ends >= 0 {
		last := list[ends]
		list, err, r.at = list[:ends], last, last.Position-1
		r.found.upTo(last)
	}
	r.found.insert(list)
	return err
}
