package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/internal/backup"
)

// lookAtBackups looks for a newest backup that is not too old. Their bytes are not read:
// backup verify does that.
func (d doctorCommand) lookAtBackups(ctx context.Context) (string, error) {
	place, err := d.backupPlace.open()
	if err != nil {
		return "", err
	}
	complete, rest, err := backup.List(ctx, place)
	if errors.Is(err, backup.ErrDamaged) {
		return "", err
	}
	if err != nil {
		return "", unableError{err}
	}
	if len(complete) == 0 {
		return "", warn("there is no backup in %s: make one, kassa backup create", d.Backups)
	}
	newest := complete[len(complete)-1]
	age := time.Since(newest.Created)
	if age > d.BackupAge {
		return "", warn("the newest of %d is %s old: make one now, kassa backup create, and find out why none was made", len(complete), age.Round(time.Second))
	}
	if len(rest) > 0 {
		return "", warn("the newest of %d is %s old; there are %d not complete: if none is being made, kassa backup create --keep deletes those of crashes after a day", len(complete), age.Round(time.Second), len(rest))
	}
	return fmt.Sprintf("the newest of %d is %s old, with %d entries; kassa backup verify proves it", len(complete), age.Round(time.Second), newest.Size), nil
}

// lookAtArchiver looks whether the server archives its WAL. It may be backed up in another
// way, so that it does not is no warning.
func lookAtArchiver(ctx context.Context, conn *pgx.Conn) (string, error) {
	var mode string
	var archived, failed *time.Time
	err := conn.QueryRow(ctx, `SELECT current_setting('archive_mode'), last_archived_time, last_failed_time FROM pg_stat_archiver`).Scan(&mode, &archived, &failed)
	switch {
	case err != nil:
		return "", unableError{err}
	case mode == "off":
		return "archive_mode is off: without another way, a restore has what the last base backup or dump has", nil
	case failed != nil && (archived == nil || failed.After(*archived)):
		return "", fmt.Errorf("the server could not archive WAL at %s, and has not since: see its log; it keeps all WAL until it can, and fills its disk", failed.UTC().Format(time.RFC3339))
	case archived == nil:
		return "archive_mode is on; no segment is full yet", nil
	}
	return fmt.Sprintf("the last segment was archived at %s", archived.UTC().Format(time.RFC3339)), nil
}

// forgottenAfter is from when a prepared transaction counts as forgotten.
const forgottenAfter = time.Hour

// lookAtDeletedRows finds what may keep deleted rows for ever, and so the keys of persons who
// were erased: what nobody uses any more, and nobody ends.
func lookAtDeletedRows(ctx context.Context, conn *pgx.Conn) (string, error) {
	rows, _ := conn.Query(ctx, `SELECT slot_name, active FROM pg_replication_slots WHERE xmin IS NOT NULL ORDER BY slot_name`)
	var used []string
	var faults []error
	var name string
	var active bool
	_, err := pgx.ForEachRow(rows, []any{&name, &active}, func() error {
		if active {
			used = append(used, name)
			return nil
		}
		faults = append(faults, warn("the replication slot %s is not used and keeps deleted rows, the keys of erased persons too: start its standby, or SELECT pg_drop_replication_slot('%[1]s')", name))
		return nil
	})
	if err != nil {
		return "", unableError{err}
	}
	rows, _ = conn.Query(ctx, `SELECT gid FROM pg_prepared_xacts WHERE prepared < now() - $1::interval ORDER BY gid`, forgottenAfter)
	forgotten, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", unableError{err}
	}
	for _, gid := range forgotten {
		faults = append(faults, warn("the prepared transaction %q keeps deleted rows, the keys of erased persons too: commit it or roll it back", gid))
	}
	switch {
	case len(faults) > 0:
		return "", errors.Join(faults...)
	case len(used) > 0:
		return "kept for what standbys read (hot_standby_feedback): " + strings.Join(used, ", "), nil
	}
	return "nothing that is forgotten keeps them", nil
}
