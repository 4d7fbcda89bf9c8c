package catalog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// The vectors of the shipped films by the built-in model: without them the first start
// would take seconds to embed the films. cmd/modelgen writes the file together with the
// model. Films and model are identified by hashes of their content, so a changed film
// is embedded as any other.
//
//go:embed films/vectors.bin
var vectorsFile []byte

// madeVectors are vectors of a model, by the hash of the embedded texts.
type madeVectors struct {
	model string
	of    map[[sha256.Size]byte][]float32
}

var shippedVectors = sync.OnceValue(func() madeVectors {
	made, err := readMade(bytes.NewReader(vectorsFile))
	if err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	return made
})

// vector is a film's vector by a model, if it is there.
func (m madeVectors) vector(model string, film Movie) ([]float32, bool) {
	if model != m.model {
		return nil, false
	}
	v, ok := m.of[film.textsHash()]
	return v, ok
}

// WriteVectors writes the vectors of films by a model: a line with the model's name,
// one with the number of dimensions, and for each film the hash of its texts and its
// vector in little-endian 32-bit floats.
func WriteVectors(ctx context.Context, out io.Writer, movies []Movie, embed Embedder) error {
	w := bufio.NewWriter(out)
	for i, m := range movies {
		texts, err := embed.EmbedAll(ctx, EmbeddingTexts(m))
		if err != nil {
			return fmt.Errorf("embed film %s: %w", m.ID, err)
		}
		vector, err := mean(texts)
		if err != nil {
			return fmt.Errorf("embed film %s: %w", m.ID, err)
		}
		if i == 0 {
			fmt.Fprintf(w, "%s\n%d\n", embed.ModelVersion(), len(vector))
		}
		hash := m.textsHash()
		w.Write(hash[:])
		binary.Write(w, binary.LittleEndian, vector)
	}
	return w.Flush() // returns the first error of all writes
}

func readMade(in io.Reader) (madeVectors, error) {
	r := bufio.NewReader(in)
	made := madeVectors{of: make(map[[sha256.Size]byte][]float32)}
	var dims int
	if _, err := fmt.Fscanf(r, "%s\n%d\n", &made.model, &dims); err != nil {
		return madeVectors{}, fmt.Errorf("read vectors of films: %w", err)
	}
	for {
		var hash [sha256.Size]byte
		switch _, err := io.ReadFull(r, hash[:]); err {
		case nil:
		case io.EOF:
			return made, nil
		default:
			return madeVectors{}, fmt.Errorf("read vectors of films: %w", err)
		}
		vector := make([]float32, dims)
		if err := binary.Read(r, binary.LittleEndian, vector); err != nil {
			return madeVectors{}, fmt.Errorf("read vectors of films: %w", err)
		}
		made.of[hash] = vector
	}
}
