package unigram

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomlx/go-huggingface/tokenizers/api"
	"golang.org/x/text/unicode/norm"
)

// ErrUnsupported means that a tokenizer does what this package does not know, so that
// its pieces would be wrong.
var ErrUnsupported = errors.New("unsupported tokenizer")

// file is a tokenizer.json.
type file struct {
	Added []struct {
		ID      int    `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer    *step  `json:"normalizer"`
	PreTokenizer  *step  `json:"pre_tokenizer"`
	PostProcessor *frame `json:"post_processor"`
	Model         struct {
		Type         string   `json:"type"`
		Unknown      *int     `json:"unk_id"`
		Vocabulary   []scored `json:"vocab"`
		ByteFallback bool     `json:"byte_fallback"`
	} `json:"model"`
}

// scored is a piece and its score, in a list.
type scored struct {
	piece string
	score float64
}

func (s *scored) UnmarshalJSON(content []byte) error {
	return json.Unmarshal(content, &[]any{&s.piece, &s.score})
}

// step is a normalizer or a pre-tokenizer.
type step struct {
	Type          string `json:"type"`
	Normalizers   []step `json:"normalizers"`
	PreTokenizers []step `json:"pretokenizers"`

	Charsmap string `json:"precompiled_charsmap"`
	Left     bool   `json:"strip_left"`
	Right    bool   `json:"strip_right"`
	Prepend  string `json:"prepend"`
	Content  string `json:"content"`
	Pattern  struct {
		Text  *string `json:"String"`
		Regex *string `json:"Regex"`
	} `json:"pattern"`

	Replacement    string `json:"replacement"`
	PrependScheme  string `json:"prepend_scheme"`
	AddPrefixSpace *bool  `json:"add_prefix_space"`
	Split          *bool  `json:"split"`
}

// Read makes the tokenizer of a tokenizer.json. What it does not know it refuses by
// name, with ErrUnsupported.
func Read(content []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, fmt.Errorf("read tokenizer: %w", err)
	}
	t, err := f.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("read tokenizer: %w", err)
	}
	return t, nil
}

func (f file) tokenizer() (t *Tokenizer, err error) {
	m := f.Model
	switch {
	case m.Type != "Unigram" && m.Type != "":
		return nil, fmt.Errorf("%w: a model of type %q", ErrUnsupported, m.Type)
	case m.Unknown == nil || *m.Unknown < 0 || *m.Unknown >= len(m.Vocabulary):
		return nil, fmt.Errorf("%w: no piece for what is unknown", ErrUnsupported)
	}
	pieces, scores := make([]string, len(m.Vocabulary)), make([]float64, len(m.Vocabulary))
	worst := math.Inf(1)
	for i, s := range m.Vocabulary {
		pieces[i], scores[i] = s.piece, s.score
		worst = min(worst, s.score)
	}
	t = &Tokenizer{unknown: *m.Unknown, unknownScore: worst - unknownPenalty, byteFallback: m.ByteFallback,
		bounds: api.EncodeOptions{AddSpecialTokens: true}}
	if t.vocabulary, err = newVocabulary(pieces, scores); err != nil {
		return nil, err
	}
	for _, added := range f.Added {
		if !added.Special {
			return nil, fmt.Errorf("%w: the piece %q, which is added and not special", ErrUnsupported, added.Content)
		}
	}
	if t.normalize, err = f.Normalizer.normalizer(); err != nil {
		return nil, err
	}
	if t.split, err = f.PreTokenizer.splitter(); err != nil {
		return nil, err
	}
	if t.before, t.after, err = f.PostProcessor.around(); err != nil {
		return nil, err
	}
	t.special = f.special(t.unknown)
	return t, nil
}

// specialNames are the usual texts of special pieces.
var specialNames = map[string]api.SpecialToken{"<s>": api.TokBeginningOfSentence, "</s>": api.TokEndOfSentence,
	"<pad>": api.TokPad, "<mask>": api.TokMask}

func (f file) special(unknown int) map[api.SpecialToken]int {
	special := map[api.SpecialToken]int{api.TokUnknown: unknown}
	for _, added := range f.Added {
		if token, ok := specialNames[added.Content]; ok {
			special[token] = added.ID
		}
	}
	return special
}

// normalizer is what a text goes through before it is split.
func (s *step) normalizer() (func(string) string, error) {
	if s == nil {
		return func(text string) string { return text }, nil
	}
	switch s.Type {
	case "Sequence":
		return sequence(s.Normalizers, (*step).normalizer)
	case "Precompiled":
		c, err := readCharsmap(s.Charsmap)
		return c.apply, err
	case "NFC":
		return norm.NFC.String, nil
	case "NFD":
		return norm.NFD.String, nil
	case "NFKC":
		return norm.NFKC.String, nil
	case "NFKD":
		return norm.NFKD.String, nil
	case "Lowercase":
		return lower, nil
	case "Strip":
		return s.strip, nil
	case "Prepend":
		return s.prepend, nil
	case "Replace":
		return s.replacer()
	}
	return nil, fmt.Errorf("%w: the normalizer %q", ErrUnsupported, s.Type)
}

// sequence does one step after the other.
func sequence[T any](steps []step, read func(*step) (func(T) T, error)) (func(T) T, error) {
	var list []func(T) T
	for i := range steps {
		do, err := read(&steps[i])
		if err != nil {
			return nil, err
		}
		list = append(list, do)
	}
	return func(in T) T {
		for _, do := range list {
			in = do(in)
		}
		return in
	}, nil
}

// lower is that of Unicode's full case mapping, in which İ keeps its dot.
func lower(text string) string { return strings.ToLower(strings.ReplaceAll(text, "İ", "i\u0307")) }

func (s *step) strip(text string) string {
	if s.Left {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
	}
	if s.Right {
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	}
	return text
}

func (s *step) prepend(text string) string {
	if text == "" {
		return ""
	}
	return s.Prepend + text
}

func (s *step) replacer() (func(string) string, error) {
	switch {
	case s.Pattern.Text != nil && *s.Pattern.Text != "":
		return strings.NewReplacer(*s.Pattern.Text, s.Content).Replace, nil
	case s.Pattern.Regex != nil:
		pattern, err := regexp.Compile(*s.Pattern.Regex)
		if err != nil {
			return nil, fmt.Errorf("%w: the pattern %q", ErrUnsupported, *s.Pattern.Regex)
		}
		return func(text string) string { return pattern.ReplaceAllLiteralString(text, s.Content) }, nil
	}
	return nil, fmt.Errorf("%w: a normalizer that replaces nothing", ErrUnsupported)
}

// spaceMark is what SentencePiece writes for a space.
const spaceMark = "▁"

// splitter cuts a text into the words that are split into pieces one by one.
func (s *step) splitter() (func([]string) []string, error) {
	if s == nil {
		return func(parts []string) []string { return parts }, nil
	}
	switch s.Type {
	case "Sequence":
		return sequence(s.PreTokenizers, (*step).splitter)
	case "WhitespaceSplit":
		return func(parts []string) (words []string) {
			for _, part := range parts {
				words = append(words, strings.Fields(part)...)
			}
			return words
		}, nil
	case "Metaspace":
		return s.metaspace()
	}
	return nil, fmt.Errorf("%w: the pre-tokenizer %q", ErrUnsupported, s.Type)
}

// metaspace writes spaces as marks, puts one before the words that have none, and cuts
// before each mark.
func (s *step) metaspace() (func([]string) []string, error) {
	scheme := s.PrependScheme
	if scheme == "" { // files of older versions
		scheme = "always"
		if s.AddPrefixSpace != nil && !*s.AddPrefixSpace {
			scheme = "never"
		}
	}
	if utf8.RuneCountInString(s.Replacement) != 1 || scheme != "always" && scheme != "first" && scheme != "never" {
		return nil, fmt.Errorf("%w: a Metaspace with the mark %q, put before words %q", ErrUnsupported, s.Replacement, scheme)
	}
	mark := s.Replacement
	return func(parts []string) (words []string) {
		for i, part := range parts {
			part = strings.ReplaceAll(part, " ", mark)
			if (scheme == "always" || scheme == "first" && i == 0) && part != "" && !strings.HasPrefix(part, mark) {
				part = mark + part
			}
			if s.Split != nil && !*s.Split {
				words = append(words, part)
				continue
			}
			words = append(words, cutBefore(part, mark)...)
		}
		return words
	}, nil
}

func cutBefore(text, mark string) (parts []string) {
	for text != "" {
		_, first := utf8.DecodeRuneInString(text)
		next := strings.Index(text[first:], mark)
		if next < 0 {
			return append(parts, text)
		}
		parts = append(parts, text[:first+next])
		text = text[first+next:]
	}
	return parts
}
