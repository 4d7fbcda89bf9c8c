package catalog

import (
	"context"
	"slices"
	"testing"
	"time"
)

// Scores are sums of floats, so they are the same to the last bit only if their parts are
// added in one order; and what is kept for the next question must not be in its scores.
func TestScoresAreTheSameEachTime(t *testing.T) {
	c, _ := served()
	v := c.now.Load()
	score := func(text string) []lexicalScore { return v.index.score(v.index.ask(text), DefaultWeights) }
	list := []string{"бразилия и подростки, похоже на крёстного отца", "one juror refuses to convict the boy and slowly turns the rest of them", "матрица"}
	var first [][]lexicalScore
	for _, text := range list {
		first = append(first, score(text))
	}
	for range 20 {
		for i, text := range list {
			if !slices.Equal(score(text), first[i]) {
				t.Fatalf("%q has other scores than before", text)
			}
		}
	}
}

// BenchmarkQuestion measures what the films of the catalogue make of a question: reading
// it, finding its films without the model, and saying what of them matches.
func BenchmarkQuestion(b *testing.B) {
	ctx := context.Background()
	c, _ := served()
	v := c.now.Load()
	var texts []string
	var queries []Query
	var films [][]string
	for _, q := range judgedQuestions(b, "testdata/judged-test.tsv") {
		read := c.Read(q.Text)
		query := Query{Text: read.Text, Typed: q.Text, Conditions: read.Filters}
		found, err := c.Find(ctx, query)
		if err != nil {
			b.Fatal(err)
		}
		var ids []string
		for _, m := range found.Matches {
			ids = append(ids, m.MovieID)
		}
		texts, queries, films = append(texts, q.Text), append(queries, query), append(films, ids)
		c.Reasons(q.Text, ids...) // the films' passages are known after the first time
	}
	part := func(name string, do func(i int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + 1) % len(texts) {
				do(i)
			}
		})
	}
	part("read", func(i int) {
		v.remembered.questions.Remove(texts[i])
		c.Read(texts[i])
	})
	part("find", func(i int) {
		if _, err := c.Find(ctx, queries[i]); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("whole", func(b *testing.B) { // a question to its films
		var took []time.Duration
		for i := 0; b.Loop(); i = (i + 1) % len(texts) {
			v.remembered.questions.Remove(texts[i])
			start := time.Now()
			read := c.Read(texts[i])
			if _, err := c.Find(ctx, Query{Text: read.Text, Typed: texts[i], Conditions: read.Filters}); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		b.ReportMetric(quantile(took, 50), "p50-ms")
		b.ReportMetric(quantile(took, 99), "p99-ms")
	})
	part("explain", func(i int) {
		c.Explain(texts[i], films[i]...)
		c.Reasons(texts[i], films[i]...)
	})
}
