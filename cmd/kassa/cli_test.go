package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/schema"
)

// Every command answers --help, and it and its flags have a help text of one sentence.
func TestHelpOfEveryCommand(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}} {
		checkHelp(t, args)
	}
	for _, node := range model(t).Children {
		checkNode(t, node, nil)
	}
}

func checkNode(t *testing.T, node *kong.Node, above []string) {
	t.Helper()
	words := append(slices.Clone(above), node.Name)
	if node.Help == "" {
		t.Errorf("the command %q says nothing of itself", words)
	}
	for _, f := range node.Flags {
		if f.Help == "" || len(f.Envs) == 0 {
			t.Errorf("the flag --%s of %q has no help or no variable", f.Name, words)
		}
	}
	checkHelp(t, append(slices.Clone(words), "--help"))
	for _, child := range node.Children {
		checkNode(t, child, words)
	}
}

func checkHelp(t *testing.T, args []string) {
	t.Helper()
	code, out, complaints := kassa(t, args...)
	if code != 0 || !strings.HasPrefix(out, "Usage: kassa") || complaints != "" {
		t.Errorf("kassa %s: exit code %d, %q, %q", args, code, out, complaints)
	}
}

// Every flag can be given as an environment variable, and the help names it.
func TestEveryFlagHasAVariable(t *testing.T) {
	_, out, _ := kassa(t, "serve", "--help")
	for _, v := range []string{"KASSA_ADDR", "KASSA_DATA", "KASSA_MODEL", "KASSA_PRICE", "KASSA_BONUS", "KASSA_HOLD_EXPIRY", "KASSA_RATE_LIMIT",
		"KASSA_LOG_LEVEL", "KASSA_LOG_FORMAT", "KASSA_CATALOG", "KASSA_HEALTH_ADDR", "KASSA_DRAIN", "KASSA_SECURE", "KASSA_HOST", "KASSA_PROXY"} {
		if !strings.Contains(out, "$"+v) {
			t.Errorf("the help of serve does not name %s", v)
		}
	}
	data := t.TempDir()
	t.Setenv("KASSA_DATA", data)
	if code, _, complaints := kassa(t, "verify"); code != exitUnable || !strings.Contains(complaints, data) {
		t.Errorf("KASSA_DATA is not taken: %s", complaints)
	}
}

func TestWrongCommandLines(t *testing.T) {
	empty, root := t.TempDir(), strings.Repeat("ab", 32)
	bad := filepath.Join(empty, "bad.json")
	if err := os.WriteFile(bad, []byte("[\n {\"id\": \"x\",\n  \"year\": \"soon\"}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"sing", exitUsage, "sing"},
		{"archive --to " + empty, exitUsage, "--database-url is missing"},
		{"archive --database-url postgres://127.0.0.1:1/x", exitUsage, "--to is missing"},
		{"archive --database-url postgres://127.0.0.1:1/x --to " + empty + " --before=-1", exitUsage, "not negative"},
		{"archive --database-url postgres://127.0.0.1:1/x --plan", exitFailed, "connect"},
		{"backup create --data " + empty, exitUsage, "--backups is missing"},
		{"backup create --backups " + empty + " --data " + empty, exitFailed, "there is no ledger in " + empty},
		{"backup create --backups " + empty + " --database-url postgres://127.0.0.1:1/x", exitUsage, "by its own tools"},
		{"backup list --backups s3://", exitUsage, "s3://bucket"},
		{"backup restore --backups " + empty, exitUsage, "--unproved"},
		{"recover --data " + empty + " --unproved --kept 7:" + root, exitUsage, "--kept"},
		{"recover --data " + empty + " --unproved", exitFailed, "there is no ledger in " + empty},
		{"serve --colour red", exitUsage, "--colour"},
		{"serve --price 0", exitUsage, "--price must be"},
		{"serve --bonus=-1", exitUsage, "--bonus must be"},
		{"serve --hold-expiry 1s", exitUsage, "--hold-expiry must be"},
		{"serve --hold-expiry soon", exitUsage, "--hold-expiry"},
		{"serve --four-eyes-above -1", exitUsage, "--four-eyes-above"},
		{"serve --four-eyes-above 1000001", exitUsage, "--four-eyes-above"},
		{"serve --admin-daily-limit -1", exitUsage, "--admin-daily-limit"},
		{"serve --proposal-life 59s", exitUsage, "--proposal-life must be"},
		{"serve --proposal-life 2161h", exitUsage, "--proposal-life must be"},
		{"serve --film-link IMDb=http://imdb.example/{title}", exitUsage, "no https:// URL"},
		{"serve --zone Moscow", exitUsage, "no time zone"},
		{"serve --zone Local", exitUsage, "no time zone"},
		{"serve --issuer a\ab", exitUsage, "no control characters"},
		{"serve --free-per-hour=-1", exitUsage, "--free-per-hour must be"},
		{"serve --refinements 11", exitUsage, "--refinements"},
		{"serve --refine-within 25h", exitUsage, "--refine-within"},
		{"serve --refunds-per-month 101", exitUsage, "--refunds-per-month"},
		{"serve --refund-account-days=-1", exitUsage, "--refund-account-days"},
		{"serve --smtp-url smtp://127.0.0.1:25?tls=off", exitUsage, "needs --mail-from and --public-url"},
		{"serve --smtp-url http://mail.example --mail-from a@example.org --public-url https://kassa.example", exitUsage, "must be like smtp://"},
		{"serve --smtp-url smtp://user:secret@mail.example?tls=off --mail-from a@example.org --public-url https://kassa.example", exitUsage, "without a password"},
		{"serve --smtp-url smtp://mail.example --mail-from kassa --public-url https://kassa.example", exitUsage, "sender of mails must be like"},
		{"serve --smtp-url smtp://mail.example --mail-from a@example.org --public-url kassa.example", exitUsage, "--public-url must be"},
		{"serve --public-url kassa.example", exitUsage, "--public-url must be"},
		{"admin reset a@example.org --public-url kassa.example", exitUsage, "--public-url must be"},
		{"admin reset a@example.org --public-url https://kassa.example/web?x", exitUsage, "--public-url must be"},
		{"serve --allow-origin *", exitUsage, "no origin as a browser sends it"},
		{"serve --allow-origin https://*.example", exitUsage, "no origin as a browser sends it"},
		{"serve --allow-origin https://films.example/", exitUsage, "no origin as a browser sends it"},
		{"serve --allow-origin https://films.example:443", exitUsage, "no origin as a browser sends it"},
		{"serve --allow-origin http://127.0.0.1:3000,https://Films.example", exitUsage, "https://Films.example"},
		{"serve --allow-origin films.example", exitUsage, "no origin as a browser sends it"},
		{"serve --session-idle 1m", exitUsage, "--session-idle must be"},
		{"serve --session-life 24h", exitUsage, "--session-life at least"},
		{"serve --not-found-below 1.5", exitUsage, "--not-found-below must be"},
		{"serve --not-found-below NaN", exitUsage, "--not-found-below must be"},
		{"eval --not-found-below 1.5 x.tsv", exitUsage, "--not-found-below must be"},
		{"serve --rate-limit maybe", exitUsage, "--rate-limit"},
		{"serve --addr nowhere:port --data " + empty, exitFailed, "listen on nowhere:port"},
		{"verify --data " + empty, exitUnable, "there is no ledger in " + empty},
		{"events --data " + empty, exitFailed, "there is no ledger in " + empty},
		{"admin grant ada@example.com --data " + empty, exitFailed, "there is no ledger in " + empty},
		{"verify --kept 5:zz --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept= --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept 0:" + root + " --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept -1:" + root + " --data " + empty, exitUsage, "kept"},
		{"verify --kept 7 --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept " + root + " --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept 7:" + root + "00 --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept 7:" + root[2:] + " --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept 7:" + root + ":7 --data " + empty, exitUsage, "is not SIZE:ROOT"},
		{"verify --kept 7:" + root + " --data " + empty, exitUnable, "there is no ledger"},
		{"verify --sideways --data " + empty, exitUsage, "--sideways"},
		{"catalog check " + filepath.Join(empty, "none.json"), exitFailed, "none.json"},
		{"catalog check " + bad, exitFailed, "bad.json:3"},
	} {
		code, _, complaints := kassa(t, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(complaints, tt.says) {
			t.Errorf("kassa %s: exit code %d, want %d; %q does not say %q", tt.args, code, tt.code, complaints, tt.says)
		}
	}
	if _, err := os.Stat(filepath.Join(empty, "kassa.db")); err == nil {
		t.Error("a command that only looks made a ledger")
	}
}

// The story of the README by an API client, an operator and an auditor.
func TestStory(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	bob := s.signUp(t, ada.http, "bob@example.com")
	ctx := t.Context()

	for text, film := range map[string]string{
		"фильм где мужик застрял на острове и разговаривает с мячом": "cast-away-2000",
		"jurors argue in a hot room": "12-angry-men-1957",
	} {
		p := ada.do(ctx, "POST", "/api/events/prediction/new", "", question{Text: text, wait: 30})
		if p.status != http.StatusOK || p.text("status") != "completed" || p.number("cost") != 5 {
			t.Fatalf("a prediction: %d %v", p.status, p.body)
		}
		movies, _ := p.body["movies"].([]any)
		if len(movies) != 5 || movies[0].(map[string]any)["movie_id"] != film {
			t.Errorf("%q finds %v", text, movies)
		}
	}
	if p := ada.do(ctx, "POST", "/api/events/prediction/new", "", question{Text: "one more"}); p.status != http.StatusPaymentRequired {
		t.Errorf("with an empty wallet: %d %v", p.status, p.body)
	}
	// A question that the model cannot read costs nothing.
	if a := ada.do(ctx, "POST", "/api/users/balance/adjust", "top-up", adjustment{Amount: 7}); a.status != http.StatusOK || a.number("balance") != 7 {
		t.Fatalf("deposit: %d %v", a.status, a.body)
	}

	// The operator makes bob an admin while the service runs; he then gives ada credits.
	if a := bob.do(ctx, "POST", "/api/users/balance/adjust", "", adjustment{Amount: 3, User: userID(t, ada), Reason: "sorry"}); a.status != http.StatusForbidden {
		t.Errorf("anybody adjusts: %d %v", a.status, a.body)
	}
	if code, out, complaints := kassa(t, "admin", "grant", "bob@example.com", "--data", data); code != 0 || !strings.Contains(out, "is an admin since position") {
		t.Fatalf("admin grant: %d %s%s", code, out, complaints)
	}
	if a := bob.do(ctx, "POST", "/api/users/balance/adjust", "", adjustment{Amount: 3, User: userID(t, ada), Reason: "sorry"}); a.status != http.StatusOK || a.number("balance") != 10 {
		t.Fatalf("an admin's adjustment: %d %v", a.status, a.body)
	}
	if _, out, _ := kassa(t, "admin", "list", "--data", data); !strings.Contains(out, "bob@example.com") || strings.Contains(out, "ada@") {
		t.Errorf("admin list: %s", out)
	}

	for _, name := range []string{"kassa.db", "kassa.db-wal", "kassa.db-shm", "secret"} {
		if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is not for its owner only: %v, %v", name, info, err)
		}
	}

	head := mustVerify(t, data)
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
	code, out, _ := kassa(t, "verify", "--data", data, "--kept", fmt.Sprintf("%d:%s", head.Size, head.Root))
	if code != 0 || !strings.Contains(out, "still begins with exactly the entries") {
		t.Errorf("verify with a kept head: %d %s", code, out)
	}
	checkEvents(t, data, int(head.Size))
}

func userID(t *testing.T, c client) string {
	t.Helper()
	a := c.do(t.Context(), "POST", "/api/users/signin", "", credentials{c.email, password})
	if a.text("user_id") == "" {
		t.Fatalf("sign in: %d %v", a.status, a.body)
	}
	return a.text("user_id")
}

// checkEvents reads the log as lines of JSON: positions are dense, and nothing
// personal is in it.
func checkEvents(t *testing.T, data string, size int) {
	t.Helper()
	_, out, _ := kassa(t, "events", "--json", "--data", data)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != size {
		t.Fatalf("%d lines of %d entries", len(lines), size)
	}
	for i, line := range lines {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil || int(e.Position) != i+1 || e.Leaf == (eventstore.Hash{}) || len(e.Payload) == 0 {
			t.Fatalf("line %d: %s (%v)", i+1, line, err)
		}
	}
	for _, personal := range []string{"ada@", "example.com", "мужик", "jurors", password} {
		if strings.Contains(out, personal) {
			t.Errorf("the log says %q", personal)
		}
	}
	if _, out, _ := kassa(t, "events", "--data", data, "--type", "BalanceAdjusted", "--limit", "1"); !strings.Contains(out, "house:given_adjustments") {
		t.Errorf("events of one type: %q", out)
	}
}

// A forger with all rights over the file changes one byte; verify names the entry.
func TestVerifyNamesTheFault(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	s.signUp(t, newHTTP(), "ada@example.com")
	s.interrupt(t)
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(data, "kassa.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, forgery := range []string{`DROP TRIGGER events_no_update`,
		`UPDATE events SET entry = CAST(replace(CAST(entry AS TEXT), '"amount":10', '"amount":90') AS BLOB) WHERE position = 3`} {
		if _, err := db.Write.ExecContext(t.Context(), forgery); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	code, _, complaints := kassa(t, "verify", "--data", data)
	if code != exitFailed || !strings.Contains(complaints, "position 3") {
		t.Errorf("exit code %d, %q", code, complaints)
	}
	code, out, _ := kassa(t, "verify", "--json", "--data", data)
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitFailed || v.OK || len(v.Faults) != 2 || v.Faults[0].Position != 3 ||
		v.Faults[0].Code != audit.EntryChanged || v.Faults[1].Code != audit.GuardMissing || v.Proved != 2 {
		t.Errorf("exit code %d, %s", code, out)
	}
}

// A client that waits when the service is stopped gets an answer, and a second
// start finishes what was left.
func TestCtrlC(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	waits := make(chan answer, 1)
	go func() {
		waits <- ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a long walk home", wait: 60})
	}()
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.log)
	}
	if a := <-waits; a.status != http.StatusOK && a.status != http.StatusAccepted && a.status != http.StatusServiceUnavailable && a.status != 0 {
		t.Errorf("who waited was told %d %v", a.status, a.body)
	}
	mustVerify(t, data)
	ada.url = serve(t, data).url
	(&actor{client: ada}).awaitEnds(t)
}

func TestPortInUse(t *testing.T) {
	s := serve(t, t.TempDir())
	code, _, complaints := kassa(t, "serve", "--data", t.TempDir(), "--addr", strings.TrimPrefix(s.url, "http://"))
	if code != exitFailed || !strings.Contains(complaints, "address already in use") {
		t.Errorf("exit code %d, %q", code, complaints)
	}
}

// The doctor changes nothing, fails where something is wrong, and names how to
// mend it.
func TestDoctor(t *testing.T) {
	empty := t.TempDir() + "/none"
	code, out, complaints := kassa(t, "doctor", "--data", empty)
	if code != 0 || !strings.Contains(out, "ok       model") || !strings.Contains(out, "warning  ledger") {
		t.Errorf("on nothing: exit code %d\n%s%s", code, out, complaints)
	}
	if _, err := os.Stat(empty); err == nil {
		t.Error("the doctor made a data folder")
	}
	data := t.TempDir()
	serve(t, data).interrupt(t)
	if err := os.Chmod(filepath.Join(data, "secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := kassa(t, "doctor", "--data", data, "--secret-file", filepath.Join(data, "secret")); code != 0 || !strings.Contains(out, "mounted for this process") {
		t.Errorf("a secret that was given in a file: exit code %d\n%s", code, out)
	}
	code, out, _ = kassa(t, "doctor", "--data", data, "--database-url", "postgres://x:hush@127.0.0.1:1/y", "--amqp-url", "amqp://x:hush@127.0.0.1:1/y")
	for _, says := range []string{"chmod 600", "fault    database", "fault    broker"} {
		if code != exitFailed || !strings.Contains(out, says) || strings.Contains(out, "hush") {
			t.Errorf("exit code %d, want %q, and no password:\n%s", code, says, out)
		}
	}
}
