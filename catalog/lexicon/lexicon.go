// Package lexicon has groups of words with the same or nearly the same meaning, in
// English and Russian. The ranking uses the words of a group as synonyms, and the
// built-in model gives them similar vectors.
package lexicon

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"

	"kassa/catalog/words"
)

//go:embed lexicon.tsv
var embedded string

// Group is one meaning and its words.
type Group struct {
	ID      string
	Phrases []string // of one word, and a few of several
}

// Groups returns the built-in groups. The list is shared: read only.
var Groups = sync.OnceValue(func() []Group {
	groups, err := Read(strings.NewReader(embedded))
	if err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	return groups
})

// Read reads lines of an id, English words and Russian words, separated by tabs; words
// are separated by commas. Empty lines and lines that begin with # are skipped.
func Read(r io.Reader) ([]Group, error) {
	var groups []Group
	ids := make(map[string]bool)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " \r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("read lexicon: line %d has %d fields, want id, english, russian", n, len(fields))
		}
		g := Group{ID: fields[0]}
		for phrase := range strings.SplitSeq(fields[1]+","+fields[2], ",") {
			if phrase = strings.TrimSpace(phrase); phrase != "" {
				g.Phrases = append(g.Phrases, phrase)
			}
		}
		switch {
		case g.ID == "" || ids[g.ID]:
			return nil, fmt.Errorf("read lexicon: line %d has the id %q, which must be there and differ from those before", n, g.ID)
		case len(g.Phrases) == 0:
			return nil, fmt.Errorf("read lexicon: line %d has no words", n)
		}
		ids[g.ID] = true
		groups = append(groups, g)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read lexicon: %w", err)
	}
	return groups, nil
}

// Stem is a stem of a group's words.
type Stem struct {
	Stem string
	Part float64 // of the phrase: 1 for a single word, half for one of two
}

// Stems returns the stems of a group's phrases without stop words, each once.
func (g Group) Stems(cutter *words.Cutter) []Stem {
	var list []Stem
	at := make(map[string]int)
	for _, phrase := range g.Phrases {
		var stems []string
		for _, w := range cutter.Split(phrase) {
			if !words.IsStop(w.Form) {
				stems = append(stems, w.Stem)
			}
		}
		for _, stem := range stems {
			i, ok := at[stem]
			if !ok {
				i = len(list)
				at[stem] = i
				list = append(list, Stem{Stem: stem})
			}
			list[i].Part = max(list[i].Part, 1/float64(len(stems)))
		}
	}
	return list
}
