package main

import (
	"context"
	"fmt"

	"kassa/schema"
)

// migrateCommand makes and changes the tables. It runs as their owner; the service
// itself works with the rights of kassa_app.
type migrateCommand struct {
	DatabaseURL     string `name:"database-url" placeholder:"URL" help:"postgres://… as the owner of the tables, who may create roles."`
	DatabaseURLFile string `name:"database-url-file" type:"existingfile" placeholder:"FILE" help:"File that holds --database-url."`
	Plan            bool   `help:"Only say what would be done."`
}

func (m migrateCommand) Run(ctx context.Context, c *console) error {
	url, err := databaseURL(m.DatabaseURL, m.DatabaseURLFile)
	if err != nil {
		return err
	}
	if url == "" {
		return wrongArgument("--database-url is missing; the embedded default migrates itself when it starts")
	}
	do, said := schema.MigratePostgres, "done"
	if m.Plan {
		do, said = schema.PlanPostgres, "to do"
	}
	steps, err := do(ctx, url)
	for _, step := range steps {
		fmt.Fprintf(c.out, "%s: %s\n", said, step.Name)
	}
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		fmt.Fprintln(c.out, "The database is up to date.")
	}
	return nil
}
