package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// A changed byte in an archive is found, at its position; so is a missing file, and a
// change in what the database keeps.
func TestTamperedArchives(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 120)
	c.archived(t, c.archiving(t), 120)
	second := filepath.Join(c.folder, "kassa-log-000000000041-000000000120")
	entries, err := os.ReadFile(filepath.Join(second, "entries.jsonl"))
	must(t, err)
	rng := rand.New(rand.NewPCG(tamperSeed, 9))
	for range 60 {
		forged := bytes.Clone(entries)
		at := rng.IntN(len(forged))
		forged[at] ^= 1 << rng.IntN(8)
		must(t, os.WriteFile(filepath.Join(second, "entries.jsonl"), forged, 0o600))
		line := eventstore.Position(41 + bytes.Count(entries[:at], []byte("\n")))
		_, err := c.verifyWith(t, c.archives(t), nil)
		faultAt(t, err, line)
	}
	must(t, os.WriteFile(filepath.Join(second, "entries.jsonl"), append(bytes.Clone(entries), '\n'), 0o600))
	_, err = c.verifyWith(t, c.archives(t), nil)
	faultAt(t, err, 120)
	must(t, os.WriteFile(filepath.Join(second, "entries.jsonl"), entries, 0o600))
	for _, name := range []string{"accounts.jsonl", "manifest.json"} {
		file := filepath.Join(second, name)
		whole, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, bytes.Replace(whole, []byte(`1`), []byte(`2`), 1), 0o600))
		files, err := audit.OpenArchives(t.Context(), c.store, c.folder)
		if err == nil {
			_, err = c.verifyWith(t, files, nil)
		}
		faultAt(t, err, 120)
		must(t, os.WriteFile(file, whole, 0o600))
	}
	for _, name := range []string{"kassa-log-000000000041-000000000120", "kassa-log-000000000001-000000000040/entries.jsonl"} {
		must(t, os.Rename(filepath.Join(c.folder, name), filepath.Join(c.folder, "away")))
		files, err := audit.OpenArchives(t.Context(), c.store, c.folder)
		if err == nil {
			_, err = c.verifyWith(t, files, nil)
		}
		var fault *audit.Fault
		if !errors.Is(err, audit.ErrNoArchive) || errors.As(err, &fault) {
			t.Errorf("without %s: %v", name, err)
		}
		must(t, os.Rename(filepath.Join(c.folder, "away"), filepath.Join(c.folder, name)))
	}
	c.proves(t, 120)
}

// What the database keeps of archives is compared, with and without the archives.
func TestTamperedRecords(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 120)
	c.archived(t, c.archiving(t), 120)
	for _, table := range []string{"archives", "archived_events", "archived_accounts", "event_index"} {
		c.exec(t, `ALTER TABLE `+table+` DISABLE TRIGGER USER`)
	}
	for _, tt := range []struct {
		table, change string
		from, upTo    eventstore.Position // where it is found
	}{
		{"archived_accounts", `UPDATE archived_accounts SET state = replace(convert_from(state, 'UTF8'), '"available":', '"available":9')::bytea WHERE upto = 120 AND stream = (SELECT min(stream) FROM archived_accounts WHERE upto = 120)`, 120, 120},
		{"archived_accounts", `UPDATE archived_accounts SET version = version - 1 WHERE upto = 120 AND stream = (SELECT min(stream) FROM archived_accounts WHERE upto = 120)`, 120, 120},
		{"archived_accounts", `UPDATE archived_accounts SET asked = '{"p":1}' WHERE upto = 120 AND stream = (SELECT min(stream) FROM archived_accounts WHERE upto = 120)`, 120, 120},
		{"archived_accounts", `DELETE FROM archived_accounts WHERE upto = 120 AND stream = (SELECT min(stream) FROM archived_accounts WHERE upto = 120)`, 120, 120},
		{"archived_events", `UPDATE archived_events SET hashes = set_byte(hashes, 3, 1 # get_byte(hashes, 3)) WHERE position = 33`, 33, 34},
		{"archived_events", `UPDATE archived_events SET hashes = set_byte(hashes, 40, 1 # get_byte(hashes, 40)) WHERE position = 64`, 64, 64},
		{"archived_events", `UPDATE archived_events SET entry = set_byte(entry, 9, 1 # get_byte(entry, 9)) WHERE position = 1`, 1, 1},
		{"archived_events", `DELETE FROM archived_events WHERE position = 50`, 50, 50},
		{"event_index", `DELETE FROM event_index WHERE position = 50`, 50, 50},
		{"archives", `DELETE FROM archives`, 1, 1},
		{"archives", `DELETE FROM archives WHERE upto = 120`, 41, 41},
		{"archives", `DELETE FROM archives WHERE upto = 40`, 120, 120},
		{"archives", `UPDATE archives SET upto = 119 WHERE upto = 120`, 119, 119},
		{"archives", `UPDATE archives SET (manifest, digest) = (SELECT m, sha256(m) FROM (SELECT replace(convert_from(manifest, 'UTF8'), '"accounts": ', '"accounts": 1')::bytea AS m) x) WHERE upto = 120`, 120, 120},
	} {
		c.exec(t, `CREATE TABLE before AS TABLE `+tt.table)
		c.exec(t, tt.change)
		_, err := c.fixture.verify(t)
		var fault *audit.Fault
		if !errors.As(err, &fault) || fault.Position < tt.from || fault.Position > tt.upTo {
			t.Errorf("%s: without the archives: %v", tt.change, err)
		}
		files, err := audit.OpenArchives(t.Context(), c.store, c.folder)
		if err == nil {
			_, err = c.verifyWith(t, files, nil)
		}
		if !errors.As(err, &fault) {
			t.Errorf("%s: with the archives: %v", tt.change, err)
		}
		c.exec(t, `DELETE FROM `+tt.table)
		c.exec(t, `INSERT INTO `+tt.table+` TABLE before`)
		c.exec(t, `DROP TABLE before`)
	}
	for _, table := range []string{"archives", "archived_events", "archived_accounts", "event_index"} {
		_, err := c.fixture.verify(t)
		var fault *audit.Fault
		if !errors.As(err, &fault) || fault.Code != audit.GuardMissing {
			t.Errorf("without the trigger of %s: %v", table, err)
		}
		c.exec(t, `ALTER TABLE `+table+` ENABLE TRIGGER USER`)
		c.exec(t, `ALTER TABLE `+table+` ENABLE ALWAYS TRIGGER `+table+`_append_only`)
	}
	c.proves(t, 120)
}

// A view of an archived log cannot be rebuilt from the database alone. It is not
// served, the others continue, and with the archives it is rebuilt.
func TestViewsOfAnArchivedLog(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 120)
	c.archived(t, c.archiving(t), 120)
	alone := projections.Rebuild{DB: c.pool, Events: c.store}
	if _, err := alone.Run(t.Context(), "balances"); !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("a rebuild without the archives: %v", err)
	}
	whole := projections.Rebuild{DB: c.pool, Events: audit.FullLog{Store: c.store, Archives: c.archives(t)}}
	if done, err := whole.Run(t.Context(), "balances"); err != nil || !done.Switched || done.Differs() || done.Against != "balances_v2" {
		t.Errorf("a rebuild with the archives: %+v, %v", done, err)
	}
	for _, lost := range []string{`SELECT kassa_views.drop('kassa_views', 'users_v1')`, `DROP TABLE kassa_views.users_v1`,
		`UPDATE kassa_views.positions SET position = position + 1000 WHERE view = 'users_v1'`, `UPDATE kassa_views.positions SET position = 119 WHERE view = 'users_v1'`} {
		c.exec(t, lost)
		c.run(t, 3)
		must(t, c.views.CatchUp(t.Context()))
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, _, err := c.tables.User(soon, "u_33_1", 0); !errors.Is(err, projections.ErrBehind) {
			t.Errorf("%s: a user is read: %v", lost, err)
		}
		cancel()
		if _, at, err := c.tables.Balance(t.Context(), "u_33_1", c.head(t)); err != nil || at != c.head(t) {
			t.Errorf("%s: a balance of another view is at %d, %v", lost, at, err)
		}
		whole.Events = audit.FullLog{Store: c.store, Archives: c.archives(t)}
		if done, err := whole.Run(t.Context(), "users"); err != nil || !done.Switched {
			t.Fatalf("%s: the view is built again: %+v, %v", lost, done, err)
		}
		must(t, c.views.CatchUp(t.Context()))
		c.proves(t, 120)
	}
}

// houseWriter appends entries beside those of the workload.
type houseWriter struct {
	archiveFixture
	versions map[eventstore.Stream]eventstore.Version
}

// joined is a writer with ada and bob, who is an admin.
func (c archiveFixture) joined(t testing.TB) houseWriter {
	w := houseWriter{c, map[eventstore.Stream]eventstore.Version{}}
	for _, u := range []domain.UserID{ada, bob} {
		w.append(t, "user:"+string(u), domain.EmailClaimed{User: u}, domain.SignedUp{User: u})
	}
	w.append(t, "operator", domain.AdminGranted{User: bob})
	return w
}

func (w houseWriter) append(t testing.TB, actor string, events ...domain.Event) eventstore.Position {
	t.Helper()
	var writes []eventstore.Write
	for _, e := range events {
		stream := eventstore.AccountStream(e.Subject())
		switch e.(type) {
		case domain.EmailClaimed:
			stream = eventstore.EmailStream("hash-of-" + string(e.Subject()))
		case domain.PeriodClosed:
			stream = eventstore.PeriodsStream
		case domain.AdjustmentLimitsSet, domain.AdjustmentCounted, domain.AdjustmentProposed:
			stream = eventstore.AdjustmentsStream
		}
		if n := len(writes); n > 0 && writes[n-1].Stream == stream {
			writes[n-1].Events = append(writes[n-1].Events, e)
		} else {
			writes = append(writes, eventstore.Write{Stream: stream, Expected: w.versions[stream], Events: []domain.Event{e}})
		}
		w.versions[stream]++
	}
	r, err := w.store.Append(t.Context(), eventstore.Append{Time: time.Now(), Actor: actor, Cause: caused(fmt.Sprint(writes[0].Stream, writes[0].Expected)), Writes: writes})
	must(t, err)
	return r.Position()
}

// An archive may end inside an append, of which only the rest is read without it: what was
// counted in the part before is counted.
func TestAnAppendAcrossTheEndOfAnArchive(t *testing.T) {
	c := newArchiveFixture(t, 2, 40, 20_000)
	w := c.joined(t)
	at := eventstore.Position(0)
	for at < 39 {
		at = w.append(t, "operator", domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{DailyLimit: 1000 + domain.Credits(at)}})
	}
	if last := w.append(t, "user:u_bob", domain.AdjustmentCounted{User: bob, Amount: 70, Used: 70}, proposalOf(ada, bob)); last != 41 {
		t.Fatalf("the proposal is at position %d, which is not the first that is read", last)
	}
	w.append(t, "operator", domain.AdjustmentLimitsSet{}) // the workload counts nothing
	c.run(t, 60)
	must(t, c.workload.EndOpen(t.Context(), c.store))
	must(t, c.views.CatchUp(t.Context()))
	c.archived(t, c.archiving(t), 40)
	for name, files := range map[string]*audit.Archives{"without": nil, "with": c.archives(t)} {
		if _, err := c.verifyWith(t, files, nil); err != nil {
			t.Errorf("%s the archive: %v", name, err)
		}
	}
}

// Months that ended in an archive, and behind it. Without the archive it is not known with
// which entry the first ended, only that it is archived.
func TestClosedPeriodsOfAnArchive(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 20_000)
	w := c.joined(t)
	must(t, c.views.CatchUp(t.Context()))
	var highest []time.Time // up to each position
	must(t, c.store.Scan(t.Context(), 0, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			if n := len(highest); n > 0 && rec.Time.Before(highest[n-1]) {
				rec.Time = highest[n-1]
			}
			highest = append(highest, rec.Time)
		}
		return nil
	}))
	c.archived(t, c.archiving(t), 40)
	from := eventstore.Earliest
	closes := func(near eventstore.Position, change func(last int64) int64) want {
		until := highest[near-1]
		last, _ := slices.BinarySearchFunc(highest, until, time.Time.Compare)
		at := w.append(t, "user:u_bob", domain.PeriodClosed{Admin: bob, From: from, Until: until, Zone: "UTC", Position: change(int64(last)), Digest: february.Digest})
		from = until
		return want{audit.PeriodDiffers, at}
	}
	right := func(last int64) int64 { return last }
	early := func(last int64) int64 { return last - 1 }
	closes(20, right)
	archived := closes(25, early)
	late := closes(30, func(int64) int64 { return 45 })
	closes(60, right)
	behind := closes(80, early)
	must(t, c.views.CatchUp(t.Context()))
	_, err := c.verifyWith(t, nil, nil)
	finds(t, err, late, behind)
	_, err = c.verifyWith(t, c.archives(t), nil)
	finds(t, err, archived, late, behind)
}

// A process that has accounts in memory goes on with them when their entries are archived.
func TestAccountsInMemoryOfAnArchive(t *testing.T) {
	c := newArchiveFixture(t, 2, 40, 20_000)
	w := c.joined(t)
	must(t, c.views.CatchUp(t.Context()))
	for at := eventstore.Position(0); at < 41; {
		at = w.append(t, "operator", domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{DailyLimit: 1000 + domain.Credits(at)}})
	}
	must(t, c.views.CatchUp(t.Context()))
	before, err := c.store.Refresh(t.Context(), bob)
	must(t, err)
	c.archived(t, c.archiving(t), 40)
	for range 2 {
		now, err := c.store.Refresh(t.Context(), bob)
		must(t, err)
		if now.Version != before.Version || !now.Account.Admin {
			t.Errorf("bob is %+v at version %d, and was at %d", now.Account, now.Version, before.Version)
		}
	}
}

// A damaged entry of an archive has its own fault, also where a month was closed before it.
func TestADamagedArchiveWithAClosedPeriod(t *testing.T) {
	c := newArchiveFixture(t, 2, 40, 20_000)
	w := c.joined(t)
	closed := w.append(t, "user:u_bob", domain.PeriodClosed{Admin: bob, From: eventstore.Earliest, Until: eventstore.Earliest.Add(time.Second), Zone: "UTC", Position: 1, Digest: february.Digest})
	for at := closed; at < 41; {
		at = w.append(t, "operator", domain.AdjustmentLimitsSet{AdjustmentLimits: domain.AdjustmentLimits{DailyLimit: 1000 + domain.Credits(at)}})
	}
	must(t, c.views.CatchUp(t.Context()))
	c.archived(t, c.archiving(t), 40)
	_, err := c.verifyWith(t, c.archives(t), nil)
	must(t, err)
	file := filepath.Join(c.folder, "kassa-log-000000000001-000000000040", "entries.jsonl")
	entries, err := os.ReadFile(file)
	must(t, err)
	lines := bytes.SplitAfter(entries, []byte("\n"))
	lines[38] = []byte("{\n")
	must(t, os.WriteFile(file, bytes.Join(lines, nil), 0o600))
	_, err = c.verifyWith(t, c.archives(t), nil)
	faultAt(t, err, 39)
}
