package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/audit"
	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema"
	"kassa/schema/schematest"
)

// archiveFixture is a fixture whose log has small partitions, and a folder for their
// archives.
type archiveFixture struct {
	fixture
	tables *projections.Postgres
	folder string
}

func newArchiveFixture(t testing.TB, appends int, ends ...int64) archiveFixture {
	t.Helper()
	url := schematest.Postgres(t)
	schematest.Partitions(t, url, ends...)
	pool, err := schema.OpenPostgres(t.Context(), url, 16)
	must(t, err)
	t.Cleanup(pool.Close)
	c := archiveFixture{fixture: fixture{pool: pool, workload: eventstoretest.NewWorkload(33, 8)}, folder: t.TempDir()}
	c.store = c.newStore(t)
	c.tables, err = projections.OpenPostgres(t.Context(), pool, c.store)
	must(t, err)
	t.Cleanup(c.tables.Close)
	c.views = c.runner(t)
	_, err = c.store.Append(t.Context(), eventstore.Append{Time: eventstore.Earliest, Actor: "operator", Cause: caused("price"), // of the workload
		Writes: []eventstore.Write{{Stream: eventstore.PricesStream, Events: []domain.Event{domain.PriceSet{Price: 5}}}}})
	must(t, err)
	c.run(t, appends)
	must(t, c.workload.EndOpen(t.Context(), c.store))
	must(t, c.views.CatchUp(t.Context()))
	return c
}

// newStore is another process, with empty caches.
func (c archiveFixture) newStore(t testing.TB) *eventstore.Store {
	t.Helper()
	store, err := eventstore.Postgres(t.Context(), c.pool)
	must(t, err)
	t.Cleanup(store.Close)
	return store
}

func (c archiveFixture) runner(t testing.TB) *projections.Runner {
	return projections.NewRunner(c.tables, c.store, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// owner is a connection of the tables' owner.
type owner struct{ *pgx.Conn }

func (o owner) Partitions(ctx context.Context) ([]eventstore.Partition, error) {
	return eventstore.Partitions(ctx, o.Conn)
}

func (o owner) Detach(ctx context.Context, a eventstore.Archive, first eventstore.Position, accounts []eventstore.ArchivedAccount) error {
	return eventstore.Detach(ctx, o.Conn, a, first, accounts)
}

func (o owner) DropDetached(ctx context.Context, partition string) (bool, error) {
	return eventstore.DropDetached(ctx, o.Conn, partition)
}

func (c archiveFixture) archiving(t testing.TB) audit.Archiving {
	t.Helper()
	conn, err := schema.Connect(t.Context(), c.pool.Config().ConnString())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return audit.Archiving{Store: c.store, Owner: owner{conn}, Folder: c.folder, Now: time.Now,
		Views: func(ctx context.Context) (map[string]eventstore.Position, error) {
			at := map[string]eventstore.Position{}
			list, err := projections.ListViews(ctx, c.pool)
			for _, v := range list {
				at[v.Table] = v.Position
			}
			return at, err
		}}
}

// archived runs it, and checks up to where it archived.
func (c archiveFixture) archived(t testing.TB, a audit.Archiving, upTo eventstore.Position) []audit.Archived {
	t.Helper()
	done, err := a.Run(t.Context())
	must(t, err)
	if at, err := c.store.Archived(t.Context()); err != nil || at != upTo {
		t.Fatalf("archived up to %d, %v, want %d; by this run %v", at, err, upTo, done)
	}
	return done
}

// archives opens the archives.
func (c archiveFixture) archives(t testing.TB) *audit.Archives {
	t.Helper()
	files, err := audit.OpenArchives(t.Context(), c.store, c.folder)
	must(t, err)
	t.Cleanup(func() { must(t, files.Close()) })
	return files
}

// verifyWith verifies with the archives.
func (c archiveFixture) verifyWith(t testing.TB, files *audit.Archives, kept *eventstore.Head) (audit.Report, error) {
	t.Helper()
	return audit.Ledger{Store: c.store, Archives: files, Kept: kept, Tables: c.served}.Verify(t.Context())
}

func (c archiveFixture) served(ctx context.Context, begin func(projections.TableAt) func(projections.Row)) error {
	return projections.ReadTables(ctx, c.pool, begin)
}

// proves checks that the rest is proved without the archives, and everything with them,
// and that the views are what a replay of everything gives.
func (c archiveFixture) proves(t testing.TB, upTo eventstore.Position) {
	t.Helper()
	without, err := c.fixture.verify(t)
	must(t, err)
	with, err := c.verifyWith(t, c.archives(t), nil)
	must(t, err)
	if without.Archived.UpTo != upTo || without.Archived.Proved || with.Archived.UpTo != upTo || with.Archived.Proved != (upTo > 0) {
		t.Errorf("archived are %+v and %+v, want %d", without.Archived, with.Archived, upTo)
	}
	if upTo > 0 && len(without.Views) > 0 || len(with.Views) != 7 {
		t.Errorf("compared are %v without the archives, and %v with them", without.Views, with.Views)
	}
	if without.Accounts != with.Accounts || without.Available != with.Available || without.Held != with.Held || without.Proved != with.Proved || without.Head != with.Head {
		t.Errorf("without the archives %+v, with them %+v", without, with)
	}
	replay := projections.NewMemory()
	must(t, replay.Replay(t.Context(), audit.FullLog{Store: c.store, Archives: c.archives(t)}))
	must(t, audittest.CompareViews(t.Context(), c.tables, replay))
}

// Two partitions are archived, one in the middle of open work: users, views and proofs
// continue, also in a process with empty caches.
func TestArchiving(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 120)
	kept, err := c.store.Head(t.Context())
	must(t, err)
	c.run(t, 5)
	must(t, c.workload.EndOpen(t.Context(), c.store))
	must(t, c.views.CatchUp(t.Context()))
	c.proves(t, 0)
	a := c.archiving(t)
	plan, err := a.Plan(t.Context())
	must(t, err)
	if len(plan) != 3 || plan[0].Stays != "" || plan[0].First != 1 || plan[1].First != 41 || plan[1].Stays != "" || !strings.Contains(plan[2].Stays, "not grown past it") {
		t.Fatalf("the plan is %+v", plan)
	}
	if list, err := os.ReadDir(c.folder); err != nil || len(list) > 0 {
		t.Errorf("the plan left %v, %v", list, err)
	}
	if done := c.archived(t, a, 120); len(done) != 2 {
		t.Errorf("archived was %v", done)
	}
	c.proves(t, 120)
	if _, err := c.verifyWith(t, nil, &kept); err != nil {
		t.Errorf("the head that was kept before: %v", err)
	}
	if c.archived(t, c.archiving(t), 120) != nil {
		t.Error("archived again")
	}
	if _, err := c.store.After(t.Context(), 7, 1); !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("an archived entry: %v", err)
	}
	if err := c.store.Scan(t.Context(), 0, func([]eventstore.Recorded) error { return nil }); !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("a scan over what is archived: %v", err)
	}
	if list, err := c.store.Stream(t.Context(), eventstore.PricesStream, 0, 10); err != nil || len(list) != 1 {
		t.Errorf("the prices, whose entry is archived, are %v, %v", list, err)
	}
	// Every account continues from where it was archived.
	c.store.Close()
	c.store = c.newStore(t)
	c.views = c.runner(t)
	c.loads(t)
	c.run(t, 40)
	must(t, c.views.CatchUp(t.Context()))
	c.proves(t, 120)
	audittest.CheckLedger(t, c.store)

	// What was detached is dropped by a later run, if the archive is there.
	a = c.archiving(t)
	a.Drop = true
	moved := c.folder + "-elsewhere"
	must(t, os.Rename(c.folder, moved))
	must(t, os.Mkdir(c.folder, 0o700))
	c.archived(t, a, 120)
	if !c.there(t, "events_small0") {
		t.Error("a table was dropped whose archive is not there")
	}
	must(t, os.Remove(c.folder))
	must(t, os.Rename(moved, c.folder))
	c.archived(t, a, 120)
	if c.there(t, "events_small0") || c.there(t, "events_small1") || !c.there(t, "events_p0") {
		t.Error("the detached tables are not dropped")
	}
	c.proves(t, 120)
}

// loads checks that the store, with empty caches, loads every account as the views show
// it.
func (c archiveFixture) loads(t testing.TB) {
	t.Helper()
	people, _, err := c.tables.Users(t.Context(), projections.PageQuery{Limit: projections.MaxPage}, c.head(t))
	must(t, err)
	for _, p := range people.Items {
		l, err := c.store.Account(t.Context(), p.ID)
		if a := l.Account; err != nil || a.Available != p.Balance.Available || a.Held != p.Balance.Held || a.Given != p.Balance.Given || a.Admin != p.Admin {
			t.Errorf("%s is loaded as %+v, %v, and shown as %+v", p.ID, a, err, p)
		}
	}
	if len(people.Items) < 5 {
		t.Errorf("only %d people were compared", len(people.Items))
	}
}

func (c archiveFixture) there(t testing.TB, table string) (there bool) {
	t.Helper()
	must(t, c.pool.QueryRow(t.Context(), `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&there))
	return there
}

// Each partition ends inside another kind of append: a sign-up, a payment, a question.
// What follows is proved with and without the beginning.
func TestArchivingInTheMiddleOfAppends(t *testing.T) {
	var ends []int64
	for end := int64(1); end <= 60; end++ {
		ends = append(ends, end)
	}
	c := newArchiveFixture(t, 60, ends...)
	for _, end := range ends {
		a := c.archiving(t)
		a.Before = eventstore.Position(end + 1)
		c.archived(t, a, eventstore.Position(end))
		if _, err := c.fixture.verify(t); err != nil {
			t.Fatalf("archived up to %d: %v", end, err)
		}
	}
	c.proves(t, 60)
}

// What must stay stays, and the plan gives the reason.
func TestWhatIsNotArchived(t *testing.T) {
	c := newArchiveFixture(t, 30, 40)
	a := c.archiving(t)
	stays := func(why string, blocked bool) {
		t.Helper()
		plan, err := a.Plan(t.Context())
		must(t, err)
		if !strings.Contains(plan[0].Stays, why) || plan[0].Blocked != blocked {
			t.Errorf("the plan is %+v, want %q", plan[0], why)
		}
		if _, err := a.Run(t.Context()); errors.Is(err, audit.ErrBlocked) != blocked || !blocked && err != nil {
			t.Errorf("the run came to %v", err)
		}
		if at, err := c.store.Archived(t.Context()); err != nil || at > 0 {
			t.Fatalf("archived up to %d, %v", at, err)
		}
	}
	a.Before = 40
	stays("does not end before position 40", false)
	a.Before, a.Age = 0, 24*time.Hour
	a.Now = func() time.Time { return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC) }
	stays("younger than 24h0m0s, until 2026-03-02", false)
	a.Age = 0
	must(t, c.store.SetCheckpoint(t.Context(), "relay", 39))
	stays("the follower relay has only come to position 39", true)
	must(t, c.store.SetCheckpoint(t.Context(), "relay", 40))
	c.exec(t, `UPDATE kassa_views.positions SET position = 7 WHERE view = 'users_v1'`)
	stays("the view users_v1 has only come to position 7", true)
}

// The entries of an open prediction are kept.
func TestOpenQuestionsAreNotArchived(t *testing.T) {
	c := newArchiveFixture(t, 0, 120)
	for c.head(t) <= 130 {
		c.run(t, 1)
	}
	must(t, c.views.CatchUp(t.Context()))
	a := c.archiving(t)
	if done, err := a.Run(t.Context()); !errors.Is(err, audit.ErrBlocked) || !strings.Contains(err.Error(), "is still open") {
		t.Fatalf("with open questions: %v, %v", done, err)
	}
	must(t, c.workload.EndOpen(t.Context(), c.store))
	must(t, c.views.CatchUp(t.Context()))
	c.archived(t, a, 120)
	c.proves(t, 120)
}

var errStopped = errors.New("stopped")

// A run is interrupted after each of its steps, and inside the transaction that
// detaches. The next one completes it.
func TestArchivingStopped(t *testing.T) {
	var ends []int64
	for end := int64(20); end <= 140; end += 20 {
		ends = append(ends, end)
	}
	c := newArchiveFixture(t, 60, ends...)
	for step := 1; step <= 6; step++ {
		a := c.archiving(t)
		a.Drop, a.Before = true, eventstore.Position(ends[step-1]+1)
		a.StopAfter(step, errStopped)
		if _, err := a.Run(t.Context()); !errors.Is(err, errStopped) {
			t.Fatalf("step %d: %v", step, err)
		}
		detached := eventstore.Position(0)
		if step >= 5 {
			detached = 20
		}
		if at, err := c.store.Archived(t.Context()); err != nil || at != eventstore.Position(20*step-20)+detached {
			t.Errorf("stopped after step %d, it is archived up to %d, %v", step, at, err)
		}
		if _, err := c.fixture.verify(t); err != nil {
			t.Errorf("stopped after step %d: %v", step, err)
		}
		again := c.archiving(t)
		again.Drop, again.Before = true, a.Before
		c.archived(t, again, eventstore.Position(ends[step-1]))
		c.proves(t, eventstore.Position(ends[step-1]))
		if name := "events_small" + string(rune('0'+step-1)); c.there(t, name) {
			t.Errorf("stopped after step %d and completed, %s is still there", step, name)
		}
	}
	// The server ends the session inside the transaction.
	c.exec(t, `CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'`)
	c.exec(t, `CREATE TRIGGER hang_up AFTER INSERT ON archived_accounts FOR EACH STATEMENT EXECUTE FUNCTION hang_up()`)
	if _, err := c.archiving(t).Run(t.Context()); err == nil {
		t.Error("it was not stopped in the transaction")
	}
	c.exec(t, `DROP TRIGGER hang_up ON archived_accounts`)
	c.proves(t, 120)
	c.archived(t, c.archiving(t), 140)
	c.proves(t, 140)
	list, err := filepath.Glob(filepath.Join(c.folder, ".*"))
	if err != nil || len(list) > 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

// If the files are not read back as they were written, the partition stays in the log.
func TestDamagedFilesAreNotDetached(t *testing.T) {
	c := newArchiveFixture(t, 60, 40)
	a := c.archiving(t)
	a.StopAfter(3, errStopped)
	if _, err := a.Run(t.Context()); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	folder := filepath.Join(c.folder, "kassa-log-000000000001-000000000040")
	for _, place := range []struct{ name, after string }{{"entries.jsonl", "{"}, {"accounts.jsonl", "{"}, {"manifest.json", `"peaks": [`}, {"manifest.json", `"head": {`}, {"manifest.json", `"consistency": [`}} {
		name := place.name
		file := filepath.Join(folder, name)
		whole, err := os.ReadFile(file)
		must(t, err)
		damaged := append([]byte(nil), whole...)
		at := bytes.Index(damaged, []byte(place.after))
		digit := bytes.IndexAny(damaged[at:], "02468") // the next one is a digit too
		if at < 0 || digit < 0 {
			t.Fatalf("%s has no number after %s", name, place.after)
		}
		damaged[at+digit] ^= 1
		must(t, os.WriteFile(file, damaged, 0o600))
		if done, err := c.archiving(t).Run(t.Context()); err == nil {
			t.Errorf("with a damaged %s it archived %v", name, done)
		}
		if at, err := c.store.Archived(t.Context()); err != nil || at > 0 {
			t.Fatalf("with a damaged %s it is archived up to %d, %v", name, at, err)
		}
		must(t, os.WriteFile(file, whole, 0o600))
	}
	c.archived(t, c.archiving(t), 40)
	c.proves(t, 40)
}
