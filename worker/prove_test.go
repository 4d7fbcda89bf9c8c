package worker

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/worker/modelfile"
)

// copied is a model of testdata, changed.
func copied(t *testing.T, name string, change map[string]func([]byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{modelfile.ONNX, modelfile.Tokenizer, modelfile.CardFile} {
		content, err := os.ReadFile(filepath.Join("testdata", name, file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if f, ok := change[file]; ok {
			content = f(content)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A model with a Unigram tokenizer gives the vectors of onnxruntime.
func TestModelProvesItself(t *testing.T) {
	e, err := Open(t.Context(), Options{ModelDir: "testdata/unigram"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Embed(t.Context(), "ゴジラ"); !errors.Is(err, ErrNoMeaning) {
		t.Errorf("letters that it does not know gave %v", err)
	}
}

func TestModelDoesNotProveItself(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change map[string]func([]byte) []byte
		says   string
	}{
		{"scores of another tokenizer", map[string]func([]byte) []byte{modelfile.Tokenizer: replace(`-`, ``)}, "check text 0 is off"},
		{"letters of another tokenizer", map[string]func([]byte) []byte{modelfile.Tokenizer: replace(`"Precompiled"`, `"Lowercase"`)}, "is off"},
		{"a tokenizer of another kind", map[string]func([]byte) []byte{modelfile.Tokenizer: replace(`"type": "Unigram"`, `"type": "BPE"`)}, `type "BPE"`},
		{"a part that is not there", map[string]func([]byte) []byte{modelfile.Tokenizer: replace(`"Precompiled"`, `"Nmt"`)}, "Nmt"},
		{"another prefix", map[string]func([]byte) []byte{modelfile.CardFile: replace(`{"pooling"`, `{"version": "unigram-000000000000", "pooling"`)}, "damaged"},
		{"another pooling", map[string]func([]byte) []byte{modelfile.CardFile: replace(`"mean"`, `"graph"`)}, "pooled"},
		{"other dimensions", map[string]func([]byte) []byte{modelfile.CardFile: replace(`{"pooling"`, `{"dimensions": 9, "pooling"`)}, "8 dimensions, and 9"},
		{"vectors of other dimensions", map[string]func([]byte) []byte{modelfile.CardFile: replace(`"vector": [`, `"vector": [0,`)}, "off by NaN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Open(t.Context(), Options{ModelDir: copied(t, "unigram", tt.change)})
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

// A graph whose branches are ready at once runs on one core too, where gomlx by its
// default waits for ever.
func TestBranchesOnOneCore(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e, err := Open(t.Context(), Options{ModelDir: "testdata/branches"})
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
}

// A graph that does not end within the limit is refused, also on one core.
func TestSlowModelIsRefused(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const limit, slack = 100 * time.Millisecond, time.Minute
	start := time.Now()
	_, err := Open(t.Context(), Options{ModelDir: "testdata/slow", Within: limit})
	if !errors.Is(err, ErrUnproven) || !strings.Contains(err.Error(), limit.String()) {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(start); took > limit+slack {
		t.Errorf("it was refused after %s", took)
	}
}

// Models that are opened at once, as after one that was left behind, share nothing: the
// check texts of one are cut to its own window.
func TestModelsOpenAtOnce(t *testing.T) {
	before := slices.Clone(defaultChecks)
	bare := func([]byte) []byte { return []byte("{}") } // a card without check texts
	dir := copied(t, "unigram", map[string]func([]byte) []byte{modelfile.CardFile: bare})
	var opening sync.WaitGroup
	for range 4 {
		opening.Go(func() {
			e, err := Open(t.Context(), Options{ModelDir: dir})
			if err != nil {
				t.Error(err)
				return
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	opening.Wait()
	if !slices.Equal(defaultChecks, before) {
		t.Errorf("check texts for every model are now %q", defaultChecks)
	}
}

// Prefixes are part of what a text's vector is made from, and of the model's version.
func TestPrefixes(t *testing.T) {
	card := modelfile.Card{Use: modelfile.Use{QuestionPrefix: "prison: ", FilmPrefix: "ship: "}}
	content, err := json.Marshal(card)
	if err != nil {
		t.Fatal(err)
	}
	with := func([]byte) []byte { return content }
	e, err := Open(t.Context(), Options{ModelDir: copied(t, "unigram", map[string]func([]byte) []byte{modelfile.CardFile: with})})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	plain, err := Open(t.Context(), Options{ModelDir: "testdata/unigram"})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if e.ModelVersion() == plain.ModelVersion() {
		t.Errorf("with prefixes and without, the version is %s", e.ModelVersion())
	}
	film, err := e.EmbedAll(t.Context(), []string{"gold"})
	if err != nil {
		t.Fatal(err)
	}
	if difference(film[0], vector(t, plain, "ship: gold")) > 1e-6 {
		t.Error("a film's text is not embedded behind its prefix")
	}
	if difference(vector(t, e, "gold"), vector(t, plain, "prison: gold")) > 1e-6 {
		t.Error("a question is not embedded behind its prefix")
	}
	asked := []byte(`{"text":"gold","film":true}`)
	answers, faults := Models{e}.Handle(t.Context(), [][]byte{asked})
	err = faults[0]
	var a Answer
	if err == nil {
		err = json.Unmarshal(answers[0], &a)
	}
	if err != nil || difference(a.Embedding, film[0]) > 1e-6 {
		t.Errorf("a request for a film's text is off: %v", err)
	}
	if _, err := e.Embed(t.Context(), "日本"); !errors.Is(err, ErrNoMeaning) {
		t.Errorf("a prefix gives a meaning to what has none: %v", err)
	}
}
