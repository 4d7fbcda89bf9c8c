package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/domain"
	"kassa/eventstore"
)

// An archive is a folder of three files, which docs/format.md describes for those who
// verify it without this program:
//
//	entries.jsonl   the entries as they were hashed, one per line, with their leaf hashes
//	accounts.jsonl  every account as of the last entry, one per line
//	manifest.json   what belongs to them, and the SHA-256 of both
const (
	entriesFile  = "entries.jsonl"
	accountsFile = "accounts.jsonl"
	manifestFile = "manifest.json"
)

const archiveFormat = 1

// Manifest describes an archive.
type Manifest struct {
	Format int                 `json:"format"`
	From   eventstore.Position `json:"from"`
	UpTo   eventstore.Position `json:"upto"`
	Before TreeEdge            `json:"tree_before"` // over all earlier entries
	After  TreeEdge            `json:"tree_after"`  // including these entries
	// Head is a later head of the log, and Consistency the RFC 6962 proof that the log
	// of Head begins with the entries up to here.
	Head        TreeHead          `json:"head"`
	Consistency []eventstore.Hash `json:"consistency"`
	Sum         Summary           `json:"summary"`
	Files       map[string]File   `json:"files"`
}

// TreeHead is a size and its root.
type TreeHead struct {
	Size eventstore.Position `json:"size"`
	Root eventstore.Hash     `json:"root"`
}

// TreeEdge is a head, and what is needed to append to its tree.
type TreeEdge struct {
	TreeHead
	Peaks []eventstore.Hash `json:"peaks"` // see eventstore.Tree.Peaks
}

// Summary is the totals of all entries up to the end of the archive, without the
// accounts.
type Summary struct {
	Accounts int                                     `json:"accounts"`
	House    map[domain.LedgerAccount]domain.Credits `json:"house"`
	Events   map[domain.EventType]int                `json:"events"`
	Latest   time.Time                               `json:"latest"` // the maximum of all times
	Time     time.Time                               `json:"time"`   // of the last entry, as are
	Actor    string                                  `json:"actor"`
	Cause    eventstore.Cause                        `json:"cause"`
	MoveIn   *MoveIn                                 `json:"move_in,omitempty"` // nil: nothing was accepted yet
	Prices   *Prices                                 `json:"prices,omitempty"`  // nil: none was set yet
	Periods  *Periods                                `json:"periods,omitempty"` // nil: none was closed yet
}

// File is the size and hash of a file of the archive.
type File struct {
	Bytes  int64           `json:"bytes"`
	SHA256 eventstore.Hash `json:"sha256"`
}

// archiveName is the name of an archive's folder.
func archiveName(from, upTo eventstore.Position) string {
	return fmt.Sprintf("kassa-log-%012d-%012d", from, upTo)
}

// edgeOf returns the edge of a tree.
func edgeOf(t eventstore.Tree) (TreeEdge, error) {
	head, err := t.Head()
	return TreeEdge{TreeHead(head), t.Peaks()}, err
}

// tree returns the tree of an edge, if its root is that of its peaks.
func (e TreeEdge) tree() (eventstore.Tree, error) {
	t, err := eventstore.NewTree(e.Size, e.Peaks)
	if err != nil {
		return t, err
	}
	if head, err := t.Head(); err != nil || TreeHead(head) != e.TreeHead {
		return t, errors.Join(err, fmt.Errorf("the peaks have the root %s and not %s", head.Root, e.Root))
	}
	return t, nil
}

// checkHead checks the proof that the log of the head begins with the entries up to here.
func (m Manifest) checkHead() error {
	proof := make(tlog.TreeProof, len(m.Consistency))
	for i, h := range m.Consistency {
		proof[i] = tlog.Hash(h)
	}
	if err := tlog.CheckTree(proof, int64(m.Head.Size), tlog.Hash(m.Head.Root), int64(m.UpTo), tlog.Hash(m.After.Root)); err != nil {
		return fault(RootDiffers, m.UpTo, "the head does not continue the entries up to here: %s", err)
	}
	return nil
}

// entryLine is an entry as a line of an archive.
type entryLine struct {
	Position eventstore.Position `json:"position"`
	Leaf     eventstore.Hash     `json:"leaf"`
	Entry    []byte              `json:"entry"`
}

// maxLine is the maximum length of a line: an entry in base64, and its other members.
const maxLine = 2*eventstore.MaxEntry + 1<<10

// fileWriter writes a new file, and hashes it.
type fileWriter struct {
	file *os.File
	buf  *bufio.Writer
	sum  hash.Hash
	size int64
}

func createFile(path string) (*fileWriter, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &fileWriter{file: file, buf: bufio.NewWriterSize(file, 1<<20), sum: sha256.New()}, nil
}

// line writes a value as a line of JSON.
func (w *fileWriter) line(value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.write(append(b, '\n'))
}

func (w *fileWriter) write(b []byte) error {
	w.sum.Write(b)
	w.size += int64(len(b))
	_, err := w.buf.Write(b)
	return err
}

// close makes the file durable. It must be called, also after an error.
func (w *fileWriter) close() (File, error) {
	err := w.buf.Flush()
	if err == nil {
		err = w.file.Sync()
	}
	return File{w.size, eventstore.Hash(w.sum.Sum(nil))}, errors.Join(err, w.file.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// readManifest reads a manifest, and returns its bytes too.
func readManifest(folder string) (m Manifest, b []byte, err error) {
	if b, err = os.ReadFile(filepath.Join(folder, manifestFile)); err != nil {
		return Manifest{}, nil, err
	}
	m, err = parseManifest(b)
	return m, b, err
}

func parseManifest(b []byte) (m Manifest, err error) {
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("read the manifest of an archive: %w", err)
	}
	if m.Format > archiveFormat {
		return Manifest{}, fmt.Errorf("%w: an archive has the format %d", eventstore.ErrNewer, m.Format)
	}
	return m, nil
}

// entryReader reads the entries of one archive in order. A deviation from what was
// written is a *Fault at its position.
type entryReader struct {
	manifest Manifest
	file     *os.File
	read     io.Reader // the file, hashed while it is read
	lines    *bufio.Scanner
	sum      hash.Hash
	at       eventstore.Position // the last one read
}

func openEntries(folder string, m Manifest) (*entryReader, error) {
	file, err := os.Open(filepath.Join(folder, entriesFile))
	if err != nil {
		return nil, err
	}
	r := &entryReader{manifest: m, file: file, sum: sha256.New(), at: m.From - 1}
	r.read = io.TeeReader(file, r.sum)
	r.lines = bufio.NewScanner(r.read)
	r.lines.Buffer(nil, maxLine)
	return r, nil
}

func (r *entryReader) close() error { return r.file.Close() }

// next returns the next entry. After the last one it compares the hash of the whole
// file, and returns io.EOF.
func (r *entryReader) next() (entryLine, error) {
	if r.at == r.manifest.UpTo {
		return entryLine{}, r.end()
	}
	want := r.at + 1
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			return entryLine{}, fmt.Errorf("read the archive at position %d: %w", want, err)
		}
		return entryLine{}, fault(ArchiveDiffers, want, "the archive ends before this entry, or its line is too long")
	}
	var line entryLine
	if err := json.Unmarshal(r.lines.Bytes(), &line); err != nil {
		return entryLine{}, fault(ArchiveDiffers, want, "the archive's line cannot be read: %s", err)
	}
	// A line has one encoding, as an entry has: anything else in it would not be
	// compared.
	switch spelled, err := json.Marshal(line); {
	case err != nil:
		return entryLine{}, err
	case line.Position != want:
		return entryLine{}, fault(ArchiveDiffers, want, "the archive has another entry here").between(want, line.Position)
	case line.Leaf != eventstore.LeafHash(line.Entry):
		return entryLine{}, fault(EntryChanged, want, "the archived entry is not the one that was hashed").between(line.Leaf, eventstore.LeafHash(line.Entry))
	case !bytes.Equal(spelled, r.lines.Bytes()):
		return entryLine{}, fault(ArchiveDiffers, want, "the archive's line is not as it was written")
	}
	r.at = want
	return line, nil
}

func (r *entryReader) end() error {
	if r.lines.Scan() {
		return fault(ArchiveDiffers, r.at, "the archive has more lines behind its last entry")
	}
	if err := r.lines.Err(); err != nil {
		return err
	}
	if sum := eventstore.Hash(r.sum.Sum(nil)); sum != r.manifest.Files[entriesFile].SHA256 {
		return fault(ArchiveDiffers, r.at, "the file %s is not the one of the manifest", entriesFile).between(r.manifest.Files[entriesFile].SHA256, hex.EncodeToString(sum[:]))
	}
	return io.EOF
}

// compareFile compares a whole file with the manifest.
func compareFile(folder, name string, m Manifest) error {
	file, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if have := eventstore.Hash(sum.Sum(nil)); have != m.Files[name].SHA256 {
		return fault(ArchiveDiffers, m.UpTo, "the file %s is not the one of the manifest", name).between(m.Files[name].SHA256, have)
	}
	return nil
}
