package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"

	"kassa/worker/modelfile"
)

const (
	catalogDir  = "../../catalog/films"
	lexiconFile = "lexicon.tsv"
	modelDir    = "../../worker/model"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"The Godfather, 1972!":      "the/the godfather/godfath 1972/1972",
		"Крёстный отец":             "крестныи/крестн отец/отец",
		"старый, старыми":           "старыи/стар старыми/стар",
		"ИЙ Ё й":                    "ии/ии е/е и/и",
		"Amélie's naïve café":       "amelie/ameli s/s naive/naiv cafe/cafe",
		"pri\x00son\tblack-and-red": "prison/prison black/black and/and red/red",
		"№1 — «Он»…":                "№1/№1 он/он",
		"геро\u0438\u0306":          "герои/гер",
		"":                          "",
	} {
		var got []string
		for _, w := range words(text) {
			got = append(got, w.form+"/"+w.stem)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("words of %q are %q, want %q", text, s, want)
		}
	}
}

// The training cuts words exactly as hugot's tokenizer does with the model's
// own file, or the rows would not be those that were meant.
func TestTokenizerAgrees(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(modelDir, modelfile.Tokenizer))
	if err != nil {
		t.Fatal(err)
	}
	tokenizer := tokenizerOf(t, content)
	vocabulary := tokenizer.GetVocab()
	films, err := readFilms(catalogDir)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{
		"Ёжик в тумане, йод и йога; подъезд", "naïve café — ÉCOLE", "кораблекрушениями неведомыми", "xqzw 12345 #1",
		"tab\tnewline\nnbsp\u00a0thin\u2009", "i̇stanbul İstanbul", "Straße œuvre", "don't can’t", "тысяча-девятьсот", "a\u0301b",
	}
	for _, f := range films {
		texts = append(texts, filmTexts(f)...)
		texts = append(texts, f.OriginalTitle)
	}
	differ := 0
	for _, text := range texts {
		var want []int
		for _, w := range words(text) {
			if len(w.form) <= wordBytesMax {
				want = append(want, split(w.form, vocabulary)...)
			}
		}
		got := slices.DeleteFunc(tokenizer.Encode(text), func(id int) bool {
			piece, _ := tokenizer.IDToToken(id)
			special := slices.Contains(modelfile.Special(), piece) // [UNK] too: its row is zero
			return special || !strings.HasPrefix(piece, "##") && words(piece) == nil
		})
		if !slices.Equal(got, want) {
			if differ++; differ < 5 {
				t.Errorf("pieces of %q are\n%v, trained as\n%v", text, got, want)
			}
		}
	}
}

// tokenizerOf is the tokenizer that hugot makes of a tokenizer.json.
func tokenizerOf(t *testing.T, content []byte) *hftokenizer.Tokenizer {
	t.Helper()
	tokenizer, err := hftokenizer.NewFromContent(nil, content)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}
