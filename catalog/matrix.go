package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
)

// Errors of a search with an invalid vector.
var (
	ErrModel  = errors.New("the catalogue has no vectors of this model")
	ErrVector = errors.New("vector cannot be searched with")
)

// parallelFrom is the number of rows from which a second goroutine is faster.
const parallelFrom = 4096

// A matrix holds the unit vectors of one model, one row for each film of the
// catalogue in its order. A film without a vector of the model has a zero row,
// and is similar to nothing.
type matrix struct {
	width int
	data  []float32 // rows × width
	films int       // that have a vector
}

func newMatrix(rows, width int) *matrix {
	return &matrix{width: width, data: make([]float32, rows*width)}
}

func (m *matrix) row(i int) []float32 { return m.data[i*m.width : (i+1)*m.width] }

func (m *matrix) dims() int { return m.width }

func (m *matrix) len() int { return m.films }

func (m *matrix) nearest(_ context.Context, directions [][]float32, _ int) ([]similarities, error) {
	found := make([]similarities, len(directions))
	for i, q := range directions {
		found[i] = similarities{of: m.similarities(q)}
	}
	return found, nil
}

// similarities returns the inner product of q with every row.
func (m *matrix) similarities(q []float32) []float32 {
	out := make([]float32, len(m.data)/m.width)
	if len(out) < parallelFrom {
		m.scan(q, out, 0, len(out))
		return out
	}
	var other sync.WaitGroup
	half := len(out) / 2
	other.Go(func() { m.scan(q, out, 0, half) })
	m.scan(q, out, half, len(out))
	other.Wait()
	return out
}

// scan reads its rows in two distant streams. The processor prefetches each; two
// adjacent rows are one stream to it, read irregularly, and took twice the time.
func (m *matrix) scan(q, out []float32, from, to int) {
	half := (to - from) / 2
	for i := from; i < from+half; i++ {
		out[i], out[i+half] = dots(q, m.row(i), m.row(i+half))
	}
	if last := to - 1; from+2*half == last { // summed in the same order, so that the number of rows does not change the last bits
		out[last], _ = dots(q, m.row(last), m.row(last))
	}
}

// dots are the inner products of q with two vectors of its length. Eight independent
// sums can be computed in parallel, each number of q is loaded once for both, and
// slices of fixed length avoid bounds checks.
func dots(q, a, b []float32) (float32, float32) {
	var a0, a1, a2, a3, b0, b1, b2, b3 float32
	for len(q) >= 8 && len(a) >= 8 && len(b) >= 8 {
		x, y, z := q[:8:8], a[:8:8], b[:8:8]
		x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
		a0 += x0 * y[0]
		b0 += x0 * z[0]
		a1 += x1 * y[1]
		b1 += x1 * z[1]
		a2 += x2 * y[2]
		b2 += x2 * z[2]
		a3 += x3 * y[3]
		b3 += x3 * z[3]
		x0, x1, x2, x3 = x[4], x[5], x[6], x[7]
		a0 += x0 * y[4]
		b0 += x0 * z[4]
		a1 += x1 * y[5]
		b1 += x1 * z[5]
		a2 += x2 * y[6]
		b2 += x2 * z[6]
		a3 += x3 * y[7]
		b3 += x3 * z[7]
		q, a, b = q[8:], a[8:], b[8:]
	}
	for i, x := range q {
		a0 += x * a[i]
		b0 += x * b[i]
	}
	return (a0 + a1) + (a2 + a3), (b0 + b1) + (b2 + b3)
}

// unit returns the vector normalised to length 1. It refuses the zero vector.
func unit(v []float32) ([]float32, error) {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	if length := math.Sqrt(square); length > 0 && !math.IsInf(length, 0) && !math.IsNaN(length) {
		out := make([]float32, len(v))
		for i, x := range v {
			out[i] = float32(float64(x) / length)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: it is zero, or holds what is no number", ErrVector)
}

// mean is the normalised mean of vectors: that of a film from those of its texts.
func mean(vectors [][]float32) ([]float32, error) {
	sum := make([]float32, len(vectors[0]))
	for _, v := range vectors {
		if len(v) != len(sum) {
			return nil, fmt.Errorf("%w: its texts have vectors of %d and %d numbers", ErrVector, len(sum), len(v))
		}
		u, err := unit(v)
		if err != nil {
			return nil, err
		}
		for i, x := range u {
			sum[i] += x
		}
	}
	return unit(sum)
}

// wrongWidth is the error for a film's vector with another length than the others.
func wrongWidth(it item, model string, dims int) error {
	return fmt.Errorf("embed film %s: %w: it has %d numbers, and those of model %s here have %d", it.movie.ID, ErrVector, len(it.vector), model, dims)
}

// toBlob and fromBlob convert vectors to and from their stored form.
func toBlob(v []float32) []byte {
	blob := make([]byte, 0, 4*len(v))
	for _, x := range v {
		blob = binary.LittleEndian.AppendUint32(blob, math.Float32bits(x))
	}
	return blob
}

func fromBlob(blob []byte, v []float32) {
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(blob[4*i:]))
	}
}
