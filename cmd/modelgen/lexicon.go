package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// concept is one meaning and the words for it in both languages.
type concept struct {
	id      string
	phrases []string // single words, and a few of several words
}

// readLexicon reads lines of an id, English words and Russian words, separated
// by tabs; words by commas. Empty lines and lines that begin with # are left out.
func readLexicon(path string) ([]concept, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open lexicon: %w", err)
	}
	defer file.Close()
	var concepts []concept
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " \r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("read lexicon: line %d has %d fields, want id, english, russian", n, len(fields))
		}
		c := concept{id: fields[0]}
		for phrase := range strings.SplitSeq(fields[1]+","+fields[2], ",") {
			if phrase = strings.TrimSpace(phrase); phrase != "" {
				c.phrases = append(c.phrases, phrase)
			}
		}
		concepts = append(concepts, c)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read lexicon: %w", err)
	}
	return concepts, nil
}
