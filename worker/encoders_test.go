//go:build models

package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The encoders that `go tool task models` converts, in the folder KASSA_MODELS, beside
// what onnxruntime and the tokenizers library make of the same texts.

func readReference[T any](t *testing.T, name string) (list []T) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(os.Getenv("KASSA_MODELS"), name))
	if err == nil {
		err = json.Unmarshal(content, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var encoders = []string{"minilm", "e5-small", "use"}

// The pieces of thousands of texts in two languages are those of the tokenizers library.
func TestPiecesOfEncoders(t *testing.T) {
	for _, name := range encoders {
		t.Run(name, func(t *testing.T) {
			tokenizer, err := readTokenizer(filepath.Join(os.Getenv("KASSA_MODELS"), name, "tokenizer.json"))
			if err != nil {
				t.Fatal(err)
			}
			texts, wrong := readReference[struct {
				Text string
				IDs  []int
			}](t, name+".pieces.json"), 0
			for _, want := range texts {
				if got := tokenizer.Encode(want.Text); !slices.Equal(got, want.IDs) {
					if wrong++; wrong < 5 {
						t.Errorf("pieces of %q:\n%v, want\n%v", want.Text, got, want.IDs)
					}
				}
			}
			t.Logf("%d texts, %d with other pieces", len(texts), wrong)
		})
	}
}

// What a question and a batch of them cost, and the memory of the process, as a row of a table.
func TestSpeedOfEncoders(t *testing.T) {
	for _, name := range encoders {
		before := resident(t)
		e, err := Open(t.Context(), Options{ModelDir: filepath.Join(os.Getenv("KASSA_MODELS"), name)})
		if err != nil {
			t.Fatal(err)
		}
		var texts []input
		for i := range batchLimit {
			texts = append(texts, input{"", fmt.Sprintf("an old man remembers a summer by the sea %d, старик вспоминает лето", i)})
		}
		measure := func(texts []input) time.Duration {
			var times []time.Duration
			for range 3 { // the first compiles
				start := time.Now()
				if _, faults := e.embed(t.Context(), texts); errors.Join(faults...) != nil {
					t.Fatal(errors.Join(faults...))
				}
				times = append(times, time.Since(start))
			}
			return slices.Min(times)
		}
		alone, batch := measure(texts[:1]), measure(texts)
		t.Logf("| %s | %s | %.1f | %.1f | %d |", name, Backend, alone.Seconds()*1000, batch.Seconds()*1000/batchLimit, resident(t)-before)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		debug.FreeOSMemory()
	}
}

// resident is the memory of the process, in MB.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes / 1024
}

// Vectors are those of onnxruntime to 1e-5, alone and in batches.
func TestVectorsOfEncoders(t *testing.T) {
	for _, name := range encoders {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			e, err := Open(t.Context(), Options{ModelDir: filepath.Join(os.Getenv("KASSA_MODELS"), name)})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			t.Logf("loaded and proved in %s on %d cores", time.Since(start).Round(time.Millisecond), runtime.GOMAXPROCS(0))
			var alone, together float64
			texts := readReference[struct {
				Text   string
				Vector []float32
			}](t, name+".vectors.json")
			inputs := make([]input, len(texts))
			for i, want := range texts {
				inputs[i] = input{"", want.Text}
			}
			const atOnce = 4
			for from := 0; from < len(texts); from += atOnce {
				vectors, faults := e.embed(t.Context(), inputs[from:from+atOnce])
				one, faulty := e.embed(t.Context(), inputs[from:from+1])
				if err := errors.Join(append(faults, faulty...)...); err != nil {
					t.Fatal(err)
				}
				alone = max(alone, difference(one[0], texts[from].Vector))
				for i, v := range vectors {
					together = max(together, difference(v, texts[from+i].Vector))
				}
			}
			if !(alone <= 1e-5) || !(together <= 1e-5) {
				t.Errorf("vectors are off by %.2g alone and %.2g in batches", alone, together)
			}
			t.Logf("largest difference %.2g alone, %.2g in batches", alone, together)
		})
	}
}
