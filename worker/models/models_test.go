package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kassa/worker"
	"kassa/worker/modelfile"
)

const source = "../testdata/unigram"

func add(t *testing.T, f Folder, how Adding) Added {
	t.Helper()
	added, err := f.Add(t.Context(), "tiny", source, how)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func TestAddFromFolder(t *testing.T) {
	f := Folder(filepath.Join(t.TempDir(), "made when missing"))
	added := add(t, f, Adding{})
	if !added.Proved || added.Card.Dimensions != 8 || !strings.HasPrefix(added.Card.Version, "tiny-") {
		t.Errorf("added %+v", added)
	}
	e, err := f.Open(t.Context(), "tiny", worker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil || e.ModelVersion() != added.Card.Version {
		t.Errorf("opened as %s: %v", e.ModelVersion(), err)
	}
	if _, err := f.Add(t.Context(), "tiny", source, Adding{}); !errors.Is(err, ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(string(f), ".adding*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := f.Remove("tiny"); err != nil {
		t.Errorf("remove: %v", err)
	}
	if err := f.Remove("tiny"); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
}

// Each file of a model is pinned.
func TestDamagedFiles(t *testing.T) {
	f := Folder(t.TempDir())
	dir := filepath.Join(string(f), "tiny")
	pinned := add(t, f, Adding{}).Pinned
	if len(pinned.Files) != 3 {
		t.Fatalf("pinned are %v", pinned.Files)
	}
	for name := range maps.Keys(pinned.Files) {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		damaged := append([]byte{}, whole...)
		damaged[len(damaged)/2] ^= 1
		must(t, os.WriteFile(path, damaged, 0o600))
		if _, err := f.Open(t.Context(), "tiny", worker.Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		must(t, os.WriteFile(path, whole, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, "other.onnx"), nil, 0o600))
	if _, err := f.Open(t.Context(), "tiny", worker.Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "other.onnx") {
		t.Errorf("one file more: %v", err)
	}
}

// A lock file alone has the same model brought in again, and no other.
func TestPinnedModelIsBroughtInAgain(t *testing.T) {
	f := Folder(t.TempDir())
	add(t, f, Adding{})
	must(t, os.RemoveAll(filepath.Join(string(f), "tiny")))
	if _, err := f.Add(t.Context(), "tiny", source, Adding{Use: modelfile.Use{QuestionPrefix: "query: "}}); !errors.Is(err, ErrDamaged) {
		t.Errorf("another one under its name: %v", err)
	}
	add(t, f, Adding{})
}

// A lock file that names anything outside of the folder of models is refused: it may come
// from another machine.
func TestLockFileWithPaths(t *testing.T) {
	f := Folder(filepath.Join(t.TempDir(), "models"))
	add(t, f, Adding{})
	victim := filepath.Join(string(f), "../victim")
	must(t, os.WriteFile(victim, nil, 0o600))
	for _, content := range []string{
		`{"../victim": {}}`, `{"": {}}`, `{".": {}}`, `{"a/b": {}}`, `{"/etc": {}}`, `{"A": {}}`,
		`{"tiny": {"files": {"../../victim": ""}}}`, `{"tiny": {"files": {"/etc/passwd": ""}}}`,
	} {
		must(t, os.WriteFile(filepath.Join(string(f), LockFile), []byte(content), 0o600))
		for name := range map[string]bool{"../victim": true, "tiny": true} {
			_, opened := f.Open(t.Context(), name, worker.Options{})
			if removed := f.Remove(name); !errors.Is(opened, ErrName) || !errors.Is(removed, ErrName) {
				t.Errorf("%s: open %s: %v, remove: %v", content, name, opened, removed)
			}
		}
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
}

// Of models that are pinned and removed at once, none is lost and none comes back.
func TestPinnedAtOnce(t *testing.T) {
	f := Folder(t.TempDir())
	const count = 40
	var all sync.WaitGroup
	for n := range count {
		all.Go(func() {
			name := fmt.Sprintf("model-%d", n)
			err := f.pin(func(pins map[string]Pinned) error {
				pins[name] = Pinned{Source: name}
				return nil
			})
			if n%2 == 0 {
				err = errors.Join(err, f.Remove(name))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if pins, err := f.Pins(); len(pins) != count/2 || err != nil {
		t.Errorf("%d are pinned, %v", len(pins), err)
	}
}

func TestAddRefuses(t *testing.T) {
	f := Folder(t.TempDir())
	wrong := []modelfile.Check{{Text: "ship", Vector: []float32{1, 0, 0, 0, 0, 0, 0, 0}}}
	cls := copyOf(t, map[string]string{"1_Pooling/config.json": `{"pooling_mode_mean_tokens": false}`})
	dense := copyOf(t, map[string]string{"modules.json": `[{"type": "sentence_transformers.models.Dense"}]`})
	for _, tt := range []struct {
		name, model, source string
		how                 Adding
		want                error
	}{
		{"name", "../tiny", source, Adding{}, ErrName},
		{"source", "tiny", "no such folder", Adding{}, ErrSource},
		{"no revision", "tiny", "owner/name", Adding{}, ErrSource},
		{"vectors of another model", "tiny", source, Adding{Checks: wrong}, worker.ErrUnproven},
		{"pooling", "tiny", cls, Adding{}, ErrUse},
		{"dense layer", "tiny", dense, Adding{}, ErrUse},
	} {
		if _, err := f.Add(t.Context(), tt.model, tt.source, tt.how); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if left, _ := os.ReadDir(string(f)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A source without known vectors gets those that are computed here, and is said to be unproved.
func TestAddWithoutChecks(t *testing.T) {
	added := add(t, Folder(t.TempDir()), Adding{})
	bare := copyOf(t, map[string]string{modelfile.CardFile: `{}`, "sentence_bert_config.json": `{"max_seq_length": 20}`})
	plain, err := Folder(t.TempDir()).Add(t.Context(), "tiny", bare, Adding{})
	if err != nil {
		t.Fatal(err)
	}
	if plain.Proved || len(plain.Card.Checks) == 0 || !added.Proved {
		t.Errorf("proved: %t, with %d checks", plain.Proved, len(plain.Card.Checks))
	}
}

// A revision at Hugging Face is pinned by its commit, and only the model's files are fetched.
func TestAddFromHub(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	var asked []string
	mux := http.NewServeMux()
	mux.HandleFunc("/api/models/owner/tiny/revision/", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": []map[string]string{
			{"rfilename": "onnx/model.onnx"}, {"rfilename": "onnx/model_quantized.onnx"}, {"rfilename": "tokenizer.json"}, {"rfilename": "model.safetensors"}}})
	})
	files := http.FileServer(http.Dir(source))
	mux.HandleFunc("/owner/tiny/resolve/"+commit+"/", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/owner/tiny/resolve/"+commit+"/")
		asked = append(asked, name)
		w.Header().Set("ETag", `"`+name+`"`)
		w.Header().Set("X-Repo-Commit", commit)
		r.URL.Path = "/" + strings.TrimPrefix(name, "onnx/")
		files.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	t.Setenv("HF_ENDPOINT", server.URL)
	f := Folder(t.TempDir())
	added, err := f.Add(t.Context(), "tiny", "owner/tiny@main", Adding{})
	if err != nil {
		t.Fatal(err)
	}
	if added.Source != "owner/tiny" || added.Revision != commit || added.Files["onnx/model.onnx"] == "" || len(added.Files) != 3 {
		t.Errorf("pinned is %+v", added.Pinned)
	}
	for _, name := range asked {
		if name != "onnx/model.onnx" && name != "tokenizer.json" {
			t.Errorf("%s was fetched", name)
		}
	}
	if e, err := f.Open(t.Context(), "tiny", worker.Options{}); err != nil || e.Close() != nil {
		t.Errorf("open: %v", err)
	}
	if _, err := f.Add(t.Context(), "other", "owner/tiny@main", Adding{ONNX: "model_fp16.onnx"}); !errors.Is(err, ErrSource) {
		t.Errorf("a graph that is not there: %v", err)
	}
}

func copyOf(t *testing.T, more map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(source)))
	for name, content := range more {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
