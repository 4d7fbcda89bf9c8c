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
	"kassa/internal/bus"
	"kassa/worker"
)

type catalogCommand struct {
	dataSettings
	modelSettings
	Check  checkFilms  `cmd:"" help:"Validate films in a JSON file or folder; every fault is named with its file, line and field."`
	Import importFilms `cmd:"" help:"Bring films from a JSON file or folder into the catalogue. What is there already with the same content stays as it is; what you bring in is not replaced by the films that Kassa comes with. A running service sees them within seconds. With --amqp-url the workers there embed them, with their model."`
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
func (k catalogCommand) with(ctx context.Context, do func(*catalog.Catalogue, catalog.Embedder) error) error {
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

// openCatalogue opens the catalogue of a ledger and stocks it.
func openCatalogue(ctx context.Context, l *ledger, model *worker.Embedder, path string) (*catalog.Catalogue, error) {
	films, err := l.films(ctx)
	if err != nil {
		return nil, err
	}
	return films, stock(ctx, films, model, path)
}

// stock brings the shipped films into a catalogue, and those of path where one is
// given. What somebody has brought in stays as it is.
func stock(ctx context.Context, films *catalog.Catalogue, model catalog.Embedder, path string) error {
	if _, err := films.ImportShipped(ctx, model); err != nil || path == "" {
		return err
	}
	own, err := catalog.Load(path)
	if err != nil {
		return err
	}
	_, err = films.Import(ctx, own, model)
	return err
}

type importFilms struct {
	brokerSettings
	Path string `arg:"" optional:"" help:"JSON file, or folder of JSON files. Without it, only films that have no vector of the model get one."`
}

// batchesInFlight keeps several workers busy.
const batchesInFlight = 4

func (i importFilms) Run(ctx context.Context, c *console, line *commandLine) (err error) {
	var movies []catalog.Movie
	if i.Path != "" {
		if movies, err = catalog.Load(i.Path); err != nil {
			return err
		}
	}
	bring := func(films *catalog.Catalogue, model catalog.Embedder) error {
		report, err := films.Import(ctx, movies, model, catalog.WithProgress(bar(c.err, "films")), catalog.WithInFlight(batchesInFlight))
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%d added, %d changed, %d unchanged, %d embedded by %s; the catalogue has %d films.\n",
			report.Added, report.Changed, report.Unchanged, report.Embedded, model.ModelVersion(), films.Len())
		return nil
	}
	broker, err := i.broker("catalog import")
	if err != nil {
		return err
	}
	if broker == nil {
		return line.Catalog.with(ctx, bring)
	}
	broker.Declares = true // films may come in before the service was ever started
	return line.Catalog.withWorkers(ctx, c, *broker, bring)
}

// withWorkers is with, but for the model, which is that of the workers.
func (k catalogCommand) withWorkers(ctx context.Context, c *console, broker bus.Broker, do func(*catalog.Catalogue, catalog.Embedder) error) error {
	l, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	model, err := askWorkers(ctx, broker, c.log)
	if err != nil {
		return err
	}
	defer model.workers.Close()
	films, err := l.films(ctx)
	if err != nil {
		return err
	}
	return do(films, model)
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
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, _ catalog.Embedder) error {
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
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, model catalog.Embedder) error {
		found, err := search(ctx, films, model, text, s.Limit)
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

// search finds the films nearest to a text.
func search(ctx context.Context, films *catalog.Catalogue, model catalog.Embedder, text string, limit int) ([]catalog.Match, error) {
	vectors, err := model.EmbedAll(ctx, []string{text})
	if err != nil {
		return nil, err
	}
	return films.Nearest(ctx, catalog.Query{Model: model.ModelVersion(), Vector: vectors[0], Text: text, Limit: limit})
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
	return line.Catalog.with(ctx, func(films *catalog.Catalogue, model catalog.Embedder) error {
		kassa := func(text string) ([]catalog.Match, error) {
			found, err := search(ctx, films, model, text, films.Len())
			if errors.Is(err, worker.ErrNoMeaning) {
				return nil, nil // no film is nearer than another
			}
			return found, err
		}
		return catalog.WriteScores(c.out, queries, films.Movies(),
			catalog.System{Name: "kassa", Rank: kassa},
			catalog.System{Name: "tf-idf", Rank: catalog.TFIDF(films.Movies())})
	})
}
