package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/catalog"
	"kassa/commands"
	"kassa/eventstore"
	"kassa/schema"
	"kassa/vault"
)

// dataSettings name where Kassa keeps what it keeps.
type dataSettings struct {
	Data            string `default:"data" placeholder:"DIR" help:"Folder with all that Kassa keeps: the ledger (kassa.db), the secret, the unpacked model. Made if it is missing. Default: ${default}."`
	DatabaseURL     string `name:"database-url" placeholder:"URL" help:"postgres://… of the ledger; then the folder keeps the secret and the model only. See kassa migrate."`
	DatabaseURLFile string `name:"database-url-file" type:"existingfile" placeholder:"FILE" help:"File that holds --database-url, so that its password is in no environment."`
	DatabaseConns   int32  `name:"database-conns" default:"24" placeholder:"N" help:"Connections to PostgreSQL at once, besides those that listen or hold a lock. Default: ${default}."`
	SecretFile      string `name:"secret-file" placeholder:"FILE" help:"File with the installation's secret, in hexadecimal; every process of an installation has the same. Default: secret in the data folder. The embedded default makes its own at the first start; else see kassa secret new."`
}

func (d dataSettings) database() string { return filepath.Join(d.Data, "kassa.db") }
func (d dataSettings) models() string   { return filepath.Join(d.Data, "models") }

func (d dataSettings) secret() string {
	if d.SecretFile != "" {
		return d.SecretFile
	}
	return filepath.Join(d.Data, "secret")
}

// url is the address of the database, "" for the embedded default.
func (d dataSettings) url() (string, error) { return databaseURL(d.DatabaseURL, d.DatabaseURLFile) }

func databaseURL(value, file string) (string, error) {
	url, err := oneOf(value, file)
	if err != nil || url == "" {
		return "", err
	}
	if err := schema.CheckURL(url); err != nil {
		return "", wrongArgument("--database-url: %w", err)
	}
	return url, nil
}

// loadSecret reads the installation's secret. It is made here for a new ledger of the
// embedded default only: processes that share a database would each make one of their
// own, and a name that was mistyped would pass for a new installation.
func (d dataSettings) loadSecret(url string) (vault.Secret, error) {
	if url == "" && d.SecretFile == "" {
		if _, err := os.Stat(d.database()); errors.Is(err, os.ErrNotExist) {
			if err := d.makeFolder(); err != nil {
				return nil, err
			}
			return vault.LoadSecret(d.secret())
		}
	}
	secret, err := vault.ReadSecret(d.secret())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no secret in %s: put the installation's own there; for a new installation, kassa secret new makes one, once, and every process gets the same", d.secret())
	}
	return secret, err
}

func (d dataSettings) makeFolder() error {
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	return nil
}

// ledger is what Kassa keeps, open: in one file, or in PostgreSQL.
type ledger struct {
	store *eventstore.Store
	vault *vault.Vault
	tries *vault.Tries   // nil in one file, which one process has
	file  *schema.SQLite // one of these two is set
	pool  *pgxpool.Pool
}

// open opens the ledger for writing. The embedded one is made where it is missing.
func (d dataSettings) open(ctx context.Context) (*ledger, error) {
	url, err := d.url()
	if err != nil {
		return nil, err
	}
	secret, err := d.loadSecret(url)
	if err != nil {
		return nil, err
	}
	if err := d.makeFolder(); err != nil {
		return nil, err
	}
	l := &ledger{}
	if url != "" {
		err = l.openPostgres(ctx, url, d.DatabaseConns, secret)
	} else {
		err = l.openFile(ctx, d.database(), secret)
	}
	if err == nil {
		if err = l.vault.ClaimSecret(ctx); errors.Is(err, vault.ErrSecret) {
			err = fmt.Errorf("%s: %w", d.secret(), err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// makePrivate makes a file that is missing, for its owner only. SQLite by itself
// would let everybody read it who may look into the folder; what it keeps beside
// the file has the file's mode.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

func (l *ledger) openFile(ctx context.Context, path string, secret vault.Secret) (err error) {
	if err := makePrivate(path); err != nil {
		return fmt.Errorf("make the ledger: %w", err)
	}
	if l.file, err = schema.OpenSQLite(ctx, path); err != nil {
		return err
	}
	if l.store, err = eventstore.SQLite(ctx, l.file); err != nil {
		return err
	}
	l.vault, err = vault.SQLite(l.file, secret, vault.Options{})
	return err
}

func (l *ledger) openPostgres(ctx context.Context, url string, conns int32, secret vault.Secret) (err error) {
	if l.pool, err = schema.OpenPostgres(ctx, url, conns); err != nil {
		return err
	}
	if l.store, err = eventstore.Postgres(ctx, l.pool); err != nil {
		return err
	}
	if l.tries, err = vault.PostgresTries(l.pool, secret); err != nil {
		return err
	}
	l.vault, err = vault.Postgres(l.pool, secret, vault.Options{})
	return err
}

// openToRead opens the log for an audit; nothing is changed or made.
func (d dataSettings) openToRead(ctx context.Context) (*ledger, error) {
	return d.openLog(ctx, schema.OpenPostgresReadOnly)
}

// openLog opens the log alone, to be read.
func (d dataSettings) openLog(ctx context.Context, openPool func(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error)) (l *ledger, err error) {
	if err := d.mustExist(); err != nil {
		return nil, err
	}
	url, err := d.url()
	if err != nil {
		return nil, err
	}
	l = &ledger{}
	if url == "" {
		if l.file, err = schema.OpenSQLiteReadOnly(ctx, d.database()); err == nil {
			l.store, err = eventstore.ReadSQLite(l.file)
		}
	} else if l.pool, err = openPool(ctx, url, 4); err == nil {
		l.store, err = eventstore.ReadPostgres(l.pool)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// openExisting is open for commands that make no sense on an empty folder.
func (d dataSettings) openExisting(ctx context.Context) (*ledger, error) {
	if err := d.mustExist(); err != nil {
		return nil, err
	}
	return d.open(ctx)
}

func (d dataSettings) mustExist() error {
	if url, err := d.url(); url != "" || err != nil {
		return err
	}
	if _, err := os.Stat(d.database()); err != nil {
		return fmt.Errorf("there is no ledger in %s: give its folder with --data, or start one with kassa serve", d.Data)
	}
	return nil
}

func (l *ledger) close() (err error) {
	if l.store != nil {
		l.store.Close()
	}
	if l.pool != nil {
		l.pool.Close()
	}
	if l.file != nil {
		err = l.file.Close()
	}
	return err
}

// films opens the catalogue.
func (l *ledger) films(ctx context.Context) (*catalog.Catalogue, error) {
	if l.pool != nil {
		return catalog.OpenPostgres(ctx, l.pool)
	}
	return catalog.Open(ctx, l.file)
}

// commands gives the handler for this ledger.
func (l *ledger) commands(p priceSettings) *commands.Handler {
	return &commands.Handler{Log: l.store, People: l.vault, Payments: commands.Sandbox{}, Now: time.Now,
		Price: p.Price, Bonus: p.Bonus, HoldExpiry: p.HoldExpiry}
}
