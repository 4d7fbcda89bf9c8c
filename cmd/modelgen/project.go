package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// A projection reduces the feature space to few dimensions: those in which the
// documents differ most, as in latent semantic analysis. They are found by orthogonal
// iteration on the inner products of the documents, and are linear combinations
// (mixtures) of documents. A text is projected to its inner products with them, made
// orthonormal by a Cholesky factor.
//
// No product is fused into a sum (conversions to float64 prevent it), so that all
// machines compute the same bytes.
type projection struct {
	rows   [][]float64 // per feature: its weight in each mixture
	factor [][]float64 // lower triangle, of the inner products of the mixtures
}

// rounds of iteration: three are as good as eight.
const rounds = 3

// pivotMin is the least squared length of a mixture's residual for which it gets a
// dimension of its own.
const pivotMin = 1e-9

func newProjection(documents []map[int]float64, dims int) *projection {
	var units [][]term
	features := 0
	for _, d := range documents {
		if u := unit(d); len(u) > 0 {
			units = append(units, u)
			features = max(features, u[len(u)-1].feature+1)
		}
	}
	dims = min(dims, len(units))
	mixtures := random(len(units), dims)
	for range rounds {
		orthonormalize(mixtures)
		mixtures = products(units, mix(units, features, mixtures), dims)
	}
	orthonormalize(mixtures)
	p := &projection{rows: mix(units, features, mixtures)}
	p.factor = cholesky(p.rows, dims)
	return p
}

// random gives each document a pseudo-random weight in each mixture, the same on each
// run.
func random(documents, dims int) [][]float64 {
	r := rand.New(rand.NewPCG(1, 2))
	mixtures := make([][]float64, dims)
	for k := range mixtures {
		mixtures[k] = make([]float64, documents)
		for i := range mixtures[k] {
			mixtures[k][i] = r.Float64() - 0.5
		}
	}
	return mixtures
}

// orthonormalize makes vectors orthogonal to each other and of length 1, in place. One
// that lies in the span of those before it becomes zero.
func orthonormalize(vectors [][]float64) {
	for k, v := range vectors {
		before := dot(v, v)
		for _, u := range vectors[:k] {
			subtract(v, u, dot(u, v))
		}
		scale := 0.0
		if square := dot(v, v); square > before*1e-20 && square > 0 {
			scale = 1 / math.Sqrt(square)
		}
		for i := range v {
			v[i] *= scale
		}
	}
}

func subtract(v, u []float64, times float64) {
	for i, x := range u {
		v[i] -= float64(times * x)
	}
}

// mix sums up documents: per feature, its weight in each mixture.
func mix(units [][]term, features int, mixtures [][]float64) [][]float64 {
	rows := make([][]float64, features)
	parts := make([]float64, len(mixtures))
	for i, u := range units {
		for k := range mixtures {
			parts[k] = mixtures[k][i]
		}
		for _, t := range u {
			if rows[t.feature] == nil {
				rows[t.feature] = make([]float64, len(mixtures))
			}
			subtract(rows[t.feature], parts, -t.weight)
		}
	}
	return rows
}

// products are the inner products of every mixture with every document.
func products(units [][]term, rows [][]float64, dims int) [][]float64 {
	out := make([][]float64, dims)
	for k := range out {
		out[k] = make([]float64, len(units))
	}
	sum := make([]float64, dims)
	for i, u := range units {
		clear(sum)
		for _, t := range u {
			subtract(sum, rows[t.feature], -t.weight)
		}
		for k, x := range sum {
			out[k][i] = x
		}
	}
	return out
}

// cholesky returns the factor of the inner products of the mixtures.
func cholesky(rows [][]float64, dims int) [][]float64 {
	gram := make([][]float64, dims)
	for k := range gram {
		gram[k] = make([]float64, k+1)
	}
	for _, row := range rows {
		if row == nil {
			continue
		}
		for k := range gram {
			subtract(gram[k], row[:k+1], -row[k])
		}
	}
	for k, row := range gram {
		for l := range row {
			x := row[l] - dot(gram[l][:l], row[:l])
			switch {
			case l < k && gram[l][l] > 0:
				row[l] = x / gram[l][l]
			case l == k && x > pivotMin:
				row[l] = math.Sqrt(x)
			default:
				row[l] = 0 // linearly dependent: all texts have 0 there
			}
		}
	}
	return gram
}

// fold returns the coordinates of a sparse vector, by forward substitution. A feature
// that no document has is ignored.
func (p *projection) fold(v []term) []float64 {
	x := make([]float64, len(p.factor))
	for _, t := range v {
		if t.feature < len(p.rows) && p.rows[t.feature] != nil {
			subtract(x, p.rows[t.feature], -t.weight)
		}
	}
	for k, row := range p.factor {
		if row[k] == 0 {
			x[k] = 0
			continue
		}
		x[k] = (x[k] - dot(row[:k], x[:k])) / row[k]
	}
	return x
}

// dot rounds every product before it is added, so that no machine fuses them. The
// second vector may be longer.
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
