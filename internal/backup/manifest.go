// Package backup keeps copies of a data folder in another folder or in storage that speaks
// the S3 protocol. A copy is complete or it is not there: its manifest, which has the
// length and SHA-256 of every file, comes last.
package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"kassa/eventstore"
)

// The files of a backup.
const (
	Ledger   = "kassa.db"      // the log, the vault, the catalogue, what is saved of the views
	Secret   = "secret"        // the installation's secret
	LogKey   = "log.key"       // the keys that sign heads of the log
	Models   = "models.lock"   // which models were added, by revision and SHA-256; not their files
	manifest = "manifest.json" // Manifest
)

// format is that of the manifest. A program refuses a newer one.
const format = 1

// Errors by which a backup is refused.
var (
	ErrUnknown = errors.New("there is no such backup, or it is not complete")
	ErrDamaged = errors.New("the backup is damaged")
	ErrNewer   = errors.New("a newer program made this backup")
)

// Manifest describes a backup.
type Manifest struct {
	Format     int                 `json:"format"`
	Name       string              `json:"name"`
	Created    time.Time           `json:"created"` // when the copy of the ledger was begun, UTC
	Program    string              `json:"program"` // version of the program that made it
	Size       eventstore.Position `json:"size"`    // entries of the log
	Root       eventstore.Hash     `json:"root"`
	LastEntry  time.Time           `json:"last_entry,omitzero"`   // when the last entry was appended
	SignedHead string              `json:"signed_head,omitempty"` // the last signed head in the ledger, as it was published
	Secrets    bool                `json:"secrets"`               // the secret and the log's key are in it
	Files      []File              `json:"files"`
}

// File is a file of a backup.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Head is the head of the log in the backup.
func (m Manifest) Head() eventstore.Head { return eventstore.Head{Size: m.Size, Root: m.Root} }

// Bytes is the length of all files but the manifest.
func (m Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// nameForm is a time in UTC, and how many entries the log has: names sort by time.
var nameForm = regexp.MustCompile(`^\d{8}T\d{6}\.\d{3}Z-\d+$`)

// timeForm is the time in a name.
const timeForm = "20060102T150405.000Z"

func nameOf(at time.Time, size eventstore.Position) string {
	return fmt.Sprintf("%s-%d", at.UTC().Format(timeForm), size)
}

// parse reads a manifest. It refuses names of files that would be outside of the backup.
func parse(text []byte) (m Manifest, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: its manifest is no JSON: %w", ErrDamaged, err)
	}
	if m.Format > format {
		return m, ErrNewer
	}
	ledger := false
	for _, f := range m.Files {
		switch f.Name {
		case Ledger:
			ledger = true
		case Secret, LogKey, Models:
		default:
			return m, fmt.Errorf("%w: its manifest has the file %q", ErrDamaged, f.Name)
		}
	}
	if !ledger || m.Format < 1 {
		return m, fmt.Errorf("%w: its manifest names no ledger", ErrDamaged)
	}
	return m, nil
}

// measure reads a file and describes it.
func measure(path string) (File, error) {
	in, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer in.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	return File{Name: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// writeManifest measures the files of a folder, and writes the manifest beside them.
func writeManifest(folder string, m *Manifest, names []string) error {
	for _, name := range names {
		f, err := measure(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(folder, manifest), append(text, '\n'))
}

// writeDurably writes a new file for its owner only.
func writeDurably(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
