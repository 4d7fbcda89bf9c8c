// Package modelfile writes the folder of a static embedding model: a table
// with one vector per word piece, in the four files that the worker opens
// (model.onnx, tokenizer.json, config.json, kassa-model.json).
//
// The same pieces and vectors always give the same bytes.
package modelfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Names of the files in a model folder.
const (
	ONNX      = "model.onnx"
	Tokenizer = "tokenizer.json"
	Config    = "config.json"
	CardFile  = "kassa-model.json"
)

// Card is the content of kassa-model.json: which model the folder holds, how it is used,
// and how it proves that it works here.
type Card struct {
	Version    string `json:"version"`          // as Version computes it
	Dimensions int    `json:"dimensions"`       // length of an embedding
	Pieces     int    `json:"pieces,omitempty"` // rows of the table of a static model
	Use
	Checks []Check `json:"checks,omitempty"`
}

// Use is what a model needs to be used as it was trained. It is part of what the model's
// vectors are made from, and so of the model's version.
type Use struct {
	QuestionPrefix string `json:"question_prefix,omitempty"` // before every question
	FilmPrefix     string `json:"film_prefix,omitempty"`     // before every text of a film
	Pooling        string `json:"pooling,omitempty"`         // how pieces become one vector, see Pooled
	PiecesMax      int    `json:"pieces_max,omitempty"`      // longest text, special pieces counted; 0: as in config.json
}

// How the vectors of the pieces become one.
const (
	PooledMean  = "mean"  // the mean over the pieces, here
	PooledGraph = "graph" // in the graph, whose output is one vector for each text
)

// Check is a text, as it goes into the model, and its unit vector as another program
// computed it from the same files.
type Check struct {
	Text   string    `json:"text"`
	Vector []float32 `json:"vector"`
}

// Model is a static embedding model before it is written.
type Model struct {
	// Pieces are the vocabulary in id order, special pieces included. A piece
	// that continues a word begins with "##".
	Pieces []string
	// Rows are the vectors of the pieces, all of one length.
	Rows [][]float32
	// SequenceMax is the longest text in pieces, [CLS] and [SEP] included.
	SequenceMax int
	// WordBytesMax is the longest word, in bytes, that is split into pieces;
	// longer ones become [UNK]. The tokenizer counts bytes, not letters.
	WordBytesMax int
}

// Special are the pieces that every model begins with, in id order. Their
// rows should be zero, so that they do not turn the mean.
func Special() []string { return []string{pad, unk, cls, sep} }

// staticName begins the version of a static model.
const staticName = "kassa-static"

// Version names a model by its content: a name, and the first 12 hex digits of the
// SHA-256 of the files that vectors are made from, one after the other, and of how they
// are used, where that has anything.
func Version(name string, use Use, files ...io.Reader) (string, error) {
	h := sha256.New()
	for _, f := range files {
		if _, err := io.Copy(h, f); err != nil {
			return "", err
		}
	}
	if use != (Use{}) {
		if err := json.NewEncoder(h).Encode(use); err != nil {
			return "", err
		}
	}
	return name + "-" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// Digest is the first 12 hex digits of the SHA-256 of the parts in a row.
func Digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Write puts the four files into dir, which it makes when it is missing.
func (m Model) Write(dir string) error {
	files, err := m.Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make model folder: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("write model file: %w", err)
		}
	}
	return nil
}

// Files returns the content of the model folder by file name.
func (m Model) Files() (map[string][]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("check model: %w", err)
	}
	onnx := graph(m.Rows)
	tokenizer, err := m.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("encode tokenizer: %w", err)
	}
	config, err := json.MarshalIndent(map[string]int{
		"hidden_size":             len(m.Rows[0]),
		"max_position_embeddings": m.SequenceMax,
		"vocab_size":              len(m.Pieces),
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	version, err := Version(staticName, Use{}, bytes.NewReader(onnx), bytes.NewReader(tokenizer))
	if err != nil {
		return nil, err
	}
	card, err := json.MarshalIndent(Card{Version: version, Dimensions: len(m.Rows[0]), Pieces: len(m.Pieces)}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode card: %w", err)
	}
	return map[string][]byte{
		ONNX:      onnx,
		Tokenizer: tokenizer,
		Config:    append(config, '\n'),
		CardFile:  append(card, '\n'),
	}, nil
}

// check refuses what would be a silent wrong row or a panic at inference.
func (m Model) check() error {
	if len(m.Rows) == 0 || len(m.Pieces) != len(m.Rows) {
		return fmt.Errorf("%d pieces have %d rows", len(m.Pieces), len(m.Rows))
	}
	for i, want := range Special() {
		if i >= len(m.Pieces) || m.Pieces[i] != want {
			return fmt.Errorf("piece %d is not %s", i, want)
		}
	}
	seen := make(map[string]bool, len(m.Pieces))
	for i, p := range m.Pieces {
		if seen[p] {
			return fmt.Errorf("piece %q is there twice", p)
		}
		seen[p] = true
		if len(m.Rows[i]) != len(m.Rows[0]) {
			return fmt.Errorf("row of %q has %d values, not %d", p, len(m.Rows[i]), len(m.Rows[0]))
		}
	}
	return nil
}
