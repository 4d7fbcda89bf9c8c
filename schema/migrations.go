package schema

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pressly/goose/v3"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

var (
	// ErrOlder means that migrations are pending: run kassa migrate.
	ErrOlder = errors.New("the database is older than this program, run kassa migrate")
	// ErrNewer means that a newer program has written to the database: this one is too
	// old for it.
	ErrNewer = errors.New("the database is newer than this program, which is too old for it")
)

// Migration is one step that changes a database's tables.
type Migration struct {
	Version int64
	Name    string
}

// selectApplied reads the versions in goose's table. Goose itself would create the
// table if it is missing, but reading must not change anything.
const selectApplied = `SELECT version_id FROM goose_db_version WHERE is_applied AND version_id > 0`

// migrations are this binary's steps for an engine, in order.
func migrations(engine string) (list []Migration, err error) {
	entries, err := fs.ReadDir(files, engine)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		version, err := goose.NumericComponent(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", entry.Name(), err)
		}
		list = append(list, Migration{version, entry.Name()})
	}
	slices.SortFunc(list, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return list, nil
}

// missing returns the pending steps of a database with these applied ones. An applied
// step that this binary does not have is ErrNewer.
func missing(engine string, applied []int64) ([]Migration, error) {
	known, err := migrations(engine)
	if err != nil {
		return nil, err
	}
	for _, version := range applied {
		if !slices.ContainsFunc(known, func(m Migration) bool { return m.Version == version }) {
			return nil, fmt.Errorf("%w: it has version %d, and %d is known here", ErrNewer, version, known[len(known)-1].Version)
		}
	}
	return slices.DeleteFunc(known, func(m Migration) bool { return slices.Contains(applied, m.Version) }), nil
}
