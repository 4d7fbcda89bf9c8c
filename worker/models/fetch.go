package models

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/go-huggingface/hub"

	"kassa/worker/modelfile"
)

// described are the files of a repository, beside graph and tokenizer, with how a
// model is used.
var described = []string{modelfile.Config, modelfile.Tokenizer, modelfile.CardFile, "1_Pooling/config.json", "sentence_bert_config.json", "modules.json"}

// graphs are where repositories have their graph, the usual place first.
var graphs = []string{"onnx/" + modelfile.ONNX, modelfile.ONNX}

var hubForm = regexp.MustCompile(`^([\w.-]+/[\w.-]+)@([\w./-]+)$`)

// fetch copies the files of a source to dir, and gives the source's name, and the commit
// that the revision is.
func fetch(ctx context.Context, source, dir, work, onnx string) (from, revision string, err error) {
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		return filepath.Base(source), "", copyFolder(source, dir)
	}
	named := hubForm.FindStringSubmatch(source)
	if named == nil {
		return "", "", fmt.Errorf("%w: %q", ErrSource, source)
	}
	revision, err = download(ctx, named[1], named[2], dir, filepath.Join(work, "cache"), onnx)
	return named[1], revision, err
}

// copyFolder copies the files of a folder that are a model's: others, such as weights for
// another library, would only take space.
func copyFolder(from, to string) error {
	wanted := slices.Clone(described)
	err := filepath.WalkDir(from, func(file string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.Contains(entry.Name(), ".onnx") {
			name, _ := filepath.Rel(from, file)
			wanted = append(wanted, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("copy the model: %w", err)
	}
	for _, name := range wanted {
		err := copyFile(filepath.Join(from, name), filepath.Join(to, name))
		if err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("copy the model: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// download writes the files of a repository's revision to dir. A branch or a tag is
// resolved to its commit first, so that all files are of one.
func download(ctx context.Context, id, revision, dir, cache, onnx string) (commit string, err error) {
	repo := func(revision string) *hub.Repo {
		r := hub.New(id).WithRevision(revision).WithCacheDir(cache).WithAuth(os.Getenv("HF_TOKEN")).WithProgressBar(false)
		r.Verbosity = 0
		return r
	}
	named := repo(revision)
	if err := named.DownloadInfo(false); err != nil {
		return "", fmt.Errorf("ask for %s at %s: %w", id, revision, err)
	}
	commit = named.Info().CommitHash
	if !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(commit) {
		return "", fmt.Errorf("ask for %s at %s: it has no commit", id, revision)
	}
	fixed := repo(commit)
	var there []string
	for name, err := range fixed.IterFileNames() {
		if err != nil {
			return "", fmt.Errorf("list the files of %s: %w", id, err)
		}
		there = append(there, name)
	}
	wanted, err := choose(there, onnx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", id, err)
	}
	paths, err := fixed.DownloadFilesCtx(ctx, wanted...)
	if err != nil {
		return "", fmt.Errorf("download %s: %w", id, err)
	}
	for i, from := range paths {
		if err := copyFile(from, filepath.Join(dir, filepath.FromSlash(wanted[i]))); err != nil {
			return "", fmt.Errorf("copy the model: %w", err)
		}
	}
	return commit, nil
}

// choose picks the files of a model among those of a repository: one graph, with the
// weights that it has beside it.
func choose(there []string, onnx string) ([]string, error) {
	candidates := graphs
	if onnx != "" {
		candidates = []string{onnx}
	}
	for _, graph := range candidates {
		if !slices.Contains(there, graph) {
			continue
		}
		wanted := []string{graph}
		for _, name := range there {
			beside := path.Dir(name) == path.Dir(graph) && name != graph && strings.HasPrefix(path.Base(name), path.Base(graph))
			if beside || slices.Contains(described, name) {
				wanted = append(wanted, name)
			}
		}
		return wanted, nil
	}
	return nil, fmt.Errorf("%w: no graph at %s; give its path with --onnx", ErrSource, strings.Join(candidates, " or "))
}
