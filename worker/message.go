package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// requestBytesMax bounds a message. A text's window is far smaller.
const requestBytesMax = 1 << 20

// Request is the message that asks for an embedding.
type Request struct {
	Text      string    `json:"text"`
	Timestamp time.Time `json:"timestamp"`       // when it was asked; may be missing
	Film      bool      `json:"film,omitempty"`  // it is a film's text, and no question
	Model     string    `json:"model,omitempty"` // version of the model that is wanted, where the worker has several
}

// Answer is the message that carries an embedding.
type Answer struct {
	Embedding      []float32 `json:"request_embedding"` // unit vector, Dimensions long
	ProcessingTime float64   `json:"processing_time"`   // seconds, waiting for the batch included
	ModelVersion   string    `json:"model_version"`
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
		Film      bool      `json:"film"`
		Model     string    `json:"model"`
	}
	if err := json.Unmarshal(message, &r); err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if r.Text == nil {
		return Request{}, fmt.Errorf("%w: no text", ErrBadRequest)
	}
	return Request{Text: *r.Text, Timestamp: r.Timestamp, Film: r.Film, Model: r.Model}, nil
}

// Bounds of an Answer.
const (
	answerBytesMax = 1 << 20
	nameBytesMax   = 200
	processingMax  = 24 * time.Hour
)

// ErrBadAnswer means that a message is not an Answer.
var ErrBadAnswer = errors.New("malformed answer")

// ParseAnswer reads an Answer from an untrusted sender. Its numbers are finite and
// within bounds, and the model's name has only letters, digits, spaces and . _ -
// Whether the vector fits the model is for the caller to check. Every error is
// ErrBadAnswer, and repeats nothing of the message: it may be logged.
func ParseAnswer(message []byte) (a Answer, err error) {
	if len(message) > answerBytesMax {
		return a, fmt.Errorf("%w: %d bytes, at most %d", ErrBadAnswer, len(message), answerBytesMax)
	}
	if json.Unmarshal(message, &a) != nil { // its error quotes the message
		return Answer{}, fmt.Errorf("%w: not the JSON of an answer", ErrBadAnswer)
	}
	switch seconds := a.ProcessingTime; {
	case len(a.Embedding) == 0:
		err = fmt.Errorf("%w: no vector", ErrBadAnswer)
	case !(seconds >= 0 && seconds <= processingMax.Seconds()):
		err = fmt.Errorf("%w: a processing time below zero or above %s", ErrBadAnswer, processingMax)
	case a.ModelVersion == "" || len(a.ModelVersion) > nameBytesMax || inName(a.ModelVersion) != a.ModelVersion:
		err = fmt.Errorf("%w: the model's name is empty, too long, or has other characters than a model's", ErrBadAnswer)
	}
	if err != nil {
		return Answer{}, err
	}
	return a, nil
}

// inName replaces what a model's name may not have.
func inName(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._- ", r) {
			return r
		}
		return '-'
	}, s)
}
