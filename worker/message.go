package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// requestBytesMax bounds a message. A text's window is far smaller.
const requestBytesMax = 1 << 20

// Request is the message that asks for an embedding.
type Request struct {
	Text      string    `json:"text"`
	Timestamp time.Time `json:"timestamp"` // when it was asked; may be missing
}

// Answer is the message that carries an embedding.
type Answer struct {
	Embedding      []float32 `json:"request_embedding"` // unit vector, Dimensions long
	ProcessingTime float64   `json:"processing_time"`   // seconds, waiting for the batch included
	ModelVersion   string    `json:"model_version"`
}

// Handle answers one Request in JSON with an Answer in JSON. Errors are those
// of Embed, and ErrBadRequest for what is not a Request.
func (e *Embedder) Handle(ctx context.Context, request []byte) ([]byte, error) {
	r, err := decode(request)
	if err != nil {
		return nil, err
	}
	a, err := e.Embed(ctx, r.Text)
	if err != nil {
		return nil, err
	}
	answer, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return answer, nil
}

// decode reads a Request. Unknown fields are allowed, so that a newer sender
// may add some.
func decode(message []byte) (Request, error) {
	if len(message) > requestBytesMax {
		return Request{}, fmt.Errorf("%w: %d bytes, at most %d", ErrBadRequest, len(message), requestBytesMax)
	}
	var r struct {
		Text      *string   `json:"text"`
		Timestamp time.Time `json:"timestamp"`
	}
	if err := json.Unmarshal(message, &r); err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if r.Text == nil {
		return Request{}, fmt.Errorf("%w: no text", ErrBadRequest)
	}
	return Request{Text: *r.Text, Timestamp: r.Timestamp}, nil
}
