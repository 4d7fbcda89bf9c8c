package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"kassa/catalog"
	"kassa/worker"
)

type synonymsCommand struct {
	filmSettings
	Add    addSynonyms    `cmd:"" help:"Add words that mean the same, in both languages. Running processes use them at once."`
	List   listSynonyms   `cmd:"" help:"List the groups of words that were added."`
	Check  checkSynonyms  `cmd:"" help:"Show what a group of words would change for a question, without adding it."`
	Remove removeSynonyms `cmd:"" help:"Take groups out by their ids."`
}

// withWriter opens the ledger for the length of do.
func (k synonymsCommand) withWriter(ctx context.Context, do func(catalog.Writer) error) error {
	l, err := k.open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	return do(l.CatalogueWriter())
}

type addSynonyms struct {
	awaitSettings
	File  string   `type:"existingfile" placeholder:"FILE" help:"File with a group on each line, its words separated by commas."`
	Words []string `arg:"" optional:"" help:"Words of one group; one of several words in quotation marks."`
}

// groups are those of the command line and of the file.
func (a addSynonyms) groups() (groups []catalog.Synonyms, err error) {
	if len(a.Words) == 0 && a.File == "" {
		return nil, wrongArgument("synonyms add: name words that mean the same, or --file")
	}
	if len(a.Words) > 0 {
		group, err := catalog.NewSynonyms(a.Words...)
		if err != nil {
			return nil, wrongArgument("%w", err)
		}
		groups = append(groups, group)
	}
	if a.File == "" {
		return groups, nil
	}
	file, err := os.Open(a.File)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		group, err := catalog.NewSynonyms(strings.Split(line, ",")...)
		if err != nil {
			return nil, wrongArgument("%s:%d: %w", a.File, n, err)
		}
		groups = append(groups, group)
	}
	return groups, lines.Err()
}

func (a addSynonyms) Run(ctx context.Context, c *console, line *commandLine) error {
	groups, err := a.groups()
	if err != nil {
		return err
	}
	return line.Synonyms.withWriter(ctx, func(films catalog.Writer) error {
		added, err := films.AddSynonyms(ctx, groups...)
		if err != nil {
			return err
		}
		for _, g := range groups {
			fmt.Fprintf(c.out, "%s  %s\n", g.ID, strings.Join(g.Words, ", "))
		}
		fmt.Fprintf(c.out, "%d added, %d were there.\n", added, len(groups)-added)
		return a.await(ctx, c, films)
	})
}

type listSynonyms struct{}

func (listSynonyms) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Synonyms.withWriter(ctx, func(films catalog.Writer) error {
		groups, err := films.Synonyms(ctx)
		for _, g := range groups {
			fmt.Fprintf(c.out, "%s  %s\n", g.ID, strings.Join(g.Words, ", "))
		}
		return err
	})
}

type removeSynonyms struct {
	awaitSettings
	IDs []string `arg:"" name:"id" help:"Ids, as kassa synonyms list shows them."`
}

func (r removeSynonyms) Run(ctx context.Context, c *console, line *commandLine) error {
	return line.Synonyms.withWriter(ctx, func(films catalog.Writer) error {
		removed, err := films.RemoveSynonyms(ctx, r.IDs...)
		if err != nil {
			return err
		}
		if removed < len(r.IDs) {
			return fmt.Errorf("%d of %d were there, and were taken out", removed, len(r.IDs))
		}
		fmt.Fprintf(c.out, "%d taken out.\n", removed)
		return r.await(ctx, c, films)
	})
}

type checkSynonyms struct {
	Question string   `required:"" help:"What a person would ask."`
	Limit    int      `default:"5" help:"How many films."`
	Words    []string `arg:"" help:"Words of the group."`
}

func (k checkSynonyms) Run(ctx context.Context, c *console, line *commandLine) error {
	group, err := catalog.NewSynonyms(k.Words...)
	if err != nil {
		return wrongArgument("%w", err)
	}
	return line.Synonyms.with(ctx, func(films *catalog.Catalogue, models worker.Models) error {
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		for _, look := range []struct {
			name  string
			films *catalog.Catalogue
		}{{"NOW", films}, {"WITH THE GROUP", films.WithSynonyms(group)}} {
			found, err := search(ctx, look.films, models.Named(films.Model()), k.Question, k.Limit, nil)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "%s\tSCORE\tCONFIDENCE %.2f\n", look.name, found.Confidence)
			for n, f := range found.Matches {
				m, _ := films.Movie(f.MovieID)
				fmt.Fprintf(table, "%d\t%.3f\t%s\n", n+1, f.Score, titled(m))
			}
		}
		return table.Flush()
	})
}
