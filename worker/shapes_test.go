//go:build !ORT

package worker

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knights-analytics/hugot"

	"kassa/worker/modelfile"
)

// hugot keeps a compiled graph for each shape of input that it meets, so shapes are
// rounded up to a few, and their number is bounded.
func TestShapesAreBounded(t *testing.T) {
	dir := tiny(t, nil)
	session, err := hugot.NewGoSession(context.Background(), sessionOptions...)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Destroy()
	pipeline, err := hugot.NewPipeline(session, hugot.FeatureExtractionConfig{ModelPath: dir, OnnxFilename: filepath.Base(modelfile.ONNX), Name: "tiny"})
	if err != nil {
		t.Fatal(err)
	}
	kept := pipeline.Model.GoMLXModel
	if most := len(batchBuckets) * len(sequenceBuckets); kept.MaxCache < 1 || kept.MaxCache > most ||
		len(kept.BatchBuckets) != len(batchBuckets) || len(kept.SequenceBuckets) != len(sequenceBuckets) {
		t.Fatalf("hugot keeps %d graphs of %d at most, for batches of %v and sequences of %v", kept.MaxCache, most, kept.BatchBuckets, kept.SequenceBuckets)
	}
	// Every size of a batch and every length that there can be fits a bucket: hugot
	// fails on the shape after its last one.
	for _, texts := range []int{1, 2, 5, 31, batchLimit} {
		for _, words := range []int{1, 3, 6} {
			batch := make([]string, texts)
			for i := range batch {
				batch[i] = strings.TrimSpace(strings.Repeat("cat ", words))
			}
			if _, err := pipeline.RunPipeline(context.Background(), batch); err != nil {
				t.Errorf("%d texts of %d words: %v", texts, words, err)
			}
		}
	}
}
