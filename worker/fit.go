package worker

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/go-huggingface/tokenizers/api"

	"kassa/worker/modelfile"
	"kassa/worker/unigram"
)

// limits are a model's bounds of texts, by its tokenizer.
type limits struct {
	piecesMax    int   // longest text in pieces, the special ones not counted
	wordBytesMax int   // longest run of letters that is split into pieces
	frame        int   // pieces of an empty text: [CLS] and [SEP]
	meaningless  []int // ids of pieces without a meaning: [UNK], and Unigram's mark of a space
	special      *strings.Replacer
}

// fit cuts a text to the model's window and takes out what would confuse the
// tokenizer. hugot does not cut, so a long text would be an error on every
// retry, and its tokenizer is quadratic in the length of the text.
//
// Words are counted one at a time, so the cost depends on the window and not
// on the text. The text that is returned holds at least one known word, else
// the error is ErrNoMeaning.
//
// The prefix is the model's own, and counts as part of the window.
func (m model) fit(prefix, text string) (string, error) {
	var out strings.Builder
	out.WriteString(prefix)
	pieces, known := 0, false
	if prefix != "" {
		pieces = len(m.tokenizer.Encode(prefix)) - m.limits.frame
	}
	space := "" // before all words but the first: some tokenizers count one at the end
	for field := range strings.FieldsSeq(text) {
		for word := range chunks(field, m.limits.wordBytesMax) {
			word = m.limits.special.Replace(strings.ToValidUTF8(word, "\uFFFD"))
			ids := m.tokenizer.Encode(word)
			pieces += len(ids) - m.limits.frame
			if pieces > m.limits.piecesMax {
				return fitted(out.String(), known)
			}
			for _, id := range ids[m.limits.frame/2 : len(ids)-(m.limits.frame-m.limits.frame/2)] {
				known = known || !slices.Contains(m.limits.meaningless, id)
			}
			out.WriteString(space)
			out.WriteString(word)
			space = " "
		}
	}
	return fitted(out.String(), known)
}

func fitted(text string, known bool) (string, error) {
	if !known {
		return "", fmt.Errorf("embed text: %w", ErrNoMeaning)
	}
	return text, nil
}

// chunks yields a word in parts of at most size bytes, cut between letters.
// Without it, a word of 100,000 letters would be tokenized as a whole, and one
// of 60 Cyrillic letters would be unknown: the tokenizer's limit counts bytes.
func chunks(word string, size int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(word) > size {
			cut := size
			for cut > size-utf8.UTFMax && !utf8.RuneStart(word[cut]) {
				cut--
			}
			if !yield(word[:cut]) {
				return
			}
			word = word[cut:]
		}
		yield(word)
	}
}

// config is what limits need of config.json.
type config struct {
	Window     int `json:"max_position_embeddings"`
	Vocabulary int `json:"vocab_size"`
}

// tokenizerFile is what limits need of tokenizer.json.
type tokenizerFile struct {
	Added []struct {
		ID      int    `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Truncation *struct {
		Length int `json:"max_length"`
	} `json:"truncation"`
	Model struct {
		WordBytesMax int             `json:"max_input_chars_per_word"`
		Vocabulary   json.RawMessage `json:"vocab"`
	} `json:"model"`
}

// readLimits reads what hugot knows and does not apply: the window of
// config.json, and the word limit and special pieces of tokenizer.json. The card can make
// the window smaller.
func readLimits(dir string, tokenizer api.Tokenizer, use modelfile.Use) (limits, error) {
	var c config
	// hugot does not need the config, so it may be missing.
	if err := readJSON(filepath.Join(dir, "config.json"), &c); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return limits{}, err
	}
	var file tokenizerFile
	if err := readJSON(filepath.Join(dir, "tokenizer.json"), &file); err != nil {
		return limits{}, err
	}
	if top := file.topID(); c.Vocabulary > 0 && top >= c.Vocabulary {
		// The backend would clamp the id and use a wrong row without an error.
		return limits{}, fmt.Errorf("tokenizer has piece %d, the table has %d rows", top, c.Vocabulary)
	}
	frame := len(tokenizer.Encode(""))
	window := min(cmp.Or(c.Window, windowMax), cmp.Or(use.PiecesMax, windowMax), windowMax)
	if file.Truncation != nil {
		window = min(window, cmp.Or(file.Truncation.Length, window))
	}
	l := limits{
		piecesMax:    window - frame,
		wordBytesMax: cmp.Or(file.Model.WordBytesMax, 100), // the tokenizer's own default
		frame:        frame,
		special:      file.special(),
	}
	if l.piecesMax < 1 {
		return limits{}, fmt.Errorf("window of %d pieces is too small", window)
	}
	if id, err := tokenizer.SpecialTokenID(api.TokUnknown); err == nil {
		l.meaningless = append(l.meaningless, id)
	}
	if u, ok := tokenizer.(*unigram.Tokenizer); ok {
		l.meaningless = append(l.meaningless, u.Blank())
	}
	return l, nil
}

// special replaces the special pieces: a user who types "[CLS]" means the letters, if
// anything.
func (f tokenizerFile) special() *strings.Replacer {
	var pairs []string
	for _, t := range f.Added {
		if t.Special {
			pairs = append(pairs, t.Content, " ")
		}
	}
	return strings.NewReplacer(pairs...)
}

// topID is the highest id of a piece.
func (f tokenizerFile) topID() int {
	top := topID(f.Model.Vocabulary)
	for _, t := range f.Added {
		top = max(top, t.ID)
	}
	return top
}

// topID is the highest id of a vocabulary, which is an object (piece to id) or
// a list (the id is the index).
func topID(vocabulary json.RawMessage) int {
	top := -1
	var ids map[string]int
	if json.Unmarshal(vocabulary, &ids) == nil {
		for _, id := range ids {
			top = max(top, id)
		}
		return top
	}
	var list []json.RawMessage
	if json.Unmarshal(vocabulary, &list) == nil {
		top = len(list) - 1
	}
	return top
}

func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read model file: %w", err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return nil
}
