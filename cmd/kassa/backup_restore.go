package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kassa/internal/app"
	"kassa/internal/backup"
	"kassa/worker/models"
)

type restoreBackup struct {
	restoredSettings
	Data       string `default:"data" placeholder:"DIR" help:"Data folder to be made; it must be missing, or empty. Default: ${default}."`
	SecretFile string `name:"secret-file" type:"existingfile" placeholder:"FILE" help:"The installation's secret, if it is not in the backup; it is copied into the folder."`
	Name       string `arg:"" default:"latest" help:"Name of the backup. Default: the newest."`
}

// Run makes the folder beside its place, and renames it when all is proved: a restore that
// is refused or interrupted leaves no data folder.
func (r restoreBackup) Run(ctx context.Context, c *console, line *commandLine) error {
	target, err := filepath.Abs(r.Data)
	if err != nil {
		return err
	}
	if err := vacant(target); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	fetched, err := fetchBackup(ctx, line.Backup.backupPlace, r.Name, filepath.Dir(target))
	if err != nil {
		return err
	}
	defer os.RemoveAll(fetched.Folder) // not there any more where it was renamed
	if _, err := fetched.prove(ctx, c); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: its files are those that were backed up, and its ledger of %d entries was replayed.\n", fetched.manifest.Name, fetched.manifest.Size)
	fetched.printLeftOut(c)
	if err := r.complete(ctx, fetched); err != nil {
		return err
	}
	set, err := r.judge(ctx, c, fetched.Storage)
	if err != nil {
		return err
	}
	if err := putInPlace(fetched.Folder, target); err != nil {
		return fmt.Errorf("put the restored folder in its place: %w", err)
	}
	if err := set.finish(c, app.Storage{Folder: target}); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s is restored. kassa serve goes on from there; views are made again from the log.\n", target)
	return nil
}

// vacant refuses a folder with anything in it: a restore never replaces data.
func vacant(target string) error {
	list, err := os.ReadDir(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("%s is not empty: stop the service, put the folder aside, and keep it until the restored one is proved", target)
	}
	return err
}

// complete puts in what is outside of the backup, and each file where the service reads it.
func (r restoreBackup) complete(ctx context.Context, f fetchedBackup) error {
	if r.SecretFile != "" {
		text, err := os.ReadFile(r.SecretFile)
		if err == nil {
			err = os.WriteFile(filepath.Join(f.Folder, backup.Secret), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy the secret: %w", err)
		}
		if err := checkSecret(ctx, f.Storage); err != nil {
			return fmt.Errorf("%s: %w", r.SecretFile, err)
		}
	} else if !f.manifest.Secrets {
		return wrongArgument("the backup has no secret in it: give the installation's with --secret-file")
	}
	lock := filepath.Join(f.Folder, backup.Models)
	if _, err := os.Stat(lock); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// What a model's name is pinned to is believed only once its files are there: the
	// folder of models begins without them.
	if err := os.MkdirAll(f.Models(), 0o700); err != nil {
		return err
	}
	return os.Rename(lock, filepath.Join(f.Models(), models.LockFile))
}

// putInPlace renames a folder to its place, which is missing or empty, durably.
func putInPlace(from, target string) error {
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(from, target); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(target))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}
