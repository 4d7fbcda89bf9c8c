package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kassa/internal/app"
	"kassa/vault"
)

type secretCommand struct {
	New newSecret `cmd:"" help:"Make the secret of a new installation, in --secret-file or the data folder. One that is there stays."`
}

// newSecret is done once for an installation: what it writes is copied to each machine.
type newSecret struct {
	Data       string `default:"data" placeholder:"DIR" help:"Data folder; the secret is in it unless --secret-file is given. Default: ${default}."`
	SecretFile string `name:"secret-file" placeholder:"FILE" help:"File to write."`
}

func (n newSecret) Run(c *console) error {
	path := app.Storage{Folder: n.Data, SecretFile: n.SecretFile}.Secret()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the secret: %w", err)
	}
	if err := vault.NewSecret(path); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: a second secret would open nothing of what the first has sealed", path)
	} else if err != nil {
		return fmt.Errorf("make the secret: %w", err)
	}
	secret, err := vault.ReadSecret(path)
	if err != nil {
		return err
	}
	value, err := secret.CheckValue()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s is new (check value %x). Give it to every process, and keep a copy away from the backups of the database.\n", path, value[:4])
	return nil
}
