package unigram

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// fixture is a small tokenizer, of which tools/models/fixtures.py made the pieces by the
// tokenizers library.
func fixture(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile("../testdata/unigram/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestPieces(t *testing.T) {
	tokenizer, err := Read(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("../testdata/pieces.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts []struct {
		Text string
		IDs  []int
	}
	if err := json.Unmarshal(content, &texts); err != nil || len(texts) == 0 {
		t.Fatalf("%d texts, %v", len(texts), err)
	}
	for _, want := range texts {
		if got := tokenizer.Encode(want.Text); !slices.Equal(got, want.IDs) {
			t.Errorf("pieces of %q are %v %q, want %v %q", want.Text, got, tokenizer.Decode(got), want.IDs, tokenizer.Decode(want.IDs))
		}
	}
}

// small is a tokenizer with five pieces and a change.
func small(old, new string) string {
	return strings.Replace(`{
		"added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
		"normalizer": {"type": "Lowercase"},
		"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
		"post_processor": null,
		"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["▁", -4], ["a", -1], ["ab", -5], ["b", -1], ["▁a", -2], ["<0x63>", -9]], "byte_fallback": false}
	}`, old, new, 1)
}

// The way of the best score is taken, and not the longest piece.
func TestBestWay(t *testing.T) {
	for _, tt := range []struct {
		name, old, new, text string
		want                 []int
	}{
		{"two pieces beat one", "", "", "ab", []int{5, 4}},
		{"one piece beats two", `["ab", -5]`, `["ab", -0.5]`, "xab", []int{1, 0, 3}},
		{"capitals", "", "", "AB ab", []int{5, 4, 5, 4}},
		{"unknown letters are one piece", "", "", "xyzab", []int{1, 0, 2, 4}},
		{"bytes of unknown letters", `"byte_fallback": false`, `"byte_fallback": true`, "cb", []int{1, 6, 4}},
		{"bytes that are no pieces", `"byte_fallback": false`, `"byte_fallback": true`, "db", []int{1, 0, 4}},
		{"nothing", "", "", "", nil},
		{"no mark before", `"always"`, `"never"`, "ab b", []int{2, 4, 1, 4}},
		{"a mark before the first", `"always"`, `"first"`, "a b", []int{5, 1, 4}},
		{"replaced", `{"type": "Lowercase"}`, `{"type": "Replace", "pattern": {"Regex": "q+"}, "content": "a"}`, "qqb", []int{5, 4}},
		{"prepended", `{"type": "Lowercase"}`, `{"type": "Prepend", "prepend": "a"}`, "b", []int{5, 4}},
		{"composed", `{"type": "Lowercase"}`, `{"type": "NFKC"}`, "ａ", []int{5}},
		{"stripped", `{"type": "Lowercase"}`, `{"type": "Strip", "strip_left": true, "strip_right": true}`, " a ", []int{5}},
		{"framed", `"post_processor": null`, `"post_processor": {"type": "BertProcessing", "cls": ["a", 2], "sep": ["b", 4]}`, "ab", []int{2, 5, 4, 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokenizer, err := Read([]byte(small(tt.old, tt.new)))
			if err != nil {
				t.Fatal(err)
			}
			if got := tokenizer.Encode(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("pieces are %v, want %v", got, tt.want)
			}
		})
	}
}

// What would give wrong pieces is refused by name.
func TestUnsupported(t *testing.T) {
	for _, tt := range []struct{ name, old, new, says string }{
		{"model", `"Unigram"`, `"BPE"`, "BPE"},
		{"normalizer", `"Lowercase"`, `"Nmt"`, "Nmt"},
		{"pre-tokenizer", `"Metaspace"`, `"Digits"`, "Digits"},
		{"post-processor", `null`, `{"type": "ByteLevel"}`, "ByteLevel"},
		{"template", `null`, `{"type": "TemplateProcessing", "single": []}`, "0 texts"},
		{"pattern", `{"type": "Lowercase"}`, `{"type": "Replace", "pattern": {"Regex": "(?=a)"}}`, "(?=a)"},
		{"mark", `"▁"`, `"▁▁"`, "▁▁"},
		{"no unknown piece", `"unk_id": 0`, `"unk_id": null`, "unknown"},
		{"added piece", `"special": true`, `"special": false`, "<unk>"},
		{"charsmap", `{"type": "Lowercase"}`, `{"type": "Precompiled", "precompiled_charsmap": "AAAA"}`, "charsmap"},
		{"piece twice", `["b", -1]`, `["a", -1]`, `"a" is there twice`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read([]byte(small(tt.old, tt.new)))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error is %v, want it to name %s", err, tt.says)
			}
		})
	}
	if _, err := Read([]byte(small(`"Unigram"`, `"WordLevel"`))); !errors.Is(err, ErrUnsupported) {
		t.Errorf("error is %v, want ErrUnsupported", err)
	}
}
