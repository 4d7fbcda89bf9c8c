package audit_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// verifyProved audits the file, and keeps what it proves in another or goes on from there.
// That guards are missing, which these files lack, is left out.
func (l ledger) verifyProved(t testing.TB, proved string) (audit.Report, error) {
	t.Helper()
	report, err := audit.Ledger{Store: l.read(t), Proved: proved}.Verify(t.Context())
	var found *audit.Faults
	if errors.As(err, &found) {
		found.List = slices.DeleteFunc(found.List, func(f *audit.Fault) bool { return f.Code == audit.GuardMissing })
		if len(found.List) == 0 {
			err = nil
		}
	}
	return report, err
}

// resumes checks a forged log that an auditor has seen when it was the valid one: what is
// found behind the entries of then is what a whole replay finds, and that any of those was
// changed is found by the tree.
func resumes(t *testing.T, c *logBuilder, whole error) {
	t.Helper()
	valid := validLog()
	proved := filepath.Join(t.TempDir(), "proved")
	_, err := forge(t, valid.log).verifyProved(t, proved)
	must(t, err)
	_, err = forge(t, c.log).verifyProved(t, proved)
	if len(c.log) < len(valid.log) || !reflect.DeepEqual(c.log[:len(valid.log)], valid.log) {
		var found *audit.Fault
		if !errors.As(err, &found) || found.Code != audit.HeadNotKept && found.Code != audit.EntryMissing {
			t.Errorf("going on from a log with other entries gave %v", err)
		}
		return
	}
	if !reflect.DeepEqual(err, whole) {
		t.Errorf("going on found %v, a whole replay %v", err, whole)
	}
}

// A log that grows is verified in pieces, each from where the one before ended, and comes to
// the same as in one.
func TestVerifyResumed(t *testing.T) {
	l := ledger{file: filepath.Join(t.TempDir(), "kassa.db")}
	proved := filepath.Join(t.TempDir(), "proved")
	workload := eventstoretest.NewWorkload(7, 5)
	var before eventstore.Position
	for round, appends := range []int{60, 40, 0, 30} {
		store, shut := open(t, l.file)
		for range appends {
			_, err := workload.Step(t.Context(), store, 30)
			must(t, err)
		}
		shut()
		whole, err := l.verify(t)
		must(t, err)
		report, err := l.verifyProved(t, proved)
		must(t, err)
		if report.Resumed != before || report.Proved != whole.Head.Size {
			t.Errorf("round %d: positions %d to %d were proved, want %d to %d", round, report.Resumed, report.Proved, before, whole.Head.Size)
		}
		before = report.Proved
		report.Resumed, report.Duration, report.Snapshots = 0, whole.Duration, whole.Snapshots
		if !reflect.DeepEqual(report, whole) {
			t.Errorf("round %d: going on came to\n%+v, a whole replay to\n%+v", round, report, whole)
		}
	}
	partial, err := filepath.Glob(proved + "*")
	if err != nil || len(partial) != 1 {
		t.Errorf("beside the file there is %v, %v", partial, err)
	}
}

// What the file does not prove: a changed byte of an old entry, under a tree that is as it was,
// is found by a whole replay only. A shorter log, and a file that is damaged, are found.
func TestVerifyResumedWithoutReadingAgain(t *testing.T) {
	l := newLedger(t, 9, 70)
	proved := filepath.Join(t.TempDir(), "proved")
	_, err := l.verifyProved(t, proved)
	must(t, err)
	changed := l.tampered(t, func(conn *sql.Conn) {
		exec(t, conn, `UPDATE events SET entry = CAST(entry || 'x' AS BLOB) WHERE position = 5`)
	})
	_, err = changed.verifyProved(t, proved)
	must(t, err)
	_, err = changed.verify(t)
	faultAt(t, err, 5)

	_, err = forge(t, validLog().log).verifyProved(t, proved)
	var found *audit.Fault
	if !errors.As(err, &found) || found.Code != audit.EntryMissing {
		t.Errorf("a log that is shorter than what was proved gave %v", err)
	}

	content, err := os.ReadFile(proved)
	must(t, err)
	for _, at := range []int{1, len(content) / 2, len(content) - 40, len(content) - 1} {
		damaged := append([]byte(nil), content...)
		damaged[at] ^= 1
		must(t, os.WriteFile(proved, damaged, 0o600))
		if _, err = l.verifyProved(t, proved); errors.As(err, &found) || err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("a file with another byte %d gave %v", at, err)
		}
	}
	must(t, os.WriteFile(proved, nil, 0o600))
	if _, err = l.verifyProved(t, proved); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("an empty file gave %v", err)
	}
}
