package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"kassa/worker"
)

// query is a question with its answers, any of which counts.
type query struct {
	language string
	text     string
	expected map[string]bool // "title (year)"
}

// A ranker scores all films for a text, in the order of the films; higher is
// better.
type ranker func(text string) ([]float64, error)

// score prints how well the built-in model finds the films of a file of
// queries, beside the methods that it has to beat.
func score(ctx context.Context, out io.Writer, films []Film, path string) error {
	queries, err := readQueries(path)
	if err != nil {
		return err
	}
	embedder, err := worker.Open(ctx, worker.Options{})
	if err != nil {
		return err
	}
	defer embedder.Close()
	model, err := modelRanker(ctx, embedder, films)
	if err != nil {
		return err
	}
	keywords := keywordRanker(films)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%s\tall MRR\tR@5\tru MRR\tR@5\ten MRR\tR@5\t\n", embedder.ModelVersion())
	for _, method := range []struct {
		name string
		rank ranker
	}{
		{"tf-idf of words", tfidfRanker(films)},
		{"BM25 of stems", keywords},
		{"model", model},
		{"model and BM25", hybridRanker(model, keywords)},
	} {
		if err := printRow(table, method.name, method.rank, films, queries); err != nil {
			return err
		}
	}
	return table.Flush()
}

func printRow(out io.Writer, name string, rank ranker, films []Film, queries []query) error {
	ranks, err := ranksOf(rank, films, queries)
	if err != nil {
		return fmt.Errorf("measure %s: %w", name, err)
	}
	fmt.Fprintf(out, "%s\t", name)
	for _, language := range []string{"", "ru", "en"} {
		var mrr, recall, n float64
		for i, q := range queries {
			if language != "" && q.language != language {
				continue
			}
			n++
			mrr += 1 / ranks[i]
			if ranks[i] <= 5 {
				recall++
			}
		}
		fmt.Fprintf(out, "%.3f\t%.3f\t", mrr/max(n, 1), recall/max(n, 1))
	}
	fmt.Fprintln(out)
	return nil
}

// ranksOf returns the rank of the best expected film of every query, from 1.
// Among equals it is the expected rank.
func ranksOf(rank ranker, films []Film, queries []query) ([]float64, error) {
	ranks := make([]float64, len(queries))
	for i, q := range queries {
		scores, err := rank(q.text)
		if err != nil {
			return nil, err
		}
		best := math.Inf(-1)
		for f, s := range scores {
			if q.expected[label(films[f])] {
				best = max(best, s)
			}
		}
		if math.IsInf(best, -1) {
			return nil, fmt.Errorf("query %q: no film of %v in the catalogue", q.text, q.expected)
		}
		better, equal := 0, -1 // not the film itself
		for _, s := range scores {
			if s > best {
				better++
			} else if s == best {
				equal++
			}
		}
		ranks[i] = 1 + float64(better) + float64(equal)/2
	}
	return ranks, nil
}

func label(f Film) string { return f.Title + " (" + strconv.Itoa(f.Year) + ")" }

// readQueries reads lines of id, language, text and expected films (joined by
// "|"), separated by tabs. The first line names the columns.
func readQueries(path string) ([]query, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open queries: %w", err)
	}
	defer file.Close()
	var queries []query
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("read queries: line %d has %d fields, want 4", n, len(fields))
		}
		if n == 1 {
			continue
		}
		q := query{language: fields[1], text: fields[2], expected: make(map[string]bool)}
		for _, film := range strings.Split(fields[3], "|") {
			q.expected[strings.TrimSpace(film)] = true
		}
		queries = append(queries, q)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read queries: %w", err)
	}
	return queries, nil
}

// modelRanker ranks by the cosine of the model's vectors. A text without
// meaning ranks all films equal.
func modelRanker(ctx context.Context, e *worker.Embedder, films []Film) (ranker, error) {
	vectors := make([][]float32, len(films))
	for i, f := range films {
		parts, err := e.EmbedAll(ctx, filmTexts(f))
		if err != nil {
			return nil, fmt.Errorf("embed %s: %w", f.ID, err)
		}
		vectors[i] = meanUnit(parts)
	}
	return func(text string) ([]float64, error) {
		scores := make([]float64, len(films))
		answer, err := e.Embed(ctx, text)
		if err != nil {
			if errors.Is(err, worker.ErrNoMeaning) {
				err = nil
			}
			return scores, err
		}
		for i, v := range vectors {
			for k, x := range v {
				scores[i] += float64(x) * float64(answer.Embedding[k])
			}
		}
		return scores, nil
	}, nil
}

// meanUnit is the mean of unit vectors, made a unit vector.
func meanUnit(vectors [][]float32) []float32 {
	sum := make([]float32, len(vectors[0]))
	for _, v := range vectors {
		for k, x := range v {
			sum[k] += x
		}
	}
	var square float64
	for _, x := range sum {
		square += float64(x) * float64(x)
	}
	for k := range sum {
		sum[k] /= float32(math.Sqrt(max(square, 1e-12)))
	}
	return sum
}

func hybridRanker(model, keywords ranker) ranker {
	return func(text string) ([]float64, error) {
		near, err := model(text)
		if err != nil {
			return nil, err
		}
		same, err := keywords(text)
		if err != nil {
			return nil, err
		}
		for i := range near {
			near[i] = hybrid(near[i], same[i])
		}
		return near, nil
	}
}

// keywordRanker ranks by the stems that a text shares with a film.
func keywordRanker(films []Film) ranker {
	documents := make([][]string, len(films))
	for i, f := range films {
		for _, text := range filmTexts(f) {
			for _, w := range words(text) {
				documents[i] = append(documents[i], w.stem)
			}
		}
	}
	index := newKeywordIndex(documents)
	return func(text string) ([]float64, error) {
		var stems []string
		for _, w := range words(text) {
			if !isStop(w.form) {
				stems = append(stems, w.stem)
			}
		}
		return index.scores(stems), nil
	}
}

// tfidfRanker is the plain baseline: the cosine of tf-idf vectors of words as
// they are written.
func tfidfRanker(films []Film) ranker {
	df := make(map[string]float64)
	counts := make([]map[string]float64, len(films))
	for i, f := range films {
		counts[i] = wordCounts(strings.Join(filmTexts(f), " "))
		for w := range counts[i] {
			df[w]++
		}
	}
	weigh := func(count map[string]float64) map[string]float64 {
		for w, n := range count {
			count[w] = n * math.Log(float64(len(films)+1)/(df[w]+0.5))
		}
		return count
	}
	for i := range counts {
		weigh(counts[i])
	}
	return func(text string) ([]float64, error) {
		q := weigh(wordCounts(text))
		scores := make([]float64, len(films))
		for i, d := range counts {
			var square float64
			for w, x := range d {
				square += x * x
				scores[i] += x * q[w]
			}
			scores[i] /= math.Sqrt(square)
		}
		return scores, nil
	}
}

func wordCounts(text string) map[string]float64 {
	counts := make(map[string]float64)
	for _, w := range words(text) {
		counts[w.form]++
	}
	return counts
}
