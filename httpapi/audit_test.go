package httpapi

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/audit"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/auditing"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/transparency"
)

// audited is a ledger of a month, with an auditor.
func audited(t *testing.T) (w published, h http.Handler, ada domain.UserID) {
	t.Helper()
	w = newPublished(t)
	ada = w.addUser("ada")
	w.addUser("root")
	w.setAdmin("root", true)
	for _, move := range []commands.Move{{User: ada, Amount: 100}, {User: ada, Amount: 40}} {
		_, err := w.server.Commands.Deposit(t.Context(), move)
		must(t, err)
		w.clock.advance(time.Hour)
	}
	for i, reason := range []string{"a gift", "=refund of March", "a gift"} {
		r, err := w.server.Commands.Adjust(t.Context(), commands.Adjust{Admin: w.env.User(email("root")), User: ada, Correction: domain.Correction{Amount: domain.Credits(10 * (i + 1)), Reason: reason}})
		must(t, err)
		w.env.WaitFor(r.Position)
		w.clock.advance(time.Hour)
	}
	return w, w.server.Handler(), ada
}

func answered[T any](t *testing.T, answer *httptest.ResponseRecorder) (out T) {
	t.Helper()
	want(t, answer, http.StatusOK, "")
	decodeJSON(t, answer.Body.Bytes(), &out)
	return out
}

// The state of the log, its trial balance at every position, and its course are what package
// audit says of it.
func TestAuditOfTheLog(t *testing.T) {
	w, h, _ := audited(t)
	w.sign()
	log := audit.FullLog{Store: w.store}
	head, err := w.store.Head(t.Context())
	must(t, err)
	state := answered[auditing.State](t, w.send(h, "GET", "/api/audit/log", "root", ""))
	if state.Size != head.Size || state.Root != head.Root || state.Signed == nil || !state.Signed.Continued || state.Signed.Size != head.Size || state.Signed.WaitingSince != nil || state.Views["memory"] != head.Size {
		t.Errorf("the state is %+v, %+v", state, state.Signed)
	}
	for at := range head.Size + 1 {
		got := answered[auditing.Balance](t, w.send(h, "GET", "/api/audit/trial?as_of="+cursorOf(int64(at))+zero(at), "root", ""))
		want, err := audit.TrialAt(t.Context(), log, at)
		must(t, err)
		if a, b := jsonOf(t, got.Trial), jsonOf(t, want); a != b {
			t.Errorf("at position %d %s, want %s", at, a, b)
		}
		if bought, given := auditing.Owed(want); got.Owed.Credits != bought || got.Gifts != given {
			t.Errorf("at position %d %d are owed and %d are gifts, want %d and %d", at, got.Owed.Credits, got.Gifts, bought, given)
		}
	}
	course := answered[struct{ Items []audit.Moving }](t, w.send(h, "GET", "/api/audit/course", "root", ""))
	last, err := audit.TrialAt(t.Context(), log, head.Size)
	must(t, err)
	if n := len(course.Items); n != courseSteps || jsonOf(t, course.Items[n-1].Trial) != jsonOf(t, last) {
		t.Errorf("the course has %d steps, the last %+v", n, course.Items[n-1])
	}
	for query, code := range map[string]domain.Code{"as_of=99999": problem.InvalidMoment, "as_of=yesterday": problem.InvalidMoment, "asof=1": problem.UnknownParameter} {
		want(t, w.send(h, "GET", "/api/audit/trial?"+query, "root", ""), http.StatusUnprocessableEntity, code)
	}
}

// What the log says of the views, the films and the last verification is shown with its entry.
func TestAuditOfRecords(t *testing.T) {
	w, h, _ := audited(t)
	if state := answered[auditing.State](t, w.send(h, "GET", "/api/audit/log", "root", "")); state.Attested != nil || state.Catalogue != nil || state.Verified != nil {
		t.Errorf("nothing was recorded, and the state is %+v", state)
	}
	head, err := w.store.Head(t.Context())
	must(t, err)
	must(t, w.env.Memory.Wait(t.Context(), head.Size))
	views := domain.ViewsAttested{Program: "test", Views: w.env.Memory.States()}
	films, err := w.env.Record(t.Context())
	must(t, err)
	verified := domain.LedgerVerified{By: "olga", Program: "test", Position: int64(head.Size), Root: head.Root.String()}
	attested, err := w.server.Commands.AttestViews(t.Context(), 0, views)
	must(t, err)
	recorded, err := w.server.Commands.RecordCatalogue(t.Context(), 0, head.Size, films)
	must(t, err)
	looked, err := w.server.Commands.RecordVerification(t.Context(), verified)
	must(t, err)
	state := answered[auditing.State](t, w.send(h, "GET", "/api/audit/log", "root", ""))
	at := func(position eventstore.Position) auditing.RecordedAt {
		return auditing.RecordedAt{At: position, Time: w.clock.Now().UTC().Truncate(time.Microsecond)}
	}
	for name, pair := range map[string][2]any{
		"attested":  {state.Attested, &auditing.Attested{RecordedAt: at(attested), ViewsAttested: views}},
		"catalogue": {state.Catalogue, &auditing.Catalogue{RecordedAt: at(recorded), CatalogueRecorded: films}},
		"verified":  {state.Verified, &auditing.Verified{RecordedAt: at(looked), LedgerVerified: verified}},
	} {
		if have, want := jsonOf(t, pair[0]), jsonOf(t, pair[1]); have != want {
			t.Errorf("%s is shown as %s, want %s", name, have, want)
		}
	}
}

func zero(at eventstore.Position) string {
	if at == 0 {
		return "0"
	}
	return ""
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

// Every entry has the path of its leaf to the signed root, which tlog proves too.
func TestAuditOfAnEntry(t *testing.T) {
	w, h, _ := audited(t)
	w.sign()
	signed, err := w.store.Head(t.Context())
	must(t, err)
	keys, err := transparency.ParsePublicKeys(w.public)
	must(t, err)
	for _, rec := range w.env.Log() {
		entry := answered[auditing.Entry](t, w.send(h, "GET", "/api/audit/entries/"+cursorOf(int64(rec.Position)), "root", ""))
		if entry.Leaf != eventstore.LeafHash(rec.Entry) || entry.Proof == nil || !entry.Proof.Signed || entry.Proof.Root != signed.Root || entry.Proof.Size != signed.Size {
			t.Fatalf("%+v, proof %+v", entry, entry.Proof)
		}
		var path tlog.RecordProof
		for _, step := range entry.Proof.Steps {
			path = append(path, tlog.Hash(step.Hash))
			hash, err := tlog.TreeHash(int64(step.UpTo-step.From+1), hashesOf(w.env.Log()[step.From-1:step.UpTo]))
			if err != nil || tlog.Hash(step.Hash) != hash || step.Left != (step.UpTo < rec.Position) {
				t.Errorf("a step of entry %d names entries %d to %d, whose hash is %s and not %s (%v)", rec.Position, step.From, step.UpTo, hash, step.Hash, err)
			}
		}
		if err := tlog.CheckRecord(path, int64(signed.Size), tlog.Hash(signed.Root), int64(rec.Position)-1, tlog.Hash(entry.Leaf)); err != nil {
			t.Errorf("entry %d: %v", rec.Position, err)
		}
		for _, at := range entry.Append {
			if other := w.env.Log()[at-1]; other.Cause != rec.Cause {
				t.Errorf("entry %d is said to be appended with %d", rec.Position, at)
			}
		}
		proof := w.send(h, "GET", "/api/audit/entries/"+cursorOf(int64(rec.Position))+"/proof", "root", "")
		want(t, proof, http.StatusOK, "")
		if proved, err := keys.Check(proof.Body.Bytes()); err != nil || proved.Entry.Position != rec.Position {
			t.Errorf("the proof of %d: %v", rec.Position, err)
		}
	}
	for _, id := range []string{"0", "-1", "999", "01", "x", "%2F"} {
		want(t, w.send(h, "GET", "/api/audit/entries/"+id, "root", ""), http.StatusNotFound, problem.NotFound)
	}
	w.addUser("bob") // behind the signed head
	entry := answered[auditing.Entry](t, w.send(h, "GET", "/api/audit/entries/"+cursorOf(int64(signed.Size+1)), "root", ""))
	if entry.Proof == nil || entry.Proof.Signed || entry.Proof.Size <= signed.Size {
		t.Errorf("an entry behind the signed head has the proof %+v", entry.Proof)
	}
	want(t, w.send(h, "GET", "/api/audit/entries/"+cursorOf(int64(signed.Size+1))+"/proof", "root", ""), http.StatusServiceUnavailable, problem.PositionNotReached)
}

// hashesOf reads the nodes of a tree over some entries.
func hashesOf(list []eventstore.Recorded) tlog.HashReader {
	var all []tlog.Hash
	for i, rec := range list {
		more, err := tlog.StoredHashes(int64(i), rec.Entry, tlog.HashReaderFunc(func(at []int64) (found []tlog.Hash, err error) {
			for _, n := range at {
				found = append(found, all[n])
			}
			return found, nil
		}))
		if err != nil {
			panic(err)
		}
		all = append(all, more...)
	}
	return tlog.HashReaderFunc(func(at []int64) (found []tlog.Hash, err error) {
		for _, n := range at {
			found = append(found, all[n])
		}
		return found, nil
	})
}

type adjustmentsPage struct {
	Items []audit.Adjustment
	Next  string `json:"next_cursor"`
}

// Adjustments are filtered, in parts and as a table.
func TestAuditOfAdjustments(t *testing.T) {
	w, h, ada := audited(t)
	root := string(w.env.User(email("root")))
	for query, amounts := range map[string]string{"": "10 20 30 ", "?reason=GIFT": "10 30 ", "?above=10": "20 30 ", "?by=" + root: "10 20 30 ", "?by=" + string(ada): "",
		"?since=2026-03-01T15:30:00Z": "30 ", "?until=2026-03-01T15:30:00Z": "10 20 ", "?since=2026-03-01T14:30:00Z&until=2026-03-01T15:30:00Z&reason=march": "20 "} {
		var got string
		for cursor := ""; ; {
			parts := "?limit=1"
			if query != "" {
				parts = query + "&limit=1"
			}
			if cursor != "" {
				parts += "&cursor=" + cursor
			}
			page := answered[adjustmentsPage](t, w.send(h, "GET", "/api/audit/adjustments"+parts, "root", ""))
			for _, one := range page.Items {
				got += one.Amount.String() + " "
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if got != amounts {
			t.Errorf("%q gives %q, want %q", query, got, amounts)
		}
	}
	for query, code := range map[string]domain.Code{"above=-1": problem.InvalidFilter, "above=x": problem.InvalidFilter, "by=nobody": problem.InvalidFilter, "since=x": problem.InvalidMoment,
		"cursor=x": problem.InvalidCursor, "cursor=0": problem.InvalidCursor, "cursor=01": problem.InvalidCursor, "limit=0": domain.InvalidLimit} {
		want(t, w.send(h, "GET", "/api/audit/adjustments?"+query, "root", ""), http.StatusUnprocessableEntity, code)
	}
	table := w.send(h, "GET", "/api/audit/adjustments.csv?above=10", "root", "")
	want(t, table, http.StatusOK, "")
	if lines := strings.Split(strings.TrimSpace(table.Body.String()), "\n"); len(lines) != 3 || !strings.Contains(lines[1], "'=refund of March") {
		t.Errorf("the table is %q", table.Body)
	}
	answered[map[string]any](t, w.send(h, "GET", "/api/audit/proposals", "root", ""))
}

// The timeline has each entry of a person once, and none of another; it has no payload, and each
// read is in the security log.
func TestAuditOfAPerson(t *testing.T) {
	w, _, ada := audited(t)
	h, events, _ := w.recording(identity.Limits{Off: true})
	type page struct {
		Items []auditing.Line
		Next  string `json:"next_cursor"`
	}
	path, seen := "/api/audit/users/"+string(ada)+"/entries?limit=2", map[eventstore.Position]bool{}
	for cursor := ""; ; {
		more := ""
		if cursor != "" {
			more = "&cursor=" + cursor
		}
		part := answered[page](t, w.send(h, "GET", path+more, "root", ""))
		for i, line := range part.Items {
			if seen[line.Position] || i > 0 && line.Position >= part.Items[i-1].Position {
				t.Errorf("position %d comes twice, or in a wrong place", line.Position)
			}
			seen[line.Position] = true
		}
		if cursor = part.Next; cursor == "" {
			break
		}
	}
	for _, rec := range w.env.Log() {
		if ours := rec.Event.Subject() == ada; ours != seen[rec.Position] {
			t.Errorf("%s at position %d is in the timeline: %t", rec.Type, rec.Position, seen[rec.Position])
		}
	}
	reads := 0
	for _, e := range events.take(t) {
		if e["event"] == "admin_read" && e["subject"] == string(ada) && e["route"] == "GET /api/audit/users/{id}/entries" {
			reads++
		}
	}
	if reads < 2 {
		t.Errorf("%d reads are in the security log", reads)
	}
	want(t, w.send(h, "GET", "/api/audit/users/u_nobody/entries", "root", ""), http.StatusNotFound, domain.AccountNotFound)
}

// A month that is closed by the API has the bytes that the console writes.
func TestAuditClosesAMonth(t *testing.T) {
	w, h, _ := audited(t)
	w.clock.advance(40 * 24 * time.Hour)
	for _, language := range []string{"en", "ru"} {
		answer := w.send(h, "GET", "/api/audit/close?month=2026-03&zone=Europe/Moscow&language="+language, "root", "")
		want(t, answer, http.StatusOK, "")
		period, err := audit.MonthIn("2026-03", "Europe/Moscow")
		must(t, err)
		books, err := audit.Close(t.Context(), audit.FullLog{Store: w.store}, period, w.clock.Now())
		must(t, err)
		folder := filepath.Join(t.TempDir(), language)
		_, err = books.WriteTo(t.Context(), audit.FullLog{Store: w.store}, folder, language)
		must(t, err)
		archive, err := zip.NewReader(bytes.NewReader(answer.Body.Bytes()), int64(answer.Body.Len()))
		must(t, err)
		if len(archive.File) != 7 || !books.Final { // two persons had movements
			t.Errorf("%d files", len(archive.File))
		}
		for _, file := range archive.File {
			in, err := file.Open()
			must(t, err)
			got, err := io.ReadAll(in)
			must(t, err)
			want, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(file.Name)))
			must(t, err)
			if !bytes.Equal(got, want) {
				t.Errorf("%s is\n%s\nby the console\n%s", file.Name, got, want)
			}
		}
	}
	for query, code := range map[string]domain.Code{"month=2026-13&zone=UTC": problem.InvalidPeriod, "month=2026-03&zone=Moscow": problem.InvalidPeriod, "month=2026-03": problem.InvalidPeriod,
		"month=2030-01&zone=UTC": problem.InvalidMoment, "month=2026-03&zone=UTC&language=de": problem.InvalidFilter} {
		want(t, w.send(h, "GET", "/api/audit/close?"+query, "root", ""), http.StatusUnprocessableEntity, code)
	}
}

// Exports are those of the console, in each format.
func TestAuditExports(t *testing.T) {
	w, h, _ := audited(t)
	log := audit.FullLog{Store: w.store}
	head, err := w.store.Head(t.Context())
	must(t, err)
	for _, format := range auditing.Formats {
		var want bytes.Buffer
		_, err := audit.Export{Log: log, Format: format, From: 3, UpTo: head.Size}.Write(t.Context(), &want)
		must(t, err)
		answer := w.send(h, "GET", "/api/audit/export?from=3&format="+string(format), "root", "")
		if answer.Code != http.StatusOK || !bytes.Equal(answer.Body.Bytes(), want.Bytes()) {
			t.Errorf("%s: %d %s", format, answer.Code, answer.Body)
		}
	}
	want(t, w.send(h, "GET", "/api/audit/export?format=parquet", "root", ""), http.StatusUnprocessableEntity, problem.InvalidFilter)
	want(t, w.send(h, "GET", "/api/audit/export?from=99999", "root", ""), http.StatusUnprocessableEntity, problem.InvalidMoment)
}

// What takes longer than a request may is refused, to be asked for again.
func TestAuditOutOfTime(t *testing.T) {
	w, h, _ := audited(t)
	want(t, w.send(h, "GET", "/api/users/balance", "root", ""), http.StatusOK, "") // its password is remembered
	w.server.Audit = auditing.New(w.store, w.env.SignedHeads(), func(ctx context.Context) (map[string]eventstore.Position, error) {
		<-ctx.Done() // the database does not answer
		return nil, ctx.Err()
	}, w.clock.Now)
	w.server.HandlerTime = 100 * time.Millisecond
	answer := w.send(w.server.Handler(), "GET", "/api/audit/log", "root", "")
	want(t, answer, http.StatusServiceUnavailable, problem.Unavailable)
	if answer.Header().Get("Retry-After") == "" {
		t.Error("it does not say when to ask again")
	}
}

// Nobody else reads any of it.
func TestAuditIsForAuditors(t *testing.T) {
	w, h, ada := audited(t)
	for _, rt := range w.server.auditRoutes() {
		path := strings.Replace(rt.path, "{id}", string(ada), 1)
		want(t, w.send(h, rt.method, path, "ada", ""), http.StatusForbidden, problem.AuditorRequired)
		want(t, w.send(h, rt.method, path, "", ""), http.StatusUnauthorized, problem.AuthenticationRequired)
	}
}
