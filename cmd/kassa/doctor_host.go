package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kassa/internal/app"
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
	path := d.folder().Secret()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		url, err := d.url()
		if _, ledger := os.Stat(d.folder().Database()); err == nil && url == "" && d.SecretFile == "" && ledger != nil {
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
	if info.Mode().Perm()&0o077 == 0 || strings.HasPrefix(path, containerSecrets) {
		return path, nil
	}
	if d.SecretFile != "" { // it may be mounted from elsewhere, as it is there
		return "", warn("others can read %s: chmod 600, where it is not mounted for this process alone", path)
	}
	return "", fmt.Errorf("others can read the secret: chmod 600 %s", path)
}

// containerSecrets is where Docker mounts the secrets of a container: no other user is in
// there, whatever a file's mode is.
const containerSecrets = "/run/secrets/"

// leastSpace is the free space below which the disk counts as full, and lowSpace that
// below which an operator should look. Beside a database the folder has to hold the model
// only (modelSpace).
const (
	leastSpace = 64 << 20
	lowSpace   = 1 << 30
	modelSpace = 16 << 20
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
	least, low := int64(leastSpace), int64(lowSpace)
	if url, err := d.url(); err == nil && url != "" {
		least, low = modelSpace, modelSpace
	}
	free, err := freeSpace(place)
	switch {
	case err != nil:
		return "", unableError{err}
	case free < least:
		return "", fmt.Errorf("%d MiB are free where %s is: make space, or nothing can be written", free>>20, place)
	case free < low:
		return "", warn("%d MiB are free where %s is: make space soon", free>>20, place)
	}
	if free < 1<<30 {
		return fmt.Sprintf("%d MiB are free", free>>20), nil
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

// lookAtModel opens the models, each of which proves itself, and embeds a text in each
// language. The built-in one is not unpacked into the data folder, which stays as it is.
func (d doctorCommand) lookAtModel(ctx context.Context) (string, error) {
	models, err := d.openModels(ctx, d.folder().Models(), "")
	if err != nil {
		return "", fmt.Errorf("%w; kassa model list has the models that were added; without --model the built-in one is used", err)
	}
	defer models.Close()
	start := time.Now()
	for _, model := range models {
		if _, err := model.EmbedAll(ctx, []string{"a ship in the ice", "корабль во льдах"}); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s, two texts in %s", strings.Join(models.Versions(), ", "), time.Since(start).Round(100*time.Microsecond)), nil
}

// lookAtFile looks at the embedded ledger as kassa serve does when it opens it.
func (d doctorCommand) lookAtFile(ctx context.Context) (string, error) {
	if _, err := d.existing(); err != nil {
		return "", warn("%v", err)
	}
	l, err := d.openToRead(ctx)
	if err != nil {
		return "", err
	}
	defer l.Close()
	if older, err := l.File.Older(ctx); err != nil || older > 0 {
		return "", errors.Join(err, warn("it is of an older version: kassa serve brings it to this one (%d steps)", older))
	}
	return d.lookAtLedger(ctx, l)
}

// lookAtGuards looks for what keeps the log in the file from being changed.
func (d doctorCommand) lookAtGuards(ctx context.Context) (string, error) {
	l, err := d.openToRead(ctx)
	if err != nil {
		return "", err
	}
	defer l.Close()
	gone, err := l.Store.MissingGuards(ctx)
	if err != nil {
		return "", unableError{err}
	}
	var faults []error
	for _, guard := range gone {
		faults = append(faults, fmt.Errorf("missing, or not as it was made: %s; somebody changed the file: keep it as it is, run kassa verify", guard))
	}
	return "the log's triggers and constraints are as they were made", errors.Join(faults...)
}

// newestRead is how many of the newest entries are read, which newer programs may have
// written.
const newestRead = 1000

// lookAtLedger makes the checks of a start: the head and the tree agree, the newest entries
// are known to this program, the secret is the ledger's own, and the films can be read.
func (d doctorCommand) lookAtLedger(ctx context.Context, l *app.Ledger) (string, error) {
	if err := l.Store.Prove(ctx); err != nil {
		return "", fmt.Errorf("%w: kassa serve does not start; keep it as it is, and run kassa verify", err)
	}
	head, err := l.Store.Head(ctx)
	if err != nil {
		return "", couldNotRead(err)
	}
	if _, err := l.Store.After(ctx, max(0, head.Size-newestRead), newestRead); err != nil {
		return "", couldNotRead(err)
	}
	secret, err := vault.ReadSecret(d.folder().Secret())
	if err != nil {
		return "", notLooked("its secret, for want of the file")
	}
	keys, err := l.OpenVault(secret, vault.Options{})
	if err != nil {
		return "", err
	}
	if err := keys.CheckSecret(ctx); errors.Is(err, vault.ErrSecret) {
		return "", fmt.Errorf("%s: %w", d.folder().Secret(), err)
	} else if err != nil {
		return "", couldNotRead(err)
	}
	if _, err := l.Films(ctx); err != nil {
		return "", couldNotRead(err)
	}
	return fmt.Sprintf("%d entries; kassa verify proves them", head.Size), nil
}

// couldNotRead is no verdict where the login that looks may not see it.
func couldNotRead(err error) error {
	if schema.FaultOf(err) == schema.Mistake && sqlState(err) == "42501" {
		return notLooked("this login may not read it: look with the service's")
	}
	return err
}
