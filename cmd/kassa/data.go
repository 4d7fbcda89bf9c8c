package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kassa/commands"
	"kassa/eventstore"
	"kassa/schema"
	"kassa/vault"
)

// dataSettings name the folder with all that Kassa keeps.
type dataSettings struct {
	Data string `default:"data" placeholder:"DIR" help:"Folder with all that Kassa keeps: the ledger (kassa.db), the secret, the unpacked model. Made if it is missing. Default: ${default}."`
}

func (d dataSettings) database() string { return filepath.Join(d.Data, "kassa.db") }
func (d dataSettings) secret() string   { return filepath.Join(d.Data, "secret") }
func (d dataSettings) models() string   { return filepath.Join(d.Data, "models") }

// ledger is the data folder, open.
type ledger struct {
	db    *schema.SQLite
	store *eventstore.Store
	vault *vault.Vault
}

// open opens the data folder for writing, and makes it where it is missing.
func (d dataSettings) open(ctx context.Context) (*ledger, error) {
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	secret, err := vault.LoadSecret(d.secret())
	if err != nil {
		return nil, err
	}
	db, err := schema.OpenSQLite(ctx, d.database())
	if err != nil {
		return nil, err
	}
	store, err := eventstore.SQLite(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	people, err := vault.SQLite(db, secret, vault.Options{})
	if err != nil {
		store.Close()
		return nil, errors.Join(err, db.Close())
	}
	return &ledger{db: db, store: store, vault: people}, nil
}

// openExisting is open for commands that make no sense on an empty folder.
func (d dataSettings) openExisting(ctx context.Context) (*ledger, error) {
	if err := d.mustExist(); err != nil {
		return nil, err
	}
	return d.open(ctx)
}

func (d dataSettings) mustExist() error {
	if _, err := os.Stat(d.database()); err != nil {
		return fmt.Errorf("there is no ledger in %s: give its folder with --data, or start one with kassa serve", d.Data)
	}
	return nil
}

func (l *ledger) close() error {
	l.store.Close()
	return l.db.Close()
}

// commands gives the handler for this ledger.
func (l *ledger) commands(p priceSettings) *commands.Handler {
	return &commands.Handler{Log: l.store, People: l.vault, Payments: commands.Sandbox{}, Now: time.Now,
		Price: p.Price, Bonus: p.Bonus, HoldExpiry: p.HoldExpiry}
}
