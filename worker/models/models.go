// Package models keeps embedding models in a folder: each in a folder of its own, with a
// card with how it is used, and all of them pinned in one file, models.lock, by
// source, revision and the SHA-256 of every file.
package models

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"kassa/worker"
	"kassa/worker/modelfile"
)

// LockFile is the name of the file that pins the models of a folder.
const LockFile = "models.lock"

// Reasons why a model is refused.
var (
	ErrName    = errors.New("a model's name has small Latin letters, digits, dots and hyphens, at most 40")
	ErrUnknown = errors.New("no such model")
	ErrExists  = errors.New("a model of this name is there")
	ErrDamaged = errors.New("a file of the model is not the one that was pinned")
	ErrSource  = errors.New("a source is a folder, or owner/name@revision at Hugging Face")
	ErrUse     = errors.New("the model wants what is not done here")
)

// Folder is where the models are.
type Folder string

// Pinned is what models.lock has of a model.
type Pinned struct {
	Source   string            `json:"source"`             // where it came from
	Revision string            `json:"revision,omitempty"` // commit at Hugging Face
	Files    map[string]string `json:"files"`              // SHA-256 by path
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,39}$`)

// Pins reads models.lock: what is pinned, by the names of the models.
func (f Folder) Pins() (map[string]Pinned, error) {
	pins := make(map[string]Pinned)
	content, err := os.ReadFile(filepath.Join(string(f), LockFile))
	if errors.Is(err, os.ErrNotExist) {
		return pins, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &pins)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", LockFile, err)
	}
	for name, pinned := range pins {
		if err := pinned.check(name); err != nil {
			return nil, fmt.Errorf("read %s: %w", LockFile, err)
		}
	}
	return pins, nil
}

// check refuses names with which a file outside of the model's folder would be read or
// deleted: models.lock may come from another machine.
func (p Pinned) check(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	for path := range p.Files {
		if !filepath.IsLocal(filepath.FromSlash(path)) {
			return fmt.Errorf("%w: its file %q is not in its folder", ErrName, path)
		}
	}
	return nil
}

// pin changes models.lock. It is written whole and renamed, so that it is never half there.
// One process after the other changes it, so that none loses what another has pinned; the
// lock is on a file beside it, because a rename replaces it.
func (f Folder) pin(change func(map[string]Pinned) error) (err error) {
	lock := flock.New(filepath.Join(string(f), ".pinning"))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock %s: %w", LockFile, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	pins, err := f.Pins()
	if err == nil {
		err = change(pins)
	}
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(pins, "", "  ")
	if err != nil {
		return err
	}
	next := filepath.Join(string(f), LockFile+".next")
	if err := os.WriteFile(next, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", LockFile, err)
	}
	return os.Rename(next, filepath.Join(string(f), LockFile))
}

// Open verifies the files of a model by models.lock, and loads it.
func (f Folder) Open(ctx context.Context, name string, o worker.Options) (*worker.Embedder, error) {
	pins, err := f.Pins()
	if err != nil {
		return nil, err
	}
	pinned, ok := pins[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q; those of %s are %s", ErrUnknown, name, f, strings.Join(slices.Sorted(maps.Keys(pins)), ", "))
	}
	o.ModelDir = filepath.Join(string(f), name)
	if err := pinned.verify(o.ModelDir); err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return worker.Open(ctx, o)
}

// verify compares the files of a folder with those that were pinned.
func (p Pinned) verify(dir string) error {
	found, err := sums(dir)
	if err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(p.Files)) {
		if found[path] != p.Files[path] {
			return fmt.Errorf("%w: %s", ErrDamaged, path)
		}
	}
	for path := range found {
		if _, ok := p.Files[path]; !ok {
			return fmt.Errorf("%w: %s, which was not there", ErrDamaged, path)
		}
	}
	return nil
}

// Card reads the card of a model.
func (f Folder) Card(name string) (card modelfile.Card, err error) {
	content, err := os.ReadFile(filepath.Join(string(f), name, modelfile.CardFile))
	if err == nil {
		err = json.Unmarshal(content, &card)
	}
	if err != nil {
		return card, fmt.Errorf("read the card of model %s: %w", name, err)
	}
	return card, nil
}

// Remove deletes a model and what pins it.
func (f Folder) Remove(name string) error {
	if _, err := os.Stat(string(f)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return f.pin(func(pins map[string]Pinned) error {
		if _, pinned := pins[name]; !pinned {
			return fmt.Errorf("%w: %q", ErrUnknown, name)
		}
		if err := os.RemoveAll(filepath.Join(string(f), name)); err != nil {
			return fmt.Errorf("remove model %s: %w", name, err)
		}
		delete(pins, name)
		return nil
	})
}
