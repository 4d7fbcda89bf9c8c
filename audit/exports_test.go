package audit_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kassa/audit"
	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// exported writes an export of the log, to its end where none is given.
func exported(t testing.TB, x audit.Export) ([]byte, audit.ExportHead) {
	t.Helper()
	if x.UpTo == 0 {
		log, err := x.Log.Head(t.Context())
		must(t, err)
		x.UpTo = log.Size
	}
	var out bytes.Buffer
	head, err := x.Write(t.Context(), &out)
	must(t, err)
	return out.Bytes(), head
}

// loaded loads an export into a temporary ledger, and verifies that, as kassa verify
// --export-file does. The store is nil where it could not be loaded.
func loaded(t testing.TB, export []byte, kept *eventstore.Head) (audit.Report, *eventstore.Store, error) {
	t.Helper()
	db, err := schema.ScratchSQLite(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	store, err := eventstore.SQLite(t.Context(), db)
	must(t, err)
	t.Cleanup(store.Close)
	r, err := audit.OpenExport(bytes.NewReader(export), nil)
	if err == nil {
		_, err = audit.Import(t.Context(), store, r)
	}
	if err != nil {
		return audit.Report{}, nil, err
	}
	report, err := audit.Ledger{Store: store, Kept: kept, Alone: true}.Verify(t.Context())
	return report, store, err
}

// An export is verified by itself with the result of the log's own verification, and
// imported with the same root: into an empty ledger, into one with its first entries, and
// into no other.
func TestExportIsVerifiedAndImported(t *testing.T) {
	l := newLedger(t, 21, 70)
	want, err := l.verify(t)
	must(t, err)
	log := audit.FullLog{Store: l.read(t)}
	whole, head := exported(t, audit.Export{Log: log, Format: audit.JSONL})
	report, _, err := loaded(t, whole, &l.head)
	must(t, err)
	want.Duration, report.Duration, want.Snapshots = 0, 0, 0
	if fmt.Sprint(report) != fmt.Sprint(want) || head.Head() != l.head {
		t.Errorf("the export's report is %+v, the log's %+v", report, want)
	}

	imports := func(store *eventstore.Store, export []byte) (eventstore.Head, error) {
		r, err := audit.OpenExport(bytes.NewReader(export), nil)
		must(t, err)
		return audit.Import(t.Context(), store, r)
	}
	part, cut := exported(t, audit.Export{Log: log, Format: audit.JSONL, UpTo: 100})
	if cut.UpTo < 100 || cut.Head() != l.headAt(t, cut.UpTo) {
		t.Errorf("the export up to 100 ends with %+v", cut)
	}
	for name, store := range map[string]*eventstore.Store{"SQLite": emptyFile(t), "PostgreSQL": emptyPostgres(t)} {
		for _, export := range [][]byte{part, whole, whole} {
			if _, err := imports(store, export); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got := audittest.CheckLedger(t, store); got.Head != l.head {
			t.Errorf("%s has the head %v after the import, the export %v", name, got.Head, l.head)
		}
		if _, err := imports(store, part); !errors.Is(err, eventstore.ErrDiverged) {
			t.Errorf("%s: an export with fewer entries gave %v", name, err)
		}
	}
	other := emptyFile(t)
	_, err = eventstoretest.NewWorkload(22, 3).Step(t.Context(), other, 8)
	must(t, err)
	before := audittest.CheckLedger(t, other).Head
	if _, err := imports(other, whole); !errors.Is(err, eventstore.ErrDiverged) || audittest.CheckLedger(t, other).Head != before {
		t.Errorf("importing into another ledger gave %v", err)
	}
	if _, err := imports(log.Store, whole); !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("importing into a ledger that is only read gave %v", err)
	}
}

func emptyFile(t testing.TB) *eventstore.Store {
	t.Helper()
	store, shut := open(t, filepath.Join(t.TempDir(), "kassa.db"))
	t.Cleanup(shut)
	return store
}

func emptyPostgres(t testing.TB) *eventstore.Store {
	t.Helper()
	pool, err := schema.OpenPostgres(t.Context(), schematest.Postgres(t), 4)
	must(t, err)
	t.Cleanup(pool.Close)
	store, err := eventstore.Postgres(t.Context(), pool)
	must(t, err)
	t.Cleanup(store.Close)
	return store
}

// Every change of an export is found at its position.
func TestTamperedExport(t *testing.T) {
	l := newLedger(t, tamperSeed, 40)
	whole, _ := exported(t, audit.Export{Log: audit.FullLog{Store: l.read(t)}, Format: audit.JSONL})
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	rng := rand.New(rand.NewPCG(tamperSeed, 3))
	for range 30 {
		forged := bytes.Clone(whole)
		at := rng.IntN(len(forged))
		forged[at] ^= 1 << rng.IntN(8)
		_, _, err := loaded(t, forged, nil)
		if line := eventstore.Position(bytes.Count(whole[:at], []byte("\n"))); line > 0 {
			faultAt(t, err, line)
		} else if err == nil {
			t.Errorf("a changed byte of the first line was not found: %s", bytes.SplitN(forged, []byte("\n"), 2)[0])
		}
	}
	without := func(i int) [][]byte { return slices.Delete(slices.Clone(lines), i, i+1) }
	for name, tt := range map[string]struct {
		lines [][]byte
		want  want
	}{
		"a line removed":          {without(30), want{audit.EntryMissing, 30}},
		"the last line removed":   {without(int(l.head.Size)), want{audit.EntryMissing, l.head.Size}},
		"a line twice":            {slices.Insert(slices.Clone(lines), 30, lines[30]), want{audit.EntryUnexpected, 31}},
		"another line at the end": {append(slices.Clone(lines), []byte("\n{}")), want{audit.EntryUnexpected, l.head.Size + 1}},
		"two lines exchanged":     {slices.Concat(lines[:30], lines[31:32], lines[30:31], lines[32:]), want{audit.EntryMissing, 30}},
		"a line without its end":  {slices.Concat(lines[:l.head.Size], [][]byte{lines[l.head.Size][:90]}), want{audit.EntryUnreadable, l.head.Size}},
		"another root":            {slices.Concat([][]byte{bytes.Replace(lines[0], l.hex(), bytes.Repeat([]byte("0"), 64), 1)}, lines[1:]), want{audit.RootDiffers, l.head.Size}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := loaded(t, bytes.Join(tt.lines, nil), nil)
			finds(t, err, tt.want)
		})
	}
}

func (l ledger) hex() []byte { return []byte(l.head.Root.String()) }

// What is wrong in a log is wrong in its export: verify finds the same in both, but for the
// columns beside the entries, which an export does not have. A history that was rewritten
// as a whole is found by a kept head in both.
func exportFinds(t *testing.T, l ledger, direct error) {
	t.Helper()
	export, _ := exported(t, audit.Export{Log: audit.FullLog{Store: l.read(t)}, Format: audit.JSONL})
	_, _, err := loaded(t, export, nil)
	var f *audit.Fault
	if errors.As(direct, &f) && f.Code == audit.ColumnDiffers {
		direct = nil
	}
	if fmt.Sprint(err) != fmt.Sprint(direct) {
		t.Errorf("of the export: %v\nof the log: %v", err, direct)
	}
}

func TestExportOfATamperedLog(t *testing.T) {
	l := newLedger(t, 11, 70)
	rewritten, at := l.rewritten(t, 100)
	export, _ := exported(t, audit.Export{Log: audit.FullLog{Store: rewritten.read(t)}, Format: audit.JSONL})
	_, _, err := loaded(t, export, nil)
	must(t, err)
	_, _, err = loaded(t, export, &l.head)
	faultAt(t, err, l.head.Size)
	honest := l.headAt(t, at-1)
	_, _, err = loaded(t, export, &honest)
	must(t, err)
}

// The export of a log whose beginning is archived is that of before, byte by byte, in every
// format; without the archives it is refused.
func TestExportOfAnArchivedLog(t *testing.T) {
	c := newArchiveFixture(t, 60, 40, 120)
	formats := []audit.Format{audit.JSONL, audit.CSV, audit.Hledger, audit.Beancount}
	write := func(archives *audit.Archives) (list [][]byte) {
		for _, format := range formats {
			for _, from := range []eventstore.Position{1, 50} {
				whole, _ := exported(t, audit.Export{Log: audit.FullLog{Store: c.store, Archives: archives}, Format: format, From: from})
				list = append(list, whole)
			}
		}
		return list
	}
	before := write(nil)
	c.archived(t, c.archiving(t), 120)
	for i, after := range write(c.archives(t)) {
		if !bytes.Equal(after, before[i]) {
			t.Errorf("%s differs with archives", formats[i/2])
		}
	}
	_, err := audit.Export{Log: audit.FullLog{Store: c.store}, Format: audit.JSONL, UpTo: 121}.Write(t.Context(), &bytes.Buffer{})
	if !errors.Is(err, eventstore.ErrArchived) {
		t.Errorf("without the archives: %v", err)
	}
}

// An empty log is exported, verified and imported as any other.
func TestExportOfAnEmptyLog(t *testing.T) {
	store := emptyFile(t)
	for _, format := range []audit.Format{audit.CSV, audit.Hledger, audit.Beancount} {
		exported(t, audit.Export{Log: audit.FullLog{Store: store}, Format: format})
	}
	whole, head := exported(t, audit.Export{Log: audit.FullLog{Store: store}, Format: audit.JSONL})
	report, _, err := loaded(t, whole, nil)
	must(t, err)
	if report.Head != head.Head() || report.Head.Size != 0 {
		t.Errorf("the export says %+v, its verification %+v", head, report.Head)
	}
	_, _, err = loaded(t, bytes.Replace(whole, []byte(head.Root.String()[:8]), []byte("00000000"), 1), nil)
	finds(t, err, want{audit.RootDiffers, 0})
}

// What a forged id or actor has in it cannot become another line, account or comment of a
// journal; and nothing in a journal or table is text that people wrote, or sealed.
func TestJournalsOfOddNames(t *testing.T) {
	odd := domain.UserID("u_x; y\n2026-01-01 z\"")
	c := validLog()
	c.signUp(odd)
	c.deposit(odd, 5, "pay-2").actor = "user:a\n; date: b"
	c.by("user:u_bob", decided(c.of(ada).Adjust(domain.Account{User: bob, Admin: true}, domain.Correction{Amount: 7, Kind: domain.GivenCredits, Reason: "date: =a gift"}))...)
	log := audit.FullLog{Store: forge(t, c.log).read(t)}
	account := `[0-9A-Za-z_:.%-]+`
	for format, lines := range map[audit.Format]string{
		audit.Hledger:   `^(|; The log of .*|account ` + account + `  ; type: [ALERX]|\d{4}-\d\d-\d\d \(\d+\) \w+  ; time: \S+, actor: [0-9A-Za-z_:.?-]*, causation: [0-9A-Za-z_:.?-]*|    ` + account + `  -?\d+ CREDIT( = -?\d+ CREDIT)?)$`,
		audit.Beancount: `^(|;; The log of .*|option "\w+" "\w+"|\d{4}-\d\d-\d\d (open [A-Za-z0-9:-]+ CREDIT|\* "\w+"|balance [A-Za-z0-9:-]+  -?\d+ CREDIT)|  position: \d+|  (time|actor|causation): "[0-9A-Za-z_:.?-]*"|  [A-Za-z0-9:-]+  -?\d+ CREDIT)$`,
	} {
		journal, _ := exported(t, audit.Export{Log: log, Format: format})
		for line := range strings.Lines(string(journal)) {
			if !regexp.MustCompile(lines).MatchString(strings.TrimSuffix(line, "\n")) {
				t.Errorf("%s has the line %q", format, line)
			}
		}
		if strings.Contains(string(journal), "gift") || !strings.Contains(string(journal), "BalanceAdjusted") {
			t.Errorf("%s has a reason in it, or no adjustment:\n%s", format, journal)
		}
	}
	if table, _ := exported(t, audit.Export{Log: log, Format: audit.CSV}); bytes.Contains(table, []byte("gift")) || bytes.Contains(table, []byte("sealed")) {
		t.Errorf("the table has a reason in it:\n%s", table)
	}
}

// The table of postings adds up to the trial balance, and has nothing that people wrote.
func TestExportAsATable(t *testing.T) {
	l := newLedger(t, 23, 70)
	want, err := l.verify(t)
	must(t, err)
	table, _ := exported(t, audit.Export{Log: audit.FullLog{Store: l.read(t)}, Format: audit.CSV})
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	must(t, err)
	sums, positions := map[string]domain.Credits{}, map[string]bool{}
	for _, row := range rows[1:] {
		var amount domain.Credits
		if row[9] != "" {
			_, err := fmt.Sscan(row[9], &amount)
			must(t, err)
		}
		account := row[8]
		if strings.HasPrefix(account, "user:") {
			account = account[strings.LastIndexByte(account, ':'):]
		}
		sums[account] += amount
		positions[row[0]] = true
	}
	for account, amount := range want.House {
		if sums[string(account)] != amount {
			t.Errorf("%s adds up to %d, want %d", account, sums[string(account)], amount)
		}
	}
	if sums[":available"] != want.Available-want.Given || sums[":held"] != want.Held-want.GivenHeld || sums[":given"] != want.Given || sums[":given_held"] != want.GivenHeld {
		t.Errorf("the accounts of persons add up to %v, want %+v", sums, want)
	}
	if len(positions) != int(l.head.Size) {
		t.Errorf("%d entries are in the table, want %d", len(positions), l.head.Size)
	}
	_, err = audit.Export{Log: audit.FullLog{Store: l.read(t)}, Format: audit.CSV, UpTo: l.head.Size + 1}.Write(t.Context(), &bytes.Buffer{})
	if !errors.Is(err, audit.ErrRange) {
		t.Errorf("an end behind the log gave %v", err)
	}
}
