package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"

	"kassa/catalog"
	"kassa/catalog/words"
	"kassa/worker/modelfile"
)

// The generator splits words exactly as hugot's tokenizer does with the generated file;
// otherwise the rows would belong to other pieces.
func TestTokenizerAgrees(t *testing.T) {
	tokenizer := builtIn(t)
	vocabulary := tokenizer.GetVocab()
	films, err := catalog.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{
		"Ёжик в тумане, йод и йога; подъезд", "naïve café — ÉCOLE", "кораблекрушениями неведомыми", "xqzw 12345 #1",
		"tab\tnewline\nnbsp\u00a0thin\u2009", "i̇stanbul İstanbul", "Straße œuvre", "don't can’t", "тысяча-девятьсот", "a\u0301b",
	}
	for _, f := range films {
		texts = append(texts, catalog.EmbeddingTexts(f)...)
		texts = append(texts, f.OriginalTitle)
	}
	differ := 0
	for _, text := range texts {
		var want []int
		for _, w := range words.Split(text) {
			if len(w.Form) <= wordBytesMax {
				want = append(want, split(w.Form, vocabulary)...)
			}
		}
		got := slices.DeleteFunc(tokenizer.Encode(text), func(id int) bool {
			piece, _ := tokenizer.IDToToken(id)
			special := slices.Contains(modelfile.Special(), piece) // [UNK] too: its row is zero
			return special || !strings.HasPrefix(piece, "##") && words.Split(piece) == nil
		})
		if !slices.Equal(got, want) {
			if differ++; differ < 5 {
				t.Errorf("pieces of %q are\n%v, trained as\n%v", text, got, want)
			}
		}
	}
}

// No text of the catalogue exceeds the model's sequence length.
func TestFilmTextsFit(t *testing.T) {
	films, err := catalog.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	tokenizer := builtIn(t)
	for _, f := range films {
		for _, text := range catalog.EmbeddingTexts(f) {
			if n := len(tokenizer.Encode(text)); n > sequenceMax {
				t.Errorf("a text of %s has %d pieces, more than %d", f.ID, n, sequenceMax)
			}
		}
	}
}

// builtIn is hugot's tokenizer for the committed model's file.
func builtIn(t *testing.T) *hftokenizer.Tokenizer {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(modelDir, modelfile.Tokenizer))
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := hftokenizer.NewFromContent(nil, content)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}
