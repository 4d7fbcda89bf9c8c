package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kassa/worker"
	"kassa/worker/modelfile"
)

// The committed model is what catalogue and lexicon give. When this fails, run
// go generate ./worker and commit the result.
func TestModelIsCurrent(t *testing.T) {
	dir := t.TempDir()
	var said strings.Builder
	args := []string{"-catalog", catalogDir, "-lexicon", lexiconFile, "-out", dir}
	if err := run(t.Context(), args, &said); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, name := range []string{modelfile.ONNX, modelfile.Tokenizer, modelfile.Config, modelfile.CardFile} {
		fresh, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join(modelDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fresh, committed) {
			t.Errorf("%s is not what catalogue and lexicon give", name)
		}
		size += len(fresh)
	}
	if size > 8<<20 {
		t.Errorf("model has %d bytes, more than 8 MiB", size)
	}
}

func open(t *testing.T) *worker.Embedder {
	t.Helper()
	e, err := worker.Open(t.Context(), worker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// What the model is for: texts that mean the same are near.
func TestNearness(t *testing.T) {
	e := open(t)
	for _, tt := range []struct {
		a, b        string
		least, most float64
	}{
		{"остров", "островами", 0.999, 1.001}, // an ending that no text has
		{"prison", "prisons", 0.999, 1.001},
		{"тюрьма", "prison", 0.5, 1},
		{"собака", "dog", 0.5, 1},
		{"щенок", "собака", 0.3, 1},
		{"остров", "prison", -1, 0.3},
		{"фильм про тюрьму", "тюрьма", 0.95, 1.001}, // words of asking hardly count
		{"what is that movie about a prison", "prison", 0.9, 1.001},
	} {
		vectors, err := e.EmbedAll(t.Context(), []string{tt.a, tt.b})
		if err != nil {
			t.Fatal(err)
		}
		var cosine float64
		for i, x := range vectors[0] {
			cosine += float64(x) * float64(vectors[1][i])
		}
		if cosine < tt.least || cosine > tt.most {
			t.Errorf("cosine of %q and %q is %.3f, want %g to %g", tt.a, tt.b, cosine, tt.least, tt.most)
		}
	}
}

// No text of the catalogue is cut at the model's window.
func TestFilmTextsFit(t *testing.T) {
	films, err := readFilms(catalogDir)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(modelDir, modelfile.Tokenizer))
	if err != nil {
		t.Fatal(err)
	}
	tokenizer := tokenizerOf(t, content)
	for _, f := range films {
		for _, text := range filmTexts(f) {
			if n := len(tokenizer.Encode(text)); n > sequenceMax {
				t.Errorf("a text of %s has %d pieces, more than %d", f.ID, n, sequenceMax)
			}
		}
	}
}

// The table of -score on queries that are easy by construction.
func TestScore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.tsv")
	queries := "id\tlang\tquery\texpected\n" +
		"1\ten\tthe shawshank redemption\tThe Shawshank Redemption (1994)\n" +
		"2\tru\tпобег из шоушенка\tThe Shawshank Redemption (1994)|Pulp Fiction (1994)\n"
	if err := os.WriteFile(path, []byte(queries), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(context.Background(), []string{"-catalog", catalogDir, "-score", path}, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "1.000"); n != 4*6 {
		t.Errorf("%d of 24 numbers are 1.000:\n%s", n, &out)
	}
	for name, content := range map[string]string{
		"too few fields": "id\tlang\n", "unknown film": "id\tlang\tquery\texpected\n1\ten\tprison\tNo Such Film (1900)\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(context.Background(), []string{"-catalog", catalogDir, "-score", path}, &out); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRanksOf(t *testing.T) {
	films := []Film{{Title: "A", Year: 1}, {Title: "B", Year: 2}, {Title: "C", Year: 3}, {Title: "D", Year: 4}}
	ranks, err := ranksOf(func(string) ([]float64, error) { return []float64{3, 1, 1, 0}, nil }, films, []query{
		{expected: map[string]bool{"A (1)": true}},
		{expected: map[string]bool{"B (2)": true}}, // beside an equal: second or third
		{expected: map[string]bool{"D (4)": true, "A (1)": true}},
	})
	if err != nil || ranks[0] != 1 || ranks[1] != 2.5 || ranks[2] != 1 {
		t.Errorf("ranks are %v, %v", ranks, err)
	}
}
