package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/audit"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema"
	"kassa/schema/schematest"
	"kassa/vault"
)

// What is searched for after an erasure.
const (
	erasedEmail    = "zubatka.quagga@vellichor.example"
	erasedQuestion = "a film about a xylograph of wombats"
)

// erasing is a service with a person who has asked and is to be erased, and another one.
type erasing struct {
	*server
	data      string
	storage   []string // flags of it
	gone, bob client
}

func newErasing(t *testing.T, storage []string, flags ...string) erasing {
	t.Helper()
	e := erasing{data: t.TempDir(), storage: storage}
	e.server = serve(t, e.data, append(storage, flags...)...)
	h := newHTTP()
	e.bob, e.gone = e.signUp(t, h, "bob@example.com"), e.signUp(t, h, erasedEmail)
	if a := e.gone.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: erasedQuestion, wait: 60}); a.status != http.StatusOK {
		t.Fatalf("a question: %d %v", a.status, a.body)
	}
	return e
}

// erase erases the person on the console, while the service runs, and gives the certificate.
func (e erasing) erase(t *testing.T) (c audit.Certificate) {
	t.Helper()
	code, out, complaints := kassa(t, append([]string{"admin", "erase", erasedEmail, "--now", "--reason", "letter 7", "--data", e.data}, e.storage...)...)
	if code != 0 || strings.Contains(complaints, "still in the files") {
		t.Fatalf("admin erase: exit code %d, %s", code, complaints)
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatalf("the certificate is %s: %v", out, err)
	}
	at := time.Now()
	for e.gone.do(t.Context(), "GET", "/api/users/balance", "", nil).status != http.StatusUnauthorized {
		if time.Since(at) > 10*time.Second { // a second, on a busy machine
			t.Fatal("the service still knows the person who was erased")
		}
	}
	if a := e.bob.do(t.Context(), "GET", "/api/users/balance", "", nil); a.status != http.StatusOK {
		t.Errorf("another person: %d %v", a.status, a.body)
	}
	return c
}

// check proves the certificate by verify. The e-mail can sign up again, as another person.
func (e erasing) check(t *testing.T, c audit.Certificate) {
	t.Helper()
	v := mustVerify(t, e.data, append(e.storage, "--kept", fmt.Sprintf("%d:%s", c.Head.Size, c.Head.Root))...)
	if v.Erased != 1 || !v.KeysSeen || len(c.Unreadable) != 2 {
		t.Errorf("verify: %d accounts were erased, keys looked at: %t; the certificate is %+v", v.Erased, v.KeysSeen, c)
	}
	if code, _, complaints := kassa(t, append([]string{"admin", "erasure", string(c.User), "--data", e.data}, e.storage...)...); code != 0 {
		t.Errorf("the certificate again: exit code %d, %s", code, complaints)
	}
	e.signUp(t, newHTTP(), erasedEmail)
}

// After an erasure nothing of the person is in the data folder: no e-mail, no question, no
// key, no hash of the password, in no file, in no new backup and not in the log of the service. Verify finds
// a key that was put back, and the service deletes it when it starts.
func TestNothingIsLeftInTheFolder(t *testing.T) {
	e := newErasing(t, nil)
	db, err := schema.OpenSQLiteReadOnly(t.Context(), filepath.Join(e.data, "kassa.db"))
	must(t, err)
	var user, hash string
	var wrapped []byte
	err = db.Read.QueryRowContext(t.Context(), `SELECT user_id, wrapped, hash FROM subject_keys JOIN passwords USING (user_id) ORDER BY user_id DESC LIMIT 1`).Scan(&user, &wrapped, &hash)
	must(t, err)
	must(t, db.Close())
	needles := map[string][]byte{"the e-mail": []byte(erasedEmail), "the question": []byte(erasedQuestion), "the key": wrapped, "the password": []byte(hash)}
	if found := searchFolder(t, e.data, needles); len(found) != 2 {
		t.Fatalf("before the erasure the search finds %v, want the key and the password", found)
	}
	c := e.erase(t)
	if string(c.User) != user {
		t.Fatalf("%s was erased, and %s was to be", c.User, user)
	}
	if found := searchFolder(t, e.data, needles); len(found) > 0 {
		t.Errorf("after the erasure there are %v", found)
	}
	backups := t.TempDir()
	wants(t, 0, "is complete", "backup", "create", "--data", e.data, "--backups", backups)
	if found := searchFolder(t, backups, needles); len(found) > 0 {
		t.Errorf("in a backup after the erasure there are %v", found)
	}
	e.check(t, c)
	if code := e.interrupt(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := e.log.String(); strings.Contains(log, erasedEmail) || strings.Contains(log, erasedQuestion) {
		t.Error("the log of the service has the e-mail or the question")
	}
	e.putBack(t, user, wrapped)
	again := serve(t, e.data)
	eventstoretest.Eventually(t, "the key is deleted again", func() bool { return !e.hasKey(t, user) })
	again.kill()
	mustVerify(t, e.data)
}

// putBack restores a key as from a backup, which verify finds.
func (e erasing) putBack(t *testing.T, user string, wrapped []byte) {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(e.data, "kassa.db"))
	must(t, err)
	_, err = db.Write.ExecContext(t.Context(), `INSERT INTO subject_keys (user_id, wrapped) VALUES (?, ?)`, user, wrapped)
	must(t, err)
	must(t, db.Close())
	code, out, _ := kassa(t, "verify", "--json", "--data", e.data)
	if code != exitFailed || !strings.Contains(out, string(audit.KeyKept)) {
		t.Errorf("with the key put back verify ends with %d, %s", code, out)
	}
}

func (e erasing) hasKey(t *testing.T, user string) (has bool) {
	t.Helper()
	db, err := schema.OpenSQLiteReadOnly(t.Context(), filepath.Join(e.data, "kassa.db"))
	must(t, err)
	defer db.Close()
	must(t, db.Read.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT 1 FROM subject_keys WHERE user_id = ?)`, user).Scan(&has))
	return has
}

// spelledAs are the forms in which bytes could be in a file.
func spelledAs(b []byte) [][]byte {
	return [][]byte{b, []byte(hex.EncodeToString(b)), []byte(base64.StdEncoding.EncodeToString(b[:len(b)/3*3]))}
}

// searchFolder gives which of the needles are in a file of the folder.
func searchFolder(t *testing.T, folder string, needles map[string][]byte) (found []string) {
	t.Helper()
	must(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for name, needle := range needles {
			for _, form := range spelledAs(needle) {
				if bytes.Contains(b, form) {
					found = append(found, name+" in "+filepath.Base(path))
				}
			}
		}
		return err
	}))
	return found
}

// The same with PostgreSQL, by reading the files of all tables and indexes of the database,
// and the write-ahead log, which has keys for as long as it is kept but never a text.
func TestNothingIsLeftInPostgres(t *testing.T) {
	database := schematest.Postgres(t)
	e := newErasing(t, []string{"--database-url", database}, "--amqp-url", bustest.New(t).Address)
	conn := asSuperuser(t, database)
	var wrapped, hash []byte
	must(t, conn.QueryRow(t.Context(), `SELECT wrapped, convert_to(hash, 'UTF8') FROM subject_keys JOIN passwords USING (user_id) ORDER BY user_id DESC LIMIT 1`).Scan(&wrapped, &hash))
	secrets := [][]byte{wrapped, hash}
	if found := searchTables(t, conn, secrets); len(found) != 2 {
		t.Fatalf("before the erasure the search finds %v, want the key and the password", found)
	}
	e.check(t, e.erase(t))
	texts := [][]byte{[]byte(erasedEmail), []byte(erasedQuestion)}
	if found := searchTables(t, conn, append(texts, secrets...)); len(found) > 0 {
		t.Errorf("after the erasure there are %v", found)
	}
	var segments int
	must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_ls_waldir() w, unnest($1::bytea[]) text
		WHERE position(text IN coalesce(pg_read_binary_file('pg_wal/' || w.name, true), '')) > 0`, texts).Scan(&segments))
	if segments > 0 {
		t.Errorf("the e-mail or the question is in %d segments of the write-ahead log", segments)
	}
}

// A transaction that began before an erasure can still see what was deleted, and one that
// writes in another database of the server keeps it too: the snapshots of all databases go as
// far back as that. The erasure says that it is still in the files.
func TestErasureBesideAnOlderTransaction(t *testing.T) {
	for what, one := range map[string]struct {
		elsewhere bool
		level     pgx.TxIsoLevel
		statement string
	}{
		"a reader":                     {false, pgx.RepeatableRead, `SELECT FROM head`},
		"a writer of another database": {true, pgx.ReadCommitted, `CREATE TABLE written ()`},
	} {
		t.Run(what, func(t *testing.T) {
			database := schematest.Postgres(t)
			e := newErasing(t, []string{"--database-url", database}, "--amqp-url", bustest.New(t).Address)
			where := database
			if one.elsewhere {
				where = schematest.Empty(t)
			}
			older, err := asSuperuser(t, where).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: one.level})
			must(t, err)
			defer older.Rollback(context.WithoutCancel(t.Context()))
			_, err = older.Exec(t.Context(), one.statement)
			must(t, err)
			code, _, complaints := kassa(t, append([]string{"admin", "erase", erasedEmail, "--now", "--reason", "letter 7", "--data", e.data}, e.storage...)...)
			if code != 0 || !strings.Contains(complaints, "still in the files") || !strings.Contains(complaints, "can still see") {
				t.Errorf("exit code %d, %s", code, complaints)
			}
			mustVerify(t, e.data, e.storage...)
		})
	}
}

// So does a standby that says what it still reads. When it has gone on, nothing is left.
func TestErasureBesideAStandby(t *testing.T) {
	database := schematest.Postgres(t)
	e := newErasing(t, []string{"--database-url", database}, "--amqp-url", bustest.New(t).Address)
	conn, standby := asSuperuser(t, database), schematest.NewStandby(t)
	readsNow := func() {
		t.Helper()
		var oldest string
		must(t, conn.QueryRow(t.Context(), `SELECT xid(pg_snapshot_xmax(pg_current_snapshot()))::text`).Scan(&oldest))
		standby.Reads(oldest)
	}
	readsNow()
	var wrapped []byte
	must(t, conn.QueryRow(t.Context(), `SELECT wrapped FROM subject_keys ORDER BY user_id DESC LIMIT 1`).Scan(&wrapped))
	code, _, complaints := kassa(t, append([]string{"admin", "erase", erasedEmail, "--now", "--reason", "letter 7", "--data", e.data}, e.storage...)...)
	if code != 0 || !strings.Contains(complaints, "still in the files") || !strings.Contains(complaints, "the replication slot "+standby.Slot) {
		t.Errorf("exit code %d, %s", code, complaints)
	}
	pool, err := schema.OpenPostgres(t.Context(), database, 2)
	must(t, err)
	defer pool.Close()
	v, err := vault.Postgres(pool, vault.Secret(make([]byte, 32)), vault.Options{})
	must(t, err)
	scrubbed := make(chan error, 1)
	go func() { scrubbed <- v.Scrub(t.Context()) }()
	for done := false; !done; {
		select {
		case err = <-scrubbed:
			done = true
		default:
			readsNow()
		}
	}
	must(t, err)
	if found := searchTables(t, conn, [][]byte{wrapped}); len(found) > 0 {
		t.Errorf("when the standby has gone on, there are %v", found)
	}
	mustVerify(t, e.data, e.storage...)
}

func asSuperuser(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	at, err := url.Parse(os.Getenv("KASSA_DATABASE_SUPERUSER_URL"))
	if err != nil || at.Host == "" {
		t.Fatal("KASSA_DATABASE_SUPERUSER_URL is not set: see docker/services")
	}
	own, err := url.Parse(database)
	must(t, err)
	at.Path = own.Path
	conn, err := pgx.Connect(t.Context(), at.String())
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close(context.WithoutCancel(t.Context()))) })
	return conn
}

// searchTables gives the tables and indexes with a needle in their files.
func searchTables(t *testing.T, conn *pgx.Conn, needles [][]byte) []string {
	t.Helper()
	_, err := conn.Exec(t.Context(), `CHECKPOINT`)
	must(t, err)
	rows, _ := conn.Query(t.Context(), `SELECT DISTINCT c.oid::regclass::text FROM pg_class c, unnest($1::bytea[]) needle
		WHERE c.relkind IN ('r', 'i', 't', 'm') AND c.relpersistence <> 't'
			AND position(needle IN coalesce(pg_read_binary_file(pg_relation_filepath(c.oid), true), '')) > 0`, needles)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return found
}
