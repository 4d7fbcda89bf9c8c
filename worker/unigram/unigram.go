// Package unigram splits texts into the pieces of a Unigram tokenizer (SentencePiece), as
// tokenizer.json describes it: of all ways to split a word, the one whose pieces have
// the highest sum of scores. hugot's own tokenizer for Go takes the longest piece
// instead, and never reads the scores.
package unigram

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/go-huggingface/tokenizers/api"
)

// A Tokenizer splits texts into pieces. It is never changed, and may be used from any
// goroutine.
type Tokenizer struct {
	vocabulary
	normalize    func(string) string
	split        func([]string) []string
	unknown      int
	unknownScore float64
	byteFallback bool
	before       []int // special pieces around every text
	after        []int
	special      map[api.SpecialToken]int
	bounds       api.EncodeOptions
}

// unknownPenalty is what an unknown letter scores below the worst piece, as
// SentencePiece has it.
const unknownPenalty = 10

// Encode gives the ids of a text's pieces, with the special ones around them.
func (t *Tokenizer) Encode(text string) []int { return t.encode(text, true) }

// EncodeWithAnnotations is Encode with the mask of special pieces. Where a piece is in
// the text is not known: vectors of texts do not need it.
func (t *Tokenizer) EncodeWithAnnotations(text string) api.AnnotatedEncoding {
	ids := t.encode(text, t.bounds.AddSpecialTokens)
	encoding := api.AnnotatedEncoding{IDs: ids}
	if t.bounds.IncludeSpecialTokensMask && t.bounds.AddSpecialTokens {
		encoding.SpecialTokensMask = make([]int, len(ids))
		for i := range ids {
			if i < len(t.before) || i >= len(ids)-len(t.after) {
				encoding.SpecialTokensMask[i] = 1
			}
		}
	}
	return encoding
}

// With sets what EncodeWithAnnotations gives.
func (t *Tokenizer) With(options api.EncodeOptions) error {
	if options.IncludeSpans {
		return fmt.Errorf("places of pieces: %w", api.ErrNotImplemented)
	}
	t.bounds = options
	return nil
}

func (t *Tokenizer) encode(text string, framed bool) []int {
	var ids []int
	if framed {
		ids = slices.Clone(t.before)
	}
	for _, word := range t.split([]string{t.normalize(text)}) {
		ids = t.appendWord(ids, word)
	}
	if framed {
		ids = append(ids, t.after...)
	}
	return ids
}

// reached is the best way from the start of a word to a place in it.
type reached struct {
	score float64
	from  int // where its last piece begins
	id    int
	known bool // there is a way
}

// best finds, for each place of a word, the best way to it (Viterbi).
func (t *Tokenizer) best(word string) []reached {
	ways := make([]reached, len(word)+1)
	for at := 0; at < len(word); {
		_, letter := utf8.DecodeRuneInString(word[at:])
		score := ways[at].score
		offer := func(length, id int, gain float64) {
			if way := &ways[at+length]; !way.known || score+gain > way.score {
				*way = reached{score + gain, at, id, true}
			}
		}
		single := false
		for length, id := range t.prefixes(word[at:]) {
			offer(length, id, t.scores[id])
			single = single || length == letter
		}
		if !single {
			offer(letter, t.unknown, t.unknownScore)
		}
		at += letter
	}
	return ways
}

// appendWord appends the pieces of a word. Unknown letters in a row are one piece.
func (t *Tokenizer) appendWord(ids []int, word string) []int {
	ways := t.best(word)
	var parts []string // from the last
	fused := false
	for end := len(word); end > 0; end = ways[end].from {
		part := word[ways[end].from:end]
		unknown := ways[end].id == t.unknown
		if unknown && fused {
			parts[len(parts)-1] = part + parts[len(parts)-1]
		} else {
			parts = append(parts, part)
		}
		fused = unknown
	}
	for _, part := range slices.Backward(parts) {
		ids = t.appendPiece(ids, part)
	}
	return ids
}

func (t *Tokenizer) appendPiece(ids []int, part string) []int {
	if id, ok := t.id(part); ok {
		return append(ids, id)
	}
	if t.byteFallback {
		bytes := make([]int, 0, len(part))
		for i := range len(part) {
			id, ok := t.id(fmt.Sprintf("<0x%02X>", part[i]))
			if !ok {
				return append(ids, t.unknown)
			}
			bytes = append(bytes, id)
		}
		return append(ids, bytes...)
	}
	return append(ids, t.unknown)
}

// Decode joins the texts of pieces.
func (t *Tokenizer) Decode(ids []int) string {
	var out strings.Builder
	for _, id := range ids {
		if id >= 0 && id < len(t.pieces) {
			out.WriteString(t.pieces[id])
		}
	}
	return out.String()
}

// SpecialTokenID is the id of a special piece.
func (t *Tokenizer) SpecialTokenID(token api.SpecialToken) (int, error) {
	if id, ok := t.special[token]; ok {
		return id, nil
	}
	return 0, fmt.Errorf("special piece %s: %w", token, api.ErrNotImplemented)
}

// Normalize is the text as it is split.
func (t *Tokenizer) Normalize(text string) string { return t.normalize(text) }

// VocabSize is the number of pieces.
func (t *Tokenizer) VocabSize() int { return len(t.pieces) }

// Config is nil: the file is no configuration of Hugging Face's.
func (t *Tokenizer) Config() *api.Config { return nil }

// Blank is the id of the mark of a space alone, which has no meaning, -1 where there is none.
func (t *Tokenizer) Blank() int {
	if id, ok := t.id(spaceMark); ok {
		return id
	}
	return -1
}
