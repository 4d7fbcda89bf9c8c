package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"kassa/catalog/formats"
	"kassa/domain"
	"kassa/internal/app"
	"kassa/internal/movein"
	"kassa/internal/security"
	"kassa/schema"
)

type moveInCommand struct {
	filmSettings
	brokerSettings
	awaitSettings
	WorkerModel string `placeholder:"VERSION" help:"With --amqp-url: the model that the workers are to embed the films with, where they have several. Default: the first of the worker that answers first."`

	From     string `placeholder:"URL" help:"postgres://… of the old system's database. It is read in one transaction that cannot write."`
	FromFile string `type:"existingfile" placeholder:"FILE" help:"File that holds --from, so that its password is in no command line."`
	Report   string `type:"path" placeholder:"FILE" help:"Write the report into this file (CSV): each row of the old database that a rule changes or leaves out, with the rule."`
	Accept   string `placeholder:"HASH" help:"Move, after the report was read: the hash that the plan prints. It covers what the rules change or leave out, and no balances or questions, which change while the old system goes on. Without it nothing is moved."`
	Final    bool   `help:"With --accept: the last run. Nothing can be moved in after it."`
	As       string `placeholder:"NAME" help:"The name of the operator who accepts the report; it is stored in the log. Default: the operating system's user."`
	JSON     bool   `name:"json" help:"Print the plan, and what was done, as JSON."`
}

// Validate checks what needs no database.
func (m moveInCommand) Validate() error {
	if m.Final && m.Accept == "" {
		return errors.New("--final needs --accept")
	}
	return nil
}

// oldURL is the address of the old database.
func (m moveInCommand) oldURL() (string, error) {
	url, err := oneOf(m.From, m.FromFile)
	switch {
	case err != nil:
		return "", err
	case url == "":
		return "", wrongArgument("--from is missing: postgres://… of the old system's database")
	}
	if err := schema.CheckURL(url); err != nil {
		return "", wrongArgument("--from: %w", err)
	}
	return url, nil
}

// Run plans, and with --accept carries the plan out.
func (m moveInCommand) Run(ctx context.Context, c *console) (err error) {
	url, err := m.oldURL()
	if err != nil {
		return err
	}
	old, err := movein.Read(ctx, url)
	if err != nil {
		return err
	}
	films, err := os.MkdirTemp("", "kassa-films-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(films)) }()
	refused, err := movein.WriteFilms(films, old.Films)
	if err != nil {
		return err
	}
	l, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	plan, err := movein.NewPlan(ctx, old, l.Commands(app.Terms{}), refused)
	if err != nil {
		return err
	}
	if m.Report != "" {
		if err := os.WriteFile(m.Report, plan.Report.CSV, 0o600); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if m.Accept == "" {
		return m.show(c, plan, nil)
	}
	if m.Accept != plan.Report.Hash {
		return fmt.Errorf("the report has the hash %s, and %s was accepted: nothing was moved; read the report again (--report FILE)", plan.Report.Hash, m.Accept)
	}
	result, err := m.carryOut(ctx, c, l, plan, films)
	if err != nil {
		return err
	}
	return m.show(c, plan, &result)
}

// carryOut runs the plan, with the films of a folder.
func (m moveInCommand) carryOut(ctx context.Context, c *console, l *app.Ledger, plan *movein.Plan, films string) (movein.Result, error) {
	ctx = onConsole(ctx)
	run := movein.Run{Commands: l.Commands(app.Terms{}), Store: l.Store, By: operatorName(m.As), Final: m.Final, Progress: bar(c.err, "people"),
		Films: func(ctx context.Context) error { return m.importFilms(ctx, c, plan, films) },
		Joined: func(u domain.UserID, admin bool) {
			if admin {
				c.security.Record(ctx, security.Event{Kind: security.RoleGranted, Subject: u, Details: []slog.Attr{slog.String("role", "admin")}})
			}
		},
		Missed: func(oldID string, u domain.UserID, why string) {
			fmt.Fprintf(c.err, "The user %s could not be moved: %s.\n", oldID, why)
		}}
	return run.Do(ctx, plan)
}

// importFilms brings the films in by the importer of the old system's files. Those that it
// refuses are in the report.
func (m moveInCommand) importFilms(ctx context.Context, c *console, plan *movein.Plan, folder string) error {
	if len(plan.Films) == 0 {
		return nil
	}
	i := importFilms{brokerSettings: m.brokerSettings, awaitSettings: m.awaitSettings, WorkerModel: m.WorkerModel, Path: folder,
		formatSettings: formatSettings{Format: formats.Seed, Rejected: os.DevNull}}
	quiet := *c
	if m.JSON {
		quiet.out = c.err
	}
	return i.into(ctx, &quiet, m.filmSettings)
}

// moveInShown is the plan, and what was done, as JSON.
type moveInShown struct {
	Report string              `json:"report"` // its SHA-256
	Rows   map[movein.Kind]int `json:"rows"`   // of the report, by kind
	Films  int                 `json:"films"`
	Trial  movein.Trial        `json:"trial"`
	Done   *movein.Result      `json:"done,omitempty"`
}

func (m moveInCommand) show(c *console, plan *movein.Plan, done *movein.Result) error {
	rows := map[movein.Kind]int{}
	for _, r := range plan.Report.Rows {
		rows[r.Kind]++
	}
	if m.JSON {
		out := json.NewEncoder(c.out)
		out.SetIndent("", "  ")
		return out.Encode(moveInShown{plan.Report.Hash, rows, len(plan.Films), plan.Trial, done})
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(table, "%s\t%d\t%s\n", kind, rows[kind], movein.Rule(kind))
	}
	showTrial(table, plan.Trial)
	if err := table.Flush(); err != nil {
		return err
	}
	if done == nil {
		fmt.Fprintf(c.out, "Nothing was moved. Report: %s\nTo move it: read the report (--report FILE), then --accept with this hash.\n", plan.Report.Hash)
		return nil
	}
	showDone(c.out, *done, m.Final)
	return nil
}

func showTrial(w io.Writer, t movein.Trial) {
	fmt.Fprintf(w, "Balances in the old system\t%s\tof %d wallets\n", t.Old, t.Wallets)
	for _, kind := range slices.Sorted(maps.Keys(t.Out)) {
		fmt.Fprintf(w, "  not moved: %s\t%s\t%d people or wallets\n", kind, -t.Out[kind].Amount, t.Out[kind].People)
	}
	fmt.Fprintf(w, "  below zero, moved as 0\t%s\t\n  rounded up\t%s\t\n", t.Raised, t.Rounded)
	fmt.Fprintf(w, "Balances here by the rules\t%d\tof %d people: %d bought, %d given\n", t.Here.Sum(), t.People, t.Here.Bought, t.Here.Given)
	fmt.Fprintf(w, "  moved by earlier runs\t%d\t\n", t.Before.Sum())
	fmt.Fprintf(w, "  by this run\t%d\t%d people join, %d balances change\n", t.Here.Minus(t.Before).Sum(), t.Joining, t.Changing)
}

func showDone(w io.Writer, r movein.Result, final bool) {
	fmt.Fprintf(w, "Moved in by the log: %s credits of %d people, as the old balances come to by the rules.\n", r.Booked, r.People)
	if r.LeftAsWas != (domain.MovedCredits{}) {
		fmt.Fprintf(w, "Of these, %s were moved before, and are of people whom this run leaves out.\n", r.LeftAsWas)
	}
	if r.Short != (domain.MovedCredits{}) {
		fmt.Fprintf(w, "Not equal by %s: spent in both systems, or of people who could not be moved.\n", r.Short)
	}
	if final {
		fmt.Fprintf(w, "The move is finished, at position %d.\n", r.Position)
	} else {
		fmt.Fprintf(w, "Accepted at position %d. The run can be repeated; the last one is with --final.\n", r.Position)
	}
}
