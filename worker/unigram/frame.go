package unigram

import (
	"encoding/json"
	"fmt"
)

// frame is a post-processor: what is put around every text.
type frame struct {
	Type   string `json:"type"`
	Single []struct {
		Special *struct {
			ID string `json:"id"`
		} `json:"SpecialToken"`
		Sequence *struct{} `json:"Sequence"`
	} `json:"single"`
	Special map[string]struct {
		IDs []int `json:"ids"`
	} `json:"special_tokens"`
	First named `json:"cls"` // of BERT's and RoBERTa's
	Last  named `json:"sep"`
}

// named is a special piece's text and id, in a list.
type named struct{ id int }

func (n *named) UnmarshalJSON(content []byte) error {
	var text string
	return json.Unmarshal(content, &[]any{&text, &n.id})
}

func (f *frame) around() (before, after []int, err error) {
	if f == nil {
		return nil, nil, nil
	}
	switch f.Type {
	case "BertProcessing", "RobertaProcessing":
		return []int{f.First.id}, []int{f.Last.id}, nil
	case "TemplateProcessing":
	default:
		return nil, nil, fmt.Errorf("%w: the post-processor %q", ErrUnsupported, f.Type)
	}
	to, texts := &before, 0
	for _, part := range f.Single {
		switch {
		case part.Sequence != nil:
			to = &after
			texts++
		case part.Special != nil && len(f.Special[part.Special.ID].IDs) > 0:
			*to = append(*to, f.Special[part.Special.ID].IDs...)
		default:
			return nil, nil, fmt.Errorf("%w: a template with a part that is no text and no special piece", ErrUnsupported)
		}
	}
	if texts != 1 {
		return nil, nil, fmt.Errorf("%w: a template with %d texts", ErrUnsupported, texts)
	}
	return before, after, nil
}
