package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"

	"kassa/catalog"
	"kassa/catalog/eval"
	"kassa/catalog/formats"
	"kassa/catalog/judged"
	"kassa/worker"
)

type evalCommand struct {
	filmSettings
	thresholdSettings
	JSON     bool     `name:"json" help:"Write JSON, for machines."`
	Hard     bool     `help:"Measure what each part of the ranking is worth under hard conditions: films without keywords or with one language, half of the words. For the choice of weights."`
	Films    string   `type:"path" placeholder:"PATH" help:"Measure with the films of a file or folder beside those of the catalogue; with --hard, these alone are changed."`
	Synonyms *float64 `help:"With --hard: what a word of the same group counts beside the word itself."`
	Related  *float64 `help:"With --hard: what a related word counts beside the word itself."`
	Letters  *float64 `help:"With --hard: what runs of letters count beside words."`
	Vectors  *float64 `help:"With --hard: what vectors count beside words."`
	File     string   `arg:"" help:"Tab-separated questions. The first line names the columns: id, lang, kind (may be missing), query, and expected (films as \"Title (year)\" or ids, joined by |; empty where no film is meant)."`
}

// Validate is called by the command line.
func (e evalCommand) Validate() error { return e.check() }

func (e evalCommand) Run(ctx context.Context, c *console) error {
	file, err := os.Open(e.File)
	if err != nil {
		return err
	}
	defer file.Close()
	questions, err := judged.Read(file)
	if err != nil {
		return err
	}
	return e.with(ctx, func(films *catalog.Catalogue, models worker.Models) error {
		measured, err := e.measure(ctx, questions, films, models[0])
		if err != nil {
			return err
		}
		if e.JSON {
			encoder := json.NewEncoder(c.out)
			encoder.SetIndent("", "  ")
			return encoder.Encode(measured)
		}
		return measured.Write(c.out)
	})
}

// measured is a report, or a table of conditions.
type measured interface{ Write(io.Writer) error }

func (e evalCommand) measure(ctx context.Context, questions []judged.Question, films *catalog.Catalogue, model *worker.Embedder) (measured, error) {
	movies := films.Movies()
	own, err := e.own()
	if err != nil {
		return nil, err
	}
	if e.Hard && own == nil {
		return e.hard(ctx, questions, movies, nil, model)
	}
	if own != nil {
		movies = slices.DeleteFunc(movies, func(m catalog.Movie) bool { return ofID(own, m.ID) })
		if e.Hard {
			return e.hard(ctx, questions, own, movies, model)
		}
		movies = slices.Concat(movies, own)
		if films, err = catalog.InMemory(ctx, movies, model); err != nil {
			return nil, err
		}
	}
	url, err := e.url()
	if err != nil {
		return nil, err
	}
	systems := []eval.System{searched(films, model, "kassa", nil), eval.BM25(movies), eval.TFIDF(movies)}
	if url != "" {
		systems = append(systems, eval.PostgresFullText(url, movies), eval.PostgresTrigram(url, movies))
	}
	return eval.Measure(ctx, questions, movies, eval.Settings{Model: model.ModelVersion(), NotFoundBelow: e.NotFoundBelow}, systems...)
}

// own are the films of --films, nil without it. A fault in any of them ends the command.
func (e evalCommand) own() (own []catalog.Movie, err error) {
	if e.Films == "" {
		return nil, nil
	}
	source, err := formats.Open(e.Films, formats.Options{})
	if err != nil {
		return nil, err
	}
	defer source.Close()
	for m, err := range source.Films() {
		if err != nil {
			return nil, err
		}
		own = append(own, m)
	}
	return own, nil
}

func ofID(movies []catalog.Movie, id string) bool {
	return slices.ContainsFunc(movies, func(m catalog.Movie) bool { return m.ID == id })
}

// searched is Kassa's own search.
func searched(films *catalog.Catalogue, model *worker.Embedder, name string, weights *catalog.Weights) eval.System {
	return eval.OneByOne(name, func(ctx context.Context, text string) (catalog.Found, error) {
		return search(ctx, films, model, text, eval.Depth, weights)
	})
}

// hard measures what each part of the ranking is worth, under each condition of the
// films; those beside them stay as they are.
func (e evalCommand) hard(ctx context.Context, questions []judged.Question, movies, beside []catalog.Movie, model *worker.Embedder) (measured, error) {
	all := catalog.DefaultWeights
	for weight, given := range map[*float64]*float64{&all.Synonyms: e.Synonyms, &all.Related: e.Related, &all.Letters: e.Letters, &all.Vectors: e.Vectors} {
		if given != nil {
			*weight = *given
		}
	}
	words, synonyms := catalog.Weights{}, catalog.Weights{Synonyms: all.Synonyms}
	related := catalog.Weights{Synonyms: all.Synonyms, Related: all.Related}
	letters := catalog.Weights{Synonyms: all.Synonyms, Related: all.Related, Letters: all.Letters}
	return eval.MeasureHard(ctx, questions, movies, func(changed []catalog.Movie) ([]eval.System, error) {
		changed = slices.Concat(changed, beside)
		films, err := catalog.InMemory(ctx, changed, model)
		return []eval.System{
			eval.BM25(changed),
			searched(films, model, "words", &words),
			searched(films, model, "+ synonyms", &synonyms),
			searched(films, model, "+ related", &related),
			searched(films, model, "+ letters", &letters),
			searched(films, model, "+ vectors", &all),
		}, err
	})
}
