// Package app is the service without its HTTP surface: the ledger that an installation
// keeps, the commands over it, and what a process does by its roles. The program and the
// tests wire the same parts by it.
package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
	"kassa/transparency"
	"kassa/vault"
)

// Storage is where an installation keeps its data: a folder, and PostgreSQL where its
// address is given.
type Storage struct {
	Folder      string // the ledger (kassa.db), the secret, the unpacked model
	DatabaseURL string // "" for the embedded default
	Conns       int32  // to PostgreSQL at once, besides those that listen or hold a lock
	SecretFile  string // "": secret in the folder
	Vault       vault.Options
	LogKey      string // the text of a key file of the transparency log; "": log.key in the folder
}

// Database is the file of the embedded ledger.
func (s Storage) Database() string { return filepath.Join(s.Folder, "kassa.db") }

// Models is the folder where the built-in model is unpacked.
func (s Storage) Models() string { return filepath.Join(s.Folder, "models") }

// Secret is the file of the installation's secret.
func (s Storage) Secret() string {
	if s.SecretFile != "" {
		return s.SecretFile
	}
	return filepath.Join(s.Folder, "secret")
}

// loadSecret reads the installation's secret. It is made here for a new ledger of the
// embedded default only: processes that share a database would each make one of their
// own, and a name that was mistyped would pass for a new installation.
func (s Storage) loadSecret() (vault.Secret, error) {
	if s.DatabaseURL == "" && s.SecretFile == "" {
		if _, err := os.Stat(s.Database()); errors.Is(err, os.ErrNotExist) {
			if err := s.makeFolder(); err != nil {
				return nil, err
			}
			return vault.LoadSecret(s.Secret())
		}
	}
	secret, err := vault.ReadSecret(s.Secret())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no secret in %s: put the installation's own there; for a new installation, kassa secret new makes one, once, and every process gets the same", s.Secret())
	}
	return secret, err
}

func (s Storage) makeFolder() error {
	if err := os.MkdirAll(s.Folder, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	return nil
}

// Ledger is the data of an installation, open: in one file, or in PostgreSQL.
type Ledger struct {
	Store *eventstore.Store
	Vault *vault.Vault   // nil where the log alone was opened
	Tries *vault.Tries   // nil in one file, which one process has
	File  *schema.SQLite // one of these two is set
	Pool  *pgxpool.Pool
}

// Open opens the ledger for writing. The embedded one is made where it is missing.
func (s Storage) Open(ctx context.Context) (*Ledger, error) {
	secret, err := s.loadSecret()
	if err != nil {
		return nil, err
	}
	if err := s.makeFolder(); err != nil {
		return nil, err
	}
	l := &Ledger{}
	if s.DatabaseURL != "" {
		err = l.openPostgres(ctx, s, secret)
	} else {
		err = l.openFile(ctx, s, secret)
	}
	if err == nil {
		if err = l.Vault.ClaimSecret(ctx); errors.Is(err, vault.ErrSecret) {
			err = fmt.Errorf("%s: %w", s.Secret(), err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// makePrivate makes a file that is missing, for its owner only. SQLite by itself
// would let every user of the machine read it who may read the folder; what it keeps beside
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

func (l *Ledger) openFile(ctx context.Context, s Storage, secret vault.Secret) (err error) {
	if err := makePrivate(s.Database()); err != nil {
		return fmt.Errorf("make the ledger: %w", err)
	}
	if l.File, err = schema.OpenSQLite(ctx, s.Database()); err != nil {
		return err
	}
	if l.Store, err = eventstore.SQLite(ctx, l.File); err != nil {
		return err
	}
	l.Vault, err = vault.SQLite(l.File, secret, s.Vault)
	return err
}

func (l *Ledger) openPostgres(ctx context.Context, s Storage, secret vault.Secret) (err error) {
	if l.Pool, err = schema.OpenPostgres(ctx, s.DatabaseURL, s.Conns); err != nil {
		return err
	}
	if l.Store, err = eventstore.Postgres(ctx, l.Pool); err != nil {
		return err
	}
	if l.Tries, err = vault.PostgresTries(l.Pool, secret); err != nil {
		return err
	}
	l.Vault, err = vault.Postgres(l.Pool, secret, s.Vault)
	return err
}

// connsToRead is how many connections a command has that only reads the log.
const connsToRead = 4

// OpenToRead opens the log for an audit; nothing is changed or made.
func (s Storage) OpenToRead(ctx context.Context) (*Ledger, error) {
	return s.openLog(ctx, schema.OpenPostgresReadOnly)
}

// OpenLog opens the log to be read. Its pool has the rights of the login, to write beside
// the log.
func (s Storage) OpenLog(ctx context.Context) (*Ledger, error) {
	return s.openLog(ctx, schema.OpenPostgres)
}

func (s Storage) openLog(ctx context.Context, openPool func(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error)) (l *Ledger, err error) {
	l = &Ledger{}
	if s.DatabaseURL == "" {
		if l.File, err = schema.OpenSQLiteReadOnly(ctx, s.Database()); err == nil {
			l.Store, err = eventstore.ReadSQLite(l.File)
		}
	} else if l.Pool, err = openPool(ctx, s.DatabaseURL, connsToRead); err == nil {
		l.Store, err = eventstore.ReadPostgres(l.Pool)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// OpenVault opens the vault beside a log that was opened to be read. It claims nothing.
func (l *Ledger) OpenVault(secret vault.Secret, options vault.Options) (v *vault.Vault, err error) {
	if l.Pool != nil {
		return vault.Postgres(l.Pool, secret, options)
	}
	return vault.SQLite(l.File, secret, options)
}

// Keys gives which of the persons have a key in the vault, also where the log alone was
// opened. The error is vault.ErrHidden where the login may not see that.
func (l *Ledger) Keys(ctx context.Context, users []domain.UserID) ([]domain.UserID, error) {
	if l.Pool != nil {
		return vault.PostgresKeys(ctx, l.Pool, users)
	}
	return vault.SQLiteKeys(ctx, l.File, users)
}

// Close closes what is open.
func (l *Ledger) Close() (err error) {
	if l.Store != nil {
		l.Store.Close()
	}
	if l.Pool != nil {
		l.Pool.Close()
	}
	if l.File != nil {
		err = l.File.Close()
	}
	return err
}

// SignedHeads is where the last signed head of the log is kept.
func (l *Ledger) SignedHeads() transparency.Heads {
	if l.Pool != nil {
		return transparency.PostgresHeads(l.Pool)
	}
	return transparency.SQLiteHeads(l.File)
}

// Films opens the catalogue.
func (l *Ledger) Films(ctx context.Context) (*catalog.Catalogue, error) {
	if l.Pool != nil {
		return catalog.OpenPostgres(ctx, l.Pool)
	}
	return catalog.Open(ctx, l.File)
}

// Record reads what the tables of the catalogue are.
func (l *Ledger) Record(ctx context.Context) (domain.CatalogueRecorded, error) {
	read := func() (catalog.Contents, error) { return catalog.ReadContents(ctx, l.File) }
	if l.Pool != nil {
		read = func() (catalog.Contents, error) { return catalog.ReadPostgresContents(ctx, l.Pool) }
	}
	r, err := read()
	return domain.CatalogueRecorded{Catalogue: r.Version, Revision: r.Revision, Films: r.Films, Vectors: r.Vectors, Root: hex.EncodeToString(r.Root[:])}, err
}

// CatalogueWriter changes the catalogue without opening it.
func (l *Ledger) CatalogueWriter() catalog.Writer {
	if l.Pool != nil {
		return catalog.NewPostgresWriter(l.Pool)
	}
	return catalog.NewWriter(l.File)
}

// Terms are the prices, the bonus, and the policies of refunds and follow-ups.
type Terms struct {
	Price       domain.Credits
	Bonus       domain.Credits // that a new account begins with
	HoldExpiry  time.Duration
	Refunds     domain.RefundPolicy
	Refining    domain.RefinePolicy
	FreePerHour int // questions of a person that cost nothing; 0 is any number

	ErasureDelay time.Duration // in which an erasure can be cancelled

	Limits       domain.AdjustmentLimits // of what one admin adjusts alone
	ProposalLife time.Duration           // in which a proposed adjustment can be decided
}

// Commands gives the handler for this ledger, by the clock of this machine.
func (l *Ledger) Commands(t Terms) *commands.Handler {
	return &commands.Handler{Store: l.Store, Vault: l.Vault, Payments: commands.Sandbox{}, Now: time.Now,
		Price: t.Price, Bonus: t.Bonus, HoldExpiry: t.HoldExpiry, Refunds: t.Refunds, Refining: t.Refining, FreePerHour: t.FreePerHour, ErasureDelay: t.ErasureDelay, Limits: t.Limits, ProposalLife: t.ProposalLife}
}
