//go:build ORT

package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/gomlx/go-huggingface/tokenizers/api"
	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/options"
	"github.com/knights-analytics/hugot/pipelines"
)

// Backend is what runs the models in this build.
const Backend = "onnxruntime"

// libraryFolder names the environment variable with the folder of libonnxruntime.so.
const libraryFolder = "KASSA_ONNXRUNTIME"

// shared is the session of this process: onnxruntime has one, for all models.
var shared struct {
	sync.Mutex
	session *hugot.Session
	models  int // that are open
}

// newPipeline opens a model for this build's backend, which has the tokenizers library of
// Hugging Face; ours only counts pieces. Also with an error, what it returns must be
// destroyed, if it is not nil.
func newPipeline(config hugot.FeatureExtractionConfig, _ api.Tokenizer) (*pipelines.FeatureExtractionPipeline, func() error, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.session == nil {
		folder := os.Getenv(libraryFolder)
		if folder == "" {
			return nil, nil, fmt.Errorf("this build runs models by onnxruntime: set %s to the folder of libonnxruntime.so", libraryFolder)
		}
		session, err := hugot.NewORTSession(context.Background(), options.WithOnnxLibraryPath(folder))
		if err != nil {
			return nil, nil, fmt.Errorf("start onnxruntime: %w", err)
		}
		shared.session = session
	}
	shared.models++
	config.Name = fmt.Sprintf("%s-%d", config.Name, shared.models) // one model may be opened twice
	pipeline, err := hugot.NewPipeline(shared.session, config)
	if err != nil {
		return nil, release(""), fmt.Errorf("make hugot pipeline: %w", err)
	}
	return pipeline, release(config.Name), nil
}

// release closes a pipeline, and the session with the last one.
func release(name string) func() error {
	return func() (err error) {
		shared.Lock()
		defer shared.Unlock()
		if name != "" {
			err = hugot.ClosePipeline[*pipelines.FeatureExtractionPipeline](shared.session, name)
		}
		if shared.models--; shared.models == 0 {
			err = errors.Join(err, shared.session.Destroy())
			shared.session = nil
		}
		return err
	}
}
