// Package witness watches a transparency log from outside. It remembers the newest head
// that it has seen, verifies that each later one continues it, and cosigns those that do
// (C2SP tlog-witness, tlog-cosignature). It needs nothing of the log but its public keys
// and its address.
package witness

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gofrs/flock"
	cosigning "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kassa/eventstore"
	"kassa/transparency"
)

// Names of files in the folder of a witness.
const (
	keyFile        = "witness.key"
	checkpointFile = "checkpoint"
	lockFile       = "lock"
	evidencePrefix = "contradiction-"
)

// Why a head that was submitted is not cosigned.
var (
	ErrMalformed  = errors.New("it is no submission of the form of C2SP tlog-witness")
	ErrUnknownLog = errors.New("this witness knows no log of that name")
	ErrUnsigned   = errors.New("the head is not signed by a key of the log")
	ErrProof      = errors.New("the proof does not show that the head continues the last one")
)

// StaleError means that a submission continues another head than the last cosigned one.
type StaleError struct{ Size eventstore.Position } // of the last cosigned one

// Error names the size.
func (s StaleError) Error() string {
	return fmt.Sprintf("the last head of this witness has %d entries, and the submission continues another", s.Size)
}

// Kind is how a log contradicts what was seen of it.
type Kind string

// The kinds.
const (
	Rollback   Kind = "rollback"    // it shows a smaller head than it has shown before
	SplitView  Kind = "split_view"  // it has signed two heads, and no log begins with both
	WrongTiles Kind = "wrong_tiles" // its tiles do not belong to its signed head
	OtherLog   Kind = "other_log"   // at its address is a log of another name
)

// Contradiction is an alarm: the log shows what does not fit to what was seen before. Both
// notes are kept as evidence.
type Contradiction struct {
	Kind        Kind
	Seen, Shown transparency.Checkpoint
}

// Error says what was shown.
func (c *Contradiction) Error() string {
	seen := fmt.Sprintf("before, it had %d entries with the root %s", c.Seen.Head.Size, c.Seen.Head.Root)
	switch c.Kind {
	case Rollback:
		return fmt.Sprintf("rollback: the log shows a head of %d entries; %s", c.Shown.Head.Size, seen)
	case OtherLog:
		return fmt.Sprintf("other_log: at the address is the log %s, not %s", c.Shown.Origin, c.Seen.Origin)
	case WrongTiles:
		return fmt.Sprintf("wrong_tiles: the tiles of the log do not belong to its signed head of %d entries", c.Shown.Head.Size)
	default:
		return fmt.Sprintf("%s: the log has signed a head of %d entries with the root %s, which does not continue what was seen; %s", c.Kind, c.Shown.Head.Size, c.Shown.Head.Root, seen)
	}
}

// Witness of one log. Its methods may be called at the same time.
type Witness struct {
	keys   transparency.Keys
	folder string
	signer note.Signer // nil: it verifies, and does not cosign
	lock   *flock.Flock

	mu   sync.Mutex
	last transparency.Checkpoint // the newest head, as it is in the file
}

// NewKey makes the key of a witness in the folder, and returns its public key; one that is
// there stays, and the error wraps os.ErrExist. The name is an address without https://.
func NewKey(folder, name string) (public string, err error) {
	private, _, err := transparency.NewKey(name)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of the witness: %w", err)
	}
	if err := transparency.WriteKey(filepath.Join(folder, keyFile), private); err != nil {
		return "", fmt.Errorf("write the key of the witness: %w", err)
	}
	return PublicKey(folder)
}

// PublicKey is that of the witness in the folder, of the type of cosignatures. The error
// wraps os.ErrNotExist where there is none.
func PublicKey(folder string) (string, error) {
	private, err := os.ReadFile(filepath.Join(folder, keyFile))
	if err != nil {
		return "", fmt.Errorf("read the key of the witness: %w", err)
	}
	keys, err := transparency.ParseKeys(string(private))
	if err != nil {
		return "", fmt.Errorf("read the key of the witness: %w", err)
	}
	return cosigning.VKeyToCosignatureV1(keys.Public()[0])
}

// Open opens the folder of a witness of the log that has these public keys, and locks it
// against other processes. Without a key in it the witness does not cosign.
func Open(folder string, keys transparency.Keys) (*Witness, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the witness: %w", err)
	}
	w := &Witness{keys: keys, folder: folder, lock: flock.New(filepath.Join(folder, lockFile))}
	switch locked, err := w.lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock the folder of the witness: %w", err)
	case !locked:
		return nil, fmt.Errorf("another process is the witness in %s", folder)
	}
	if err := w.read(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *Witness) read() error {
	private, err := os.ReadFile(filepath.Join(w.folder, keyFile))
	switch {
	case err == nil:
		if w.signer, err = cosigning.NewSignerForCosignatureV1(strings.TrimSpace(string(private))); err != nil {
			return fmt.Errorf("the key of the witness, %s: it is none of the form that kassa witness key writes", filepath.Join(w.folder, keyFile)) // the text is a secret
		}
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("read the key of the witness: %w", err)
	}
	signed, err := os.ReadFile(filepath.Join(w.folder, checkpointFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what the witness has seen: %w", err)
	}
	// The signature is not verified: the key of then may be gone since.
	if w.last, err = transparency.Parse(signed); err != nil {
		return fmt.Errorf("what the witness has seen, %s: %w", filepath.Join(w.folder, checkpointFile), err)
	}
	if w.last.Origin != w.keys.Name() {
		return fmt.Errorf("the witness in %s is of the log %s, and the keys are of %s", w.folder, w.last.Origin, w.keys.Name())
	}
	return nil
}

// Close lets another process open the folder.
func (w *Witness) Close() error { return w.lock.Unlock() }

// Cosigns reports whether the witness has a key.
func (w *Witness) Cosigns() bool { return w.signer != nil }

// Last is the newest head, with the witness's cosignature where it has a key; its Note is
// nil before the first one.
func (w *Witness) Last() transparency.Checkpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Add verifies a head that continues the last one, keeps it, and returns the line of its
// cosignature, nil without a key. The first head is taken as it is. The head is on the
// disk before its cosignature is returned. Errors wrap those above, or are a StaleError, or
// a Contradiction, whose evidence is then kept.
func (w *Witness) Add(old eventstore.Position, proof tlog.TreeProof, signed []byte) ([]byte, error) {
	shown, err := w.open(signed)
	if err != nil {
		return nil, err
	}
	if old > shown.Head.Size {
		return nil, fmt.Errorf("%w: the old size is larger than that of the head", ErrMalformed)
	}
	w.mu.Lock() // from the comparison to the write: of two submissions the smaller must not be the last
	defer w.mu.Unlock()
	if old != w.last.Head.Size {
		return nil, StaleError{w.last.Head.Size}
	}
	switch {
	case old == shown.Head.Size && shown.Head.Root != w.last.Head.Root:
		return nil, w.alarm(&Contradiction{SplitView, w.last, shown})
	case old == shown.Head.Size || old == 0:
		if len(proof) > 0 {
			return nil, fmt.Errorf("%w: there is nothing to prove", ErrProof)
		}
	case tlog.CheckTree(proof, int64(shown.Head.Size), tlog.Hash(shown.Head.Root), int64(old), tlog.Hash(w.last.Head.Root)) != nil:
		return nil, ErrProof
	}
	return w.keep(shown)
}

// open verifies the signature of the log.
func (w *Witness) open(signed []byte) (transparency.Checkpoint, error) {
	shown, err := transparency.Parse(signed)
	switch {
	case err != nil:
		return shown, fmt.Errorf("%w: %w", ErrMalformed, err)
	case shown.Origin != w.keys.Name():
		return shown, fmt.Errorf("%w: %s", ErrUnknownLog, shown.Origin)
	}
	if shown, err = w.keys.Open(signed); err != nil {
		return shown, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	return shown, nil
}

// keep cosigns a head and makes it the last one. The caller holds the lock.
func (w *Witness) keep(shown transparency.Checkpoint) (line []byte, err error) {
	if w.signer != nil {
		text, _, _ := bytes.Cut(shown.Note, []byte("\n\n"))
		cosigned, err := note.Sign(&note.Note{Text: string(text) + "\n"}, w.signer)
		if err != nil {
			return nil, fmt.Errorf("cosign the head of size %d: %w", shown.Head.Size, err)
		}
		_, line, _ = bytes.Cut(cosigned, []byte("\n\n"))
		shown.Note = append(bytes.Clone(shown.Note), line...)
	}
	if err := transparency.WriteWhole(filepath.Join(w.folder, checkpointFile), shown.Note); err != nil {
		return nil, fmt.Errorf("keep what the witness has seen: %w", err)
	}
	w.last = shown
	return line, nil
}

// alarm keeps both notes of a contradiction in a file of their own, once, and returns it.
func (w *Witness) alarm(c *Contradiction) error {
	digest := sha256.Sum256(c.Shown.Note)
	path := filepath.Join(w.folder, fmt.Sprintf("%s%s-%d-%x", evidencePrefix, c.Kind, c.Shown.Head.Size, digest[:4]))
	if _, err := os.Stat(path); err == nil {
		return c
	}
	text := fmt.Sprintf("%s\n\nSeen before:\n\n%s\nShown:\n\n%s", c, c.Seen.Note, c.Shown.Note)
	if err := transparency.WriteWhole(path, []byte(text)); err != nil {
		return errors.Join(c, fmt.Errorf("keep the evidence: %w", err))
	}
	return c
}

// Evidence lists the files with contradictions that were seen, until a person moves them
// elsewhere.
func (w *Witness) Evidence() ([]string, error) {
	return filepath.Glob(filepath.Join(w.folder, evidencePrefix+"*"))
}
