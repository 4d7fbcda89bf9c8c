package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gomlx/go-huggingface/tokenizers/api"
	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/backends"
	"github.com/knights-analytics/hugot/options"
	"github.com/knights-analytics/hugot/pipelines"

	"kassa/worker/modelfile"
)

// windowMax bounds the window of any model, and so the compiled graphs.
const windowMax = 512

// Every pair of a batch and a sequence bucket is one compiled graph, kept for
// good; without buckets hugot would keep one for every shape it ever sees.
var (
	batchBuckets    = []int{1, 4, 16, batchLimit}
	sequenceBuckets = []int{16, 32, 64, 128, 256, windowMax}
	sessionOptions  = []options.WithOption{options.WithGoMLXBatchBuckets(batchBuckets), options.WithGoMLXSequenceBuckets(sequenceBuckets)}
)

// model is an opened model.
type model struct {
	version   string
	dims      int // length of an embedding
	tokenizer api.Tokenizer
	limits    limits
	// infer returns a vector for each text. It is called by one goroutine at a
	// time, never with no text at all or with one that fit did not make.
	infer   func(texts []string) ([][]float32, error)
	destroy func() error // nil when nothing was opened
}

// load opens the model in dir and runs it once. Also with an error, the model
// must be destroyed.
func load(dir string) (m model, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return m, fmt.Errorf("find model folder: %w", err)
	}
	onnx, err := findONNX(dir)
	if err != nil {
		return m, err
	}
	if m.version, err = version(dir, onnx); err != nil {
		return m, err
	}
	// Not the caller's context: hugot ends every inference with the session's.
	session, err := hugot.NewGoSession(context.Background(), sessionOptions...)
	if err != nil {
		return m, fmt.Errorf("start hugot session: %w", err)
	}
	m.destroy = session.Destroy
	pipeline, err := hugot.NewPipeline(session, hugot.FeatureExtractionConfig{
		ModelPath:    dir,
		OnnxFilename: filepath.Base(onnx),
		Name:         m.version,
		Options:      []hugot.FeatureExtractionOption{pipelines.WithNormalization()},
	})
	if err != nil {
		return m, fmt.Errorf("make hugot pipeline: %w", err)
	}
	if m.dims, err = dimensions(pipeline); err != nil {
		return m, err
	}
	m.tokenizer = pipeline.Model.Tokenizer.GoTokenizer.Tokenizer
	if m.limits, err = readLimits(dir, m.tokenizer); err != nil {
		return m, err
	}
	m.infer = inference(pipeline)
	if _, err := m.infer([]string{"warm"}); err != nil {
		return m, fmt.Errorf("warm the model: %w", err)
	}
	return m, nil
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
func dimensions(pipeline *pipelines.FeatureExtractionPipeline) (int, error) {
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
	return int(shape[len(shape)-1]), nil
}

// findONNX returns the path of the model file in dir: model.onnx, or the only
// one that there is, which may lie deeper.
func findONNX(dir string) (string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".onnx" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("look for the model file: %w", err)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if main := filepath.Join(dir, modelfile.ONNX); slices.Contains(found, main) {
		return main, nil
	}
	return "", fmt.Errorf("folder has %d ONNX files and no %s", len(found), modelfile.ONNX)
}

// folderRunesMax bounds what a model's name has of its folder.
const folderRunesMax = 40

// version names the model by the content of its files. A folder with a card
// must have the content that the card says.
func version(dir, onnx string) (string, error) {
	graph, err := os.ReadFile(onnx)
	if err != nil {
		return "", fmt.Errorf("read model file: %w", err)
	}
	tokenizer, err := os.ReadFile(filepath.Join(dir, modelfile.Tokenizer))
	if err != nil {
		return "", fmt.Errorf("read model file: %w", err)
	}
	var card modelfile.Card
	err = readJSON(filepath.Join(dir, modelfile.CardFile), &card)
	if errors.Is(err, fs.ErrNotExist) {
		folder := []rune(inName(filepath.Base(dir)))
		return string(folder[:min(len(folder), folderRunesMax)]) + "-" + modelfile.Digest(graph, tokenizer), nil
	}
	if err != nil {
		return "", err
	}
	if is := modelfile.Version(graph, tokenizer); is != card.Version {
		return "", fmt.Errorf("model files are damaged: content is %s, the card says %s", is, card.Version)
	}
	return card.Version, nil
}
