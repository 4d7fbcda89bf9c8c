// Package judged reads files of judged questions: realistic questions with the films
// that they mean.
package judged

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Question is a question with its expected films, any of which counts. One without
// expected films means no film, or none of a catalogue.
type Question struct {
	ID       string
	Language string // "ru" or "en"
	Kind     string // such as "plot" or "typo"; may be empty
	Text     string
	Expected []string // films as "Title (year)", or their ids
	Line     int      // of the file
}

// columns are those of a file of questions, and whether they are required.
var columns = map[string]bool{"id": true, "lang": true, "kind": false, "query": true, "expected": true}

// Read reads tab-separated lines. The first line names the columns, in any order: id,
// lang, kind (optional), query, and expected (films joined by "|", or nothing).
func Read(r io.Reader) ([]Question, error) {
	var questions []Question
	var header []string
	seen := make(map[string]int) // ids, with their lines
	n := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		n++
		fields := strings.Split(strings.TrimRight(lines.Text(), "\r"), "\t")
		if n == 1 {
			if err := checkHeader(fields); err != nil {
				return nil, fmt.Errorf("read judged questions: line 1 %w", err)
			}
			header = fields
			continue
		}
		q, err := readQuestion(header, fields)
		if err != nil {
			return nil, fmt.Errorf("read judged questions: line %d %w", n, err)
		}
		if before, ok := seen[q.ID]; ok {
			return nil, fmt.Errorf("read judged questions: line %d has the id %q of line %d", n, q.ID, before)
		}
		seen[q.ID], q.Line = n, n
		questions = append(questions, q)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read judged questions: line %d: %w", n+1, err)
	}
	if len(questions) == 0 {
		return nil, errors.New("read judged questions: there are none")
	}
	return questions, nil
}

func checkHeader(header []string) error {
	for i, name := range header {
		if _, ok := columns[name]; !ok {
			return fmt.Errorf("names a column %q, which is none of id, lang, kind, query, expected", name)
		}
		if slices.Contains(header[:i], name) {
			return fmt.Errorf("names the column %s twice", name)
		}
	}
	for name, needed := range columns {
		if needed && !slices.Contains(header, name) {
			return fmt.Errorf("does not name the column %s", name)
		}
	}
	return nil
}

func readQuestion(header, fields []string) (q Question, err error) {
	if len(fields) != len(header) {
		return q, fmt.Errorf("has %d columns, and the first line has %d", len(fields), len(header))
	}
	for i, name := range header {
		value := strings.TrimSpace(fields[i])
		if value == "" && columns[name] && name != "expected" {
			return q, fmt.Errorf("has no %s", name)
		}
		switch name {
		case "id":
			q.ID = value
		case "lang":
			q.Language = value
		case "kind":
			q.Kind = value
		case "query":
			q.Text = fields[i] // as it was typed
		case "expected":
			q.Expected, err = readExpected(value)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func readExpected(value string) (films []string, err error) {
	if value == "" {
		return nil, nil
	}
	for film := range strings.SplitSeq(value, "|") {
		if film = strings.TrimSpace(film); film == "" {
			return nil, fmt.Errorf("expects %q, where a film is missing", value)
		}
		films = append(films, film)
	}
	return films, nil
}
