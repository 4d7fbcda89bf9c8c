package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/mattn/go-isatty"

	"kassa/catalog"
	"kassa/internal/app"
	"kassa/worker"
)

type catalogCommand struct {
	filmSettings
	Check  checkFilms     `cmd:"" help:"Validate films in a file or folder; every fault is named with its file and line. It also says what the films lack that makes them harder to find."`
	Import importFilms    `cmd:"" help:"Bring films from a file or folder into the catalogue: Kassa's own JSON, or another catalogue's. What is there already with the same content stays as it is, so an import that was interrupted goes on where it was; what you bring in is not replaced by the films that Kassa comes with. It ends when every running process answers with them. With --amqp-url the workers there embed them, with their model."`
	List   listFilms      `cmd:"" help:"List the films."`
	Models listFilmModels `cmd:"" help:"List the models of which films have vectors, and which one questions are asked of."`
	Use    useModel       `cmd:"" help:"Have questions asked of a model, in all processes within a second, or go back to another. Every film must have a vector of it, and workers must have it (--model)."`
	Weigh  weighModel     `cmd:"" help:"Set what the vectors of a model count beside words, in all processes within a second."`
	Forget forgetModel    `cmd:"" help:"Drop the vectors of a model."`
	Search searchFilms    `cmd:"" help:"Ask for films, as a person would; free of charge, and nothing is recorded."`
}

// filmSettings name the catalogue and the model that its films are found with.
type filmSettings struct {
	dataSettings
	modelSettings
}

// modelSettings choose the embedding models.
type modelSettings struct {
	Model []string `placeholder:"NAME" help:"Embedding models, the first for what asks for none of them by its version: names of models that kassa model add has brought in, folders with an ONNX model and its tokenizer.json, or built-in. Default: built-in."`
}

// with opens the ledger's folder, the model and the catalogue with the shipped
// films in it, for the length of do.
func (k filmSettings) with(ctx context.Context, do func(*catalog.Catalogue, worker.Models) error) error {
	l, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	models, err := k.openModels(ctx, k.folder().Models(), k.folder().Models())
	if err != nil {
		return err
	}
	defer models.Close()
	films, err := app.OpenCatalogue(ctx, l, models, "")
	if err != nil {
		return err
	}
	return do(films, models)
}

// bar draws how much is done, where a person looks on.
func bar(w io.Writer, what string) func(done, total int) {
	file, isFile := w.(*os.File)
	if !isFile || !isatty.IsTerminal(file.Fd()) {
		return func(int, int) {}
	}
	const width = 30
	return func(done, total int) {
		filled := width * done / total
		fmt.Fprintf(w, "\r[%s%s] %d of %d %s", strings.Repeat("#", filled), strings.Repeat(".", width-filled), done, total, what)
		if done == total {
			fmt.Fprintln(w)
		}
	}
}

type listFilms struct{}

func (listFilms) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, _ worker.Models) error {
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
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, models worker.Models) error {
		found, err := search(ctx, films, models.Named(films.Model()), text, s.Limit, nil)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "SCORE\tFILM\tWORDS")
		for _, f := range found.Matches {
			m, _ := films.Movie(f.MovieID)
			fmt.Fprintf(table, "%.3f\t%s\t%s\n", f.Score, titled(m), strings.Join(films.Explain(text, m.ID)[0], ", "))
		}
		return table.Flush()
	})
}

// titled names a film by its titles, in both languages where it has two, and its year.
func titled(m catalog.Movie) string {
	titles := m.TitleIn("en")
	if other := m.TitleIn("ru"); other != titles {
		titles += " / " + other
	}
	return fmt.Sprintf("%s (%d)", titles, m.Year)
}

// search finds the films nearest to a text, by its words alone where the model knows none
// of them: a title in a script of its own.
func search(ctx context.Context, films *catalog.Catalogue, model *worker.Embedder, text string, limit int, weights *catalog.Weights) (catalog.Found, error) {
	read := films.Read(text)
	q := catalog.Query{Text: read.Text, Typed: text, Conditions: read.Filters, Limit: limit, Weights: weights}
	answer, err := model.Embed(ctx, read.Embedded())
	switch {
	case err == nil:
		q.Model, q.Vector = answer.ModelVersion, answer.Embedding
	case !errors.Is(err, worker.ErrNoMeaning):
		return catalog.Found{}, err
	}
	return films.Find(ctx, q)
}
