// Command modelgen makes the embedding model that is built into the worker,
// out of the catalogue and a lexicon, and measures it.
//
//	modelgen -out worker/model        makes the four files of the model
//	modelgen -score queries.tsv       measures the built-in model
//
// The model has one vector for each word piece; a text's vector is the mean of
// its pieces'. See space for what the vectors are made of, and projection for
// how they get into 384 numbers.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "modelgen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("modelgen", flag.ContinueOnError)
	catalog := flags.String("catalog", "catalog/films", "folder of film files")
	lexiconPath := flags.String("lexicon", "cmd/modelgen/lexicon.tsv", "file of concepts and their words")
	to := flags.String("out", "", "folder to write the model to")
	queries := flags.String("score", "", "file of queries to measure the built-in model with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *to == "" && *queries == "" {
		return fmt.Errorf("nothing to do: give -out or -score")
	}
	films, err := readFilms(*catalog)
	if err != nil {
		return err
	}
	if *to != "" {
		lexicon, err := readLexicon(*lexiconPath)
		if err != nil {
			return err
		}
		texts := make([][]string, len(films))
		for i, f := range films {
			texts[i] = filmTexts(f)
		}
		model := train(chosen, texts, lexicon)
		if err := model.Write(*to); err != nil {
			return err
		}
		fmt.Fprintf(out, "%d films, %d concepts: %d pieces\n", len(films), len(lexicon), len(model.Pieces))
	}
	if *queries != "" {
		return score(ctx, out, films, *queries)
	}
	return nil
}
