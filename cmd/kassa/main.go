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
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"kassa/catalog"
	"kassa/internal/security"
	"kassa/schema"
)

// commandLine is the whole command line. Every flag can be given as an
// environment variable too: --hold-expiry is KASSA_HOLD_EXPIRY.
type commandLine struct {
	Log logSettings `embed:"" prefix:"log-"`
	securitySettings

	Serve       serveCommand       `cmd:"" help:"Run the service: the pages, the API, the worker and the ledger."`
	Admin       adminCommand       `cmd:"" help:"Make somebody an admin, end it, list the admins, let a person set another password, or erase a person."`
	Price       priceCommand       `cmd:"" help:"Set what an answer costs, and a credit, or list the prices that were set."`
	Catalog     catalogCommand     `cmd:"" help:"Check, import, list and search films."`
	Synonyms    synonymsCommand    `cmd:"" help:"Add, list, check and remove words that mean the same."`
	Eval        evalCommand        `cmd:"" help:"Measure the search by judged questions, beside baselines (BM25, tf-idf, PostgreSQL's own)."`
	Events      eventsCommand      `cmd:"" help:"List the log, or follow it."`
	Views       viewsCommand       `cmd:"" help:"List the tables of the views, or build one from the log again."`
	Verify      verifyCommand      `cmd:"" help:"Replay the log and prove that it is whole, unchanged and balanced."`
	Audit       auditCommand       `cmd:"" help:"Export the log, load an export, and ask for balances, histories and charges as they were."`
	Head        headCommand        `cmd:"" help:"Print the last signed head of the log, or keep it where it was lost."`
	Key         keyCommand         `cmd:"" help:"Make the key that signs heads of the log, or print its public key."`
	Receipt     receiptCommand     `cmd:"" help:"Verify the receipt of a payment or charge, offline."`
	Witness     witnessCommand     `cmd:"" help:"Watch a log from any machine, and cosign its heads: that nobody is shown another one."`
	Archive     archiveCommand     `cmd:"" help:"Take the old part of the log out of a PostgreSQL database, into files that can be verified."`
	Backup      backupCommand      `cmd:"" help:"Make, list, verify and restore backups of the embedded default."`
	Recover     recoverCommand     `cmd:"" help:"After a restore by other means: prove the log against the newest head that is known, say what is missing, and set right what follows the log."`
	MoveIn      moveInCommand      `cmd:"" help:"Move people, balances and films in from the system that Kassa replaces. Without --accept it plans, and moves nothing."`
	Worker      workerCommand      `cmd:"" help:"Run the embedding worker alone; it needs RabbitMQ and a model, no database."`
	Broker      brokerCommand      `cmd:"" help:"Make the key that an installation has at RabbitMQ, and say what rights its users need."`
	DeadLetters deadLettersCommand `cmd:"" name:"deadletters" help:"List, show, retry or drop messages that failed for good."`
	Model       modelCommand       `cmd:"" help:"Add, list, check and remove embedding models."`
	Migrate     migrateCommand     `cmd:"" help:"Bring a PostgreSQL database to the tables of this version."`
	Secret      secretCommand      `cmd:"" help:"Make the secret of a new installation."`
	Health      healthCommand      `cmd:"" help:"Ask a process whether it is alive; exit code 0 or 1."`
	Doctor      doctorCommand      `cmd:"" help:"Look at all that the service depends on, and say how to repair what is wrong."`
	Version     versionCommand     `cmd:"" help:"Say which build this is."`
}

type logSettings struct {
	Level  slog.Level `default:"info" help:"Least level that is logged: debug, info, warn or error."`
	Format string     `enum:"auto,text,json" default:"auto" help:"Form of the log: text, json, or auto (text on a terminal)."`
}

// securitySettings are where security events go.
type securitySettings struct {
	SecurityLog string `placeholder:"FILE" help:"File for security events, as JSON lines, opened again at SIGHUP; stderr, or - for the standard output. Default: they are lines of the log."`
}

// console is where a command writes: answers to out, the log and errors to err.
type console struct {
	out io.Writer
	err io.Writer
	log *slog.Logger

	security *security.Log
}

// Exit codes. A script that runs verify or doctor can distinguish a finding from a check that
// could not run.
const (
	exitFailed = 1 // the command failed, or verify or doctor found a fault
	exitUsage  = 2 // the command line is wrong
	exitUnable = 3 // verify or doctor could not check
	exitTooOld = 4 // a newer program has written there: this one cannot judge it
)

// usageError is a setting that makes no sense, found after the command line was read.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func wrongArgument(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// unableError is a check that could not run: no verdict.
type unableError struct{ error }

func (e unableError) Unwrap() error { return e.error }

// exitCode is what the process ends with where a command failed. A wrong setting
// counts more than a check that could not run, because it explains it.
func exitCode(err error) int {
	if _, wrong := errors.AsType[usageError](err); wrong {
		return exitUsage
	}
	if errors.Is(err, schema.ErrNewer) {
		return exitTooOld
	}
	if _, contradicted := errors.AsType[contradictedError](err); contradicted {
		return exitContradicted
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

func newParser(line *commandLine, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(line, append(options, kong.Name("kassa"),
		kong.Description("Prepaid film recommendations over a tamper-evident ledger.\n\nStart with: kassa serve"),
		kong.Vars{"not_found_below": strconv.FormatFloat(catalog.NotFoundBelow, 'g', -1, 64)},
		kong.DefaultEnvars("KASSA"), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))...)
}

// run is the program without its process, so that tests can call it. It returns
// the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var line commandLine
	exited := -1
	parser, err := newParser(&line, kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }))
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
		what = line.Serve.Roles.String()
	}
	nameConnections(what)
	closeSecurity, err := line.securitySettings.open(ctx, c)
	if err != nil {
		fmt.Fprintln(stderr, "kassa:", err)
		return exitUsage
	}
	defer closeSecurity()
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(c)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 130 // interrupted, as shells have it
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
