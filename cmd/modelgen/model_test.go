package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kassa/worker"
	"kassa/worker/modelfile"
)

const (
	catalogDir = "../../catalog/films"
	modelDir   = "../../worker/model"
)

// The committed model is what catalogue and lexicon give. If this fails, run go
// generate ./worker and commit the result.
func TestModelIsCurrent(t *testing.T) {
	dir := t.TempDir()
	var output strings.Builder
	args := []string{"-catalog", catalogDir, "-out", dir}
	if err := run(args, strings.NewReader(""), &output); err != nil {
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
	if size > 16<<20 {
		t.Errorf("model has %d bytes, more than 16 MiB", size)
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

// Texts with the same meaning are near each other.
func TestNearness(t *testing.T) {
	e := open(t)
	for _, tt := range []struct {
		a, b        string
		least, most float64
	}{
		{"остров", "островами", 0.999, 1.001}, // an ending that is in no text
		{"prison", "prisons", 0.999, 1.001},
		{"тюрьма", "prison", 0.5, 1},
		{"собака", "dog", 0.5, 1},
		{"щенок", "собака", 0.3, 1},
		{"остров", "prison", -1, 0.3},
		{"фильм про тюрьму", "тюрьма", 0.95, 1.001}, // words of the request itself hardly count
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
