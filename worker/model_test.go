package worker

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kassa/worker/modelfile"
)

// tiny writes a model of two words in two dimensions, with the content of its
// files changed by name.
func tiny(t *testing.T, change map[string]func([]byte) []byte) string {
	t.Helper()
	files, err := modelfile.Model{
		Pieces:       append(modelfile.Special(), "cat", "dog", "##s"),
		Rows:         [][]float32{{0, 0}, {0, 0}, {0, 0}, {0, 0}, {1, 0}, {0, 1}, {0, 0}},
		SequenceMax:  8,
		WordBytesMax: 20,
	}.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "folder with spaces и кириллица")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if f, ok := change[name]; ok {
			content = f(content)
		}
		if content == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func missing([]byte) []byte { return nil }

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(new)) }
}

func TestModelFromFolder(t *testing.T) {
	e, err := Open(t.Context(), Options{ModelDir: tiny(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for text, want := range map[string][]float32{
		"cat": {1, 0}, "Dogs!": {0, 1}, "cats dog": {0.70710677, 0.70710677},
		"cat dog dog dog dog dog dog dog dog dog": {0.19611613, 0.98058068}, // six pieces beside [CLS] and [SEP]
	} {
		if got := vector(t, e, text); cosine(got, want) < 0.9999 {
			t.Errorf("vector of %q is %v, want %v", text, got, want)
		}
	}
	if _, err := e.Embed(t.Context(), "cow"); !errors.Is(err, ErrNoMeaning) {
		t.Errorf("unknown word gave %v", err)
	}
}

// A model without a card or a config, as it is found elsewhere.
func TestForeignModel(t *testing.T) {
	dir := tiny(t, map[string]func([]byte) []byte{modelfile.CardFile: missing, modelfile.Config: missing})
	e, err := Open(t.Context(), Options{ModelDir: dir, BatchMax: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if !strings.HasPrefix(e.ModelVersion(), filepath.Base(dir)+"-") || e.Dimensions() != 2 {
		t.Errorf("version is %q, %d dimensions", e.ModelVersion(), e.Dimensions())
	}
}

func TestBadModels(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change map[string]func([]byte) []byte
		says   string
	}{
		{"no mask", map[string]func([]byte) []byte{
			modelfile.ONNX: replace("attention_mask", "token_type_ids"), modelfile.CardFile: missing}, "attention_mask"},
		{"more pieces than rows", map[string]func([]byte) []byte{
			modelfile.Config: replace(`"vocab_size": 7`, `"vocab_size": 6`)}, "piece 6"},
		{"no room", map[string]func([]byte) []byte{
			modelfile.Config: replace(`"max_position_embeddings": 8`, `"max_position_embeddings": 2`)}, "too small"},
		{"damaged", map[string]func([]byte) []byte{
			modelfile.Tokenizer: replace("dog", "fox")}, "damaged"},
		{"card is no JSON", map[string]func([]byte) []byte{
			modelfile.CardFile: func([]byte) []byte { return []byte("{") }}, modelfile.CardFile},
		{"no tokenizer", map[string]func([]byte) []byte{modelfile.Tokenizer: missing}, modelfile.Tokenizer},
		{"no model", map[string]func([]byte) []byte{modelfile.ONNX: missing}, "0 ONNX files"},
		{"not ONNX", map[string]func([]byte) []byte{
			modelfile.ONNX: func([]byte) []byte { return []byte("nonsense") }, modelfile.CardFile: missing}, "hugot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Open(t.Context(), Options{ModelDir: tiny(t, tt.change)})
			if err == nil {
				e.Close()
				t.Fatal("model was opened")
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error is %v, want it to name %q", err, tt.says)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(t.Context(), Options{BatchMax: 33}); err == nil {
		t.Error("a batch of 33 is allowed")
	}
	if _, err := Open(t.Context(), Options{ModelDir: filepath.Join(t.TempDir(), "nowhere")}); err == nil {
		t.Error("a missing folder is allowed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled open gave %v", err)
	}
}

// Whatever an earlier process left behind, unpack gives a whole model.
func TestUnpack(t *testing.T) {
	files, _, err := readBuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	parent := filepath.Join(t.TempDir(), "made when missing")
	dir, _, err := unpack(parent)
	if err != nil || !intact(dir, files) {
		t.Fatalf("first unpack: %v", err)
	}
	for name, harm := range map[string]func() error{
		"nothing":      func() error { return nil },
		"half a file":  func() error { return os.Truncate(filepath.Join(dir, modelfile.ONNX), 1000) },
		"missing file": func() error { return os.Remove(filepath.Join(dir, modelfile.Tokenizer)) },
		"other content": func() error {
			return os.WriteFile(filepath.Join(dir, modelfile.Config), make([]byte, len(files[modelfile.Config])), 0o600)
		},
		"one file too many": func() error { return os.WriteFile(filepath.Join(dir, "other.onnx"), nil, 0o600) },
		"a file instead of the folder": func() error {
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := harm(); err != nil {
				t.Fatal(err)
			}
			again, _, err := unpack(parent)
			if err != nil || again != dir || !intact(dir, files) {
				t.Errorf("unpacked to %s: %v", again, err)
			}
			if left, _ := os.ReadDir(parent); len(left) != 1 {
				t.Errorf("%d entries in the parent", len(left))
			}
		})
	}
}

func TestUnpackAtOnce(t *testing.T) {
	parent := t.TempDir()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, _, err := unpack(parent); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestTemporaryFolderIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	e, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(e.temporary); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(e.temporary); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder is still there: %v", err)
	}
}
