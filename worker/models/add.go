package models

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"kassa/worker"
	"kassa/worker/modelfile"
)

// Adding is what is known of a model and not part of its source.
type Adding struct {
	modelfile.Use
	Checks []modelfile.Check // nil: those of the source
	ONNX   string            // path of the graph, where the source has several
}

// Added is a model that was added.
type Added struct {
	Pinned
	Card   modelfile.Card
	Proved bool // by vectors that another program computed
}

// Add copies a model from a folder or from Hugging Face, has it prove itself, and pins
// it. Where models.lock has the name already, the files must be the pinned ones: so a
// lock file that was copied to another machine gets the same model there.
func (f Folder) Add(ctx context.Context, name, source string, how Adding) (added Added, err error) {
	if !nameForm.MatchString(name) {
		return added, fmt.Errorf("%w: %q", ErrName, name)
	}
	dir := filepath.Join(string(f), name)
	if _, err := os.Stat(dir); err == nil {
		return added, fmt.Errorf("%w: %s", ErrExists, dir)
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return added, fmt.Errorf("make the folder of models: %w", err)
	}
	work, err := os.MkdirTemp(string(f), ".adding-*")
	if err != nil {
		return added, fmt.Errorf("make a folder for the model: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	fresh := filepath.Join(work, name)
	if added.Source, added.Revision, err = fetch(ctx, source, fresh, work, how.ONNX); err != nil {
		return added, err
	}
	if added.Card, added.Proved, err = settle(ctx, fresh, name, how); err != nil {
		return added, err
	}
	if added.Files, err = sums(fresh); err != nil {
		return added, err
	}
	return added, f.pin(func(pins map[string]Pinned) error {
		if old, ok := pins[name]; ok && !maps.Equal(old.Files, added.Files) {
			return fmt.Errorf("%w: %s pins other files under the name %s; kassa model remove forgets them", ErrDamaged, LockFile, name)
		}
		err := os.Rename(fresh, dir)
		if errors.Is(err, fs.ErrExist) { // another process was faster
			return fmt.Errorf("%w: %s", ErrExists, dir)
		}
		if err != nil {
			return fmt.Errorf("put the model in place: %w", err)
		}
		pins[name] = added.Pinned
		return nil
	})
}

// settle writes the card of a model that was fetched, after the model has proved itself.
// Where there are no known vectors, those that this program computes are taken: they
// show later damage, and not that they are right.
func settle(ctx context.Context, dir, name string, how Adding) (card modelfile.Card, proved bool, err error) {
	if card, err = describe(dir, how); err != nil {
		return card, false, err
	}
	proved = len(card.Checks) > 0
	card.Version = ""
	if err := writeCard(dir, card); err != nil {
		return card, false, err
	}
	model, err := worker.Open(ctx, worker.Options{ModelDir: dir})
	if err != nil {
		return card, false, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	if !proved {
		if card.Checks, err = model.Checks(ctx); err != nil {
			return card, false, err
		}
	}
	card.Version, card.Dimensions = model.ModelVersion(), model.Dimensions()
	return card, proved, writeCard(dir, card)
}

// describe puts together what the source's own card, its other files and the caller give.
func describe(dir string, how Adding) (card modelfile.Card, err error) {
	if err := readOptional(dir, modelfile.CardFile, &card); err != nil {
		return card, err
	}
	if err := describeAsSentenceTransformers(dir, &card.Use); err != nil {
		return card, err
	}
	card.QuestionPrefix = cmp.Or(how.QuestionPrefix, card.QuestionPrefix)
	card.FilmPrefix = cmp.Or(how.FilmPrefix, card.FilmPrefix)
	card.PiecesMax = cmp.Or(how.PiecesMax, card.PiecesMax)
	if how.Checks != nil {
		card.Checks = how.Checks
	}
	return card, nil
}

// describeAsSentenceTransformers reads the files of that library: how pieces are pooled,
// what else is done, and how long texts are.
func describeAsSentenceTransformers(dir string, use *modelfile.Use) error {
	var pooling struct {
		Mean *bool `json:"pooling_mode_mean_tokens"`
	}
	var length struct {
		Pieces int `json:"max_seq_length"`
	}
	var modules []struct {
		Type string `json:"type"`
	}
	err := errors.Join(readOptional(dir, "1_Pooling/config.json", &pooling),
		readOptional(dir, "sentence_bert_config.json", &length), readOptional(dir, "modules.json", &modules))
	if err != nil {
		return err
	}
	for _, m := range modules {
		if filepath.Ext(m.Type) == ".Dense" {
			return fmt.Errorf("%w: a dense layer behind the graph", ErrUse)
		}
	}
	if pooling.Mean != nil {
		if !*pooling.Mean {
			return fmt.Errorf("%w: another pooling than the mean of the pieces", ErrUse)
		}
		use.Pooling = cmp.Or(use.Pooling, modelfile.PooledMean)
	}
	use.PiecesMax = cmp.Or(use.PiecesMax, length.Pieces)
	return nil
}

func readOptional(dir, name string, into any) error {
	content, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func writeCard(dir string, card modelfile.Card) error {
	content, err := json.Marshal(card)
	if err != nil {
		return fmt.Errorf("encode card: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, modelfile.CardFile), append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	return nil
}

// sums gives the SHA-256 of all files below dir, by their paths.
func sums(dir string) (map[string]string, error) {
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		h := sha256.New()
		if _, err := io.Copy(h, file); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = hex.EncodeToString(h.Sum(nil))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the model's files: %w", err)
	}
	return found, nil
}
