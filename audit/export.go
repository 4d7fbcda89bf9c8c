package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/domain"
	"kassa/eventstore"
)

// Format is the form of an export.
type Format string

// The formats. JSONL has all of each entry, and can be verified and imported; the others
// are views of it for tools of others, and have no personal data, not even sealed.
const (
	JSONL     Format = "jsonl"
	CSV       Format = "csv"
	Hledger   Format = "hledger"
	Beancount Format = "beancount"
)

// Export writes a part of the log in the form of a format. Its memory does not grow with
// the entries; that of the two journals grows with the accounts.
type Export struct {
	Log      FullLog
	Format   Format
	From     eventstore.Position // 0: from the beginning
	UpTo     eventstore.Position // at most the log's size
	Progress Progress            // nil, or called while the log is read
}

// ExportHead is the first line of a JSONL export.
type ExportHead struct {
	Format  string              `json:"format"` // exportFormat
	Version int                 `json:"version"`
	From    eventstore.Position `json:"from"`
	UpTo    eventstore.Position `json:"upto"`
	Root    eventstore.Hash     `json:"root"` // of the tree over all entries of the log up to UpTo
}

const (
	exportFormat  = "kassa-log"
	exportVersion = 1
)

// Head is the size and root of the log that ends with the export.
func (h ExportHead) Head() eventstore.Head { return eventstore.Head{Size: h.UpTo, Root: h.Root} }

// ErrRange: the log does not have the entries that are asked for.
var ErrRange = errors.New("audit: the log does not have these entries")

// writer writes the entries of an export in one form.
type writer interface {
	// before takes an entry in front of the export's first one.
	before(eventstore.Recorded) error
	write(exported) error
	end() error
}

// exported is an entry on its way out. The leaf is the stored one: a changed entry is to be
// found in the export as in the log.
type exported struct {
	eventstore.Recorded
	leaf eventstore.Hash
}

// Write writes the export, and returns what its first line says, in any format. The end
// includes the whole append of the last entry. The error contains a *Fault where an entry
// cannot be read, and wraps ErrRange, or eventstore.ErrArchived where archives are needed.
func (x Export) Write(ctx context.Context, out io.Writer) (ExportHead, error) {
	head, err := x.head(ctx)
	if err != nil {
		return ExportHead{}, err
	}
	buf := bufio.NewWriterSize(out, 1<<16)
	w, first, err := x.writer(buf, head)
	if err == nil {
		err = x.each(ctx, first, head, w)
	}
	if err == nil {
		err = w.end()
	}
	return head, errors.Join(err, buf.Flush())
}

// writer gives the writer of the format, and the first position that it is to be given.
func (x Export) writer(out *bufio.Writer, head ExportHead) (writer, eventstore.Position, error) {
	switch x.Format {
	case JSONL:
		w := jsonlWriter{out}
		return w, head.From, w.line(head)
	case CSV:
		w := newCSVWriter(out)
		return w, head.From, w.header()
	case Hledger:
		w := &hledgerWriter{newJournal(out)}
		return w, 1, w.begin(head)
	case Beancount:
		w := &beancountWriter{journal: newJournal(out), declared: map[string]bool{}, last: map[string]domain.Credits{}}
		return w, 1, w.begin(head)
	}
	return nil, 0, fmt.Errorf("there is no format %q", x.Format)
}

// head decides what is exported.
func (x Export) head(ctx context.Context) (ExportHead, error) {
	log, err := x.Log.Head(ctx)
	if err != nil {
		return ExportHead{}, err
	}
	h := ExportHead{exportFormat, exportVersion, max(1, x.From), x.UpTo, log.Root}
	if h.UpTo > log.Size || h.From > h.UpTo+1 || x.From < 0 || x.UpTo < 0 {
		return ExportHead{}, fmt.Errorf("%w: from %d to %d, of %d", ErrRange, h.From, h.UpTo, log.Size)
	}
	if h.UpTo, err = x.endOfAppend(ctx, h.UpTo); err != nil || h.UpTo == log.Size {
		return h, err
	}
	h.Root, err = rootAt(ctx, x.Log, h.UpTo)
	return h, err
}

// rootAt is the root of the tree over the log up to a position.
func rootAt(ctx context.Context, log FullLog, at eventstore.Position) (eventstore.Hash, error) {
	root, err := tlog.TreeHash(int64(at), log.Nodes(ctx))
	return eventstore.Hash(root), err
}

// endOfAppend is the position of the last entry of the append that the position is in: a part
// of an append would not be a valid log.
func (x Export) endOfAppend(ctx context.Context, at eventstore.Position) (eventstore.Position, error) {
	if at == 0 {
		return 0, nil
	}
	var last eventstore.Envelope
	for behind := at - 1; ; {
		list, err := x.Log.After(ctx, behind, scanPage)
		if err != nil {
			return 0, err
		}
		for _, rec := range list {
			if last.Position > 0 && !rec.Continues(last) {
				return last.Position, nil
			}
			last = rec.Envelope
		}
		if behind = last.Position; len(list) < scanPage {
			return behind, nil
		}
	}
}

// each gives the writer the entries of the log from the first on.
func (x Export) each(ctx context.Context, first eventstore.Position, head ExportHead, w writer) error {
	if x.Log.Archives != nil {
		first = 1 // an archive is read from its beginning
		if err := x.Log.Archives.Close(); err != nil {
			return err
		}
	}
	at := first - 1
	err := x.Log.Rows(ctx, at, func(rows []eventstore.Stored) error {
		for i := range rows {
			if at == head.UpTo {
				return errBehindHead
			}
			e, err := x.entry(&rows[i], at+1)
			if err != nil {
				return err
			}
			if at++; at < head.From {
				err = w.before(e.Recorded)
			} else {
				err = w.write(e)
			}
			if err != nil {
				return err
			}
		}
		if x.Progress != nil {
			x.Progress(at, head.UpTo)
		}
		return nil
	})
	if err == nil && at < head.UpTo {
		return fault(EntryMissing, at+1, "the entry is missing, the log counts %d", head.UpTo)
	}
	if errors.Is(err, errBehindHead) {
		return nil
	}
	return err
}

// entry is the entry of a row, from its archive where it is archived.
func (x Export) entry(row *eventstore.Stored, want eventstore.Position) (exported, error) {
	if row.Position != want {
		return exported{}, fault(EntryMissing, want, "the entry is missing, the next one is at %d", row.Position)
	}
	if row.Archived {
		if x.Log.Archives == nil {
			return exported{}, fmt.Errorf("%w: position %d", eventstore.ErrArchived, want)
		}
		line, err := x.Log.Archives.next(want)
		if err != nil {
			return exported{}, err
		}
		rec, err := eventstore.Decode(line.Entry)
		return exported{rec, line.Leaf}, err
	}
	if errors.Is(row.Err, eventstore.ErrNewer) {
		return exported{}, row.Err
	}
	if row.Err != nil {
		return exported{}, fault(EntryUnreadable, want, "%s", row.Err)
	}
	return exported{row.Recorded, row.Nodes[0]}, nil
}

// jsonlWriter writes entries as archives have them.
type jsonlWriter struct{ out *bufio.Writer }

func (w jsonlWriter) line(value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(b, '\n'))
	return err
}

func (jsonlWriter) before(eventstore.Recorded) error { return nil }

func (w jsonlWriter) write(e exported) error { return w.line(entryLine{e.Position, e.leaf, e.Entry}) }

func (jsonlWriter) end() error { return nil }
