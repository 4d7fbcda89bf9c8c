package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"

	"github.com/gomlx/go-huggingface/tokenizers/api"
	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"

	"kassa/worker/unigram"
)

// errTokenizer means that hugot's tokenizer for Go would give other pieces than the model
// was trained with, and would not report it.
var errTokenizer = errors.New("unsupported tokenizer")

// readTokenizer makes the tokenizer of a file: ours for Unigram, and hugot's for a
// WordPiece of BERT's kind, of which it does all parts. Others are refused by name.
func readTokenizer(path string) (api.Tokenizer, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read model file: %w", err)
	}
	type part struct {
		Type string `json:"type"`
	}
	var file struct {
		Normalizer   *part `json:"normalizer"`
		PreTokenizer *part `json:"pre_tokenizer"`
		Model        part  `json:"model"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("read tokenizer: %w", err)
	}
	switch {
	case file.Model.Type == "Unigram":
		return unigram.Read(content)
	case file.Model.Type != "WordPiece":
		return nil, fmt.Errorf("%w: a model of type %q, want WordPiece or Unigram", errTokenizer, file.Model.Type)
	case file.Normalizer == nil || file.Normalizer.Type != "BertNormalizer":
		return nil, fmt.Errorf("%w: WordPiece with another normalizer than BertNormalizer", errTokenizer)
	case file.PreTokenizer == nil || file.PreTokenizer.Type != "BertPreTokenizer":
		return nil, fmt.Errorf("%w: WordPiece with another pre-tokenizer than BertPreTokenizer", errTokenizer)
	}
	tokenizer, err := hftokenizer.NewFromContent(nil, content)
	if err != nil {
		return nil, fmt.Errorf("read tokenizer: %w", err)
	}
	return cleaned{tokenizer}, tokenizer.With(api.EncodeOptions{AddSpecialTokens: true})
}

// cleaned is a tokenizer that does not see control and format characters, such as a
// space of no width. BertNormalizer takes them out, and hugot's leaves those of
// format.
type cleaned struct{ api.Tokenizer }

func (c cleaned) Encode(text string) []int { return c.Tokenizer.Encode(clean(text)) }

func (c cleaned) EncodeWithAnnotations(text string) api.AnnotatedEncoding {
	return c.Tokenizer.EncodeWithAnnotations(clean(text))
}

func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.C, r) && !strings.ContainsRune("\t\n\r", r) {
			return -1
		}
		return r
	}, text)
}
