package worker

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kassa/worker/modelfile"
)

// modelFiles are the files of a folder that vectors are made from.
type modelFiles struct {
	onnx      string
	weights   []string // beside the graph, where it is too large for one file
	tokenizer string
}

// findFiles looks for the files of a model in dir. The graph is model.onnx, or the only
// ONNX file that there is, which may lie deeper.
func findFiles(dir string) (modelFiles, error) {
	files := modelFiles{tokenizer: filepath.Join(dir, modelfile.Tokenizer)}
	var graphs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case filepath.Ext(path) == ".onnx":
			graphs = append(graphs, path)
		case strings.Contains(entry.Name(), ".onnx"): // model.onnx_data, model.onnx.data
			files.weights = append(files.weights, path)
		}
		return err
	})
	if err != nil {
		return modelFiles{}, fmt.Errorf("look for the model file: %w", err)
	}
	main := filepath.Join(dir, modelfile.ONNX)
	switch {
	case len(graphs) == 1:
		files.onnx = graphs[0]
	case slices.Contains(graphs, main):
		files.onnx = main
	default:
		return modelFiles{}, fmt.Errorf("folder has %d ONNX files and no %s", len(graphs), modelfile.ONNX)
	}
	return files, nil
}

// version computes the name of a model by the content of its files.
func (f modelFiles) version(name string, use modelfile.Use) (string, error) {
	var readers []io.Reader
	for _, path := range slices.Concat([]string{f.onnx}, f.weights, []string{f.tokenizer}) {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("read model file: %w", err)
		}
		defer file.Close()
		readers = append(readers, file)
	}
	version, err := modelfile.Version(name, use, readers...)
	if err != nil {
		return "", fmt.Errorf("read model file: %w", err)
	}
	return version, nil
}

// folderRunesMax bounds what a model's name has of its folder.
const folderRunesMax = 40

// identify gives the card of the model in dir. A folder without one gets one that knows
// no more than the content of the files; else the content must be as in the card.
func identify(dir string) (modelfile.Card, modelFiles, error) {
	var card modelfile.Card
	files, err := findFiles(dir)
	if err != nil {
		return card, files, err
	}
	err = readJSON(filepath.Join(dir, modelfile.CardFile), &card)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return card, files, err
	}
	folder := []rune(inName(filepath.Base(dir)))
	name := string(folder[:min(len(folder), folderRunesMax)])
	if at := strings.LastIndexByte(card.Version, '-'); at > 0 {
		name = card.Version[:at]
	}
	is, err := files.version(name, card.Use)
	if err != nil {
		return card, files, err
	}
	if cmp.Or(card.Version, is) != is {
		return card, files, fmt.Errorf("model files are damaged: content is %s, the card says %s", is, card.Version)
	}
	card.Version = is
	return card, files, nil
}
