package catalog

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"kassa/catalog/judged"
	"kassa/worker"
)

// sample is an answer to a judged question.
type sample struct {
	kind     string
	language string
	answered bool // it has expected films
	features [features]float64
	right    bool // the first film is meant
	nothing  bool // the question asks for no film
}

// confidence is what is said of the answer.
func (s sample) confidence() float64 {
	if s.nothing {
		return 0
	}
	return logistic(s.features)
}

// served is the default service: the shipped films with the built-in model.
var served = sync.OnceValues(func() (c *Catalogue, model *worker.Embedder) {
	ctx := context.Background()
	movies, err := Shipped()
	if err == nil {
		model, err = worker.Open(ctx, worker.Options{}) // until the tests end
	}
	if err == nil {
		c, err = InMemory(ctx, movies, model)
	}
	if err != nil {
		panic(err)
	}
	return c, model
})

func judgedQuestions(t testing.TB, file string) []judged.Question {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	questions, err := judged.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return questions
}

// samples answers the judged questions of a file.
func samples(t testing.TB, file string) []sample {
	t.Helper()
	questions := judgedQuestions(t, file)
	ctx := context.Background()
	c, model := served()
	byName := make(map[string]string)
	for _, m := range c.Movies() {
		byName[m.Title+" ("+strconv.Itoa(m.Year)+")"] = m.ID
	}
	var list []sample
	for _, q := range questions {
		read := c.Read(q.Text)
		query := Query{Text: read.Text, Typed: q.Text, Conditions: read.Filters, Limit: 5}
		if vectors, err := model.EmbedAll(ctx, []string{read.Embedded()}); err == nil {
			query.Model, query.Vector = model.ModelVersion(), vectors[0]
		}
		r, found, err := c.rank(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		other := r.vocabulary().ReadOther(q.Text)
		s := sample{kind: q.Kind, language: q.Language, answered: len(q.Expected) > 0, features: r.featuresOf(found, other), nothing: r.asksNothing(found[0], other)}
		for _, film := range q.Expected {
			id, ok := byName[film]
			if !ok {
				t.Fatalf("%q expects %q, which is not there", q.Text, film)
			}
			s.right = s.right || id == found[0].MovieID
		}
		list = append(list, s)
	}
	return list
}

// fit is a logistic regression with ridge penalty, by Newton's method.
func fit(list []sample) [features + 1]float64 {
	const ridge, steps = 0.33, 30
	const n = features + 1
	var w [n]float64
	for range steps {
		var gradient [n]float64
		var hessian [n][n]float64
		for i := range n {
			if i < features {
				gradient[i] = -ridge * w[i]
			}
			hessian[i][i] = ridge
		}
		for _, s := range list {
			if s.nothing {
				continue
			}
			x := [n]float64{features: 1}
			copy(x[:], s.features[:])
			sum := 0.0
			for i := range n {
				sum += w[i] * x[i]
			}
			p := 1 / (1 + math.Exp(-sum))
			y := 0.0
			if s.right {
				y = 1
			}
			for i := range n {
				gradient[i] += (y - p) * x[i]
				for j := range n {
					hessian[i][j] += p * (1 - p) * x[i] * x[j]
				}
			}
		}
		step := solve(hessian, gradient)
		for i := range n {
			w[i] += step[i]
		}
	}
	return w
}

// solve is Gaussian elimination with pivoting.
func solve(a [features + 1][features + 1]float64, b [features + 1]float64) [features + 1]float64 {
	n := len(b)
	for i := range n {
		p := i
		for k := i + 1; k < n; k++ {
			if math.Abs(a[k][i]) > math.Abs(a[p][i]) {
				p = k
			}
		}
		a[i], a[p], b[i], b[p] = a[p], a[i], b[p], b[i]
		for k := i + 1; k < n; k++ {
			f := a[k][i] / a[i][i]
			for j := i; j < n; j++ {
				a[k][j] -= f * a[i][j]
			}
			b[k] -= f * b[i]
		}
	}
	var x [features + 1]float64
	for i := n - 1; i >= 0; i-- {
		x[i] = b[i]
		for j := i + 1; j < n; j++ {
			x[i] -= a[i][j] * x[j]
		}
		x[i] /= a[i][i]
	}
	return x
}

// The weights are those fitted to the tuning questions. After a change of the ranking,
// the films or the questions they must be fitted again (the test prints them).
func TestConfidenceIsFitted(t *testing.T) {
	list := samples(t, "testdata/judged-tuning.tsv")
	want := fit(list)
	for i, w := range want {
		if !(math.Abs(w-confidenceWeights[i]) <= 0.05) { // so that no number fails too
			t.Fatalf("the questions give other weights:\n\tvar confidenceWeights = [features + 1]float64{%s}", strings.Trim(fmt.Sprintf("%.2f", want), "[]"))
		}
	}
}

// A confidence is a probability: of the answers with about the same confidence that
// share is right. The second set was never used for tuning. Below the threshold are few
// of the questions with an answer, and most texts that are no question. The word that
// people read is true. Its steps were chosen on the first set.
func TestConfidenceIsCalibrated(t *testing.T) {
	for _, file := range []string{"testdata/judged-tuning.tsv", "testdata/judged-test.tsv"} {
		t.Run(file, func(t *testing.T) {
			list := samples(t, file)
			if off := calibrationError(t, list); off > 0.08 {
				t.Errorf("the calibration error is %.3f", off)
			}
			checkCertainty(t, list)
			free := make(map[string]int)
			all := make(map[string]int)
			for _, s := range list {
				kind := s.kind
				if s.answered {
					kind = "answered"
				}
				all[kind]++
				if s.confidence() < NotFoundBelow {
					free[kind]++
				}
			}
			for _, kind := range slices.Sorted(maps.Keys(all)) {
				t.Logf("%-12s %3d of %3d free", kind, free[kind], all[kind])
			}
			for kind, least := range map[string]float64{"mash": 0.8, "code": 0.7, "otherlang": 0.7} {
				if share := float64(free[kind]) / float64(all[kind]); share < least {
					t.Errorf("%s: %.2f are free, want %.2f", kind, share, least)
				}
			}
			if share := float64(free["answered"]) / float64(all["answered"]); share > 0.04 {
				t.Errorf("%.3f of the questions that have an answer are refused", share)
			}
		})
	}
}

// checkCertainty checks that a word keeps what it promises: of the films that are almost
// certain at least 95 in 100 are right, of the probable ones more than half, of the
// possible ones less; and that each is said often enough to be of use.
func checkCertainty(t *testing.T, list []sample) {
	t.Helper()
	said, right, charged := map[Certainty]float64{}, map[Certainty]float64{}, 0.0
	for _, s := range list {
		if s.confidence() < NotFoundBelow {
			continue
		}
		word := CertaintyOf(Found{Matches: make([]Match, 1), Confidence: s.confidence()}.PerMille())
		charged++
		said[word]++
		if s.right {
			right[word]++
		}
	}
	for word, want := range map[Certainty]struct{ least, most, said float64 }{AlmostCertain: {0.95, 1, 0.5}, Probable: {0.5, 0.95, 0.1}, Possible: {0, 0.5, 0.1}} {
		if share := right[word] / said[word]; !(share >= want.least && share <= want.most) || said[word] < want.said*charged {
			t.Errorf("%s is said of %v of %v, and right in %.3f", word, said[word], charged, share)
		}
	}
}

func TestCertaintyOf(t *testing.T) {
	film := []Match{{}}
	for _, tt := range []struct {
		found    Found
		perMille int
		word     Certainty
	}{
		{Found{Matches: film, Confidence: 1}, 1000, AlmostCertain}, {Found{Matches: film, Confidence: 0.9}, 900, AlmostCertain},
		{Found{Matches: film, Confidence: 0.8999}, 899, Probable}, {Found{Matches: film, Confidence: 0.5}, 500, Probable},
		{Found{Matches: film, Confidence: 0.4999}, 499, Possible}, {Found{Matches: film, Confidence: 0}, 1, Possible},
		{Found{Confidence: 0}, 0, ""},
	} {
		if got := tt.found.PerMille(); got != tt.perMille || CertaintyOf(got) != tt.word {
			t.Errorf("%v is %d per mille, %q", tt.found, got, CertaintyOf(got))
		}
	}
}

// calibrationError is the mean difference between confidence and share of right
// answers, over ten bins of confidence.
func calibrationError(t *testing.T, list []sample) float64 {
	type bin struct{ n, right, sum float64 }
	var bins [10]bin
	for _, s := range list {
		p := s.confidence()
		b := &bins[min(int(p*10), 9)]
		b.n++
		b.sum += p
		if s.right {
			b.right++
		}
	}
	off := 0.0
	for i, b := range bins {
		if b.n > 0 {
			off += math.Abs(b.sum - b.right)
			t.Logf("%.1f: %3.0f answers, said %.2f, right %.2f", float64(i)/10, b.n, b.sum/b.n, b.right/b.n)
		}
	}
	return off / float64(len(list))
}
