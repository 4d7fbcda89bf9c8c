package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Models are the embedders of a process, at least one. A request that names a model is
// answered by it where it is there; any other by the first.
type Models []*Embedder

// Versions names the models.
func (m Models) Versions() []string {
	var list []string
	for _, e := range m {
		list = append(list, e.version)
	}
	return list
}

// Named gives the embedder of a model, or the first.
func (m Models) Named(version string) *Embedder {
	for _, e := range m {
		if e.version == version {
			return e
		}
	}
	return m[0]
}

// Handle answers Requests in JSON, with Answers in JSON; those for one model go through it
// together. Each has an answer or an error of its own: those of Embed, and ErrBadRequest
// for what is not a Request.
func (m Models) Handle(ctx context.Context, requests [][]byte) ([][]byte, []error) {
	answers, faults := make([][]byte, len(requests)), make([]error, len(requests))
	texts, of := make(map[*Embedder][]input), make(map[*Embedder][]int) // of is the request of each text
	for i, request := range requests {
		r, err := decode(request)
		if err != nil {
			faults[i] = err
			continue
		}
		e := m.Named(r.Model)
		prefix := e.use.QuestionPrefix
		if r.Film {
			prefix = e.use.FilmPrefix
		}
		texts[e], of[e] = append(texts[e], input{prefix, r.Text}), append(of[e], i)
	}
	for e, inputs := range texts {
		embedded, failed := e.answer(ctx, inputs)
		for n, i := range of[e] {
			if faults[i] = failed[n]; faults[i] != nil {
				continue
			}
			var err error
			if answers[i], err = json.Marshal(embedded[n]); err != nil {
				faults[i] = fmt.Errorf("encode answer: %w", err)
			}
		}
	}
	return answers, faults
}

// Close ends all of them.
func (m Models) Close() error {
	var faults []error
	for _, e := range m {
		faults = append(faults, e.Close())
	}
	return errors.Join(faults...)
}
