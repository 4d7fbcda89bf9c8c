package transparency

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
)

// proofHeader is the first line of C2SP tlog-proof.
const proofHeader = "c2sp.org/tlog-proof@v1"

// ErrNotProved means that a text is no proof by the given keys.
var ErrNotProved = errors.New("it is not proved")

// Prove returns the proof that an entry is in the log of a signed head, in the form of C2SP
// tlog-proof. The entry is its extra data, so that nothing else is needed to read it.
func Prove(ctx context.Context, log *eventstore.Store, signed Checkpoint, entry eventstore.Recorded) ([]byte, error) {
	index := int64(entry.Position) - 1
	path, err := tlog.ProveRecord(int64(signed.Head.Size), index, log.Nodes(ctx))
	if err != nil {
		return nil, fmt.Errorf("prove that the entry at position %d is in the log of %d: %w", entry.Position, signed.Head.Size, err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(entry.Entry), index)
	for _, hash := range path {
		fmt.Fprintln(&text, hash) // in base64
	}
	fmt.Fprintf(&text, "\n%s", signed.Note)
	return []byte(text.String()), nil
}

// Proved is what a proof proves: that the log of the checkpoint has the entry.
type Proved struct {
	Checkpoint Checkpoint
	Entry      eventstore.Recorded
}

// Check verifies a proof of Prove offline: the signature by one of the keys, the path from
// the entry to the signed root, and that the entry names its own place. Errors wrap
// ErrNotProved.
func (k Keys) Check(text []byte) (Proved, error) {
	proved, err := k.check(string(text))
	if err != nil {
		return Proved{}, fmt.Errorf("%w: %w", ErrNotProved, err)
	}
	return proved, nil
}

func (k Keys) check(text string) (p Proved, err error) {
	head, signed, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != proofHeader {
		return p, errors.New("the text is no proof of the form " + proofHeader)
	}
	entry, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil || !strings.HasPrefix(lines[1], "extra ") {
		return p, errors.New("the proof has no entry")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil || lines[2] != fmt.Sprintf("index %d", index) {
		return p, errors.New("the proof has no index")
	}
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return p, errors.New("a line of the path is no hash")
		}
		path = append(path, hash)
	}
	if p.Checkpoint, _, err = k.open([]byte(signed)); err != nil {
		return p, fmt.Errorf("the head in it is not signed by the key: %w", err)
	}
	size, root := int64(p.Checkpoint.Head.Size), tlog.Hash(p.Checkpoint.Head.Root)
	if err := tlog.CheckRecord(path, size, root, index, tlog.RecordHash(entry)); err != nil {
		return p, errors.New("the entry is not in the log of the signed head")
	}
	if p.Entry, err = eventstore.Decode(entry); err != nil {
		return p, err
	}
	if int64(p.Entry.Position)-1 != index {
		return p, fmt.Errorf("the entry of index %d names position %d", index, p.Entry.Position)
	}
	return p, nil
}
