package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"kassa/audit"
	"kassa/internal/app"
	"kassa/internal/backup"
	"kassa/vault"
	"kassa/worker/models"
)

// backupCommand keeps copies of the data folder of the embedded default.
type backupCommand struct {
	backupPlace
	Create  createBackup  `cmd:"" help:"Copy the data folder, while the service runs."`
	List    listBackups   `cmd:"" help:"List the backups, and what is there and not complete."`
	Verify  verifyBackup  `cmd:"" help:"Compare the files of a backup with their SHA-256, and replay the ledger in it."`
	Restore restoreBackup `cmd:"" help:"Make a data folder of a backup, proved against the newest head that is known outside of it."`
}

// backupPlace is where backups are kept.
type backupPlace struct {
	Backups    string `placeholder:"DIR|s3://BUCKET/PREFIX" help:"Where the backups are: a folder, best on another machine, or S3-compatible storage, with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."`
	S3Endpoint string `name:"s3-endpoint" default:"https://s3.amazonaws.com" placeholder:"URL" help:"Server of the S3-compatible storage. Default: ${default}."`
	S3Region   string `name:"s3-region" placeholder:"REGION" help:"Region of the bucket. Default: the server is asked."`
}

func (b backupPlace) open() (backup.Place, error) {
	if b.Backups == "" {
		return nil, wrongArgument("--backups is missing: the folder of the backups, or s3://bucket/prefix")
	}
	place, err := backup.Open(b.Backups, backup.S3{Endpoint: b.S3Endpoint, Region: b.S3Region})
	if err != nil {
		return nil, wrongArgument("--backups: %w", err)
	}
	return place, nil
}

type createBackup struct {
	dataSettings
	Keep      int  `placeholder:"N" help:"Then delete all but the newest N backups. Default: none is deleted."`
	NoSecrets bool `name:"no-secrets" help:"Leave out the installation's secret and the keys of the log, which you keep elsewhere: without the secret nobody can sign in, and nothing sealed can be read."`
}

// errDatabase refuses what is for one file.
const errDatabase = "a PostgreSQL database is backed up by its own tools, see docs/operate.md: leave --database-url away for the embedded default"

func (b createBackup) Run(ctx context.Context, c *console, line *commandLine) error {
	place, err := line.Backup.open()
	if err != nil {
		return err
	}
	s, err := b.existing()
	switch {
	case err != nil:
		return err
	case s.DatabaseURL != "":
		return wrongArgument(errDatabase)
	case b.Keep < 0:
		return wrongArgument("--keep is 1 or more")
	}
	from := backup.Source{Ledger: s.Database(), Models: filepath.Join(s.Models(), models.LockFile), Program: version()}
	if !b.NoSecrets {
		from.Secret, from.LogKey = s.Secret(), s.LogKeyFile()
	}
	m, err := backup.Create(ctx, from, place)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s is complete: %d entries, %d bytes.\n", m.Name, m.Size, m.Bytes())
	if m.Secrets {
		fmt.Fprintln(c.out, "It has the installation's secret in it, which opens all personal data. --no-secrets leaves it out.")
	}
	if b.Keep == 0 {
		return nil
	}
	gone, err := backup.Prune(ctx, place, b.Keep)
	for _, name := range gone {
		fmt.Fprintf(c.out, "%s is deleted.\n", name)
	}
	return err
}

type listBackups struct {
	JSON bool `name:"json" help:"Answer with one JSON object."`
}

func (l listBackups) Run(ctx context.Context, c *console, line *commandLine) error {
	place, err := line.Backup.open()
	if err != nil {
		return err
	}
	complete, rest, err := backup.List(ctx, place)
	if err != nil {
		return err
	}
	if l.JSON {
		return json.NewEncoder(c.out).Encode(struct {
			Backups    []backup.Manifest `json:"backups"` // the oldest first
			Incomplete []string          `json:"incomplete"`
		}{append([]backup.Manifest{}, complete...), append([]string{}, rest...)})
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tENTRIES\tBYTES\tSECRETS\tPROGRAM")
	for _, m := range complete {
		secrets := "no"
		if m.Secrets {
			secrets = "yes"
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\n", m.Name, m.Size, m.Bytes(), secrets, m.Program)
	}
	for _, name := range rest {
		fmt.Fprintf(table, "%s\tnot complete: being made, or left by a crash\n", name)
	}
	return table.Flush()
}

type verifyBackup struct {
	Name string `arg:"" default:"latest" help:"Name of the backup. Default: the newest."`
}

// Run fetches the backup into a folder of its own, so that nothing is written where it is
// kept. Exit codes are those of verify.
func (v verifyBackup) Run(ctx context.Context, c *console, line *commandLine) error {
	fetched, err := fetchBackup(ctx, line.Backup.backupPlace, v.Name, os.TempDir())
	if err != nil {
		return err
	}
	defer os.RemoveAll(fetched.Folder)
	r, err := fetched.prove(ctx, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s is whole: its files are those that were backed up, and its ledger of %d entries and %d accounts was replayed.\n", fetched.manifest.Name, r.Head.Size, r.Accounts)
	fetched.printLeftOut(c)
	fmt.Fprintf(c.out, "Its head:\n%d:%s\n", r.Head.Size, r.Head.Root)
	return nil
}

// fetchedBackup is a backup in a folder on this machine.
type fetchedBackup struct {
	app.Storage // of the folder
	manifest    backup.Manifest
}

// fetchBackup copies a backup into a new folder beneath the parent. The caller removes it.
func fetchBackup(ctx context.Context, from backupPlace, name, parent string) (f fetchedBackup, err error) {
	place, err := from.open()
	if err != nil {
		return f, err
	}
	if f.manifest, err = backup.Read(ctx, place, name); err != nil {
		return f, couldNotFetch(err)
	}
	if f.Folder, err = os.MkdirTemp(parent, ".kassa-restore-"); err != nil {
		return f, err
	}
	if err = backup.Fetch(ctx, place, f.manifest, f.Folder); err != nil {
		return f, errors.Join(couldNotFetch(err), os.RemoveAll(f.Folder))
	}
	return f, nil
}

// couldNotFetch distinguishes a finding about the backup from a place that cannot be read.
func couldNotFetch(err error) error {
	if errors.Is(err, backup.ErrDamaged) || errors.Is(err, backup.ErrUnknown) {
		return err
	}
	return unableError{err}
}

// prove replays the ledger of the backup, compares its head with the manifest, and its
// secret with the ledger.
func (f fetchedBackup) prove(ctx context.Context, c *console) (r audit.Report, err error) {
	v := verifyCommand{auditedLog: auditedLog{dataSettings: dataSettings{Data: f.Folder}}}
	r, _, err = v.look(ctx, c, nil)
	var found *audit.Faults
	switch {
	case errors.As(err, &found):
		return r, fmt.Errorf("the ledger in the backup is broken: %s: %s", found, found.List[0])
	case err != nil:
		return r, unableError{err}
	case r.Head != f.manifest.Head():
		return r, fmt.Errorf("%w: its manifest has the head %d:%s, and its ledger %d:%s", backup.ErrDamaged, f.manifest.Size, f.manifest.Root, r.Head.Size, r.Head.Root)
	case !f.manifest.Secrets:
		return r, nil
	}
	return r, checkSecret(ctx, f.Storage)
}

// checkSecret compares the secret of a folder with its ledger.
func checkSecret(ctx context.Context, s app.Storage) error {
	secret, err := vault.ReadSecret(s.Secret())
	if err != nil {
		return err
	}
	l, err := s.OpenToRead(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	keys, err := l.OpenVault(secret, vault.Options{})
	if err != nil {
		return err
	}
	return keys.CheckSecret(ctx)
}

// printLeftOut says what a backup does not have.
func (f fetchedBackup) printLeftOut(c *console) {
	if !f.manifest.Secrets {
		fmt.Fprintln(c.out, "The installation's secret and the keys of the log are not in it.")
	}
	for _, file := range f.manifest.Files {
		if file.Name != backup.Models {
			continue
		}
		pins, err := models.Folder(f.Folder).Pins()
		if err != nil {
			fmt.Fprintf(c.out, "Which models were added cannot be read: %v\n", err)
		}
		var names []string
		for name, pinned := range pins {
			names = append(names, strings.TrimSpace(name+" "+pinned.Source+" "+pinned.Revision))
		}
		if len(names) > 0 {
			fmt.Fprintf(c.out, "Files of models are not in it; kassa model add brings these in again, and compares them with what is pinned: %s\n", strings.Join(names, "; "))
		}
	}
}
