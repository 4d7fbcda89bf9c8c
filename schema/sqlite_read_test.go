package schema_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"kassa/schema"
)

// checksums are those of all files in a folder.
func checksums(t *testing.T, folder string) string {
	t.Helper()
	list := ""
	must(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, file); err != nil {
			return err
		}
		list += fmt.Sprintf("%s %x\n", filepath.Base(path), sum.Sum(nil))
		return nil
	}))
	return list
}

// followers reads what was written last.
func followers(t *testing.T, db *schema.SQLite) (n int) {
	t.Helper()
	must(t, db.Read.QueryRowContext(t.Context(), `SELECT count(*) FROM checkpoints`).Scan(&n))
	return n
}

// killed is a folder as a process leaves it that was killed with these followers in the
// write-ahead log: the files are copied while the process has them open.
func killed(t *testing.T, followers int, ends ...string) string {
	t.Helper()
	from, to := filepath.Join(t.TempDir(), "kassa.db"), filepath.Join(t.TempDir(), "kassa.db")
	db, err := schema.OpenSQLite(t.Context(), from)
	must(t, err)
	for i := range followers {
		_, err := db.Write.ExecContext(t.Context(), `INSERT INTO checkpoints VALUES (?, 0)`, fmt.Sprint(i))
		must(t, err)
	}
	for _, end := range ends {
		bytes, err := os.ReadFile(from + end)
		must(t, err)
		must(t, os.WriteFile(to+end, bytes, 0o600))
	}
	must(t, db.Close())
	return to
}

// ended is a file as a process leaves it that closed it.
func ended(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kassa.db")
	db, err := schema.OpenSQLite(t.Context(), path)
	must(t, err)
	must(t, db.Close())
	return path
}

// A file that is read for an audit keeps its bytes, and so do those beside it: after a kill,
// in a copy without the index of its write-ahead log, and after a proper end. What is in the
// write-ahead log alone is read as well.
func TestReadingChangesNoFile(t *testing.T) {
	for name, path := range map[string]string{
		"killed": killed(t, 3, "", "-wal", "-shm"), "copied without the index": killed(t, 3, "", "-wal"), "ended": ended(t),
	} {
		before := checksums(t, filepath.Dir(path))
		db, err := schema.OpenSQLiteReadOnly(t.Context(), path)
		must(t, err)
		if n := followers(t, db); n != 3 && name != "ended" {
			t.Errorf("%s: %d followers are read", name, n)
		}
		if _, err := db.Write.ExecContext(t.Context(), `DELETE FROM checkpoints`); err == nil {
			t.Errorf("%s: it can be written", name)
		}
		must(t, db.Close())
		if after := checksums(t, filepath.Dir(path)); after != before {
			t.Errorf("%s: the files were\n%s and are\n%s", name, before, after)
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "kassa-read-*", "kassa.db")); err != nil || len(left) > 0 {
		t.Errorf("copies are left: %q, %v", left, err)
	}
}

// A reader beside a process that writes sees what that commits.
func TestReadingBesideAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kassa.db")
	writer, err := schema.OpenSQLite(t.Context(), path)
	must(t, err)
	reader, err := schema.OpenSQLiteReadOnly(t.Context(), path)
	must(t, err)
	for i := range 3 {
		_, err := writer.Write.ExecContext(t.Context(), `INSERT INTO checkpoints VALUES (?, 0)`, fmt.Sprint(i))
		must(t, err)
		if n := followers(t, reader); n != i+1 {
			t.Errorf("of %d followers %d are read", i+1, n)
		}
	}
	must(t, writer.Close())
	if n := followers(t, reader); n != 3 {
		t.Errorf("after the writer has ended %d followers are read", n)
	}
	must(t, reader.Close())
}
