package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"kassa/schema"
	"kassa/vault"
)

// hostChecks look at this machine: its files, its disk and its port.
func (d doctorCommand) hostChecks() []check {
	return []check{
		{"data folder", d.lookAtFolder},
		{"secret file", d.lookAtSecretFile},
		{"disk", d.lookAtDisk},
		{"port", d.lookAtPort},
		{"model", d.lookAtModel},
	}
}

func (d doctorCommand) lookAtFolder(context.Context) (string, error) {
	info, err := os.Stat(d.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", warn("%s is not there yet; kassa serve makes it", d.Data)
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s is no folder: give another with --data", d.Data)
	case !writable(d.Data):
		return "", fmt.Errorf("this user cannot write to %s: chown it to the user of the service", d.Data)
	case info.Mode().Perm()&0o077 != 0:
		return "", warn("others can look into %s: chmod 700 %s", d.Data, d.Data)
	}
	return d.Data, nil
}

func (d doctorCommand) lookAtSecretFile(context.Context) (string, error) {
	path := d.secret()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		url, err := d.url()
		if _, ledger := os.Stat(d.database()); err == nil && url == "" && d.SecretFile == "" && ledger != nil {
			return "", warn("%s is not there yet; kassa serve makes it with the ledger", path)
		}
		return "", fmt.Errorf("%s is not there: put the installation's secret there; kassa secret new makes that of a new installation", path)
	}
	if err != nil {
		return "", err
	}
	if _, err := vault.ReadSecret(path); err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if d.SecretFile != "" { // a container is given it as it is, and nobody else is in there
			return "", warn("others can read %s: chmod 600, where it is not mounted for this process alone", path)
		}
		return "", fmt.Errorf("others can read the secret: chmod 600 %s", path)
	}
	return path, nil
}

// leastSpace is the free space below which the disk counts as full, and lowSpace that
// below which somebody should look.
const (
	leastSpace = 64 << 20
	lowSpace   = 1 << 30
)

// lookAtDisk looks where the data folder is, or will be. The database's own disk is
// looked at by trying, see lookAtSpace.
func (d doctorCommand) lookAtDisk(context.Context) (string, error) {
	place, err := filepath.Abs(d.Data)
	if err != nil {
		return "", err
	}
	for _, err := os.Stat(place); err != nil && place != filepath.Dir(place); _, err = os.Stat(place) {
		place = filepath.Dir(place)
	}
	free, err := freeSpace(place)
	switch {
	case err != nil:
		return "", unableError{err}
	case free < leastSpace:
		return "", fmt.Errorf("%d MiB are free where %s is: make space, or nothing can be written", free>>20, place)
	case free < lowSpace:
		return "", warn("%d MiB are free where %s is: make space soon", free>>20, place)
	}
	return fmt.Sprintf("%d GiB are free", free>>30), nil
}

// lookAtPort tries whether the service could listen. A Kassa that listens there is what
// one hopes to find.
func (d doctorCommand) lookAtPort(ctx context.Context) (string, error) {
	listener, err := net.Listen("tcp", d.Addr)
	switch {
	case err == nil:
		return d.Addr + " is free", listener.Close()
	case !errors.Is(err, syscall.EADDRINUSE):
		return "", fmt.Errorf("this process may not listen on %s: %w; give another address with --addr", d.Addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(d.Addr)+"/api/health", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("another program listens on %s: end it, or give another address with --addr", d.Addr)
	}
	return "a kassa process listens on " + d.Addr, answer.Body.Close()
}

// lookAtModel opens it, which compares its files with their hashes, and embeds a
// text in each language.
func (d doctorCommand) lookAtModel(ctx context.Context) (string, error) {
	model, err := d.openModel(ctx, dataSettings{Data: os.TempDir()})
	if err != nil {
		return "", fmt.Errorf("%w; give a folder with --model, or leave it away for the built-in one", err)
	}
	defer model.Close()
	start := time.Now()
	if _, err := model.EmbedAll(ctx, []string{"a ship in the ice", "корабль во льдах"}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, two texts in %s", model.ModelVersion(), time.Since(start).Round(100*time.Microsecond)), nil
}

// lookAtFile looks at the embedded ledger as kassa serve does when it opens it.
func (d doctorCommand) lookAtFile(ctx context.Context) (string, error) {
	if err := d.mustExist(); err != nil {
		return "", warn("%v", err)
	}
	l, err := d.openToRead(ctx)
	if err != nil {
		return "", err
	}
	defer l.close()
	if older, err := l.file.Older(ctx); err != nil || older > 0 {
		return "", errors.Join(err, warn("it is of an older version: kassa serve brings it to this one (%d steps)", older))
	}
	return d.lookAtLedger(ctx, l)
}

// lookAtLedger makes the checks of a start: the head and the tree agree, the secret is
// the ledger's own, and the films can be read.
func (d doctorCommand) lookAtLedger(ctx context.Context, l *ledger) (string, error) {
	if err := l.store.Prove(ctx); err != nil {
		return "", fmt.Errorf("%w: kassa serve does not start; keep it as it is, and run kassa verify", err)
	}
	secret, err := vault.ReadSecret(d.secret())
	if err != nil {
		return "", notLooked("its secret, for want of the file")
	}
	if l.pool != nil {
		l.vault, err = vault.Postgres(l.pool, secret, vault.Options{})
	} else {
		l.vault, err = vault.SQLite(l.file, secret, vault.Options{})
	}
	if err != nil {
		return "", err
	}
	if err := l.vault.CheckSecret(ctx); errors.Is(err, vault.ErrSecret) {
		return "", fmt.Errorf("%s: %w", d.secret(), err)
	} else if err != nil {
		return "", couldNotRead(err)
	}
	if _, err := l.films(ctx); err != nil {
		return "", couldNotRead(err)
	}
	head, err := l.store.Head(ctx)
	return fmt.Sprintf("%d entries; kassa verify proves them", head.Size), err
}

// couldNotRead is no verdict where the login that looks may not see it.
func couldNotRead(err error) error {
	if schema.FaultOf(err) == schema.Mistake && sqlState(err) == "42501" {
		return notLooked("this login may not read it: look with the service's")
	}
	return err
}
