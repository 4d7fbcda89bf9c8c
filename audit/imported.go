package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"kassa/eventstore"
)

// ErrNoExport: the file is not a JSONL export, or one that cannot be used here.
var ErrNoExport = errors.New("audit: this is no export of a log")

// ReadExport reads a JSONL export. It proves that the file is complete, that positions are
// dense, and that each entry is the one that was hashed. What the entries say is proved by
// a verification of the log into which they are imported.
type ReadExport struct {
	Head ExportHead

	lines    *bufio.Scanner
	at       eventstore.Position // the last one read
	progress Progress
}

// OpenExport reads the first line. The error wraps ErrNoExport, or eventstore.ErrNewer for
// the form of a later program.
func OpenExport(in io.Reader, progress Progress) (*ReadExport, error) {
	r := &ReadExport{lines: bufio.NewScanner(in), progress: progress}
	r.lines.Buffer(nil, maxLine)
	if !r.lines.Scan() {
		return nil, errors.Join(fmt.Errorf("%w: it is empty, or its first line is too long", ErrNoExport), r.lines.Err())
	}
	switch err := json.Unmarshal(r.lines.Bytes(), &r.Head); {
	case err != nil || r.Head.Format != exportFormat:
		return nil, fmt.Errorf("%w: its first line is not that of kassa audit export --format jsonl", ErrNoExport)
	case r.Head.Version > exportVersion:
		return nil, fmt.Errorf("%w: an export has the version %d", eventstore.ErrNewer, r.Head.Version)
	case r.Head.From != 1 || r.Head.UpTo < 0:
		return nil, fmt.Errorf("%w: it has positions %d to %d, and only one from the beginning of the log can be read by itself", ErrNoExport, r.Head.From, r.Head.UpTo)
	}
	return r, nil
}

// next is the next entry; io.EOF behind the last. A deviation is a *Fault.
func (r *ReadExport) next() (eventstore.Envelope, []byte, error) {
	want := r.at + 1
	if more := r.lines.Scan(); !more && r.at < r.Head.UpTo {
		if err := r.lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			return eventstore.Envelope{}, nil, fmt.Errorf("read the export at position %d: %w", want, err)
		}
		return eventstore.Envelope{}, nil, fault(EntryMissing, want, "the export ends before this entry, or its line is too long")
	} else if more && r.at == r.Head.UpTo {
		return eventstore.Envelope{}, nil, fault(EntryUnexpected, want, "the export has a line behind its last entry")
	} else if !more {
		return eventstore.Envelope{}, nil, io.EOF
	}
	env, entry, err := r.entry(want)
	if err != nil {
		return eventstore.Envelope{}, nil, err
	}
	if r.at = want; r.progress != nil && (want%scanPage == 0 || want == r.Head.UpTo) {
		r.progress(want, r.Head.UpTo)
	}
	return env, entry, nil
}

// entry reads the line of an entry. A line has one spelling: other bytes in it would not be
// compared with anything.
func (r *ReadExport) entry(want eventstore.Position) (eventstore.Envelope, []byte, error) {
	var line entryLine
	if err := json.Unmarshal(r.lines.Bytes(), &line); err != nil {
		return eventstore.Envelope{}, nil, fault(EntryUnreadable, want, "the line of the export cannot be read: %s", err)
	}
	spelled, err := json.Marshal(line)
	if err != nil {
		return eventstore.Envelope{}, nil, err
	}
	env, _, bad := eventstore.DecodeEntry(line.Entry)
	switch {
	case line.Position > want:
		err = fault(EntryMissing, want, "the entry is missing, the next one is at %d", line.Position)
	case line.Position < want:
		err = fault(EntryUnexpected, want, "the export has position %d here", line.Position)
	case line.Leaf != eventstore.LeafHash(line.Entry):
		err = fault(EntryChanged, want, "the entry is not the one that was hashed").between(line.Leaf, eventstore.LeafHash(line.Entry))
	case !bytes.Equal(spelled, r.lines.Bytes()):
		err = fault(EntryUnreadable, want, "the line of the export is not as it was written")
	case errors.Is(bad, eventstore.ErrNewer):
		err = bad
	case bad != nil:
		err = fault(EntryUnreadable, want, "%s", bad)
	case env.Position != want:
		err = fault(EntryMisplaced, want, "the entry is of another position").between(want, env.Position)
	}
	return env, line.Entry, err
}

// Import appends the entries of an export to a log: see eventstore.Store.Import. It contains
// *Faults where the export contradicts itself; the log then has the entries before, in part.
// To import nothing that is wrong, import into a temporary log first, and verify that.
func Import(ctx context.Context, store *eventstore.Store, r *ReadExport) (eventstore.Head, error) {
	var found Faults
	head, err := store.Import(ctx, r.next)
	if err == nil && head != r.Head.Head() {
		err = fault(RootDiffers, head.Size, "the first line's root is not that of the tree over the entries").between(head.Root, r.Head.Root)
	}
	return head, found.with(found.take(err))
}
