package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Place is where backups are kept.
type Place interface {
	// stage makes a folder on this machine in which a backup is put together.
	stage() (string, error)
	// commit makes what was staged a backup of that name. It is durable when commit
	// returns, and complete or not there after a crash. A name that is taken is an error.
	commit(ctx context.Context, staged string, m Manifest) error
	// names lists what is there, complete or not, in no order.
	names(ctx context.Context) ([]found, error)
	// open reads a file of a backup; fs.ErrNotExist where there is none.
	open(ctx context.Context, name, file string) (io.ReadCloser, error)
	// remove deletes a backup, its manifest first.
	remove(ctx context.Context, name string) error
}

// found is a backup that is there, complete or not.
type found struct {
	name  string
	begun time.Time // about
}

// Open gives the place of an address: s3://bucket/prefix, or a folder.
func Open(address string, s S3) (Place, error) {
	if rest, ok := strings.CutPrefix(address, "s3://"); ok {
		return s.open(rest)
	}
	if address == "" {
		return nil, errors.New("no place for backups is given")
	}
	path, err := filepath.Abs(address)
	return folder{path}, err
}

// folder is a place on a disk, best on another machine's.
type folder struct{ path string }

// partial begins the name of what is not complete yet.
const partial = ".partial-"

func (f folder) stage() (string, error) {
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(f.path, partial)
}

// commit renames what was staged there.
func (f folder) commit(_ context.Context, staged string, m Manifest) error {
	if err := syncFolder(staged); err != nil {
		return err
	}
	if err := os.Rename(staged, filepath.Join(f.path, m.Name)); err != nil {
		return err
	}
	return syncFolder(f.path)
}

func (f folder) names(context.Context) (list []found, err error) {
	entries, err := os.ReadDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if !entry.IsDir() || !nameForm.MatchString(entry.Name()) && !strings.HasPrefix(entry.Name(), partial) {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // renamed or deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, found{entry.Name(), info.ModTime()})
	}
	return list, err
}

func (f folder) open(_ context.Context, name, file string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(f.path, name, file))
}

func (f folder) remove(_ context.Context, name string) error {
	if err := os.Remove(filepath.Join(f.path, name, manifest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(filepath.Join(f.path, name))
}

// List reads the manifests of all complete backups, the oldest first, and the names of what
// is there and not complete: being made or deleted, or left by a crash.
func List(ctx context.Context, p Place) (complete []Manifest, rest []string, err error) {
	complete, incomplete, err := list(ctx, p)
	for _, f := range incomplete {
		rest = append(rest, f.name)
	}
	return complete, rest, err
}

func list(ctx context.Context, p Place) (complete []Manifest, rest []found, err error) {
	all, err := p.names(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the backups: %w", err)
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.name, b.name) })
	for _, f := range all {
		if strings.HasPrefix(f.name, partial) {
			rest = append(rest, f)
			continue
		}
		m, err := Read(ctx, p, f.name)
		switch {
		case errors.Is(err, ErrUnknown):
			rest = append(rest, f)
		case err != nil:
			return nil, nil, err
		default:
			complete = append(complete, m)
		}
	}
	return complete, rest, nil
}

// Latest names the newest complete backup.
const Latest = "latest"

// Read reads the manifest of a backup, or of the newest. The error wraps ErrUnknown,
// ErrDamaged or ErrNewer.
func Read(ctx context.Context, p Place, name string) (Manifest, error) {
	if name == Latest {
		list, _, err := List(ctx, p)
		if err != nil || len(list) == 0 {
			return Manifest{}, errors.Join(err, fmt.Errorf("%w: none is there", ErrUnknown))
		}
		return list[len(list)-1], nil
	}
	if !nameForm.MatchString(name) {
		return Manifest{}, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	in, err := p.open(ctx, name, manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("read the backup %s: %w", name, err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return Manifest{}, fmt.Errorf("read the backup %s: %w", name, err)
	}
	m, err := parse(text)
	if err == nil && m.Name != name {
		err = fmt.Errorf("%w: its manifest is that of %s", ErrDamaged, m.Name)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("the backup %s: %w", name, err)
	}
	return m, nil
}
