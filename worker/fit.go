package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/go-huggingface/tokenizers/api"
)

// limits are what a model's tokenizer says about texts.
type limits struct {
	piecesMax    int // longest text in pieces, the special ones not counted
	wordBytesMax int // longest run of letters that is split into pieces
	frame        int // pieces of an empty text: [CLS] and [SEP]
	unknown      int // id of [UNK], -1 when there is none
	special      *strings.Replacer
}

// fit cuts a text to the model's window and takes out what would confuse the
// tokenizer. hugot does not cut, so a long text would be an error on every
// retry, and its tokenizer is quadratic in the length of the text.
//
// Words are counted one at a time, so the cost depends on the window and not
// on the text. The text that is returned holds at least one known word, else
// the error is ErrNoMeaning.
func (m model) fit(text string) (string, error) {
	var out strings.Builder
	pieces, known := 0, false
	for field := range strings.FieldsSeq(text) {
		for word := range chunks(field, m.limits.wordBytesMax) {
			word = m.limits.special.Replace(strings.ToValidUTF8(word, "\uFFFD"))
			ids := m.tokenizer.Encode(word)
			pieces += len(ids) - m.limits.frame
			if pieces > m.limits.piecesMax {
				return fitted(out.String(), known)
			}
			for _, id := range ids[m.limits.frame/2 : len(ids)-(m.limits.frame-m.limits.frame/2)] {
				known = known || id != m.limits.unknown
			}
			out.WriteString(word)
			out.WriteByte(' ')
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
func chunks(word string, size int) func(yield func(string) bool) {
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

// readLimits reads what hugot knows and does not apply: the window of
// config.json, and the word limit and special pieces of tokenizer.json.
func readLimits(dir string, tokenizer api.Tokenizer) (limits, error) {
	var config struct {
		Window     int `json:"max_position_embeddings"`
		Vocabulary int `json:"vocab_size"`
	}
	// hugot does not need the config, so it may be missing.
	if err := readJSON(filepath.Join(dir, "config.json"), &config); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return limits{}, err
	}
	var file struct {
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
			Special bool   `json:"special"`
		} `json:"added_tokens"`
		Model struct {
			WordBytesMax int             `json:"max_input_chars_per_word"`
			Vocabulary   json.RawMessage `json:"vocab"`
		} `json:"model"`
	}
	if err := readJSON(filepath.Join(dir, "tokenizer.json"), &file); err != nil {
		return limits{}, err
	}
	l := limits{
		piecesMax:    min(config.Window, windowMax),
		wordBytesMax: file.Model.WordBytesMax,
		frame:        len(tokenizer.Encode("")),
		unknown:      -1,
	}
	if config.Window == 0 {
		l.piecesMax = windowMax
	}
	if l.piecesMax -= l.frame; l.piecesMax < 1 {
		return limits{}, fmt.Errorf("window of %d pieces is too small", config.Window)
	}
	if l.wordBytesMax == 0 {
		l.wordBytesMax = 100 // the tokenizer's own default
	}
	if id, err := tokenizer.SpecialTokenID(api.TokUnknown); err == nil {
		l.unknown = id
	}
	top, pairs := topID(file.Model.Vocabulary), []string{}
	for _, t := range file.Added {
		top = max(top, t.ID)
		if t.Special {
			// A user who types "[CLS]" means the letters, if anything.
			pairs = append(pairs, t.Content, " ")
		}
	}
	l.special = strings.NewReplacer(pairs...)
	if config.Vocabulary > 0 && top >= config.Vocabulary {
		// The backend would clamp the id and take a wrong row without a word.
		return limits{}, fmt.Errorf("tokenizer has piece %d, the table has %d rows", top, config.Vocabulary)
	}
	return l, nil
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
