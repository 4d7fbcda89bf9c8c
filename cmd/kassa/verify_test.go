package main

import (
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema"
	"kassa/schema/schematest"
)

// lived makes a ledger in PostgreSQL with a workload, and whose views are
// filled.
func lived(t *testing.T) (address string, pool *pgxpool.Pool, store *eventstore.Store) {
	t.Helper()
	address = schematest.Postgres(t)
	pool, err := schema.OpenPostgres(t.Context(), address, 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if store, err = eventstore.Postgres(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	workload := eventstoretest.NewWorkload(1, 10)
	for range 60 {
		if _, err := workload.Step(t.Context(), store, 8); err != nil {
			t.Fatal(err)
		}
	}
	views, err := projections.OpenPostgres(t.Context(), pool, store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(views.Close)
	if err := projections.NewRunner(views, store, slog.New(slog.NewTextHandler(t.Output(), nil))).CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return address, pool, store
}

// auditor makes the login that docs/audit.md describes, by exactly those statements.
func auditor(t *testing.T, address string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	statements := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(page)
	if statements == nil {
		t.Fatal("docs/audit.md has no statements")
	}
	name, password := "kassa_test_auditor_"+strings.ToLower(rand.Text()), rand.Text()
	owner, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	made := strings.NewReplacer("auditor_jane", name, "chosen by you", password).Replace(string(statements[1]))
	if _, err := owner.Exec(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	schematest.DropRole(t, address, name)
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword(name, password)
	return at.String()
}

// A balance that was changed in a table, and nowhere else, is what people are shown:
// verify finds it, with a login that may only read, and reports where it does not look.
func TestVerifyComparesWhatIsServed(t *testing.T) {
	address, pool, _ := lived(t)
	reader := auditor(t, address)
	code, out, complaints := kassa(t, "verify", "--database-url", reader)
	for _, says := range []string{"The ledger is whole", "balances_v2 is what the log gives: 10 rows at position", "transactions_v2 is", "predictions_v4 is", "users_v1 is", "trial_v2 is", "days_v1 is", "actions_v1 is"} {
		if code != 0 || !strings.Contains(out, says) {
			t.Errorf("exit code %d, want %q:\n%s%s", code, says, out, complaints)
		}
	}
	if _, err := pool.Exec(t.Context(), `UPDATE kassa_views.balances_v2 SET available = 1000110 WHERE user_id = 'u_1_1'`); err != nil {
		t.Fatal(err)
	}
	code, out, complaints = kassa(t, "verify", "--database-url", reader)
	if code != exitFailed || !strings.Contains(out, `balances_v2 user_id="u_1_1"`) || !strings.Contains(out, "available=1000110") ||
		!strings.Contains(complaints, "the ledger is broken") || strings.Contains(out, "whole") {
		t.Errorf("exit code %d\n%s%s", code, out, complaints)
	}
	code, out, _ = kassa(t, "verify", "--database-url", reader, "--json")
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitFailed || v.OK || len(v.Faults) != 1 || len(v.Views) != 7 {
		t.Fatalf("exit code %d, %s", code, out)
	}
	if f := v.Faults[0]; f.Code != audit.ViewDiffers || f.View != "balances_v2" || f.Key != `user_id="u_1_1"` || f.Position != v.Size {
		t.Errorf("the finding is %+v", f)
	}
	code, out, _ = kassa(t, "verify", "--database-url", reader, "--no-views")
	if code != 0 || !strings.Contains(out, "NOT looked at (--no-views)") || strings.Contains(out, "is what the log gives") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if code, out, _ = kassa(t, "verify", "--database-url", reader, "--no-views", "--json"); code != 0 || !strings.Contains(out, `"views":null`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	// A table that is built again can be read by the same login.
	if code, out, complaints = kassa(t, "views", "rebuild", "balances", "--replace", "--database-url", address); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, complaints)
	}
	if code, out, complaints = kassa(t, "verify", "--database-url", reader); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, complaints)
	}
}

// Each way in which verify ends has its own exit code.
func TestVerifyExitCodes(t *testing.T) {
	address, _, store := lived(t)
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	at.Path += "_none"
	for _, tt := range []struct {
		name string
		args []string
		code int
	}{
		{"whole", []string{"--database-url", address}, 0},
		{"a database that is not there", []string{"--database-url", at.String()}, exitUnable},
		{"nobody answers", []string{"--database-url", "postgres://127.0.0.1:1/x"}, exitUnable},
		{"an empty head", []string{"--database-url", address, "--kept", ""}, exitUsage},
	} {
		if code, out, complaints := kassa(t, append([]string{"verify"}, tt.args...)...); code != tt.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", tt.name, code, tt.code, out, complaints)
		}
		code, out, _ := kassa(t, append([]string{"verify", "--json"}, tt.args...)...)
		var v verdict
		if tt.code == exitUsage {
			continue
		}
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != tt.code || v.OK != (tt.code == 0) || (v.Unable != "") != (tt.code == exitUnable) {
			t.Errorf("%s: exit code %d, %v, %s", tt.name, code, err, out)
		}
	}
	t.Setenv("KASSA_KEPT", "")
	if code, _, complaints := kassa(t, "verify", "--database-url", address); code != exitUsage {
		t.Errorf("an empty head in the environment: exit code %d, %s", code, complaints)
	}
	os.Unsetenv("KASSA_KEPT")

	// A later program has appended: this one cannot judge that, and does not call it broken.
	head, err := store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Append(t.Context(), eventstore.Append{Time: eventstore.Earliest, Actor: "user:u_9", Cause: eventstore.Command{ID: "late", Content: "x"}.Cause(),
		Writes: []eventstore.Write{{Stream: eventstore.AccountStream("u_9"), Events: []domain.Event{eventstoretest.FromNewer{User: "u_9"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	code, out, complaints := kassa(t, "verify", "--database-url", address, "--json")
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitTooOld || v.OK || len(v.Faults) > 0 || v.Proved != head.Size || v.Unable == "" {
		t.Errorf("exit code %d, %s%s", code, out, complaints)
	}
	if code, out, _ := kassa(t, "verify", "--database-url", address); code != exitTooOld || strings.Contains(out, "whole") || strings.Contains(out, "broken") {
		t.Errorf("exit code %d, %s", code, out)
	}
}

// After a kill the last entries are in the write-ahead log only: they are verified and
// listed, and no file of the folder changes.
func TestVerifyAfterAKill(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	s.signUp(t, newHTTP(), "ada@example.com")
	s.kill()
	files := func() (all map[string]string) {
		all = map[string]string{}
		must(t, filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				var bytes []byte
				bytes, err = os.ReadFile(path)
				all[path] = string(bytes)
			}
			return err
		}))
		return all
	}
	before := files()
	if before[filepath.Join(data, "kassa.db-wal")] == "" {
		t.Fatal("the service had nothing in its write-ahead log")
	}
	if v := mustVerify(t, data); v.Accounts != 1 {
		t.Errorf("%d accounts are verified", v.Accounts)
	}
	if code, out, complaints := kassa(t, "events", "--data", data); code != 0 || !strings.Contains(out, "SignedUp") {
		t.Errorf("events: exit code %d\n%s%s", code, out, complaints)
	}
	if after := files(); !maps.Equal(after, before) {
		t.Errorf("the files are %q", slices.Sorted(maps.Keys(after)))
	}
}

// A short ledger in one file has no tables of what it serves, and verify reports it. It
// leaves the file as it is.
func TestVerifyOfAFile(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	s.signUp(t, newHTTP(), "ada@example.com")
	s.interrupt(t)
	file := filepath.Join(data, "kassa.db")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code, out, complaints := kassa(t, "verify", "--data", data)
	if code != 0 || !strings.Contains(out, "has no tables yet of what it serves") {
		t.Errorf("exit code %d\n%s%s", code, out, complaints)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("verify changed the file, %v", err)
	}
	// A copy that SQLite made has another journal mode: that stays too.
	copied := filepath.Join(t.TempDir(), "kassa.db")
	db, err := schema.OpenSQLite(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write.ExecContext(t.Context(), `VACUUM INTO '`+copied+`'`); err != nil {
		t.Fatal(err)
	}
	if before, err = os.ReadFile(copied); err != nil {
		t.Fatal(err)
	}
	if code, out, complaints := kassa(t, "verify", "--data", filepath.Dir(copied)); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, complaints)
	}
	if after, err := os.ReadFile(copied); err != nil || string(after) != string(before) {
		t.Errorf("verify changed the copy, %v", err)
	}
	if _, err := db.Write.ExecContext(t.Context(), `DROP TRIGGER events_no_update`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := kassa(t, "verify", "--data", data); code != exitFailed || !strings.Contains(out, "the trigger events_no_update") {
		t.Errorf("a ledger that can be changed: exit code %d\n%s", code, out)
	}
}

// With --resume verify goes on from the file that it wrote, says what it did not read, and
// finds what was changed behind it.
func TestVerifyResume(t *testing.T) {
	data, proved := t.TempDir(), filepath.Join(t.TempDir(), "proved")
	s := serve(t, data)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	s.interrupt(t)
	first := verdictOf(t, "verify", "--data", data, "--resume", proved, "--json")
	if !first.OK || first.Resumed != 0 {
		t.Errorf("the first run: %+v", first)
	}
	s = serve(t, data)
	ada.url = s.url
	ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: 50})
	s.interrupt(t)
	second := verdictOf(t, "verify", "--data", data, "--resume", proved, "--json")
	if !second.OK || second.Resumed != first.Size || second.Size <= first.Size || second.Accounts != 1 {
		t.Errorf("the second run: %+v", second)
	}
	code, out, _ := kassa(t, "verify", "--data", data, "--resume", proved)
	if code != 0 || strings.Count(out, "NOT") != 2 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	must(t, os.WriteFile(proved, []byte("{}\n"), 0o600))
	if code, _, complaints := kassa(t, "verify", "--data", data, "--resume", proved); code != exitUnable || !strings.Contains(complaints, "damaged") {
		t.Errorf("with a damaged file: exit code %d, %s", code, complaints)
	}
	if code, _, complaints := kassa(t, "verify", "--data", data, "--resume", proved, "--archive", data); code != exitUsage {
		t.Errorf("with an archive: exit code %d, %s", code, complaints)
	}
}

// verdictOf runs verify for its JSON.
func verdictOf(t *testing.T, args ...string) (v verdict) {
	t.Helper()
	_, out, complaints := kassa(t, args...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v: %s%s", err, out, complaints)
	}
	return v
}
