package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/schema"
	"kassa/transparency"
	"kassa/transparency/witness"
)

// auditCommand is what an auditor asks of a log beside its proof, which is verify.
type auditCommand struct {
	Export auditExport `cmd:"" help:"Write the log to the standard output: complete (jsonl), or for tools of others (csv, hledger, beancount)."`
	Import auditImport `cmd:"" help:"Load a JSONL export into an empty ledger, after verifying it; the root is the same."`

	Balance      auditBalance     `cmd:"" help:"Print a balance as it was at a position or time."`
	TrialBalance auditTrial       `cmd:"" name:"trial-balance" help:"Print the trial balance as it was at a position or time."`
	History      auditHistory     `cmd:"" help:"List what the log has of a person, with the balances after each entry."`
	Adjustments  auditAdjustments `cmd:"" help:"List what admins adjusted, and why."`
	Diff         auditDiff        `cmd:"" help:"Print what happened between two positions or times."`
	Explain      auditExplain     `cmd:"" help:"Print a charge, from the command to the films, the model and the catalogue's version."`
	Close        auditClose       `cmd:"" help:"Write the books of a month, and a statement for each person who had movements."`
	Reconcile    auditReconcile   `cmd:"" help:"Compare a payment provider's statement with the deposits and withdrawals."`
	Bisect       auditBisect      `cmd:"" help:"Find the first position at which the log differs from an export that was kept."`
}

// auditedLog is the log that a command reads: the ledger's, an export's, or a published one.
type auditedLog struct {
	dataSettings
	Archive string `placeholder:"DIR" help:"Folder with the archives of the log; needed where a part of it is archived."`
	URL     string `name:"url" placeholder:"URL" help:"Read the log that a service publishes at this address, such as https://kassa.example.com, in place of a ledger; --key is needed, and that entries are public. It needs its size in TMPDIR."`
	publicKeys
	ExportFile string `name:"export-file" type:"existingfile" placeholder:"FILE" help:"Read this JSONL export, in place of a ledger. It needs its size again in TMPDIR."`
}

// openedLog is an auditedLog, open.
type openedLog struct {
	audit.FullLog
	ledger *app.Ledger
}

func (a auditedLog) open(ctx context.Context, c *console) (openedLog, error) {
	l, err := a.ledger(ctx, c)
	if err != nil {
		return openedLog{}, unableError{err}
	}
	o := openedLog{audit.FullLog{Store: l.Store}, l}
	if a.Archive != "" {
		if o.Archives, err = audit.OpenArchives(ctx, l.Store, a.Archive); err != nil {
			return openedLog{}, errors.Join(unableError{err}, l.Close())
		}
	}
	return o, nil
}

// ledger opens the ledger to be read; an export becomes one in a temporary file.
func (a auditedLog) ledger(ctx context.Context, c *console) (*app.Ledger, error) {
	if a.URL != "" {
		l, _, err := a.download(ctx)
		return l, err
	}
	if a.ExportFile == "" {
		return a.openToRead(ctx)
	}
	each, done := progressOn(c.err)
	defer done()
	return loadExport(ctx, a.ExportFile, each)
}

// Validate is called by the command line: it refuses several logs at once.
func (a auditedLog) Validate() error {
	switch {
	case a.URL == "":
		return nil
	case a.ExportFile != "" || a.Archive != "" || a.DatabaseURL != "" || a.DatabaseURLFile != "":
		return errors.New("--url is a log by itself: leave --export-file, --archive and --database-url out")
	case a.Key == "" && a.KeyFile == "":
		return errors.New("--url needs --key: the public key of the log")
	}
	return nil
}

// alone reports whether there is the log only, and nothing beside it.
func (a auditedLog) alone() bool { return a.ExportFile != "" || a.URL != "" }

// download loads a published log into a temporary ledger, which is removed when it is closed.
func (a auditedLog) download(ctx context.Context) (*app.Ledger, transparency.Checkpoint, error) {
	keys, err := a.keys()
	if err != nil {
		return nil, transparency.Checkpoint{}, err
	}
	log, err := witness.At(a.URL)
	if err != nil {
		return nil, transparency.Checkpoint{}, wrongArgument("--url: %w", err)
	}
	published, err := log.Download(ctx, keys)
	if err != nil {
		return nil, transparency.Checkpoint{}, err
	}
	l, err := scratch(ctx, func(store *eventstore.Store) error { return audit.Download(ctx, store, published) })
	return l, published.Signed, err
}

// scratch fills a temporary ledger.
func scratch(ctx context.Context, fill func(*eventstore.Store) error) (l *app.Ledger, err error) {
	l = &app.Ledger{}
	if l.File, err = schema.ScratchSQLite(ctx); err != nil {
		return nil, err
	}
	if l.Store, err = eventstore.SQLite(ctx, l.File); err == nil {
		err = fill(l.Store)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close reports where what was read proves nothing, because the file was changed meanwhile.
func (o openedLog) Close() error { return errors.Join(o.Archives.Close(), o.ledger.Close()) }

// loadExport loads an export into a temporary ledger, which is removed when it is closed.
func loadExport(ctx context.Context, path string, each audit.Progress) (*app.Ledger, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	export, err := audit.OpenExport(file, each)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return scratch(ctx, func(store *eventstore.Store) error {
		_, err := audit.Import(ctx, store, export)
		return err
	})
}

// point is a moment of the log on the command line.
type point struct{ audit.Moment }

// in is the position; nil is the end of the log. The command line is wrong where the log does not have it.
func (p *point) in(ctx context.Context, log audit.FullLog) (eventstore.Position, error) {
	if p == nil {
		return (*audit.Moment)(nil).In(ctx, log)
	}
	at, err := p.In(ctx, log)
	if errors.Is(err, audit.ErrRange) {
		err = wrongArgument("%w", err)
	}
	return at, err
}

type auditExport struct {
	auditedLog
	Format string `enum:"jsonl,csv,hledger,beancount" default:"jsonl" help:"jsonl has everything, with personal data sealed as it is, and can be verified and imported; csv is a table of all postings; hledger is a journal for hledger and ledger; beancount one for beancount. Default: ${default}."`
	From   *point `placeholder:"WHEN" help:"Begin at this position, or behind this time. Journals then begin with opening balances."`
	To     *point `placeholder:"WHEN" help:"End with this position, or with the last entry up to this time; the append that it is in is exported whole."`
}

// Run writes to the standard output. Exit codes: exitFailed where an entry cannot be read,
// exitUnable where the log cannot.
func (e auditExport) Run(ctx context.Context, c *console) (err error) {
	log, err := e.open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	x := audit.Export{Log: log.FullLog, Format: audit.Format(e.Format)}
	if e.From != nil {
		if x.From, err = e.From.in(ctx, log.FullLog); err != nil {
			return err
		}
		if e.From.Timed() {
			x.From++
		}
	}
	if x.UpTo, err = e.To.in(ctx, log.FullLog); err != nil {
		return err
	}
	var done func()
	x.Progress, done = progressOn(c.err)
	head, err := x.Write(ctx, c.out)
	done()
	if errors.Is(err, eventstore.ErrArchived) {
		err = fmt.Errorf("%w: give the folder with the archives by --archive", err)
	}
	if found := (*audit.Fault)(nil); err != nil && !errors.As(err, &found) {
		return unableError{err}
	}
	if err == nil {
		fmt.Fprintf(c.err, "Exported positions %d to %d. The head at their end:\n%d:%s\n", head.From, head.UpTo, head.UpTo, head.Root)
	}
	return err
}

type auditImport struct {
	dataSettings
	File string `arg:"" type:"existingfile" help:"The JSONL export."`
}

// Run verifies the export in a temporary ledger first: a ledger never has a part of a wrong
// one.
func (i auditImport) Run(ctx context.Context, c *console) (err error) {
	each, done := progressOn(c.err)
	defer done()
	if err := i.verify(ctx, each); err != nil {
		return fmt.Errorf("nothing was imported: %s: %w", i.File, err)
	}
	l, err := i.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	file, err := os.Open(i.File)
	if err != nil {
		return err
	}
	defer file.Close()
	export, err := audit.OpenExport(file, each)
	if err != nil {
		return err
	}
	head, err := audit.Import(ctx, l.Store, export)
	if errors.Is(err, eventstore.ErrDiverged) {
		return fmt.Errorf("nothing was imported: the ledger must be empty, or have the first entries of the export: %w", err)
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", i.File, err)
	}
	done()
	fmt.Fprintf(c.out, "The ledger has the %d entries of the export. Its head:\n%d:%s\n", head.Size, head.Size, head.Root)
	return nil
}

func (i auditImport) verify(ctx context.Context, each audit.Progress) error {
	l, err := loadExport(ctx, i.File, each)
	if err != nil {
		return err
	}
	_, err = audit.Verify(ctx, l.Store)
	return errors.Join(err, l.Close())
}
