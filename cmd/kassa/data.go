package main

import (
	"context"
	"fmt"
	"os"

	"kassa/internal/app"
	"kassa/schema"
	"kassa/transparency"
)

// dataSettings name where Kassa keeps its data.
type dataSettings struct {
	Data            string `default:"data" placeholder:"DIR" help:"Folder with all that Kassa keeps: the ledger (kassa.db), the secret, the unpacked model. Made if it is missing. Default: ${default}."`
	DatabaseURL     string `name:"database-url" placeholder:"URL" help:"postgres://… of the ledger; then the folder keeps the secret and the model only. See kassa migrate."`
	DatabaseURLFile string `name:"database-url-file" type:"existingfile" placeholder:"FILE" help:"File that holds --database-url, so that its password is in no environment."`
	DatabaseConns   int32  `name:"database-conns" default:"24" placeholder:"N" help:"Connections to PostgreSQL at once, besides those that listen or hold a lock. Default: ${default}."`
	SecretFile      string `name:"secret-file" placeholder:"FILE" help:"File with the installation's secret, in hexadecimal; every process of an installation has the same. Default: secret in the data folder. The embedded default makes its own at the first start; else see kassa secret new."`
}

// logKeySettings are the keys that sign heads of the log.
type logKeySettings struct {
	LogKey     string `name:"log-key" placeholder:"KEY" help:"Private key that signs heads of the log (see kassa key new); better in the environment or in a file."`
	LogKeyFile string `name:"log-key-file" type:"existingfile" placeholder:"FILE" help:"File with the keys of the log, one a line: private ones sign, public ones of before are still accepted. Default: log.key in the data folder, which the embedded default makes at the first start; without a key no head is signed."`
}

// text is that of the key file, "" where none is given.
func (k logKeySettings) text() (string, error) {
	switch {
	case k.LogKey != "" && k.LogKeyFile != "":
		return "", wrongArgument("the key of the log is given directly and by the file %s: leave one away", k.LogKeyFile)
	case k.LogKeyFile == "":
		return k.LogKey, nil
	}
	text, err := os.ReadFile(k.LogKeyFile)
	if err != nil {
		return "", wrongArgument("read the keys of the log: %w", err)
	}
	if _, err := transparency.ParseKeys(string(text)); err != nil {
		return "", wrongArgument("%s: %w", k.LogKeyFile, err)
	}
	return string(text), nil
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

// folder is the storage but for the address of the database.
func (d dataSettings) folder() app.Storage {
	return app.Storage{Folder: d.Data, Conns: d.DatabaseConns, SecretFile: d.SecretFile}
}

func (d dataSettings) storage() (app.Storage, error) {
	s, err := d.folder(), error(nil)
	s.DatabaseURL, err = d.url()
	return s, err
}

// open opens the ledger for writing. The embedded one is made where it is missing.
func (d dataSettings) open(ctx context.Context) (*app.Ledger, error) {
	s, err := d.storage()
	if err != nil {
		return nil, err
	}
	return s.Open(ctx)
}

// existing is the storage for commands that make no sense on an empty folder.
func (d dataSettings) existing() (app.Storage, error) {
	s, err := d.storage()
	if err != nil || s.DatabaseURL != "" {
		return s, err
	}
	if _, err := os.Stat(s.Database()); err != nil {
		return s, fmt.Errorf("there is no ledger in %s: give its folder with --data, or start one with kassa serve", d.Data)
	}
	return s, nil
}

// openExisting is open for such commands.
func (d dataSettings) openExisting(ctx context.Context) (*app.Ledger, error) {
	s, err := d.existing()
	if err != nil {
		return nil, err
	}
	return s.Open(ctx)
}

// openToRead opens the log for an audit; nothing is changed or made.
func (d dataSettings) openToRead(ctx context.Context) (*app.Ledger, error) {
	s, err := d.existing()
	if err != nil {
		return nil, err
	}
	return s.OpenToRead(ctx)
}
