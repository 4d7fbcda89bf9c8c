package formats

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"slices"
)

// A table stores texts by key: the content of additional files about films, in any
// order. The texts are in a temporary file, with sixteen bytes for each in memory.
type table struct {
	file   *os.File
	named  bool // the file has a name still: the system cannot remove one that is open
	writer *bufio.Writer
	seed   maphash.Seed
	end    int64
	index  []place // sorted by key, after reading
	sorted bool
}

// place is a text's place in the file.
type place struct {
	key uint64 // hash of the key
	at  uint64 // offset, with the length in the lowest bits
}

const lengthBits = 21 // more than a line or record can have

func newTable() (*table, error) {
	file, err := os.CreateTemp("", "kassa-import-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	named := os.Remove(file.Name()) != nil // else it stays when the process is killed
	return &table{file: file, named: named, writer: bufio.NewWriterSize(file, 1<<16), seed: maphash.MakeSeed()}, nil
}

func (t *table) close() error {
	err := t.file.Close()
	if t.named {
		err = errors.Join(err, os.Remove(t.file.Name()))
	}
	return err
}

// add adds a text to those of a key.
func (t *table) add(key, text string) error {
	n, err := t.writer.WriteString(key + "\x00" + text)
	if err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	t.index = append(t.index, place{maphash.String(t.seed, key), uint64(t.end)<<lengthBits | uint64(n)})
	t.end += int64(n)
	t.sorted = false
	return nil
}

// of returns the texts of a key, in the order in which they were added.
func (t *table) of(key string) (texts []string, err error) {
	if t == nil {
		return nil, nil
	}
	if !t.sorted {
		slices.SortStableFunc(t.index, func(a, b place) int { return cmp.Compare(a.key, b.key) })
		if err := t.writer.Flush(); err != nil {
			return nil, fmt.Errorf("write a temporary file: %w", err)
		}
		t.sorted = true
	}
	hash := maphash.String(t.seed, key)
	from, _ := slices.BinarySearchFunc(t.index, hash, func(p place, hash uint64) int { return cmp.Compare(p.key, hash) })
	for _, p := range t.index[from:] {
		if p.key != hash {
			break
		}
		content := make([]byte, p.at&(1<<lengthBits-1))
		if _, err := t.file.ReadAt(content, int64(p.at>>lengthBits)); err != nil {
			return nil, fmt.Errorf("read a temporary file: %w", err)
		}
		if own := key + "\x00"; len(content) >= len(own) && string(content[:len(own)]) == own {
			texts = append(texts, string(content[len(own):]))
		}
	}
	return texts, nil
}

// first is the first text of a key, "" for none.
func (t *table) first(key string) (string, error) {
	texts, err := t.of(key)
	if err != nil || len(texts) == 0 {
		return "", err
	}
	return texts[0], nil
}
