package backup_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3afero"
	"github.com/spf13/afero"

	"kassa/audit/audittest"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/backup"
	"kassa/schema"
	"kassa/transparency"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running is a data folder whose ledger is open for writing.
type running struct {
	backup.Source
	store *eventstore.Store
	heads transparency.Heads
	work  *eventstoretest.Workload
}

func newRunning(t *testing.T) *running {
	t.Helper()
	folder := t.TempDir()
	r := &running{work: eventstoretest.NewWorkload(1, 5)}
	r.Source = backup.Source{Ledger: filepath.Join(folder, "kassa.db"), Secret: filepath.Join(folder, "secret"), LogKey: filepath.Join(folder, "log.key"),
		Models: filepath.Join(folder, "models.lock"), Program: "test"}
	must(t, os.WriteFile(r.Secret, []byte("a secret"), 0o600))
	db, err := schema.OpenSQLite(t.Context(), r.Ledger)
	must(t, err)
	r.store, err = eventstore.SQLite(t.Context(), db)
	must(t, err)
	r.heads = transparency.SQLiteHeads(db)
	t.Cleanup(func() {
		audittest.CheckLedger(t, r.store)
		r.store.Close()
		must(t, db.Close())
	})
	r.grow(t, 20)
	return r
}

func (r *running) grow(t *testing.T, entries int) {
	t.Helper()
	_, err := r.work.Step(t.Context(), r.store, entries)
	must(t, err)
}

// places are a folder and a bucket, each with its path on this machine's disk.
func places(t *testing.T, test func(t *testing.T, place backup.Place, disk string)) {
	t.Run("folder", func(t *testing.T) {
		disk := filepath.Join(t.TempDir(), "backups")
		place, err := backup.Open(disk, backup.S3{})
		must(t, err)
		test(t, place, disk)
	})
	t.Run("S3", func(t *testing.T) {
		disk := t.TempDir()
		kept, err := s3afero.MultiBucket(afero.NewBasePathFs(afero.NewOsFs(), disk))
		must(t, err)
		must(t, kept.CreateBucket("kept"))
		server := httptest.NewServer(gofakes3.New(kept).Server())
		t.Cleanup(server.Close)
		t.Setenv("AWS_ACCESS_KEY_ID", "id")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
		place, err := backup.Open("s3://kept/kassa/main", backup.S3{Endpoint: server.URL, Region: "us-east-1"})
		must(t, err)
		test(t, place, filepath.Join(disk, "buckets", "kept", "kassa", "main"))
	})
}

// fetched opens the ledger of a backup, and checks it.
func fetched(t *testing.T, place backup.Place, m backup.Manifest) eventstore.Head {
	t.Helper()
	to := t.TempDir()
	must(t, backup.Fetch(t.Context(), place, m, to))
	if text, err := os.ReadFile(filepath.Join(to, backup.Secret)); err != nil || string(text) != "a secret" {
		t.Errorf("the secret is %q, %v", text, err)
	}
	db, err := schema.OpenSQLiteReadOnly(t.Context(), filepath.Join(to, backup.Ledger))
	must(t, err)
	defer db.Close()
	store, err := eventstore.ReadSQLite(db)
	must(t, err)
	defer store.Close()
	return audittest.CheckLedger(t, store).Head
}

// Backups are made while the ledger grows. Each is a ledger that was: the one that runs
// continues it, and the manifest says which it is.
func TestBackupsWhileTheLedgerGrows(t *testing.T) {
	places(t, func(t *testing.T, place backup.Place, disk string) {
		r := newRunning(t)
		ctx, stop := context.WithCancel(t.Context())
		grown := make(chan error, 1)
		go func() {
			for ctx.Err() == nil {
				if _, err := r.work.Step(t.Context(), r.store, 3); err != nil {
					grown <- err
					return
				}
			}
			grown <- nil
		}()
		for range 3 {
			_, err := backup.Create(t.Context(), r.Source, place)
			must(t, err)
		}
		stop()
		must(t, <-grown)
		list, rest, err := backup.List(t.Context(), place)
		must(t, err)
		if len(list) != 3 || len(rest) > 0 {
			t.Fatalf("there are %v and %v", list, rest)
		}
		now, err := r.store.Head(t.Context())
		must(t, err)
		for _, m := range list {
			if head := fetched(t, place, m); head != m.Head() || !m.Secrets || m.Program != "test" || m.LastEntry.IsZero() {
				t.Errorf("the ledger has the head %v, and the manifest is %+v", head, m)
			}
			must(t, r.store.Extends(t.Context(), now, m.Head()))
		}
		latest, err := backup.Read(t.Context(), place, backup.Latest)
		must(t, err)
		if latest.Name != list[2].Name {
			t.Errorf("the latest of %v is %s", list, latest.Name)
		}

		gone, err := backup.Prune(t.Context(), place, 2)
		must(t, err)
		if len(gone) != 1 || gone[0] != list[0].Name {
			t.Errorf("deleted are %v of %v", gone, list)
		}
		if _, err := backup.Read(t.Context(), place, list[0].Name); !errors.Is(err, backup.ErrUnknown) {
			t.Errorf("the deleted one is read: %v", err)
		}
		if _, err := os.Stat(filepath.Join(disk, list[0].Name, backup.Ledger)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("its ledger is there: %v", err)
		}
	})
}

// A backup whose bytes were changed, or that lacks a file, is refused; one without its
// manifest is none.
func TestDamagedBackups(t *testing.T) {
	places(t, func(t *testing.T, place backup.Place, disk string) {
		m, err := backup.Create(t.Context(), newRunning(t).Source, place)
		must(t, err)
		file := func(name string) string { return filepath.Join(disk, m.Name, name) }
		refused := func(what string, want error) {
			t.Helper()
			now, err := backup.Read(t.Context(), place, m.Name)
			if err == nil {
				err = backup.Fetch(t.Context(), place, now, t.TempDir())
			}
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		whole, err := os.ReadFile(file(backup.Ledger))
		must(t, err)
		changed := append([]byte{}, whole...)
		changed[len(changed)/2] ^= 1
		must(t, os.WriteFile(file(backup.Ledger), changed, 0o600))
		refused("another byte", backup.ErrDamaged)
		must(t, os.WriteFile(file(backup.Ledger), whole, 0o600))
		must(t, os.Remove(file(backup.Secret)))
		refused("no secret", backup.ErrDamaged)

		manifest, err := os.ReadFile(file("manifest.json"))
		must(t, err)
		for text, want := range map[string]error{
			"no JSON": backup.ErrDamaged,
			strings.Replace(string(manifest), `"name": "secret"`, `"name": "../secret"`, 1): backup.ErrDamaged,
			strings.Replace(string(manifest), `"format": 1`, `"format": 2`, 1):              backup.ErrNewer,
			strings.Replace(string(manifest), m.Name, "20200101T000000.000Z-1", 1):          backup.ErrDamaged,
		} {
			must(t, os.WriteFile(file("manifest.json"), []byte(text), 0o600))
			refused(text, want)
		}
		must(t, os.Remove(file("manifest.json")))
		refused("no manifest", backup.ErrUnknown)
		if list, rest, err := backup.List(t.Context(), place); err != nil || len(list) > 0 || len(rest) != 1 {
			t.Errorf("there are %v and %v, %v", list, rest, err)
		}
	})
}

// What a crash has left is listed as not complete, and deleted when no process can be
// making it any more. A backup that fails leaves nothing.
func TestWhatACrashLeaves(t *testing.T) {
	disk := t.TempDir()
	place, err := backup.Open(disk, backup.S3{})
	must(t, err)
	r := newRunning(t)
	left := filepath.Join(disk, ".partial-1")
	must(t, os.Mkdir(left, 0o700))
	must(t, os.WriteFile(filepath.Join(left, backup.Ledger), nil, 0o600))

	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := backup.Create(ctx, r.Source, place); err == nil {
		t.Error("a backup was made without time")
	}
	noSecret := r.Source
	noSecret.Secret += ".missing"
	if _, err := backup.Create(t.Context(), noSecret, place); err == nil || !strings.Contains(err.Error(), "no secret") {
		t.Errorf("a backup without the secret that it is to have: %v", err)
	}
	only := func(want ...string) {
		t.Helper()
		_, rest, err := backup.List(t.Context(), place)
		must(t, err)
		if strings.Join(rest, " ") != strings.Join(want, " ") {
			t.Errorf("not complete are %v, want %v", rest, want)
		}
	}
	only(".partial-1")
	_, err = backup.Prune(t.Context(), place, 1)
	must(t, err)
	only(".partial-1") // it may be under way
	before := time.Now().Add(-25 * time.Hour)
	must(t, os.Chtimes(left, before, before))
	_, err = backup.Prune(t.Context(), place, 1)
	must(t, err)
	only()
}

// Addresses that name no place are refused.
func TestPlaces(t *testing.T) {
	for address, s := range map[string]backup.S3{
		"":           {},
		"s3://":      {Endpoint: "https://example.com"},
		"s3://kept":  {Endpoint: "example.com"},
		"s3://kept/": {Endpoint: "ftp://example.com"},
		"s3://kept2": {Endpoint: "https://example.com/path"},
	} {
		if _, err := backup.Open(address, s); err == nil {
			t.Errorf("%q at %q is a place", address, s.Endpoint)
		}
	}
}
