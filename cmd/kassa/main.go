// Command kassa is a prepaid film-recommendation service whose wallet is an
// event-sourced, tamper-evident ledger. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"kassa/schema"
)

// commandLine is the whole command line. Every flag can be given as an
// environment variable too: --hold-expiry is KASSA_HOLD_EXPIRY.
type commandLine struct {
	Log logSettings `embed:"" prefix:"log-"`

	Serve       serveCommand       `cmd:"" help:"Run the service: the pages, the API, the worker and the ledger."`
	Admin       adminCommand       `cmd:"" help:"Make somebody an admin, end it, or list the admins."`
	Catalog     catalogCommand     `cmd:"" help:"Check, import, list and search films."`
	Events      eventsCommand      `cmd:"" help:"List the log, or follow it."`
	Views       viewsCommand       `cmd:"" help:"List the tables of the views, or build one from the log again."`
	Verify      verifyCommand      `cmd:"" help:"Replay the log and prove that it is whole, unchanged and balanced."`
	Worker      workerCommand      `cmd:"" help:"Run the embedding worker alone; it needs RabbitMQ and a model, no database."`
	Broker      brokerCommand      `cmd:"" help:"Make the key that an installation has at RabbitMQ, and say what rights its users need."`
	DeadLetters deadLettersCommand `cmd:"" name:"deadletters" help:"List, show, retry or drop messages that failed for good."`
	Migrate     migrateCommand     `cmd:"" help:"Bring a PostgreSQL database to the tables of this version."`
	Secret      secretCommand      `cmd:"" help:"Make the secret of a new installation."`
	Health      healthCommand      `cmd:"" help:"Ask a process whether it is alive; exit code 0 or 1."`
	Doctor      doctorCommand      `cmd:"" help:"Look at all that the service stands on, and say how to mend what is wrong."`
	Version     versionCommand     `cmd:"" help:"Say which build this is."`
}

type logSettings struct {
	Level  slog.Level `default:"info" help:"Least level that is logged: debug, info, warn or error."`
	Format string     `enum:"auto,text,json" default:"auto" help:"Form of the log: text, json, or auto (text on a terminal)."`
}

// console is where a command writes: answers to out, the log and complaints to err.
type console struct {
	out io.Writer
	err io.Writer
	log *slog.Logger
}

// Exit codes. A script that runs verify or doctor can tell a finding from a look that
// did not take place.
const (
	exitFailed = 1 // it was tried and did not work, or verify or doctor found a fault
	exitUsage  = 2 // the command line is wrong
	exitUnable = 3 // verify or doctor could not look
	exitTooOld = 4 // a newer program has written there: this one cannot judge it
)

// usageError is a setting that makes no sense, found after the command line was read.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func wrongArgument(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// unableError is a look that did not take place: no verdict.
type unableError struct{ error }

func (e unableError) Unwrap() error { return e.error }

// exitCode is what the process ends with where a command failed. What is looked at
// last counts least: a wrong setting explains a look that failed.
func exitCode(err error) int {
	if _, wrong := errors.AsType[usageError](err); wrong {
		return exitUsage
	}
	if errors.Is(err, schema.ErrNewer) {
		return exitTooOld
	}
	if _, unable := errors.AsType[unableError](err); unable {
		return exitUnable
	}
	return exitFailed
}

func main() {
	// The first signal drains and closes; after it the default is back, so that a
	// second one ends a drain that takes too long.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process, so that tests can call it. It returns
// the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var line commandLine
	exited := -1
	parser, err := kong.New(&line, kong.Name("kassa"),
		kong.Description("Prepaid film recommendations over a tamper-evident ledger.\n\nStart with: kassa serve"),
		kong.DefaultEnvars("KASSA"), kong.Writers(stdout, stderr), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "kassa:", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help was answered
		return exited
	}
	if err == nil {
		err = checkTexts(parsed.Flags())
	}
	if err != nil {
		fmt.Fprintf(stderr, "kassa: %v\nSee kassa --help, or kassa <command> --help.\n", err)
		return exitUsage
	}
	c := &console{out: stdout, err: stderr, log: line.Log.logger(stderr)}
	what, _, _ := strings.Cut(parsed.Command(), " ")
	if what == "serve" {
		what = line.Serve.rolesText()
	}
	nameConnections(what)
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(c)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 130 // interrupted, as a shell says it
	}
	fmt.Fprintln(stderr, "kassa:", err)
	return exitCode(err)
}

// logger writes text where a person reads along, JSON otherwise.
func (s logSettings) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.Level}
	file, isFile := w.(*os.File)
	if s.Format == "text" || s.Format == "auto" && isFile && isatty.IsTerminal(file.Fd()) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
