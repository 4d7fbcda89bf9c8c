package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// sparse returns a vector of some features, the same for the same source.
func sparse(r *rand.Rand) map[int]float64 {
	v := make(map[int]float64)
	for range 10 {
		v[r.IntN(200)] = r.Float64() + 0.1
	}
	return v
}

// A query's inner products with the documents survive the folding, also when
// the query has features that no document has.
func TestFoldKeepsProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var documents []map[int]float64
	for range 30 {
		documents = append(documents, sparse(r))
	}
	p := newProjection(documents, len(documents), 384)
	for range 50 {
		query := sparse(r)
		query[1000] = 3
		folded := p.fold(unit(query))
		for i, d := range documents {
			want := productOf(unit(query), unit(d))
			if got := dot(folded, p.fold(unit(d))); math.Abs(got-want) > 1e-9 {
				t.Fatalf("product with document %d is %g, was %g", i, got, want)
			}
		}
	}
}

// With room for fewer, the documents that come first are kept exactly.
func TestFoldPrefersTheFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var documents []map[int]float64
	for range 60 {
		documents = append(documents, sparse(r))
	}
	p := newProjection(documents, 20, 40)
	if len(p.factor) != 40 {
		t.Fatalf("%d dimensions, want 40", len(p.factor))
	}
	for i, d := range documents[:20] {
		v := p.fold(unit(d))
		if length := math.Sqrt(dot(v, v)); math.Abs(length-1) > 1e-9 {
			t.Errorf("document %d has length %g", i, length)
		}
	}
}

// Documents that say the same take one dimension, and no division by zero.
func TestFoldOfEqualDocuments(t *testing.T) {
	d := map[int]float64{1: 1, 2: 2}
	p := newProjection([]map[int]float64{d, d, {}, {3: 1}}, 4, 384)
	if len(p.factor) != 2 {
		t.Errorf("%d dimensions, want 2", len(p.factor))
	}
	for _, x := range p.fold([]term{{1, 1}, {3, 1}}) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			t.Errorf("coordinate is %g", x)
		}
	}
}

func productOf(a, b []term) float64 {
	var sum float64
	for _, x := range a {
		for _, y := range b {
			if x.feature == y.feature {
				sum += x.weight * y.weight
			}
		}
	}
	return sum
}
