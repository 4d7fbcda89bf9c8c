package worker

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kassa/worker/modelfile"
)

//go:embed model
var builtIn embed.FS

// builtInFiles are the names of the built-in model's files.
var builtInFiles = []string{modelfile.ONNX, modelfile.Tokenizer, modelfile.Config, modelfile.CardFile}

// unpack puts the built-in model into a folder below parent that is named by
// the content, and returns it. A complete folder there is used again; a
// damaged one is replaced. With no parent it makes a temporary folder, and
// returns that as well, to be removed.
func unpack(parent string) (dir, temporary string, err error) {
	if parent == "" {
		temporary, err = os.MkdirTemp("", "kassa-model-*")
		if err != nil {
			return "", "", fmt.Errorf("make temporary folder: %w", err)
		}
		parent = temporary
	} else if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", "", fmt.Errorf("make folder for models: %w", err)
	}
	dir, err = unpackInto(parent)
	if err != nil && temporary != "" {
		err = errors.Join(err, os.RemoveAll(temporary))
	}
	return dir, temporary, err
}

// unpackInto writes to a folder of its own and renames it, so that the final
// name never holds half a model, whatever moment the process dies at.
func unpackInto(parent string) (string, error) {
	files, digest, err := readBuiltIn()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, "model-"+digest)
	if intact(dir, files) {
		return dir, nil
	}
	fresh, err := os.MkdirTemp(parent, "unpacking-*") // readable by this user only
	if err != nil {
		return "", fmt.Errorf("make folder to unpack to: %w", err)
	}
	defer os.RemoveAll(fresh) // nothing is there after a rename
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), content, 0o600); err != nil {
			return "", fmt.Errorf("write model file: %w", err)
		}
	}
	renamed := os.Rename(fresh, dir)
	if renamed == nil {
		return dir, nil
	}
	if intact(dir, files) {
		return dir, nil // another process was faster
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("remove damaged model: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil && !intact(dir, files) {
		return "", fmt.Errorf("put unpacked model in place: %w", err)
	}
	return dir, nil
}

func readBuiltIn() (files map[string][]byte, digest string, err error) {
	files = make(map[string][]byte, len(builtInFiles))
	var parts [][]byte
	for _, name := range builtInFiles {
		content, err := fs.ReadFile(builtIn, "model/"+name)
		if err != nil {
			return nil, "", fmt.Errorf("read built-in model: %w", err)
		}
		files[name] = content
		parts = append(parts, content)
	}
	return files, modelfile.Digest(parts...), nil
}

// intact reports whether dir holds exactly the files, byte for byte.
func intact(dir string, files map[string][]byte) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(files) {
		return false
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			return false
		}
	}
	return true
}
