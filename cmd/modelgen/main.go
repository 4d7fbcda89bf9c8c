// Command modelgen makes the embedding model that is built into the worker,
// out of the catalogue and a lexicon:
//
//	modelgen -out worker/model
//
// What it is worth, `kassa catalog score` measures.
//
// The model has one vector for each word piece; a text's vector is the mean of
// its pieces'. See space for what the vectors are made of, and projection for
// how they get into 384 numbers.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"kassa/catalog"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "modelgen:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("modelgen", flag.ContinueOnError)
	films := flags.String("catalog", "catalog/films", "folder of film files")
	lexiconPath := flags.String("lexicon", "cmd/modelgen/lexicon.tsv", "file of concepts and their words")
	to := flags.String("out", "", "folder to write the model to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *to == "" {
		return errors.New("give the folder to write the model to: -out")
	}
	movies, err := catalog.Load(*films)
	if err != nil {
		return err
	}
	lexicon, err := readLexicon(*lexiconPath)
	if err != nil {
		return err
	}
	texts := make([][]string, len(movies))
	for i, m := range movies {
		texts[i] = catalog.EmbeddingTexts(m)
	}
	model := train(chosen, texts, lexicon)
	if err := model.Write(*to); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d films, %d concepts: %d pieces\n", len(movies), len(lexicon), len(model.Pieces))
	return err
}
