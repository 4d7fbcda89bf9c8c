package worker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/gomlx/go-huggingface/tokenizers/api"
	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/backends"
	"github.com/knights-analytics/hugot/pipelines"

	"kassa/worker/modelfile"
)

// windowMax bounds the window of any model, and so the compiled graphs.
const windowMax = 512

// model is an opened model.
type model struct {
	version   string
	dims      int // length of an embedding
	use       modelfile.Use
	tokenizer api.Tokenizer // counts pieces, so that texts fit
	limits    limits
	// infer returns a vector for each text. It is called by one goroutine at a
	// time, never with no text at all or with one that fit did not make.
	infer   func(texts []string) ([][]float32, error)
	destroy func() error // nil when nothing was opened
}

// loadWithin opens the model in dir and has it prove itself. A model that does neither
// in time is left behind with what it holds, since nothing can end its computation: the
// caller should end the process.
func loadWithin(dir string, limit time.Duration) (model, error) {
	type loaded struct {
		model
		err error
	}
	done := make(chan loaded, 1)
	go func() {
		m, err := load(dir)
		if err != nil && m.destroy != nil {
			err = errors.Join(err, m.destroy())
		}
		done <- loaded{m, err}
	}()
	select {
	case l := <-done:
		if l.err != nil {
			return model{}, l.err
		}
		return l.model, nil
	case <-time.After(limit):
		return model{}, fmt.Errorf("%w: its check texts had no vectors after %s", ErrUnproven, limit)
	}
}

// load opens the model in dir, and compares what it computes with its card.
func load(dir string) (m model, err error) {
	defer func() {
		if r := recover(); r != nil { // hugot panics on graphs that it cannot build
			err = fmt.Errorf("panic in hugot: %v", r)
		}
	}()
	if dir, err = filepath.Abs(dir); err != nil {
		return m, fmt.Errorf("find model folder: %w", err)
	}
	card, files, err := identify(dir)
	if err != nil {
		return m, err
	}
	m.version, m.use = card.Version, card.Use
	if m.tokenizer, err = readTokenizer(files.tokenizer); err != nil {
		return m, err
	}
	if m.limits, err = readLimits(dir, m.tokenizer, m.use); err != nil {
		return m, err
	}
	pipeline, destroy, err := newPipeline(hugot.FeatureExtractionConfig{
		ModelPath:    dir,
		OnnxFilename: filepath.Base(files.onnx),
		Name:         m.version,
		Options:      []hugot.FeatureExtractionOption{pipelines.WithNormalization()},
	}, m.tokenizer)
	m.destroy = destroy
	if err != nil {
		return m, err
	}
	if m.dims, err = dimensions(pipeline, m.use.Pooling); err != nil {
		return m, err
	}
	if card.Dimensions != 0 && card.Dimensions != m.dims {
		return m, fmt.Errorf("%w: it has %d dimensions, and %d by its card", ErrUnproven, m.dims, card.Dimensions)
	}
	m.infer = inference(pipeline)
	return m, m.prove(card.Checks)
}

// inference wraps a pipeline. hugot's context is never cancelled: it would
// free tensors that are in use. A panic in this goroutine becomes an error, so
// that one text cannot end the process.
func inference(pipeline *pipelines.FeatureExtractionPipeline) func([]string) ([][]float32, error) {
	return func(texts []string) (vectors [][]float32, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic in hugot: %v", r)
			}
		}()
		out, err := pipeline.RunPipeline(context.Background(), texts)
		if err != nil {
			return nil, err
		}
		if len(out.Embeddings) != len(texts) {
			return nil, fmt.Errorf("%d texts gave %d vectors", len(texts), len(out.Embeddings))
		}
		return out.Embeddings, nil
	}
}

// dimensions returns the length of the model's vectors. It refuses models that
// hugot would run to a wrong result in silence.
func dimensions(pipeline *pipelines.FeatureExtractionPipeline, pooling string) (int, error) {
	hasMask := slices.ContainsFunc(pipeline.Model.InputsMeta, func(i backends.InputOutputInfo) bool {
		return i.Name == "attention_mask"
	})
	if !hasMask {
		return 0, errors.New("model has no attention_mask input: only the first piece of a text would count")
	}
	shape := pipeline.Output.Dimensions
	if len(shape) < 2 || len(shape) > 3 || shape[len(shape)-1] < 1 {
		return 0, fmt.Errorf("model output has shape %v, want [batch, (sequence,) dimensions] with a fixed last one", shape)
	}
	pooled := modelfile.PooledGraph
	if len(shape) == 3 {
		pooled = modelfile.PooledMean
	}
	if pooling != "" && pooling != pooled {
		return 0, fmt.Errorf("model wants its pieces pooled by %q, and its output of shape %v is pooled by %q", pooling, shape, pooled)
	}
	return int(shape[len(shape)-1]), nil
}
