// Package modelfile writes the folder of a static embedding model: a table
// with one vector per word piece, in the four files that the worker opens
// (model.onnx, tokenizer.json, config.json, kassa-model.json).
//
// The same pieces and vectors always give the same bytes.
package modelfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

// Card is the content of kassa-model.json.
type Card struct {
	Version    string `json:"version"`    // as Version computes it
	Dimensions int    `json:"dimensions"` // length of an embedding
	Pieces     int    `json:"pieces"`     // rows of the table
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

// Version names a model by its content: "kassa-static-" and the first 12 hex
// digits of the SHA-256 of the ONNX file followed by the tokenizer file.
func Version(onnx, tokenizer []byte) string {
	return "kassa-static-" + Digest(onnx, tokenizer)
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
	card, err := json.MarshalIndent(Card{Version(onnx, tokenizer), len(m.Rows[0]), len(m.Pieces)}, "", "  ")
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
