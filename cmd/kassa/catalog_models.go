package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"kassa/catalog"
)

type listFilmModels struct{}

func (listFilmModels) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Catalog.withFilms(ctx, func(films *catalog.Catalogue, _ catalog.Writer) error {
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "VERSION\tDIMENSIONS\tFILMS\tOF\tWEIGHT\tSTATE")
		for _, m := range films.Models() {
			state := "incomplete"
			switch {
			case m.Used:
				state = "used"
			case m.Complete:
				state = "complete"
			}
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%g\t%s\n", m.Version, m.Dims, m.Films, films.Len(), m.Weight, state)
		}
		return table.Flush()
	})
}

// anyModel leaves it to the workers of which model questions are asked.
const anyModel = "any"

type useModel struct {
	awaitSettings
	Version string `arg:"" help:"Version of the model, as catalog models lists it, or any: the first of each worker."`
}

func (u useModel) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Catalog.withFilms(ctx, func(films *catalog.Catalogue, writer catalog.Writer) error {
		before, next := films.Model(), u.Version
		if next == anyModel {
			next = ""
		}
		if err := films.Use(ctx, next); err != nil {
			return err
		}
		if before == "" {
			before = anyModel
		}
		fmt.Fprintf(c.out, "Questions are asked of %s. Back: kassa catalog use %s\n", u.Version, before)
		return u.await(ctx, c, writer)
	})
}

type weighModel struct {
	awaitSettings
	Version string  `arg:"" help:"Version of the model, as catalog models lists it."`
	Weight  float64 `arg:"" help:"What its vectors count beside words, from 0 to 10: 1 is as much as the words. See eval --hard --vectors."`
}

func (w weighModel) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Catalog.withFilms(ctx, func(films *catalog.Catalogue, writer catalog.Writer) error {
		before := films.Models()
		err := films.Weigh(ctx, w.Version, w.Weight)
		if errors.Is(err, catalog.ErrWeight) || errors.Is(err, catalog.ErrModel) {
			return wrongArgument("%w", err)
		}
		if err != nil {
			return err
		}
		for _, m := range before {
			if m.Version == w.Version {
				fmt.Fprintf(c.out, "Vectors of %s count %g. Back: kassa catalog weigh %s %g\n", m.Version, w.Weight, m.Version, m.Weight)
			}
		}
		return w.await(ctx, c, writer)
	})
}

type forgetModel struct {
	Version string `arg:"" help:"Version of the model, as catalog models lists it."`
}

func (f forgetModel) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Catalog.withFilms(ctx, func(films *catalog.Catalogue, _ catalog.Writer) error {
		n, err := films.Drop(ctx, f.Version)
		if err == nil {
			fmt.Fprintf(c.out, "%d vectors of %s are dropped.\n", n, f.Version)
		}
		return err
	})
}

// withFilms opens the catalogue as it is, without a model.
func (k catalogCommand) withFilms(ctx context.Context, do func(*catalog.Catalogue, catalog.Writer) error) error {
	l, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	films, err := l.Films(ctx)
	if err != nil {
		return err
	}
	return do(films, l.CatalogueWriter())
}
