package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"time"

	"kassa/catalog"
	"kassa/catalog/formats"
)

// formatSettings are how the films of other catalogues are read.
type formatSettings struct {
	Format   formats.Format `enum:"auto,json,jsonl,movielens,imdb,tmdb,seed" default:"auto" help:"How the films are written: json and jsonl (one film a line) are Kassa's own; movielens (movies.csv with tags.csv, links.csv), imdb (title.basics.tsv with title.akas.tsv, title.ratings.tsv), tmdb (movies_metadata.csv with keywords.csv, credits.csv), seed (the system that Kassa replaces). Files may be compressed (.gz). Default: by names and first lines."`
	MinVotes int            `default:"0" help:"With imdb: leave out titles that fewer people have rated."`
	Types    []string       `default:"movie,tvMovie" help:"With imdb: which kinds of titles are films. Default: ${default}."`
	Rejected string         `type:"path" placeholder:"FILE" help:"Write what is left out, by file and line with the reason, into this file (CSV). Without it the first are named, and the exit code is 1 if there are any."`
}

func (s formatSettings) open(path string) (*formats.Source, error) {
	return formats.Open(path, formats.Options{Format: s.Format, Types: s.Types, MinVotes: s.MinVotes})
}

// rejections are the rows that were left out.
type rejections struct {
	file   *os.File
	table  *csv.Writer
	out    io.Writer
	number int
}

// rejectedShown bounds how many are named where there is no file for them.
const rejectedShown = 50

func (s formatSettings) rejections(out io.Writer) (*rejections, error) {
	r := &rejections{out: out}
	if s.Rejected == "" {
		return r, nil
	}
	file, err := os.Create(s.Rejected)
	if err != nil {
		return nil, err
	}
	r.file, r.table = file, csv.NewWriter(file)
	return r, r.table.Write([]string{"file", "line", "film", "field", "reason"})
}

func (r *rejections) add(p catalog.Problem) error {
	r.number++
	switch {
	case r.table != nil:
		return r.table.Write([]string{p.File, strconv.Itoa(p.Line), p.Movie, p.Field, p.What})
	case r.number <= rejectedShown:
		fmt.Fprintln(r.out, p)
	}
	return nil
}

// close ends the file. Without one, films that were left out are an error.
func (r *rejections) close() error {
	if r.file == nil {
		if r.number > 0 {
			return fmt.Errorf("left out for %d faults; --rejected FILE takes all of them", r.number)
		}
		return nil
	}
	r.table.Flush()
	return errors.Join(r.table.Error(), r.file.Close())
}

// sound gives the films of a source that can be used. It names the others, and calls
// each after every film.
func sound(source *formats.Source, rejected *rejections, each func()) iter.Seq2[catalog.Movie, error] {
	return func(yield func(catalog.Movie, error) bool) {
		for m, err := range source.Films() {
			if p, isRow := errors.AsType[catalog.Problem](err); isRow {
				if err = rejected.add(p); err == nil {
					continue
				}
			}
			each()
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

type checkFilms struct {
	formatSettings
	Path string `arg:"" help:"File or folder of films."`
}

func (k checkFilms) Run(c *console) error {
	source, err := k.open(k.Path)
	if err != nil {
		return err
	}
	defer source.Close()
	rejected, err := k.rejections(c.err)
	if err != nil {
		return err
	}
	var lacking catalog.Lacking
	for m, err := range sound(source, rejected, func() {}) {
		if err != nil {
			return err
		}
		lacking.Add(m)
	}
	fmt.Fprintf(c.out, "%d films of the format %s, %d left out.\n", lacking.Films(), source.Format, rejected.number+source.LeftOut())
	for lack, films := range lacking.All() {
		fmt.Fprintf(c.out, "%d of %d have %s: %s.\n", films, lacking.Films(), lack.What, lack.Worse)
	}
	return rejected.close()
}

type importFilms struct {
	brokerSettings
	formatSettings
	awaitSettings
	WorkerModel string `placeholder:"VERSION" help:"With --amqp-url: the model that the workers are to embed with, where they have several. Default: the first of the worker that answers first."`

	Path string `arg:"" optional:"" help:"File or folder of films. Without it, only films that have no vector of the model get one."`
}

// batchesInFlight keeps several workers busy.
const batchesInFlight = 4

func (i importFilms) Run(ctx context.Context, c *console, line *commandLine) error {
	return i.into(ctx, c, line.Catalog.filmSettings)
}

// into imports into the catalogue of the settings.
func (i importFilms) into(ctx context.Context, c *console, settings filmSettings) (err error) {
	var source *formats.Source // nil: no films, only vectors
	if i.Path != "" {
		if source, err = i.open(i.Path); err != nil {
			return err
		}
		defer source.Close()
	}
	broker, err := i.broker("catalog import")
	if err != nil {
		return err
	}
	l, err := settings.open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	rejected, err := i.rejections(c.err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rejected.close()) }()
	films := l.CatalogueWriter()
	importWith := func(model catalog.Embedder, source *formats.Source) error {
		return errors.Join(i.importWith(ctx, c, films, model, source, rejected), i.await(ctx, c, films))
	}
	if broker != nil {
		broker.Declares = true // films may come in before the service was ever started
		model, err := askWorkers(ctx, *broker, i.WorkerModel, c.log)
		if err != nil {
			return err
		}
		defer model.workers.Close()
		return importWith(model, source)
	}
	models, err := settings.openModels(ctx, settings.folder().Models(), settings.folder().Models())
	if err != nil {
		return err
	}
	defer models.Close()
	for _, model := range models {
		if _, err := films.ImportShipped(ctx, model); err != nil {
			return err
		}
		if err := importWith(model, source); err != nil {
			return err
		}
		source = nil // its films are there: the next model only gives them vectors
	}
	return nil
}

// importWith imports the films of a source with the vectors of a model; without a source, only vectors.
func (i importFilms) importWith(ctx context.Context, c *console, films catalog.Writer, model catalog.Embedder, source *formats.Source, rejected *rejections) error {
	options := []catalog.Option{catalog.WithInFlight(batchesInFlight)}
	movies := iter.Seq2[catalog.Movie, error](func(func(catalog.Movie, error) bool) {})
	if source == nil {
		options = append(options, catalog.WithProgress(bar(c.err, "films")))
	} else {
		if source.Merges() {
			options = append(options, catalog.WithMerge())
		}
		draw, drawn := bar(c.err, "percent"), -1
		movies = sound(source, rejected, func() {
			read, size := source.Progress()
			if percent := int(100 * read / max(size, 1)); percent > drawn {
				draw(percent, 100)
				drawn = percent
			}
		})
	}
	report, err := films.Import(ctx, movies, model, options...)
	if err != nil {
		return err
	}
	all, err := films.Len(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d added, %d changed, %d unchanged, %d embedded by %s; the catalogue has %d films.\n",
		report.Added, report.Changed, report.Unchanged, report.Embedded, model.ModelVersion(), all)
	if source != nil {
		fmt.Fprintf(c.out, "Rows left out: %d.\n", rejected.number+source.LeftOut())
	}
	return nil
}

// awaitSettings are how long a change of the catalogue waits for the processes that run.
type awaitSettings struct {
	Wait time.Duration `default:"30s" help:"How long to wait until every running process answers with what was changed; those that do not by then are named. Default: ${default}."`
}

func (s awaitSettings) await(ctx context.Context, c *console, films catalog.Writer) error {
	current, behind, err := films.Await(ctx, s.Wait)
	if err != nil {
		return err
	}
	for _, process := range behind {
		fmt.Fprintf(c.err, "Does not answer with it yet: %s. It was ended without notice, is still reading, or cannot reach the database.\n", process)
	}
	if current > 0 {
		fmt.Fprintf(c.out, "Running processes that answer with it: %d.\n", current)
	}
	return nil
}
