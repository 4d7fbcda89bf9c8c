// Command modelgen makes the embedding model that is built into the worker, from the
// catalogue and the lexicon:
//
//	modelgen -out worker/model
//
// `kassa eval` measures its quality. With -stems it writes the stem of each word of the
// standard input, which tools/models/related.py needs.
//
// The model has one vector for each word piece; a text's vector is the mean of those of
// its pieces. See space for how the vectors are built, and projection for how they are
// reduced to 384 dimensions.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"kassa/catalog"
	"kassa/catalog/lexicon"
	"kassa/catalog/words"
	"kassa/worker"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "modelgen:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("modelgen", flag.ContinueOnError)
	films := flags.String("catalog", "catalog/films", "folder of film files")
	to := flags.String("out", "", "folder to write the model to")
	vectors := flags.String("vectors", "", "file to write the films' vectors to, or none")
	stems := flags.Bool("stems", false, "write the stem of each word of the standard input, one a line, and do nothing else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *stems {
		return writeStems(in, out)
	}
	if *to == "" {
		return errors.New("give the folder to write the model to: -out")
	}
	movies, err := catalog.Load(*films)
	if err != nil {
		return err
	}
	texts := make([][]string, len(movies))
	for i, m := range movies {
		texts[i] = catalog.EmbeddingTexts(m)
	}
	groups := lexicon.Groups()
	model := train(chosen, texts, groups)
	if err := model.Write(*to); err != nil {
		return err
	}
	if *vectors != "" {
		if err := writeVectors(*vectors, *to, movies); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "%d films, %d groups of words: %d pieces\n", len(movies), len(groups), len(model.Pieces))
	return err
}

// writeVectors writes the films' vectors, computed with the model of a folder.
func writeVectors(path, modelDir string, movies []catalog.Movie) error {
	ctx := context.Background()
	model, err := worker.Open(ctx, worker.Options{ModelDir: modelDir})
	if err != nil {
		return err
	}
	defer model.Close()
	var file bytes.Buffer
	if err := catalog.WriteVectors(ctx, &file, movies, model); err != nil {
		return err
	}
	return os.WriteFile(path, file.Bytes(), 0o644)
}

// writeStems writes the stem of each line of in; an empty line where it is no word, or
// one like "and".
func writeStems(in io.Reader, out io.Writer) error {
	list := bufio.NewWriter(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		stem := ""
		if w := words.Split(lines.Text()); len(w) == 1 && !words.IsStop(w[0].Form) {
			stem = w[0].Stem
		}
		fmt.Fprintln(list, stem)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return list.Flush()
}
