package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kassa/catalog"
	"kassa/internal/bus/bustest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// file writes a file of a test.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// jsonOf is a file with films, as Kassa's own JSON has them.
func jsonOf(t *testing.T, movies ...catalog.Movie) string {
	t.Helper()
	content, err := json.Marshal(movies)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "own.json", string(content))
}

const quietShipID = "the-quiet-ship-2001"

// quietShip is a film with a keyword that no other has.
func quietShip(t *testing.T) catalog.Movie {
	t.Helper()
	shipped, err := catalog.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	own := shipped[0]
	own.ID, own.Title, own.IDs, own.Keywords = quietShipID, "The Quiet Ship", nil, []string{"zorblatt"}
	return own
}

// firstFilm is the film that a question finds first.
func firstFilm(t *testing.T, p client, text string) any {
	t.Helper()
	a := p.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: text, wait: 30})
	movies, _ := a.body["movies"].([]any)
	if a.status != http.StatusOK || len(movies) == 0 {
		return fmt.Sprintf("status %d, %v", a.status, a.body)
	}
	return movies[0].(map[string]any)["movie_id"]
}

// When an import or a change of synonyms has ended, every running process answers with
// it; one that was killed, and cannot, is named once.
func TestChangesOfARunningCatalogue(t *testing.T) {
	database, data := schematest.Postgres(t), t.TempDir()
	broker := bustest.New(t).Address
	for name, settings := range map[string][]string{"embedded": {"--data", t.TempDir()}, "postgres": {"--data", data, "--database-url", database}} {
		t.Run(name, func(t *testing.T) {
			dir := settings[1]
			start := func(roles string) *server {
				if name == "embedded" {
					return serve(t, dir)
				}
				return serve(t, dir, append(settings[2:], "--amqp-url", broker, "--roles", roles)...)
			}
			first := start("api,relay,projector,worker,matcher")
			var others []*server
			if name == "postgres" {
				others = append(others, start("api"), start("matcher"))
			}
			ada := first.signUp(t, newHTTP(), "ada@example.com")
			if a := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: 1000}); a.status != http.StatusOK {
				t.Fatalf("deposit: %d %v", a.status, a.body)
			}
			run := func(want string, args ...string) (said string) {
				t.Helper()
				code, out, complaints := kassa(t, append(args, settings...)...)
				if code != 0 || !strings.Contains(out, want) {
					t.Errorf("%v: exit code %d, %s%s", args, code, out, complaints)
				}
				return complaints
			}
			run(fmt.Sprintf("Running processes that answer with it: %d", 1+len(others)), "catalog", "import", jsonOf(t, quietShip(t)))
			if got := firstFilm(t, ada, "the quiet ship"); got != quietShipID {
				t.Errorf("found %v", got)
			}
			const text = "flumadiddle"
			if got := firstFilm(t, ada, text); got == quietShipID {
				t.Fatalf("%q finds it already", text)
			}
			run("1 added", "synonyms", "add", "flumadiddle", "zorblatt", "зорблат")
			if got := firstFilm(t, ada, text); got != quietShipID {
				t.Errorf("found %v", got)
			}
			for _, s := range others[:min(1, len(others))] {
				s.kill()
				if said := run("1 added", "synonyms", "add", "gloomph", "ocean", "--wait", "10s"); !strings.Contains(said, fmt.Sprintf("process %d,", s.cmd.Process.Pid)) {
					t.Errorf("the process that was killed is not named: %q", said)
				}
			}
			if said := run("1 taken out", "synonyms", "remove", idOf(t, "flumadiddle", "zorblatt", "зорблат")); said != "" {
				t.Errorf("waited again: %s", said)
			}
			if got := firstFilm(t, ada, text); got == quietShipID {
				t.Error("the synonyms that were taken out are still used")
			}
		})
	}
	mustVerify(t, data, "--database-url", database)
}

func idOf(t *testing.T, words ...string) string {
	t.Helper()
	group, err := catalog.NewSynonyms(words...)
	if err != nil {
		t.Fatal(err)
	}
	return group.ID
}

// An import that was killed goes on where it was: what was written is not written again.
func TestImportGoesOn(t *testing.T) {
	var lines strings.Builder
	const films = 3000
	for n := range films {
		fmt.Fprintf(&lines, `{"id": "film-%d", "title": "Film number %d", "year": 1999}`+"\n", n, n)
	}
	path := file(t, "many.jsonl", lines.String())
	database, data := schematest.Postgres(t), t.TempDir()
	for name, settings := range map[string][]string{"embedded": {"--data", t.TempDir()}, "postgres": {"--data", withSecret(t, data), "--database-url", database}} {
		t.Run(name, func(t *testing.T) {
			kassa(t, append([]string{"catalog", "list"}, settings...)...) // the shipped films are there
			imported := append([]string{"catalog", "import", path}, settings...)
			for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
				interrupted := command(t, imported...)
				if err := interrupted.Start(); err != nil {
					t.Fatal(err)
				}
				before := countFilms(t, settings)
				stored := time.NewTicker(20 * time.Millisecond)
				for end := time.Now().Add(time.Minute); countFilms(t, settings) <= before && time.Now().Before(end); {
					<-stored.C
				}
				stored.Stop()
				interrupted.Process.Signal(signal)
				interrupted.Wait()
			}
			there := countFilms(t, settings)
			code, out, complaints := kassa(t, imported...)
			var added, changed, unchanged int
			fmt.Sscanf(out, "%d added, %d changed, %d unchanged", &added, &changed, &unchanged)
			if code != 0 || added+unchanged != films || changed != 0 || unchanged == 0 || countFilms(t, settings) != there+added {
				t.Errorf("exit code %d, %d films before, %s%s", code, there, out, complaints)
			}
		})
	}
}

// countFilms counts the films of a catalogue by a connection of its own.
func countFilms(t *testing.T, settings []string) (n int) {
	t.Helper()
	ctx := t.Context()
	if len(settings) == 2 {
		db, err := schema.OpenSQLiteReadOnly(ctx, filepath.Join(settings[1], "kassa.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Read.QueryRowContext(ctx, `SELECT count(*) FROM movies`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	pool, err := schema.OpenPostgres(ctx, settings[3], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM movies`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// With several models, what is left out is named once, and every model gets its vectors.
func TestImportWithSeveralModels(t *testing.T) {
	data, rejected := t.TempDir(), filepath.Join(t.TempDir(), "rejected.csv")
	films := file(t, "films.jsonl", `{"id": "the-quiet-ship-2001", "title": "The Quiet Ship", "year": 2001}`+"\n"+`{"id": "no-year", "title": "No Year"}`+"\n")
	args := []string{"catalog", "import", films, "--data", data, "--model", smallModel + ",built-in"}
	for code, settings := range map[int][]string{0: {"--rejected", rejected}, exitFailed: nil} {
		got, out, complaints := kassa(t, append(args, settings...)...)
		if got != code || strings.Count(out, "Rows left out: 1.") != 1 || strings.Count(out, "embedded by") != 2 || strings.Count(complaints, "films.jsonl:2") > 1 {
			t.Errorf("%v: exit code %d, %s%s", settings, got, out, complaints)
		}
	}
	content, err := os.ReadFile(rejected)
	if err != nil || strings.Count(string(content), "films.jsonl,2,") != 1 {
		t.Errorf("left out: %s, %v", content, err)
	}
	if code, out, _ := kassa(t, "catalog", "models", "--data", data); code != 0 || strings.Count(out, "complete\n") != 2 || strings.Contains(out, "incomplete") {
		t.Errorf("the models: exit code %d, %s", code, out)
	}
	_, out, _ := kassa(t, "catalog", "models", "--data", data)
	version := strings.Fields(strings.Split(out, "\n")[1])[0]
	for _, tt := range []struct {
		version, weight string
		code            int
	}{{version, "0.8", 0}, {version, "11", exitUsage}, {"no-such-model", "1", exitUsage}} {
		if code, out, _ := kassa(t, "catalog", "weigh", tt.version, tt.weight, "--data", data); code != tt.code {
			t.Errorf("weigh %s %s: exit code %d, %s", tt.version, tt.weight, code, out)
		}
	}
	if _, out, _ := kassa(t, "catalog", "models", "--data", data); !strings.Contains(out, "0.8") {
		t.Errorf("the models after one was weighed: %s", out)
	}
}

// Films of other catalogues come in; what is left out is in a file, or named.
func TestImportOfOtherCatalogues(t *testing.T) {
	data := t.TempDir()
	samples := "../../catalog/formats/testdata/"
	rejected := filepath.Join(t.TempDir(), "rejected.csv")
	for _, tt := range []struct {
		args string
		want string
	}{
		{samples + "movielens", "8 added, 0 changed"},
		{samples + "movielens", "0 added, 0 changed, 8 unchanged"},
		{samples + "imdb --min-votes 100", "2 added"},
		{samples + "tmdb --rejected " + rejected, "3 added"},
		{samples + "seed --rejected " + rejected, "2 added, 0 changed, 1 unchanged"},
	} {
		code, out, complaints := kassa(t, append(strings.Fields("catalog import "+tt.args), "--data", data)...)
		if code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit code %d, %s%s, want %q", tt.args, code, out, complaints, tt.want)
		}
	}
	content, err := os.Open(rejected)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	rows, err := csv.NewReader(content).ReadAll()
	if err != nil || len(rows) != 4 || rows[0][4] != "reason" || rows[1][1] != "5" || !strings.HasSuffix(rows[1][0], "films.json") {
		t.Errorf("left out: %q, %v", rows, err)
	}
	if code, out, _ := kassa(t, "catalog", "forget", "no-such-model", "--data", data); code != exitFailed {
		t.Errorf("forget a model that is not there: exit code %d, %s", code, out)
	}
	code, out, complaints := kassa(t, "catalog", "import", samples+"tmdb", "--data", data)
	if code != exitFailed || !strings.Contains(out, "0 added, 0 changed, 3 unchanged") || !strings.Contains(complaints, "movies_metadata.csv:12: has no year") || !strings.Contains(complaints, "left out for 6 faults") {
		t.Errorf("without a file: exit code %d, %s%s", code, out, complaints)
	}
	code, out, _ = kassa(t, "catalog", "search", "mice keep a lighthouse", "--data", data)
	if code != 0 || !strings.Contains(out, "Harbour Mice") {
		t.Errorf("exit code %d, %s", code, out)
	}
	code, out, complaints = kassa(t, "catalog", "check", samples+"imdb", "--rejected", rejected)
	if code != 0 || !strings.Contains(out, "4 films of the format imdb, 3 left out.") || !strings.Contains(out, "4 of 4 have no director") {
		t.Errorf("check: exit code %d, %s%s", code, out, complaints)
	}
}

func TestSynonyms(t *testing.T) {
	data := t.TempDir()
	run := func(want string, code int, args ...string) {
		t.Helper()
		got, out, complaints := kassa(t, append(append([]string{"synonyms"}, args...), "--data", data)...)
		if got != code || !strings.Contains(out+complaints, want) {
			t.Errorf("%q: exit code %d, %s%s, want %d and %q", args, got, out, complaints, code, want)
		}
	}
	list := file(t, "words.txt", "\ufeff# ships\nstarship, spaceship, звездолёт\n\ngumshoe,shamus\n")
	run("2 added, 0 were there", 0, "add", "--file", list)
	run("1 added, 2 were there", 0, "add", "--file", list, "flying carpet", "ковёр-самолёт")
	run("flying carpet, ковёр-самолёт", 0, "list")
	run("1 taken out", 0, "remove", idOf(t, "gumshoe", "shamus"))
	run("0 of 1 were there", exitFailed, "remove", "00000000")
	run("two different words or more", exitUsage, "add", "ship")
	run("words.txt:2: these words make no group", exitUsage, "add", "--file", file(t, "words.txt", "a b, c d\nship\n"))
	run("name words that mean the same", exitUsage, "add")
	run("WITH THE GROUP", 0, "check", "--question", "flumadiddle village bandits", "flumadiddle", "samurai")
}
