package catalog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Judged is a query with its answers, any of which counts.
type Judged struct {
	Language string   // "ru" or "en"
	Text     string   // as a person would ask
	Expected []string // films as "Title (year)", or their ids
}

// A Ranker scores films for a text, in any order. Films that it leaves out
// count as equal, behind all others. An error ends the measurement.
type Ranker func(text string) ([]Match, error)

// System is a way of finding films that is measured.
type System struct {
	Name string
	Rank Ranker
}

// ReadQueries reads lines of id, language, text and expected films (joined by
// "|"), separated by tabs. The first line names the columns.
func ReadQueries(r io.Reader) ([]Judged, error) {
	var queries []Judged
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(strings.TrimRight(lines.Text(), "\r"), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("read queries: line %d has %d columns, and must have id, language, text and films", n, len(fields))
		}
		if n == 1 {
			continue
		}
		q := Judged{Language: fields[1], Text: fields[2]}
		for film := range strings.SplitSeq(fields[3], "|") {
			q.Expected = append(q.Expected, strings.TrimSpace(film))
		}
		queries = append(queries, q)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read queries: %w", err)
	}
	if len(queries) == 0 {
		return nil, errors.New("read queries: there are none")
	}
	return queries, nil
}

// Score measures a ranker over all movies: the mean of 1/rank of the first
// expected film, and the share of queries that have it among the first five.
// The rank of a film among equals is the one expected if chance ordered them.
func Score(queries []Judged, movies []Movie, rank Ranker) (mrr, recall5 float64, err error) {
	names := make(map[string]string, 2*len(movies))
	for _, m := range movies {
		names[m.Title+" ("+strconv.Itoa(m.Year)+")"] = m.ID
		names[m.ID] = m.ID
	}
	for _, q := range queries {
		matches, err := rank(q.Text)
		if err != nil {
			return 0, 0, fmt.Errorf("rank films for %q: %w", q.Text, err)
		}
		expected := make(map[string]bool)
		for _, film := range q.Expected {
			id, ok := names[film]
			if !ok {
				return 0, 0, fmt.Errorf("query %q expects %q, which is not in the catalogue", q.Text, film)
			}
			expected[id] = true
		}
		r := expectedRank(matches, expected, len(movies))
		mrr += 1 / r
		if r <= 5 {
			recall5++
		}
	}
	n := float64(max(len(queries), 1))
	return mrr / n, recall5 / n, nil
}

func expectedRank(matches []Match, expected map[string]bool, films int) float64 {
	best, found := math.Inf(-1), false
	for _, m := range matches {
		if expected[m.MovieID] {
			best, found = max(best, m.Score), true
		}
	}
	if !found {
		return float64(len(matches)) + float64(films-len(matches)+1)/2
	}
	better, equal := 0, 0
	for _, m := range matches {
		switch {
		case m.Score > best:
			better++
		case m.Score == best:
			equal++ // itself included
		}
	}
	return float64(better) + float64(equal+1)/2
}

// WriteScores writes a table of the measures of systems, over all queries and
// over those of each language.
func WriteScores(out io.Writer, queries []Judged, movies []Movie, systems ...System) error {
	languages := []string{""}
	for _, q := range queries {
		if !slices.Contains(languages, q.Language) {
			languages = append(languages, q.Language)
		}
	}
	slices.Sort(languages)
	parts := make([][]Judged, len(languages))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "\t")
	for i, language := range languages {
		for _, q := range queries {
			if language == "" || q.Language == language {
				parts[i] = append(parts[i], q)
			}
		}
		if language == "" {
			language = "all"
		}
		fmt.Fprintf(table, "%s (%d) MRR\tR@5\t", language, len(parts[i]))
	}
	fmt.Fprintln(table)
	for _, s := range systems {
		fmt.Fprintf(table, "%s\t", s.Name)
		for _, part := range parts {
			mrr, recall5, err := Score(part, movies, s.Rank)
			if err != nil {
				return fmt.Errorf("measure %s: %w", s.Name, err)
			}
			fmt.Fprintf(table, "%.3f\t%.3f\t", mrr, recall5)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
