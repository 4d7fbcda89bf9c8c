package modelfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

func TestQuantize(t *testing.T) {
	table, scale := quantize([][]float32{{0, 0, 0}, {1, -1, 0.5}, {1e-3, 2.1e-3, -4e-3}})
	want := []int8{0, 0, 0, 127, -127, 64, 32, 67, -127}
	for i, w := range want {
		if got := int8(table[i]); got != w {
			t.Errorf("value %d is %d, want %d", i, got, w)
		}
	}
	for i, w := range []float64{0, 1.0 / 127, 4e-3 / 127} {
		got := math.Float32frombits(binary.LittleEndian.Uint32(scale[4*i:]))
		if math.Abs(float64(got)-w) > 1e-8 {
			t.Errorf("scale %d is %g, want %g", i, got, w)
		}
	}
}

func TestFilesAreTheSameTwice(t *testing.T) {
	m := Model{Pieces: append(Special(), "cat", "##s"), Rows: [][]float32{{0}, {0}, {0}, {0}, {1}, {0}}, SequenceMax: 8, WordBytesMax: 20}
	one, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}
	two, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name := range one {
		if !bytes.Equal(one[name], two[name]) {
			t.Errorf("%s differs", name)
		}
	}
	version, err := Version("kassa-static", Use{}, bytes.NewReader(one[ONNX]), bytes.NewReader(one[Tokenizer]))
	if err != nil || !strings.Contains(string(one[CardFile]), version) {
		t.Errorf("card is %s", one[CardFile])
	}
}

// Mistakes that hugot would run to a wrong row in silence.
func TestBadModels(t *testing.T) {
	row := func(n int) [][]float32 { return make([][]float32, n) }
	for name, m := range map[string]Model{
		"empty":            {},
		"no special":       {Pieces: []string{"cat"}, Rows: row(1)},
		"piece twice":      {Pieces: append(Special(), "cat", "cat"), Rows: row(6)},
		"row missing":      {Pieces: append(Special(), "cat"), Rows: row(4)},
		"rows not as long": {Pieces: append(Special(), "cat"), Rows: append(row(4), []float32{1})},
	} {
		if _, err := m.Files(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
