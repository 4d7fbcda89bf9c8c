//go:build !ORT

package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomlx/go-huggingface/tokenizers/api"
	gomlx "github.com/gomlx/gomlx/backends"
	mlcontext "github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/backends"
	"github.com/knights-analytics/hugot/options"
	"github.com/knights-analytics/hugot/pipelines"
)

// Backend is what runs the models in this build.
const Backend = "go"

// Every pair of a batch and a sequence bucket is one compiled graph, kept for
// good; without buckets hugot would keep one for every shape it ever sees.
var (
	batchBuckets    = []int{1, 4, 16, batchLimit}
	sequenceBuckets = []int{16, 32, 64, 128, 256, windowMax}
	sessionOptions  = []options.WithOption{options.WithGoMLXBatchBuckets(batchBuckets), options.WithGoMLXSequenceBuckets(sequenceBuckets)}
)

// newPipeline opens a model for this build's backend, with the tokenizer in place of
// hugot's own. Also with an error, what it returns must be destroyed, if it is not nil.
func newPipeline(config hugot.FeatureExtractionConfig, tokenizer api.Tokenizer) (*pipelines.FeatureExtractionPipeline, func() error, error) {
	// Not the caller's context: hugot ends every inference with the session's.
	session, err := hugot.NewGoSession(context.Background(), sessionOptions...)
	if err != nil {
		return nil, nil, fmt.Errorf("start hugot session: %w", err)
	}
	pipeline, err := hugot.NewPipeline(session, config)
	if err != nil {
		return nil, session.Destroy, fmt.Errorf("make hugot pipeline: %w", err)
	}
	pipeline.Model.Tokenizer.GoTokenizer.Tokenizer = tokenizer
	finalize, err := runInOrder(pipeline.Model.GoMLXModel)
	if err != nil {
		return nil, session.Destroy, err
	}
	return pipeline, func() error { return errors.Join(session.Destroy(), finalize()) }, nil
}

// runInOrder has the operations of a graph run one after the other; large ones use all
// cores. By its default gomlx runs those that are ready side by side, as tasks of a
// pool of twice as many places as there are cores, and a large one waits in its
// place for others: a graph with as many branches as places then waits for ever.
func runInOrder(m *backends.GoMLXModel) (finalize func() error, err error) {
	backend, err := gomlx.NewWithConfig("go:ops_sequential")
	if err != nil {
		return nil, fmt.Errorf("start gomlx: %w", err)
	}
	exec, err := mlcontext.NewExec(backend, m.Ctx, m.Call)
	if err != nil {
		backend.Finalize()
		return nil, fmt.Errorf("start gomlx: %w", err)
	}
	exec.SetMaxCache(m.MaxCache)
	m.Exec.Finalize()
	m.Exec = exec
	return func() error { exec.Finalize(); backend.Finalize(); return nil }, nil
}
