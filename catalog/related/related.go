// Package related has, for 30,000 stems of English and Russian words, stems of words with
// a similar meaning, in both languages: "tooth" has "dentist" and "зуб". The lexicon has
// words of one meaning, chosen by hand; these were computed with an encoder for general
// text, so they are many more, and less sure.
package related

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
)

// The table is written by tools/models/related.py. It has the number of stems and the
// length of their text (each 32 bits, little endian), the stems in order, one a line, and
// for each stem the number of related ones (8 bits) and these: their number in the text
// (16 bits), and how close they are (8 bits, 255 for the same).
//
//go:embed related.bin
var embedded string

// Least is how close related words are at least; the table has none below it.
const Least = 0.4

// Stem is a related stem.
type Stem struct {
	Stem  string
	Close float32 // cosine of the words' vectors, Least to 1
}

// Of returns the stems related to a stem, the closest first, at most sixteen of each
// language. A stem that the table does not have has none.
func Of(stem string) []Stem { return shipped().of(stem) }

var shipped = sync.OnceValue(func() *table {
	t, err := read(embedded)
	if err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	return t
})

type table struct {
	stems   []string
	numbers map[string]int
	rows    []string // by stem
}

const (
	headBytes = 8
	pairBytes = 3
)

func read(file string) (*table, error) {
	if len(file) < headBytes {
		return nil, fmt.Errorf("read related words: %d bytes have no beginning", len(file))
	}
	head := []byte(file[:headBytes])
	count, length := int(binary.LittleEndian.Uint32(head)), int(binary.LittleEndian.Uint32(head[4:]))
	rest := file[headBytes:]
	if length > len(rest) {
		return nil, fmt.Errorf("read related words: the stems have %d bytes, and %d are there", length, len(rest))
	}
	t := &table{numbers: make(map[string]int, count)}
	for line := range strings.Lines(rest[:length]) {
		stem := strings.TrimSuffix(line, "\n")
		t.numbers[stem] = len(t.stems)
		t.stems = append(t.stems, stem)
	}
	if len(t.stems) != count || len(t.numbers) != count {
		return nil, fmt.Errorf("read related words: %d stems, %d of them different, and there should be %d", len(t.stems), len(t.numbers), count)
	}
	return t, t.readRows(rest[length:])
}

func (t *table) readRows(rest string) error {
	for _, stem := range t.stems {
		if rest == "" || len(rest) < 1+pairBytes*int(rest[0]) {
			return fmt.Errorf("read related words: the file ends at the stem %q", stem)
		}
		row := rest[1 : 1+pairBytes*int(rest[0])]
		for i := 0; i < len(row); i += pairBytes {
			if other := number(row[i:]); other >= len(t.stems) {
				return fmt.Errorf("read related words: the stem %q refers to stem %d of %d", stem, other, len(t.stems))
			}
		}
		t.rows = append(t.rows, row)
		rest = rest[1+len(row):]
	}
	if rest != "" {
		return fmt.Errorf("read related words: %d bytes follow the last stem", len(rest))
	}
	return nil
}

func number(pair string) int { return int(pair[0]) | int(pair[1])<<8 }

func (t *table) of(stem string) []Stem {
	n, ok := t.numbers[stem]
	if !ok {
		return nil
	}
	row := t.rows[n]
	list := make([]Stem, 0, len(row)/pairBytes)
	for i := 0; i < len(row); i += pairBytes {
		list = append(list, Stem{t.stems[number(row[i:])], max(float32(row[i+2])/255, Least)})
	}
	return list
}
