package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kassa/eventstore"
	"kassa/schema"
	"kassa/transparency"
)

// Source is the data that is copied.
type Source struct {
	Ledger  string // path of the ledger's file; a process may be writing to it
	Secret  string // path; "" leaves it out
	LogKey  string // path; "" leaves it out
	Models  string // path of models.lock
	Program string // version of this program
}

// Create copies the data to the place, as of one moment between its begin and its end. The
// copy is complete and durable when Create returns; after an error there is none.
func Create(ctx context.Context, from Source, to Place) (m Manifest, err error) {
	staged, err := to.stage()
	if err != nil {
		return m, fmt.Errorf("make a backup: %w", err)
	}
	defer os.RemoveAll(staged) // not there any more where it was renamed
	m = Manifest{Format: format, Created: time.Now().UTC().Truncate(time.Millisecond), Program: from.Program, Secrets: from.Secret != ""}
	if err := copyLedger(ctx, from.Ledger, filepath.Join(staged, Ledger), &m); err != nil {
		return m, err
	}
	names := []string{Ledger}
	for _, small := range []struct{ name, path string }{{Secret, from.Secret}, {LogKey, from.LogKey}, {Models, from.Models}} {
		there, err := copySmall(small.path, filepath.Join(staged, small.name))
		switch {
		case err != nil:
			return m, fmt.Errorf("make a backup: %w", err)
		case there:
			names = append(names, small.name)
		case small.name == Secret && m.Secrets:
			return m, fmt.Errorf("make a backup: there is no secret in %s", small.path)
		}
	}
	m.Name = nameOf(m.Created, m.Size)
	err = writeManifest(staged, &m, names)
	if err == nil {
		err = to.commit(ctx, staged, m)
	}
	if err != nil {
		return m, fmt.Errorf("make the backup %s: %w", m.Name, err)
	}
	return m, nil
}

// copyLedger copies the ledger, and describes the copy by what is in it.
func copyLedger(ctx context.Context, from, to string, m *Manifest) error {
	db, err := schema.OpenSQLiteReadOnly(ctx, from)
	if err != nil {
		return err
	}
	err = db.CopyTo(ctx, to)
	if ended := db.Close(); err == nil {
		err = ended // schema.ErrChanged where nothing could be locked
	}
	if err != nil {
		return err
	}
	return describe(ctx, to, m)
}

// describe reads the head of a copied ledger, and proves that its tree has it.
func describe(ctx context.Context, path string, m *Manifest) (err error) {
	db, err := schema.OpenSQLiteReadOnly(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	log, err := eventstore.ReadSQLite(db)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Prove(ctx); err != nil {
		return fmt.Errorf("the copy is of a ledger that is damaged, run kassa verify: %w", err)
	}
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	m.Size, m.Root = head.Size, head.Root
	if head.Size > 0 {
		last, err := log.After(ctx, head.Size-1, 1)
		if err != nil {
			return err
		}
		m.LastEntry = last[0].Time
	}
	signed, err := transparency.SQLiteHeads(db).Last(ctx)
	m.SignedHead = string(signed.Note)
	return err
}

// copySmall copies a file that is read whole. One that is missing, or has no path, is not
// copied.
func copySmall(from, to string) (there bool, err error) {
	if from == "" {
		return false, nil
	}
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, writeDurably(to, text)
}

// Fetch copies all files of a backup into an empty folder, and compares them with the
// manifest. They are durable when Fetch returns. The error wraps ErrDamaged where they are
// not what was backed up.
func Fetch(ctx context.Context, from Place, m Manifest, to string) error {
	for _, f := range m.Files {
		if err := fetchFile(ctx, from, m.Name, f, filepath.Join(to, f.Name)); err != nil {
			return fmt.Errorf("the backup %s: %w", m.Name, err)
		}
	}
	return syncFolder(to)
}

func fetchFile(ctx context.Context, from Place, name string, f File, to string) error {
	in, err := from.open(ctx, name, f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, f.Name)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if n != f.Bytes || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%w: %s is not the file that was backed up", ErrDamaged, f.Name)
	}
	return nil
}

// abandoned is how old what is not complete must be, so that no process is making it.
const abandoned = 24 * time.Hour

// Prune deletes the oldest complete backups, all but keep, and what a crash has left. It
// returns the names of the backups.
func Prune(ctx context.Context, p Place, keep int) (gone []string, err error) {
	complete, rest, err := list(ctx, p)
	if err != nil {
		return nil, err
	}
	for ; len(complete) > keep; complete = complete[1:] {
		if err := p.remove(ctx, complete[0].Name); err != nil {
			return gone, fmt.Errorf("delete the backup %s: %w", complete[0].Name, err)
		}
		gone = append(gone, complete[0].Name)
	}
	for _, f := range rest {
		if time.Since(f.begun) < abandoned {
			continue
		}
		if err := p.remove(ctx, f.name); err != nil {
			return gone, fmt.Errorf("delete %s, which is not complete: %w", f.name, err)
		}
	}
	return gone, nil
}
