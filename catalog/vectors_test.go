package catalog

import (
	"bytes"
	"math"
	"testing"
)

// The shipped vectors are those of the built-in model. If this fails, run go generate
// ./worker and commit the result.
func TestShippedVectorsAreCurrent(t *testing.T) {
	_, model := served()
	made := shippedVectors()
	for i, m := range shipped(t) {
		got, ok := made.vector(model.ModelVersion(), m)
		if !ok {
			t.Fatalf("%s has no vector of %s", m.ID, model.ModelVersion())
		}
		if i%20 != 0 { // all of them would take seconds
			continue
		}
		texts, err := model.EmbedAll(t.Context(), EmbeddingTexts(m))
		if err != nil {
			t.Fatal(err)
		}
		want, err := mean(texts)
		if err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if math.Abs(float64(got[k]-want[k])) > 1e-5 {
				t.Fatalf("%s: number %d is %g, the model gives %g", m.ID, k, got[k], want[k])
			}
		}
	}
}

func TestVectorsAreRead(t *testing.T) {
	movies := shipped(t)[:3]
	var file bytes.Buffer
	if err := WriteVectors(t.Context(), &file, movies, small); err != nil {
		t.Fatal(err)
	}
	made, err := readMade(bytes.NewReader(file.Bytes()))
	if err != nil || len(made.of) != 3 {
		t.Fatalf("%d vectors, %v", len(made.of), err)
	}
	if v, ok := made.vector(small.model, movies[1]); !ok || len(v) != small.dims {
		t.Errorf("the second film has %d numbers", len(v))
	}
	changed := movies[1]
	changed.Description += " More."
	if _, ok := made.vector(small.model, changed); ok {
		t.Error("a film of other texts has the vector")
	}
	if _, ok := made.vector("other-1", movies[1]); ok {
		t.Error("another model has the vector")
	}
	for _, cut := range []int{0, 5, 40, file.Len() - 1} {
		if _, err := readMade(bytes.NewReader(file.Bytes()[:cut])); err == nil {
			t.Errorf("a file of %d bytes is read", cut)
		}
	}
}
