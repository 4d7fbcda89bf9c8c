package app

import (
	"context"
	"log/slog"
	"time"

	"kassa/catalog"
	"kassa/commands"
	"kassa/internal/bus"
	"kassa/internal/mail"
	"kassa/internal/matcher"
	"kassa/projections"
	"kassa/transparency"
	"kassa/worker"
)

// Config is what one process does, and on which terms.
type Config struct {
	Roles         Roles
	Terms         Terms
	NotFoundBelow float64 // confidence below which a prediction finds nothing, and costs nothing

	Catalogue *catalog.Catalogue
	Models    worker.Models                                              // for answers that cannot be compared with the films, and for films that are saved; may be none
	Work      func(ctx context.Context, requests [][]byte) []bus.Outcome // answers jobs in the role worker
	LogKeys   transparency.Keys                                          // sign heads of the log; none: none is signed here
	Witnesses transparency.Policy                                        // asked for cosignatures where heads are signed; none: nobody
	Broker    *bus.Broker                                                // nil in one process, and for roles without messages
	Mail      *mail.Sender                                               // nil: no mail is sent
	Logger    *slog.Logger

	AttestEvery time.Duration // how often the served views and the catalogue are recorded in the log; 0: never
	Version     string        // of the program

	SignedHeadFile string // outside the database, for the last signed head; "" for none
}

// Service is what runs in a process, wired. Its parts start with Run.
type Service struct {
	*Ledger
	Commands  *commands.Handler
	Catalogue *catalog.Catalogue
	Views     projections.Views
	Matcher   *matcher.Matcher

	config Config
	log    *slog.Logger
	bus    *bus.Bus
	tables *projections.Postgres // the views, in PostgreSQL
	runner *projections.Runner   // keeps the tables
	replay *projections.Memory   // the views of the embedded default

	broken chan error // the ledger is wrong: everything must stop
}

// Open puts the parts together. Nothing is answered before the embedded views hold the
// whole log; tables catch up while the service runs.
func Open(ctx context.Context, l *Ledger, c Config) (*Service, error) {
	l.Store.LogTo(c.Logger)
	s := &Service{Ledger: l, Commands: l.Commands(c.Terms), Catalogue: c.Catalogue, config: c, log: c.Logger, broken: make(chan error, 1)}
	s.Matcher = &matcher.Matcher{Store: l.Store, Vault: l.Vault, Catalogue: c.Catalogue, Commands: s.Commands, Logger: c.Logger, Models: c.Models, NotFoundBelow: c.NotFoundBelow}
	open := s.openEmbedded
	if l.Pool != nil {
		open = s.openProduction
	}
	if err := open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Service) openEmbedded(ctx context.Context) (err error) {
	s.replay, err = projections.OpenSaved(ctx, s.File, s.Store, func(err error) { s.Store.Report("save the views", err) })
	if err != nil {
		return err
	}
	s.Views = s.replay
	s.bus, err = bus.InProcess(s.log)
	return err
}

func (s *Service) openProduction(ctx context.Context) (err error) {
	if s.tables, err = projections.OpenPostgres(ctx, s.Pool, s.Store); err != nil {
		return err
	}
	s.tables.ReportTo(s.Store.Report)
	s.Views = s.tables
	s.runner = projections.NewRunner(s.tables, s.Store, s.log)
	if s.config.Broker == nil {
		return nil
	}
	s.bus, err = s.config.Broker.Open(ctx, s.log)
	return err
}

// Close ends what Open began. The ledger stays open.
func (s *Service) Close() {
	if s.tables != nil {
		s.tables.Close()
	}
}

// Has reports whether the process has one of the roles.
func (s *Service) Has(any ...Role) bool { return s.config.Roles.Has(any...) }

// Stop ends Run with the error: the ledger was found to be broken. The first finding counts.
func (s *Service) Stop(err error) {
	select {
	case s.broken <- err:
	default:
	}
}

// OpenCatalogue opens the catalogue of a ledger with the shipped films in it, and those of
// path where one is given, each with a vector of every model. What an operator has imported
// stays as it is.
func OpenCatalogue(ctx context.Context, l *Ledger, models worker.Models, path string) (*catalog.Catalogue, error) {
	films, err := l.Films(ctx)
	if err != nil {
		return nil, err
	}
	var own []catalog.Movie
	if path != "" {
		if own, err = catalog.Load(path); err != nil {
			return nil, err
		}
	}
	for _, model := range models {
		if _, err := films.ImportShipped(ctx, model); err != nil {
			return nil, err
		}
		if _, err := films.Import(ctx, own, model); err != nil {
			return nil, err
		}
	}
	return films, nil
}
