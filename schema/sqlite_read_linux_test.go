package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"kassa/schema"
)

// mountedReadOnly shows a folder at a place where it cannot be written.
func mountedReadOnly(t *testing.T, folder string) (at string) {
	t.Helper()
	at = t.TempDir()
	if err := syscall.Mount(folder, at, "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("mount it: %v (this test runs as root)", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(at, 0)) })
	must(t, syscall.Mount("", at, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
	return at
}

// A file on a read-only medium is read, with what is in its write-ahead log. Where nothing
// can be locked, that somebody wrote to it in another way meanwhile is reported at the end.
func TestReadingAReadOnlyMedium(t *testing.T) {
	ended := ended(t)
	for path, want := range map[string]int{ended: 0, killed(t, 3, "", "-wal", "-shm"): 3, killed(t, 3, "", "-wal"): 3} {
		at := mountedReadOnly(t, filepath.Dir(path))
		db, err := schema.OpenSQLiteReadOnly(t.Context(), filepath.Join(at, "kassa.db"))
		must(t, err)
		if n := followers(t, db); n != want {
			t.Errorf("%d followers are read, want %d", n, want)
		}
		must(t, db.Close())
	}
	db, err := schema.OpenSQLiteReadOnly(t.Context(), filepath.Join(mountedReadOnly(t, filepath.Dir(ended)), "kassa.db"))
	must(t, err)
	must(t, os.Chtimes(ended, time.Time{}, time.Now().Add(time.Hour))) // as a write does
	if err := db.Close(); !errors.Is(err, schema.ErrChanged) {
		t.Errorf("a file that was written meanwhile: %v", err)
	}
}

// A user who may only read the folder of another reads the file: of a service that runs, of
// one that was killed, and of one that has ended.
func TestReadingTheFileOfAnotherUser(t *testing.T) {
	running := filepath.Join(t.TempDir(), "kassa.db")
	writer, err := schema.OpenSQLite(t.Context(), running)
	must(t, err)
	_, err = writer.Write.ExecContext(t.Context(), `INSERT INTO checkpoints VALUES ('a', 0)`)
	must(t, err)
	for path, want := range map[string]int{running: 1, killed(t, 3, "", "-wal", "-shm"): 3, ended(t): 0} {
		must(t, os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755))
		files, err := filepath.Glob(path + "*")
		must(t, err)
		for _, file := range files {
			must(t, os.Chmod(file, 0o644))
		}
		asNobody(t, func() {
			if _, err := os.Create(path + ".new"); !errors.Is(err, os.ErrPermission) {
				t.Errorf("nobody can write to the folder, %v", err)
			}
			db, err := schema.OpenSQLiteReadOnly(t.Context(), path)
			must(t, err)
			if n := followers(t, db); n != want {
				t.Errorf("%d followers are read, want %d", n, want)
			}
			must(t, db.Close())
		})
	}
	must(t, writer.Close())
}

// asNobody calls do with the file rights of another user.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	must(t, syscall.Setfsuid(65534))
	defer func() { must(t, syscall.Setfsuid(0)) }()
	do()
}
