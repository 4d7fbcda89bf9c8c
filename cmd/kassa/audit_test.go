package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// An auditor exports the log with a login that may only read, verifies the file by itself,
// and loads it into an empty ledger, which has the same head. A changed file is refused with
// the position, and nothing of it is loaded. A view that was wrong once, and attested so, is
// found, and keeps nobody from loading the log or from recovering it.
func TestExportVerifyImport(t *testing.T) {
	address, _, store := lived(t)
	head, err := store.Head(t.Context())
	must(t, err)
	kept := fmt.Sprintf("%d:%s", head.Size, head.Root)
	login := auditor(t, address)
	ok := func(says string, args ...string) string {
		t.Helper()
		code, out, complaints := kassa(t, args...)
		if code != 0 || !strings.Contains(out+complaints, says) {
			t.Fatalf("kassa %s: exit code %d, want %q\n%s%s", strings.Join(args, " "), code, says, out, complaints)
		}
		return out
	}
	refused := func(code int, says string, args ...string) {
		t.Helper()
		if got, out, complaints := kassa(t, args...); got != code || !strings.Contains(out+complaints, says) {
			t.Errorf("kassa %s: exit code %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, says, out, complaints)
		}
	}
	file, data := filepath.Join(t.TempDir(), "log.jsonl"), t.TempDir()
	whole := ok(kept, "audit", "export", "--database-url", login)
	must(t, os.WriteFile(file, []byte(whole), 0o600))
	ok("This is the log alone", "verify", "--export-file", file, "--kept", kept)
	ok(kept, "audit", "import", file, "--data", data)
	ok(kept, "verify", "--data", data)
	ok(kept, "audit", "import", file, "--data", data)
	if again := ok(kept, "audit", "export", "--data", data); again != whole {
		t.Error("the export of the imported ledger is another")
	}
	if journal := ok("opening balances", "audit", "export", "--export-file", file, "--format", "hledger", "--from", "100"); strings.Contains(journal, "(99)") || !strings.Contains(journal, " (10") {
		t.Errorf("the journal from position 100 is\n%s", journal)
	}
	if whole := ok("positions 1 to 0", "audit", "export", "--data", data, "--format", "csv", "--to", "2020-02-29"); strings.Count(whole, "\n") != 1 {
		t.Errorf("the table up to a day before the first entry is\n%s", whole)
	}
	refused(exitUsage, "is no position, no time", "audit", "export", "--data", data, "--to", "yesterday")
	refused(exitUsage, "does not have these entries", "audit", "export", "--data", data, "--to", "1000000")
	refused(exitUnable, "no export of a log", "verify", "--export-file", "audit_test.go")

	askThePast(t, ok, refused, data, file)

	lines := bytes.SplitAfter([]byte(whole), []byte("\n"))
	lines[50] = bytes.Replace(lines[50], []byte(`"entry":"AT`), []byte(`"entry":"AU`), 1)
	must(t, os.WriteFile(file, bytes.Join(lines, nil), 0o600))
	refused(exitFailed, "position 50: the entry is not the one that was hashed (entry_changed)", "verify", "--export-file", file)
	empty := t.TempDir()
	refused(exitFailed, "nothing was imported", "audit", "import", file, "--data", empty)
	if list, err := os.ReadDir(empty); err != nil || len(list) > 0 {
		t.Errorf("a refused import left %v, %v", list, err)
	}
	wrong := domain.ViewsAttested{Program: "test", Views: []domain.AttestedView{{View: "balances_v2", Position: 1, State: strings.Repeat("0", 64)}}}
	_, err = store.Append(t.Context(), eventstore.Append{Time: time.Now(), Actor: "system:attester", Cause: eventstore.ByPosition(1),
		Writes: []eventstore.Write{{Stream: eventstore.AttestationsStream, Events: []domain.Event{wrong}}}})
	must(t, err)
	must(t, os.WriteFile(file, []byte(ok("The head at their end", "audit", "export", "--database-url", login)), 0o600))
	refused(exitFailed, "state_differs", "verify", "--export-file", file)
	ok("The ledger has the", "audit", "import", file, "--data", empty)
	ok("was replayed", "recover", "--data", empty, "--unproved")
}

// askThePast tries the commands that read what was: as tables, and as JSON.
func askThePast(t *testing.T, ok func(says string, args ...string) string, refused func(code int, says string, args ...string), data, file string) {
	t.Helper()
	now := ok("sum of what is given", "audit", "trial-balance", "--data", data)
	if _, books, _ := strings.Cut(now, "\n\n"); !strings.Contains(ok("whole", "verify", "--data", data), books) {
		t.Errorf("the trial balance is not that of verify:\n%s", now)
	}
	ok(`"position":120`, "audit", "trial-balance", "--as-of", "120", "--export-file", file, "--json")
	ok("withdrawable", "audit", "balance", "--user", "u_1_1", "--as-of", "120", "--data", data)
	ok(`"position":120,"user_id":"u_1_1"`, "audit", "balance", "--user", "u_1_1", "--as-of", "120", "--data", data, "--json")
	ok("house:revenue at position 0: 0", "audit", "balance", "--account", "house:revenue", "--as-of", "2026-02-28T23:59:59Z", "--data", data)
	history := ok("SignedUp", "audit", "history", "u_1_1", "--data", data)
	ok("reason", "audit", "adjustments", "--since", "100", "--data", data)
	if lines := ok("position,time,event", "audit", "history", "u_1_1", "--data", data, "--csv"); strings.Count(lines, "\n") != strings.Count(history, "\n") {
		t.Errorf("the history as CSV is\n%s", lines)
	}
	ok("From position 100 to 200", "audit", "diff", "100", "200", "--data", data)
	ok("begins with exactly", "audit", "bisect", file, "--data", data)
	asked := regexp.MustCompile(`(?m)^(\d+) .*PredictionRequested`).FindStringSubmatch(history)
	if asked == nil {
		t.Fatalf("the history is\n%s", history)
	}
	first := func(of string) string {
		return regexp.MustCompile(`"prediction_id":"([^"]*)"`).FindStringSubmatch(ok("u_1_1", "events", "--data", data, "--json", "--stream", "account-u_1_1", "--type", of))[1]
	}
	ok("position "+asked[1]+",", "audit", "explain", first("PredictionRequested"), "--data", data)
	ok("confidence in the first film: probable (830 per mille)", "audit", "explain", first("PredictionCompleted"), "--data", data)
	refused(exitFailed, "no question with this id", "audit", "explain", "p_none", "--data", data)
	refused(exitFailed, "there is no account u_none", "audit", "balance", "--user", "u_none", "--data", data)
	refused(exitUsage, "is behind", "audit", "diff", "200", "100", "--data", data)
	refused(exitUsage, "", "audit", "balance", "--data", data)
	refused(exitUsage, "two forms", "audit", "history", "u_1_1", "--data", data, "--csv", "--json")
}
