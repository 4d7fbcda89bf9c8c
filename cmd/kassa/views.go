package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/projections"
)

// viewsCommand is for the tables that people's questions are answered from. The
// embedded default has none: it replays the log at each start.
type viewsCommand struct {
	dataSettings
	List    listViews   `cmd:"" help:"List the views, their tables, and how far each has come."`
	Rebuild rebuildView `cmd:"" help:"Build a view from the log again, compare it, and put it in its place. The service goes on meanwhile."`
	Drop    dropView    `cmd:"" help:"Drop a table of a version that this one does not use."`
}

// openTables opens the log to be read, and the database with the tables, with the
// rights of the service.
func (v viewsCommand) openTables(ctx context.Context) (*app.Ledger, error) {
	s, err := v.existing()
	if err != nil {
		return nil, err
	}
	l, err := s.OpenLog(ctx)
	if err != nil {
		return nil, err
	}
	if l.Pool == nil {
		return nil, errors.Join(errors.New("views are tables in PostgreSQL only: give --database-url"), l.Close())
	}
	return l, nil
}

type listViews struct{}

func (listViews) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Views.openTables(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	list, err := projections.ListViews(ctx, l.Pool)
	if err != nil {
		return err
	}
	head, err := l.Store.Head(ctx) // behind the positions, so that no lag is negative
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VIEW\tTABLE\tPOSITION\tLAG\t")
	for _, v := range list {
		note := ""
		if !v.Used {
			note = "not used by this version"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", v.Name, v.Table, v.Position, head.Size-v.Position, note)
	}
	return table.Flush()
}

type rebuildView struct {
	Name    string `arg:"" help:"The view, such as balances; kassa views list has them all."`
	Replace bool   `help:"Replace the view also where it differs from what the log gives."`
	Archive string `placeholder:"DIR" help:"Folder with the archives of the log, where a part of it is archived."`
}

func (r rebuildView) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Views.openTables(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	log := audit.FullLog{Store: l.Store}
	if r.Archive != "" {
		if log.Archives, err = audit.OpenArchives(ctx, l.Store, r.Archive); err != nil {
			return err
		}
	}
	shown := progress{to: c.err, name: r.Name, start: time.Now()}
	rebuild := projections.Rebuild{DB: l.Pool, Events: log, Replace: r.Replace, Progress: shown.at}
	done, err := rebuild.Run(ctx, r.Name)
	if errors.Is(err, eventstore.ErrArchived) {
		return fmt.Errorf("%w: give the folder of the archives with --archive", err)
	}
	if err != nil {
		return err
	}
	printRebuilt(c.out, done)
	if !done.Switched {
		return fmt.Errorf("%s was left as it was: find out why it differs, or give --replace", done.Table)
	}
	return nil
}

// printRebuilt prints the result of a rebuild.
func printRebuilt(w io.Writer, r projections.Rebuilt) {
	switch {
	case r.Diverged:
		fmt.Fprintf(w, "%s could not go on from where it was. It was filled again from the log, up to position %d.\n", r.Table, r.Position)
		return
	case r.Against == "":
		fmt.Fprintf(w, "%s is new.\n", r.Table)
	case r.Differs():
		fmt.Fprintf(w, "At position %d, %s has %d rows that the log does not give, and lacks %d that it gives (in %s).\n",
			r.Position, r.Against, r.OnlyOld, r.OnlyNew, strings.Join(r.Columns, ", "))
	default:
		fmt.Fprintf(w, "At position %d, %s and what the log gives are the same.\n", r.Position, r.Against)
	}
	if r.Switched && r.Against == r.Table {
		fmt.Fprintf(w, "%s was replaced.\n", r.Table)
	}
	if r.Switched && r.Against != r.Table && r.Against != "" {
		fmt.Fprintf(w, "%s stands beside %s. When no process of the older version runs any more: kassa views drop %s\n", r.Table, r.Against, r.Against)
	}
}

// progress prints how far a rebuild has come, at most once a second.
type progress struct {
	to      io.Writer
	name    string
	start   time.Time
	printed time.Time
}

func (p *progress) at(at, end eventstore.Position) {
	if time.Since(p.printed) < time.Second && at < end {
		return
	}
	p.printed = time.Now()
	fmt.Fprintf(p.to, "%s: %d of %d entries (%d %%), %.0f a second\n", p.name, at, end, at*100/max(end, 1), float64(at)/time.Since(p.start).Seconds())
}

type dropView struct {
	Table string `arg:"" help:"The table, with its version, such as balances_v1."`
}

func (d dropView) Run(ctx context.Context, c *console, line *commandLine) error {
	l, err := line.Views.openTables(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := projections.DropView(ctx, l.Pool, d.Table); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s was dropped.\n", d.Table)
	return nil
}
