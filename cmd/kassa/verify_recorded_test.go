package main

import (
	"database/sql"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/eventstore"
)

// A service attests what it serves and records its films; verify and doctor compare both, a
// verification is recorded on the console, and films that are changed by hand are found.
func TestWhatAServiceRecords(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "--attest-every", "1s")
	s.signUp(t, newHTTP(), "ada@example.com")
	recorded := func() bool {
		_, out, _ := kassa(t, "events", "--data", data)
		return strings.Contains(out, "ViewsAttested") && strings.Contains(out, "CatalogueRecorded")
	}
	for deadline := time.Now().Add(2 * time.Minute); !recorded(); {
		if time.Now().After(deadline) {
			t.Fatal("nothing was recorded")
		}
	}
	s.interrupt(t)
	says := func(code int, says string, args ...string) {
		t.Helper()
		if got, out, complaints := kassa(t, append(args, "--data", data)...); got != code || !strings.Contains(out, says) {
			t.Errorf("kassa %v: exit code %d, want %d and %q\n%s%s", args, got, code, says, out, complaints)
		}
	}
	says(0, "and each is what the log gives", "verify")
	says(0, "The films and vectors are those that were recorded", "verify")
	says(0, "That is recorded at position", "verify", "--record", "olga")
	says(0, `"by":"olga"`, "events", "--json")
	says(exitUsage, "", "verify", "--record", strings.Repeat("o", 101))
	says(0, "as they were recorded at position", "doctor", "--addr", "127.0.0.1:0")

	db, err := sql.Open("sqlite", filepath.Join(data, "kassa.db"))
	if err == nil {
		_, err = db.ExecContext(t.Context(), `UPDATE vectors SET vector = (SELECT vector FROM vectors LIMIT 1)`)
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	says(exitFailed, "catalogue_differs", "verify")
	says(exitFailed, "catalogue_differs", "doctor", "--addr", "127.0.0.1:0")
}

// A run that a fault or something else ended before the log's end is not recorded, in no ledger.
func TestVerificationsThatEndedEarly(t *testing.T) {
	t.Parallel()
	faults := &audit.Faults{List: []*audit.Fault{{Code: audit.EntryChanged, Position: 4}}}
	for name, tt := range map[string]struct {
		proved  eventstore.Position
		verdict error
	}{
		"a fault ended the replay":        {3, faults},
		"what is beside was not compared": {9, errors.Join(faults, io.ErrUnexpectedEOF)},
		"nothing was found so far":        {3, io.ErrUnexpectedEOF},
	} {
		var out strings.Builder
		v := verifyCommand{Record: "olga"}
		v.Data = t.TempDir() // without a ledger
		report := audit.Report{Head: eventstore.Head{Size: 9}, Proved: tt.proved}
		if err := v.record(t.Context(), &console{out: &out}, report, tt.verdict); err != nil || !strings.Contains(out.String(), "NOT recorded") {
			t.Errorf("%s: recording it gave %q, %v", name, out.String(), err)
		}
	}
}
