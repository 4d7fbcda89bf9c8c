package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
)

// Errors of a search that asks with a wrong vector.
var (
	ErrModel  = errors.New("the catalogue has no vectors of this model")
	ErrVector = errors.New("vector cannot be searched with")
)

// parallelFrom is the number of rows from which a second goroutine pays.
const parallelFrom = 4096

// A matrix holds the unit vectors of one model, one row for each film of the
// catalogue in its order. A film without a vector of the model has a zero row,
// and is similar to nothing.
type matrix struct {
	dims int
	data []float32 // rows × dims
}

func newMatrix(rows, dims int) *matrix {
	return &matrix{dims: dims, data: make([]float32, rows*dims)}
}

func (m *matrix) row(i int) []float32 { return m.data[i*m.dims : (i+1)*m.dims] }

// similarities returns the inner product of q with every row.
func (m *matrix) similarities(q []float32) []float32 {
	out := make([]float32, len(m.data)/m.dims)
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

func (m *matrix) scan(q, out []float32, from, to int) {
	for i := from; i < to; i++ {
		out[i] = dot(q, m.row(i))
	}
}

// dot is the inner product of two vectors of one length. Eight sums at a time
// do not wait for each other, and the slices of fixed length spare the checks.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for len(a) >= 8 && len(b) >= 8 {
		x, y := a[:8:8], b[:8:8]
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		s4 += x[4] * y[4]
		s5 += x[5] * y[5]
		s6 += x[6] * y[6]
		s7 += x[7] * y[7]
		a, b = a[8:], b[8:]
	}
	for i := range min(len(a), len(b)) {
		s0 += a[i] * b[i]
	}
	return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
}

// unit returns the vector with length 1. It refuses one that has no direction.
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

// mean is the unit vector in the middle of vectors: that of a film among those
// of its texts.
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

// toBlob and fromBlob are how a vector stands in the database.
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
