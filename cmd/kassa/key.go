package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kassa/internal/app"
	"kassa/transparency"
)

// keyCommand is about the keys that sign heads of the log.
type keyCommand struct {
	New  newKey  `cmd:"" help:"Make the key of a log, and print its public key. A file that is there stays."`
	Show showKey `cmd:"" help:"Print the public keys of a key file, for those who verify."`
}

// keyFile names the file: that of serve.
type keyFile struct {
	Data       string `default:"data" placeholder:"DIR" help:"Data folder; the key is log.key in it unless --log-key-file is given. Default: ${default}."`
	LogKeyFile string `name:"log-key-file" placeholder:"FILE" help:"File with the key."`
}

func (k keyFile) path() string {
	if k.LogKeyFile != "" {
		return k.LogKeyFile
	}
	return app.Storage{Folder: k.Data}.LogKeyFile()
}

type newKey struct {
	keyFile
	Name string `arg:"" help:"Name of the log, which its readers must know: an address without https://, such as kassa.example.com/ledger. It stays when the key is replaced."`
}

func (n newKey) Run(c *console) error {
	text, public, err := transparency.NewKey(n.Name)
	if err != nil {
		return wrongArgument("%w", err)
	}
	if err := os.MkdirAll(filepath.Dir(n.path()), 0o700); err != nil {
		return fmt.Errorf("make the folder of the key: %w", err)
	}
	if err := transparency.WriteKey(n.path(), text); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: to replace a key, make the new one in another file, and add its line to this one", n.path())
	} else if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	fmt.Fprintf(c.out, "%s is new. Give this public key to those who verify:\n%s\n", n.path(), public)
	return nil
}

type showKey struct{ keyFile }

func (s showKey) Run(c *console) error {
	text, err := os.ReadFile(s.path())
	if err != nil {
		return fmt.Errorf("read the keys of the log: %w", err)
	}
	keys, err := transparency.ParseKeys(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(), err)
	}
	for _, public := range keys.Public() {
		fmt.Fprintln(c.out, public)
	}
	return nil
}
