package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"kassa/catalog"
	"kassa/worker"
)

type catalogCommand struct {
	dataSettings
	modelSettings
	Check  checkFilms  `cmd:"" help:"Validate films in a JSON file or folder; every fault is named with its file, line and field."`
	Import importFilms `cmd:"" help:"Bring films from a JSON file or folder into the catalogue. What is there already with the same content stays as it is. A running service sees them at its next start."`
	List   listFilms   `cmd:"" help:"List the films."`
	Search searchFilms `cmd:"" help:"Ask for films, as a person would; free of charge, and nothing is recorded."`
	Score  scoreFilms  `cmd:"" help:"Measure the search by judged queries (MRR, recall@5), beside plain tf-idf."`
}

// modelSettings choose the embedding model.
type modelSettings struct {
	Model string `placeholder:"DIR" help:"Folder of an ONNX embedding model with its tokenizer.json. Default: the model that is built in."`
}

// openModel loads and warms the model.
func (m modelSettings) openModel(ctx context.Context, d dataSettings) (*worker.Embedder, error) {
	return worker.Open(ctx, worker.Options{ModelDir: m.Model, UnpackTo: d.models()})
}

type checkFilms struct {
	Path string `arg:"" help:"JSON file, or folder of JSON files."`
}

func (k checkFilms) Run(c *console) error {
	movies, err := catalog.Load(k.Path)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d films, no fault found.\n", len(movies))
	return nil
}

// with opens the ledger's folder, the model and the catalogue with the shipped
// films in it, for the length of do.
func (k catalogCommand) with(ctx context.Context, do func(*catalog.Catalogue, *worker.Embedder) error) error {
	l, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	model, err := k.openModel(ctx, k.dataSettings)
	if err != nil {
		return err
	}
	defer model.Close()
	films, err := openCatalogue(ctx, l, model, "")
	if err != nil {
		return err
	}
	return do(films, model)
}

// openCatalogue opens the catalogue and brings in the shipped films, and those of
// path where one is given.
func openCatalogue(ctx context.Context, l *ledger, model *worker.Embedder, path string) (*catalog.Catalogue, error) {
	films, err := l.films(ctx)
	if err != nil {
		return nil, err
	}
	movies, err := catalog.Shipped()
	if err != nil {
		return nil, err
	}
	if path != "" {
		more, err := catalog.Load(path)
		if err != nil {
			return nil, err
		}
		movies = replaceByID(movies, more)
	}
	if _, err := films.Import(ctx, movies, model); err != nil {
		return nil, err
	}
	return films, nil
}

// replaceByID gives both lists; where both have a film, the second's.
func replaceByID(first, second []catalog.Movie) []catalog.Movie {
	own := map[string]bool{}
	for _, m := range second {
		own[m.ID] = true
	}
	all := second
	for _, m := range first {
		if !own[m.ID] {
			all = append(all, m)
		}
	}
	return all
}

type importFilms struct {
	Path string `arg:"" help:"JSON file, or folder of JSON files."`
}

func (i importFilms) Run(ctx context.Context, c *console, line *commandLine) error {
	movies, err := catalog.Load(i.Path)
	if err != nil {
		return err
	}
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, model *worker.Embedder) error {
		report, err := films.Import(ctx, movies, model)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%d added, %d changed, %d unchanged; the catalogue has %d films.\n",
			report.Added, report.Changed, report.Unchanged, films.Len())
		return nil
	})
}

type listFilms struct{}

func (listFilms) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, _ *worker.Embedder) error {
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tYEAR\tTITLE\tНАЗВАНИЕ")
		for _, m := range films.Movies() {
			fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", m.ID, m.Year, m.Title, m.TitleRU)
		}
		return table.Flush()
	})
}

type searchFilms struct {
	Text  []string `arg:"" help:"What you remember, in Russian or English."`
	Limit int      `default:"5" help:"How many films."`
}

func (s searchFilms) Run(ctx context.Context, c *console, line *commandLine) error {
	text := strings.Join(s.Text, " ")
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, model *worker.Embedder) error {
		answer, err := model.Embed(ctx, text)
		if err != nil {
			return err
		}
		found, err := films.Nearest(ctx, catalog.Query{Model: answer.ModelVersion, Vector: answer.Embedding, Text: text, Limit: s.Limit})
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "SCORE\tFILM\tWORDS")
		for _, f := range found {
			m, _ := films.Movie(f.MovieID)
			fmt.Fprintf(table, "%.3f\t%s / %s (%d)\t%s\n", f.Score, m.Title, m.TitleRU, m.Year, strings.Join(films.Explain(text, m.ID), ", "))
		}
		return table.Flush()
	})
}

type scoreFilms struct {
	File string `arg:"" help:"Tab-separated queries: id, language, text, expected films."`
}

func (s scoreFilms) Run(ctx context.Context, c *console, line *commandLine) error {
	file, err := os.Open(s.File)
	if err != nil {
		return err
	}
	defer file.Close()
	queries, err := catalog.ReadQueries(file)
	if err != nil {
		return err
	}
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, model *worker.Embedder) error {
		kassa := func(text string) ([]catalog.Match, error) {
			answer, err := model.Embed(ctx, text)
			if err != nil {
				return nil, err
			}
			return films.Nearest(ctx, catalog.Query{Model: answer.ModelVersion, Vector: answer.Embedding, Text: text, Limit: films.Len()})
		}
		return catalog.WriteScores(c.out, queries, films.Movies(),
			catalog.System{Name: "kassa", Rank: kassa},
			catalog.System{Name: "tf-idf", Rank: catalog.TFIDF(films.Movies())})
	})
}
