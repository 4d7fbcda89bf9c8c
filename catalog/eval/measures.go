package eval

import (
	"math"
	"math/rand/v2"
	"slices"

	"kassa/catalog"
	"kassa/catalog/judged"
)

// Figure is a mean with its 95 percent confidence interval (percentile bootstrap). It
// is zero for no values.
type Figure struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Of    int     `json:"of"` // number of values
}

const samples = 2000

// figure samples with a fixed seed: the same values have the same interval.
func figure(values []float64) Figure {
	f := Figure{Of: len(values)}
	if f.Of == 0 {
		return f
	}
	n := float64(f.Of)
	for _, v := range values {
		f.Value += v / n
	}
	r := rand.New(rand.NewPCG(1, 2))
	means := make([]float64, samples)
	for i := range means {
		for range values {
			means[i] += values[r.IntN(len(values))] / n
		}
	}
	slices.Sort(means)
	f.Low, f.High = means[samples/40], means[samples-samples/40-1]
	return f
}

// figureOf is the figure of a value over some results.
func figureOf(results []result, value func(result) float64) Figure {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = value(r)
	}
	return figure(values)
}

// result is the answer to a question, judged.
type result struct {
	*judged.Question
	rank       int     // of the first expected film, from 1; 0: it was not found
	ndcg       float64 // of the first ten films
	confidence float64
	certainty  catalog.Certainty
}

func judge(q *judged.Question, found catalog.Found) result {
	r := result{Question: q, confidence: found.Confidence, certainty: catalog.CertaintyOf(found.PerMille())}
	var gain, ideal float64
	for i, m := range found.Matches {
		if !slices.Contains(q.Expected, m.MovieID) {
			continue
		}
		if r.rank == 0 {
			r.rank = i + 1
		}
		if i < 10 {
			gain += discount(i + 1)
		}
	}
	for i := range min(len(q.Expected), 10) {
		ideal += discount(i + 1)
	}
	if ideal > 0 {
		r.ndcg = gain / ideal
	}
	return r
}

func discount(rank int) float64 { return 1 / math.Log2(float64(rank+1)) }

func reciprocalRank(r result) float64 {
	if r.rank == 0 {
		return 0
	}
	return 1 / float64(r.rank)
}

func among(first int) func(result) float64 {
	return func(r result) float64 { return share(r.rank > 0 && r.rank <= first) }
}

// right reports whether the first film is an expected one. Without expected films it is
// false.
func right(r result) float64 { return share(r.rank == 1) }

func share(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Bin is the questions with a confidence from From up to To, excluding To except in the
// last bin.
type Bin struct {
	From       float64 `json:"from"`
	To         float64 `json:"to"`
	Questions  int     `json:"questions"`
	Confidence float64 `json:"confidence"` // mean
	Right      float64 `json:"right"`      // share of the questions whose first film is right
}

// Calibration compares the confidence of answers with how often they are right, over
// all questions: without an expected film, any answer is wrong.
type Calibration struct {
	Bins  []Bin   `json:"bins"`
	Error float64 `json:"expected_calibration_error"` // mean of |confidence - right| over the bins, by questions
}

func calibrate(results []result) Calibration {
	const bins = 10
	c := Calibration{Bins: make([]Bin, bins)}
	for _, r := range results {
		b := &c.Bins[max(0, min(int(r.confidence*bins), bins-1))]
		b.Questions++
		b.Confidence += r.confidence
		b.Right += right(r)
	}
	for i := range c.Bins {
		b := &c.Bins[i]
		b.From, b.To = float64(i)/bins, float64(i+1)/bins
		if b.Questions == 0 {
			continue
		}
		b.Confidence /= float64(b.Questions)
		b.Right /= float64(b.Questions)
		c.Error += math.Abs(b.Confidence-b.Right) * float64(b.Questions) / float64(len(results))
	}
	return c
}
