package main

import (
	"math"
	"slices"
)

// A projection folds the feature space into few dimensions, in such a way that
// inner products with its documents stay what they are. It is a pivoted
// Cholesky factor of the documents' Gram matrix: each step takes the document
// that is furthest from the span of those before it.
//
// There is no eigenvalue routine in it, and no product is fused into a sum
// (the conversions to float64 forbid it), so that machines make the same bytes.
type projection struct {
	columns map[int][]entry // by feature: the pivots that have it
	factor  [][]float64     // lower triangle: pivot k in the dimensions 0 to k
}

type entry struct {
	pivot  int
	weight float64
}

// residualMin is the squared distance from which a unit document adds a
// direction of its own.
const residualMin = 1e-4

// newProjection chooses at most dims of the documents. The first `always` of
// them go before all others.
func newProjection(documents []map[int]float64, always, dims int) *projection {
	units := make([][]term, len(documents))
	for i, d := range documents {
		units[i] = unit(d)
	}
	p := &projection{columns: make(map[int][]entry)}
	coordinates := make([][]float64, len(units)) // of every document, one more with every step
	residual := make([]float64, len(units))
	for i, u := range units {
		residual[i] = float64(min(len(u), 1)) // squared length: 1, or 0 without features
	}
	for len(p.factor) < dims {
		best := furthest(residual[:always])
		if best < 0 {
			best = furthest(residual)
		}
		if best < 0 {
			break
		}
		k, length := len(p.factor), math.Sqrt(residual[best])
		for _, t := range units[best] {
			p.columns[t.feature] = append(p.columns[t.feature], entry{k, t.weight})
		}
		pivot := coordinates[best]
		dense := spread(units[best])
		for i := range units {
			if residual[i] <= residualMin && i != best {
				continue // in the span already, and never a pivot again
			}
			c := length
			if i != best {
				c = (productWith(dense, units[i]) - dot(pivot, coordinates[i])) / length
			}
			coordinates[i] = append(coordinates[i], c)
			residual[i] -= float64(c * c)
		}
		residual[best] = 0
		p.factor = append(p.factor, coordinates[best])
	}
	return p
}

// furthest is the index of the largest residual, -1 when none is left.
func furthest(residual []float64) int {
	best := -1
	for i, r := range residual {
		if r > residualMin && (best < 0 || r > residual[best]) {
			best = i
		}
	}
	return best
}

// spread lays a sparse vector out, up to its last feature.
func spread(v []term) []float64 {
	dense := make([]float64, v[len(v)-1].feature+1)
	for _, t := range v {
		dense[t.feature] = t.weight
	}
	return dense
}

func productWith(dense []float64, v []term) float64 {
	var sum float64
	for _, t := range v {
		if t.feature >= len(dense) {
			break
		}
		sum += float64(t.weight * dense[t.feature])
	}
	return sum
}

// fold returns the coordinates of a sparse vector: those that give its inner
// products with all pivots, by forward substitution.
func (p *projection) fold(v []term) []float64 {
	x := make([]float64, len(p.factor))
	for _, t := range v {
		for _, e := range p.columns[t.feature] {
			x[e.pivot] += float64(t.weight * e.weight)
		}
	}
	for k, row := range p.factor {
		x[k] = (x[k] - dot(row[:k], x[:k])) / row[k]
	}
	return x
}

// dot rounds every product before it is added, so that no machine fuses them.
// The second vector may be longer.
func dot(a, b []float64) float64 {
	var sum float64
	for i, x := range a {
		sum += float64(x * b[i])
	}
	return sum
}

// unit returns a sparse vector of length 1 in the order of its features.
func unit(v map[int]float64) []term {
	out := make([]term, 0, len(v))
	for feature, weight := range v {
		out = append(out, term{feature, weight})
	}
	slices.SortFunc(out, func(a, b term) int { return a.feature - b.feature })
	var square float64
	for _, t := range out {
		square += float64(t.weight * t.weight)
	}
	for i := range out {
		out[i].weight /= math.Sqrt(max(square, 1e-12))
	}
	return out
}
