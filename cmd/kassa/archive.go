package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/projections"
	"kassa/schema"
)

// archiveCommand takes old partitions of the log out of the database. It runs as the
// owner of the tables, as migrate does: the service cannot.
type archiveCommand struct {
	DatabaseURL     string        `name:"database-url" placeholder:"URL" help:"postgres://… as the owner of the tables."`
	DatabaseURLFile string        `name:"database-url-file" type:"existingfile" placeholder:"FILE" help:"File that holds --database-url."`
	To              string        `placeholder:"DIR" help:"Folder in which each archive becomes a folder. It is made if it is missing."`
	Before          int64         `placeholder:"N" help:"Archive nothing at or behind this position."`
	OlderThan       time.Duration `name:"older-than" default:"720h" help:"Archive what is older than this: until then, a client that repeats a command gets its first answer. Default: ${default}."`
	Drop            bool          `help:"Drop what was detached. Without it, the detached tables stay beside the log."`
	Plan            bool          `help:"Only say what would be done."`
}

func (a archiveCommand) Run(ctx context.Context, c *console) error {
	url, err := databaseURL(a.DatabaseURL, a.DatabaseURLFile)
	switch {
	case err != nil:
		return err
	case url == "":
		return wrongArgument("--database-url is missing; the embedded default keeps its log in one file, and is not archived")
	case a.To == "" && !a.Plan:
		return wrongArgument("--to is missing: the folder for the archives")
	case a.Before < 0 || a.OlderThan < 0:
		return wrongArgument("--before and --older-than are not negative")
	}
	l, err := app.Storage{DatabaseURL: url}.OpenLog(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	owner, err := asOwner(ctx, url)
	if err != nil {
		return err
	}
	defer owner.conn.Close(context.WithoutCancel(ctx))
	archiving := audit.Archiving{Store: l.Store, Owner: owner, Folder: a.To, Before: eventstore.Position(a.Before), Age: a.OlderThan, Drop: a.Drop, Now: time.Now,
		Views: func(ctx context.Context) (map[string]eventstore.Position, error) {
			at := map[string]eventstore.Position{}
			list, err := projections.ListViews(ctx, l.Pool)
			for _, v := range list {
				at[v.Table] = v.Position
			}
			return at, err
		}}
	if a.Plan {
		return plan(ctx, c, archiving)
	}
	err = l.Store.LeadNow(ctx, "archive", func(ctx context.Context, _ *eventstore.Leadership) error { return a.run(ctx, c, archiving) })
	if errors.Is(err, eventstore.ErrLed) {
		return errors.New("another process archives")
	}
	return err
}

// run archives, and prints what was done.
func (a archiveCommand) run(ctx context.Context, c *console, archiving audit.Archiving) error {
	done, err := archiving.Run(ctx)
	for _, one := range done {
		fmt.Fprintf(c.out, "archived: positions %d to %d, in %s\nKeep this digest, and the archive, apart from the database:\n%d:%s\n", one.First, one.Last, one.Folder, one.Last, one.Manifest)
		if !a.Drop {
			fmt.Fprintf(c.out, "The table %s is detached, and still there: --drop drops it.\n", one.Name)
		}
	}
	if err == nil && len(done) == 0 {
		fmt.Fprintln(c.out, "Nothing is to be archived; --plan says why.")
	}
	return err
}

// plan prints what would be archived, and why the next partition stays.
func plan(ctx context.Context, c *console, archiving audit.Archiving) error {
	list, err := archiving.Plan(ctx)
	for _, s := range list {
		if s.Stays == "" {
			fmt.Fprintf(c.out, "to archive: %s, positions %d to %d, if its questions have all ended\n", s.Name, s.First, s.Last)
		} else {
			fmt.Fprintf(c.out, "stays: %s, from position %d: %s\n", s.Name, s.First, s.Stays)
		}
	}
	return err
}

// ownerOfTables is a connection with the rights of the tables' owner.
type ownerOfTables struct{ conn *pgx.Conn }

func asOwner(ctx context.Context, url string) (ownerOfTables, error) {
	conn, err := schema.Connect(ctx, url)
	if err != nil {
		return ownerOfTables{}, err
	}
	is, err := schema.LoginOf(ctx, conn)
	if err == nil && !is.Owner {
		err = fmt.Errorf("%s does not own the tables: archiving, like migrate, is for their owner", is.Login)
	}
	if err != nil {
		return ownerOfTables{}, errors.Join(err, conn.Close(ctx))
	}
	return ownerOfTables{conn}, nil
}

func (o ownerOfTables) Partitions(ctx context.Context) ([]eventstore.Partition, error) {
	return eventstore.Partitions(ctx, o.conn)
}

func (o ownerOfTables) Detach(ctx context.Context, a eventstore.Archive, first eventstore.Position, accounts []eventstore.ArchivedAccount) error {
	return eventstore.Detach(ctx, o.conn, a, first, accounts)
}

func (o ownerOfTables) DropDetached(ctx context.Context, partition string) (bool, error) {
	return eventstore.DropDetached(ctx, o.conn, partition)
}
