package modelfile

import "encoding/json"

const (
	pad = "[PAD]"
	unk = "[UNK]"
	cls = "[CLS]"
	sep = "[SEP]"
)

type object = map[string]any

// tokenizer encodes a WordPiece tokenizer as BERT has it: lower case, accents
// stripped (so й is и and ё is е), split at spaces and punctuation. [CLS] and
// [SEP] are put around each text, for a text without any piece would crash hugot.
func (m Model) tokenizer() ([]byte, error) {
	vocabulary := make(map[string]int, len(m.Pieces))
	for id, p := range m.Pieces {
		vocabulary[p] = id
	}
	var added []object
	for id, p := range Special() {
		added = append(added, object{
			"id": id, "content": p, "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
		})
	}
	return json.Marshal(object{
		"version":      "1.0",
		"truncation":   nil,
		"padding":      nil,
		"added_tokens": added,
		"normalizer": object{
			"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
			"strip_accents": true, "lowercase": true,
		},
		"pre_tokenizer": object{"type": "BertPreTokenizer"},
		"post_processor": object{
			"type":   "TemplateProcessing",
			"single": []object{special(cls), {"Sequence": object{"id": "A", "type_id": 0}}, special(sep)},
			"pair":   []object{},
			"special_tokens": object{
				cls: object{"id": cls, "ids": []int{2}, "tokens": []string{cls}},
				sep: object{"id": sep, "ids": []int{3}, "tokens": []string{sep}},
			},
		},
		"decoder": object{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model": object{
			"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": "##",
			"max_input_chars_per_word": m.WordBytesMax, "vocab": vocabulary,
		},
	})
}

func special(piece string) object {
	return object{"SpecialToken": object{"id": piece, "type_id": 0}}
}
