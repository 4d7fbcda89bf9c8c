package eval

import (
	"math"
	"reflect"
	"testing"

	"kassa/catalog"
	"kassa/catalog/judged"
)

// found is an answer with these films.
func found(confidence float64, ids ...string) catalog.Found {
	f := catalog.Found{Confidence: confidence}
	for i, id := range ids {
		f.Matches = append(f.Matches, catalog.Match{MovieID: id, Score: 1 - float64(i)/100})
	}
	return f
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestJudge(t *testing.T) {
	eleven := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}
	for _, tt := range []struct {
		name       string
		expected   []string
		found      []string
		rank       int
		reciprocal float64
		one, ten   float64
		ndcg       float64
	}{
		{"first", []string{"a"}, eleven, 1, 1, 1, 1, 1},
		{"third", []string{"c"}, eleven, 3, 1.0 / 3, 0, 1, 0.5}, // 1/log2(4)
		{"tenth", []string{"j"}, eleven, 10, 0.1, 0, 1, 1 / math.Log2(11)},
		{"eleventh", []string{"k"}, eleven, 11, 1.0 / 11, 0, 0, 0},
		{"not found", []string{"z"}, eleven, 0, 0, 0, 0, 0},
		{"nothing found", []string{"z"}, nil, 0, 0, 0, 0, 0},
		{"two of three", []string{"z", "c", "a"}, eleven, 1, 1, 1, 1, (1 + 0.5) / (1 + 1/math.Log2(3) + 0.5)},
		{"no film meant", nil, eleven, 0, 0, 0, 0, 0},
	} {
		r := judge(&judged.Question{Expected: tt.expected}, found(0.4, tt.found...))
		if r.rank != tt.rank || !near(reciprocalRank(r), tt.reciprocal) || among(1)(r) != tt.one || among(10)(r) != tt.ten ||
			right(r) != tt.one || !near(r.ndcg, tt.ndcg) || r.confidence != 0.4 {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
	second := judge(&judged.Question{Expected: []string{"f"}}, found(0.4, eleven...))
	if among(5)(second) != 0 || among(6)(second) != 1 {
		t.Errorf("the sixth film is among the first five")
	}
}

func TestFigure(t *testing.T) {
	values := []float64{0.1, 0.2, 0.3, 0.1, 0.2, 0.3}
	f := figure(values)
	if !near(f.Value, 0.2) || f.Low < 0.1 || f.Low >= 0.2 || f.High <= 0.2 || f.High > 0.3 || f.Of != 6 {
		t.Errorf("figure %+v", f)
	}
	// For 400 coins the standard deviation of the mean is 0.025.
	coins := make([]float64, 400)
	for i := range coins {
		coins[i] = float64(i % 2)
	}
	if f := figure(coins); math.Abs(f.Low-(0.5-1.96*0.025)) > 0.005 || math.Abs(f.High-(0.5+1.96*0.025)) > 0.005 {
		t.Errorf("coins: %+v", f)
	}
	for i := range coins {
		coins[i] = math.Sqrt(float64(i)) // no two samples have the same mean
	}
	if f, again := figure(coins), figure(coins); again != f {
		t.Errorf("drawn again: %+v, before %+v", again, f)
	}
	if f := figure([]float64{1, 1, 1}); f.Low != f.High || !near(f.Low, 1) {
		t.Errorf("of equal values: %+v", f)
	}
	if f := figure(nil); f != (Figure{}) || f.String() != "–" {
		t.Errorf("of none: %+v", f)
	}
}

func TestCalibrate(t *testing.T) {
	q := &judged.Question{Expected: []string{"a"}}
	var results []result
	for _, confidence := range []float64{0.92, 0.96, 1} { // the last bin, including 1
		results = append(results, judge(q, found(confidence, "a")))
	}
	results = append(results,
		judge(q, found(0.5, "b", "a")),              // 0.5 to 0.6: wrong
		judge(&judged.Question{}, found(0.54, "a")), // no expected film: wrong
		judge(q, found(0.52, "a")),
		judge(q, found(0)))
	c := calibrate(results)
	want := make([]Bin, 10)
	for i := range want {
		want[i] = Bin{From: float64(i) / 10, To: float64(i+1) / 10}
	}
	want[0].Questions = 1
	want[5].Questions, want[5].Confidence, want[5].Right = 3, 0.52, 1.0/3
	want[9].Questions, want[9].Confidence, want[9].Right = 3, 0.96, 1
	for i, b := range c.Bins {
		w := want[i]
		if b.From != w.From || b.To != w.To || b.Questions != w.Questions || !near(b.Confidence, w.Confidence) || !near(b.Right, w.Right) {
			t.Errorf("bin %d: %+v, want %+v", i, b, w)
		}
	}
	if error := (3*(0.52-1.0/3) + 3*0.04 + 0) / 7; len(c.Bins) != 10 || !near(c.Error, error) {
		t.Errorf("%d bins, error %g, want %g", len(c.Bins), c.Error, error)
	}
}

func TestParts(t *testing.T) {
	results := []result{{Question: &judged.Question{Kind: "b"}}, {Question: &judged.Question{}}, {Question: &judged.Question{Kind: "a"}}, {Question: &judged.Question{Kind: "b"}}}
	got := map[Group]int{}
	for _, p := range append(parts(results, byKind, kind), parts(results, byAll, nil)...) {
		got[p.Group] = len(p.results)
	}
	if want := map[Group]int{{byKind, "a"}: 1, {byKind, "b"}: 2, {byAll, ""}: 4}; !reflect.DeepEqual(got, want) {
		t.Errorf("parts %v", got)
	}
}
