package catalog

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// fewer is the number of vectors from which tests use an index.
const fewer = 300

// indexed opens a catalogue that uses an index from fewer vectors on.
func indexed(t testing.TB, db database) *Catalogue {
	t.Helper()
	c, err := open(context.Background(), postgresStore{db.open(t).store.(postgresStore).pool, fewer})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clones are films in many versions, with short texts.
func clones(t testing.TB, n int) []Movie {
	t.Helper()
	source := shipped(t)
	movies := make([]Movie, n)
	for i := range movies {
		m := source[i%len(source)]
		m.ID = fmt.Sprintf("clone-%05d", i)
		m.Title += fmt.Sprintf(" %d", i)
		m.Cast, m.Keywords, m.KeywordsRU = []Person{}, m.Keywords[:1], m.KeywordsRU[:1]
		m.Description, _, _ = strings.Cut(m.Description, ".")
		m.DescriptionRU, _, _ = strings.Cut(m.DescriptionRU, ".")
		movies[i] = m
	}
	return movies
}

var questions = []string{
	"a heist inside dreams with Leonardo DiCaprio", "человек живёт один и тот же день снова и снова",
	"love and war", "космос", "The Matrix", "Фильм «Матрица»", "qwertyuiop", "the", "", "семья в доме у моря, старый отец и три дочери",
	"film", "убийство", "a man and a woman", "1994",
}

// Both kinds of storage give the same answers if they scan every film.
func TestPostgresAgreesWithMemory(t *testing.T) {
	movies := shipped(t)
	file, postgres := newFile(t).open(t), newPostgres(t).open(t)
	for _, c := range []*Catalogue{file, postgres} {
		mustImport(t, c, movies, small, Report{Added: len(movies), Embedded: len(movies)})
	}
	for _, limit := range []int{1, 10, len(movies)} {
		agree(t, file, postgres, limit)
	}
	for _, text := range questions {
		for _, m := range movies {
			if a, b := file.Explain(text, m.ID)[0], postgres.Explain(text, m.ID)[0]; !slices.Equal(a, b) {
				t.Errorf("%q for %s: %q in a file, %q in PostgreSQL", text, m.ID, a, b)
			}
		}
	}
}

// They also agree if words and vectors disagree, for queries sent one by one and
// together, one of which is invalid.
func TestPostgresAgreesWithMemoryOnManyQueries(t *testing.T) {
	movies := clones(t, 1500)
	file, postgres := newFile(t).open(t), newPostgres(t).open(t)
	for _, c := range []*Catalogue{file, postgres} {
		mustImport(t, c, movies, tilted{small}, Report{Added: len(movies), Embedded: len(movies)})
	}
	for _, limit := range []int{1, 10, 700} {
		agree(t, file, postgres, limit)
	}
	var queries []Query
	for i, text := range questions {
		q := query(t, small, text)
		q.Vector[0]++ // a text without words
		q.Limit = 1 + i
		queries = append(queries, q)
	}
	wrong := queries[0]
	wrong.Vector = make([]float32, len(wrong.Vector))
	words := Query{Text: movies[3].Title, Limit: 3}
	queries = append(queries, wrong, words)
	want, _ := file.FindAll(t.Context(), queries)
	got, faults := postgres.FindAll(t.Context(), queries)
	for i, q := range queries {
		alone, err := postgres.Find(t.Context(), q)
		if !alike(got[i], want[i]) || !alike(got[i], alone) || fmt.Sprint(err) != fmt.Sprint(faults[i]) {
			t.Errorf("%q: together %v %v, alone %v %v, in a file %v", q.Text, got[i], faults[i], alone, err, want[i])
		}
		if bad := i == len(questions); errors.Is(faults[i], ErrVector) != bad || bad == (len(got[i].Matches) > 0) {
			t.Errorf("%q: %v, %v", q.Text, got[i], faults[i])
		}
	}
}

// alike compares answers. The last bits of a sum depend on its order.
func alike(a, b Found) bool {
	return slices.Equal(a.Matches, b.Matches) && !(math.Abs(a.Confidence-b.Confidence) > 1e-6)
}

// tilted moves every vector in a direction of its own, so that words and vectors
// disagree, and no two vectors are equal.
type tilted struct{ hashing }

func (e tilted) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	vectors, err := e.hashing.EmbedAll(ctx, texts)
	for i, v := range vectors {
		seed := sha256.Sum256([]byte(texts[i]))
		random := rand.New(rand.NewChaCha8(seed))
		for k := range v {
			v[k] += float32(random.NormFloat64()) / 4
		}
	}
	return vectors, err
}

func agree(t *testing.T, file, postgres *Catalogue, limit int) {
	t.Helper()
	for _, text := range questions {
		q := query(t, small, text)
		q.Vector[0]++ // a text without words
		q.Limit = limit
		want, err := file.Nearest(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := postgres.Nearest(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %d films in PostgreSQL, %d in a file", text, len(got), len(want))
		}
		scores := make(map[string]float64)
		for _, m := range want {
			scores[m.MovieID] = m.Score
		}
		for i, m := range got {
			score, ok := scores[m.MovieID]
			if !ok {
				score = want[len(want)-1].Score // a tie at the end
			}
			if math.Abs(m.Score-score) > 1e-3 || math.Abs(m.Score-want[i].Score) > 1e-3 {
				t.Errorf("%q, limit %d: number %d is %v in PostgreSQL, %v in a file", text, limit, i, m, want[i])
			}
		}
	}
}

// From some size on an index finds the nearest; it is built by the import that reaches
// the size, is used, and is dropped with its model.
func TestIndex(t *testing.T) {
	ctx := context.Background()
	const many = fewer + batchFilms
	movies := clones(t, many)
	db := newPostgres(t)
	c, file := indexed(t, db), newFile(t).open(t)
	const indexes = `SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'vectors_near_%'`
	mustImport(t, c, movies[:fewer-1], tilted{small}, Report{Added: fewer - 1, Embedded: fewer - 1})
	if n := db.count(t, indexes); n != 0 {
		t.Errorf("%d indexes before there are %d films", n, fewer)
	}
	mustImport(t, c, movies, tilted{small}, Report{Added: batchFilms + 1, Unchanged: fewer - 1, Embedded: batchFilms + 1})
	if n := db.count(t, indexes); n != 1 {
		t.Errorf("%d indexes for one model", n)
	}
	mustImport(t, file, movies, tilted{small}, Report{Added: many, Embedded: many})
	agree(t, file, c, 10) // for so few vectors the index finds all
	for _, conn := range c.store.(postgresStore).pool.AcquireAllIdle(ctx) {
		var sorts string
		if err := conn.QueryRow(ctx, `SHOW enable_sort`).Scan(&sorts); err != nil || sorts != "on" {
			t.Errorf("a search left its settings on the connection: %q, %v", sorts, err)
		}
		conn.Release()
	}
	waitFor(t, func() bool {
		return db.count(t, `SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE 'vectors_near_%'`) > 0
	})

	other := hashing{model: "it's another", dims: 384}
	mustImport(t, c, nil, other, Report{Embedded: many})
	if n := db.count(t, indexes); n != 2 {
		t.Errorf("%d indexes for two models", n)
	}
	if _, err := c.Drop(ctx, small.model); err != nil {
		t.Fatal(err)
	}
	if n := db.count(t, indexes); n != 1 {
		t.Errorf("%d indexes after a model was dropped", n)
	}
	if got := ask(t, c, other, movies[5].Title); got[0] != (Match{movies[5].ID, 1}) {
		t.Errorf("found %v", got)
	}
}

// If the index returns too few, all vectors are scanned: no film is missing.
func TestIndexThatGivesTooFew(t *testing.T) {
	ctx := context.Background()
	movies := clones(t, 2*fewer)
	db := newPostgres(t)
	mustImport(t, indexed(t, db), movies, tilted{small}, Report{Added: len(movies), Embedded: len(movies)})
	c := indexed(t, db)
	// Another process has just deleted most vectors; this one has not seen it yet.
	db.mustExec(t, `DELETE FROM vectors WHERE movie_id >= 'clone-00050'`)
	q := query(t, small, movies[7].Description)
	v := c.now.Load().vectors[small.model].(*postgresVectors)
	direction, err := unit(q.Vector)
	if err != nil {
		t.Fatal(err)
	}
	if _, n, err := v.search(ctx, direction, searched); err != nil || n >= searched {
		t.Fatalf("the index gave %d, %v: this test shows nothing", n, err)
	}
	want, err := v.scan(ctx, [][]float32{direction})
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.nearest(ctx, [][]float32{direction}, 10)
	if err != nil || !slices.Equal(got[0].of, want[0].of) {
		t.Errorf("after too few it is not what a scan gives, %v", err)
	}
	if near, err := c.Nearest(ctx, q); err != nil || len(near) != 10 || near[0].MovieID != movies[7].ID {
		t.Errorf("found %v, %v", near, err)
	}
}

// A scan takes the places of the films from the one before, as long as the database sends the
// same films; where another process has changed them, each similarity is still its film's.
func TestListsOfFilmsAreReadOnce(t *testing.T) {
	movies := shipped(t)
	db := newPostgres(t)
	c := db.open(t)
	mustImport(t, c, movies, small, Report{Added: len(movies), Embedded: len(movies)})
	v := c.now.Load().vectors[small.model].(*postgresVectors)
	direction, err := unit(query(t, small, movies[7].Description).Vector)
	if err != nil {
		t.Fatal(err)
	}
	scan := func() (similar []float32, list *idList) {
		t.Helper()
		found, err := v.scan(t.Context(), [][]float32{direction, direction})
		if err != nil || !slices.Equal(found[0].of, found[1].of) {
			t.Fatalf("the same direction twice: %v, %v", found, err)
		}
		return found[0].of, v.listed.Load()
	}
	first, list := scan()
	for range 100 { // on one connection, or on a few
		scan()
	}
	for _, conn := range v.pool.AcquireAllIdle(t.Context()) {
		var planned int
		if err := conn.QueryRow(t.Context(), `SELECT coalesce(max(custom_plans), 0) FROM pg_prepared_statements WHERE statement LIKE 'SELECT films.ids%'`).Scan(&planned); err != nil || planned > 5 {
			t.Errorf("a scan was planned %d times in a session, %v", planned, err)
		}
		conn.Release()
	}
	if again, same := scan(); same != list || !slices.Equal(again, first) {
		t.Error("the list of films was read again, or gave others")
	}
	gone := c.now.Load().movies[3].ID
	db.mustExec(t, `DELETE FROM vectors WHERE movie_id = '`+gone+`'`)
	less, changed := scan()
	first[3] = 0
	if changed == list || !slices.Equal(less, first) {
		t.Error("after a change the similarities are not the films'")
	}
}

// The database refuses what the program never writes.
func TestPostgresRefuses(t *testing.T) {
	db := newPostgres(t)
	mustImport(t, db.open(t), append(shipped(t)[:1], solaris()), small, Report{Added: 2, Embedded: 2})
	filled := func(x string) string {
		return "'[" + strings.TrimSuffix(strings.Repeat(x+",", 384), ",") + "]'"
	}
	for statement, want := range map[string]string{
		`UPDATE movies SET json = replace(json, '1972', '1973')`:                      "movies_hash",
		`UPDATE vectors SET vector = ` + filled("0"):                                  "vectors_unit",
		`UPDATE vectors SET vector = ` + filled("0.5"):                                "vectors_unit",
		`UPDATE vectors SET vector = ` + filled("NaN"):                                "NaN not allowed",
		`UPDATE vectors SET vector = '[1]'`:                                           "vectors_dims",
		`UPDATE vectors SET model_id = ''`:                                            "vectors_model_id_check",
		`SET ROLE kassa_app; DROP INDEX vectors_movie`:                                "must be owner",
		`SET ROLE kassa_app; DELETE FROM catalogue`:                                   "permission denied",
		`INSERT INTO vectors SELECT model_id, 'x', hash, vector FROM vectors LIMIT 1`: "vectors_movie_id_fkey",
	} {
		if err := db.exec(t, statement); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", Abridge(statement), err, want)
		}
	}
	if err := db.exec(t, `UPDATE movies SET json = replace(json, '"id":"solaris', '"id":"polaris'), hash = sha256(convert_to(replace(json, '"id":"solaris', '"id":"polaris'), 'UTF8'))`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.tryOpen(t); err == nil || !strings.Contains(err.Error(), `calls itself "polaris-1972"`) {
		t.Errorf("opened what was tampered with: %v", err)
	}
}

// crashIn names the database into which the test binary, run as another process,
// imports until it is killed.
const crashIn = "KASSA_TEST_CATALOG_CRASH_IN"

func TestMain(m *testing.M) {
	if at := os.Getenv(crashIn); at != "" {
		importUntilKilled(at)
		return
	}
	os.Exit(m.Run())
}

// A process is killed during an import, and its connection during a batch. What is
// stored is complete, and the next import does the rest.
func TestImportKilled(t *testing.T) {
	inEach(t, func(t *testing.T, db database) {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), crashIn+"="+cmp.Or(db.url, db.file))
		child.Stderr = t.Output()
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatalf("it said %q, %v", line, err)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		rest(t, db, batchFilms)
	})
}

// importUntilKilled prints a line when the second of three batches is being embedded,
// and blocks.
func importUntilKilled(at string) {
	t := &outside{}
	db := database{file: at}
	if strings.HasPrefix(at, "postgres://") {
		db = database{url: at}
	}
	batches, stuck := 0, small
	stuck.before = func([]string) error {
		if batches++; batches == 2 {
			fmt.Println("killed here")
			select {}
		}
		return nil
	}
	movies, err := Shipped()
	if err == nil {
		_, err = db.open(t).Import(context.Background(), movies[:3*batchFilms], stuck)
	}
	panic(err)
}

// outside is a testing.TB for a process that runs no test.
type outside struct{ testing.TB }

func (*outside) Helper()           {}
func (*outside) Cleanup(func())    {}
func (*outside) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// rest checks that so many of three batches are stored completely, and imports the
// others.
func rest(t *testing.T, db database, n int) {
	t.Helper()
	movies := shipped(t)[:3*batchFilms]
	c := db.open(t)
	if films, vectors := db.count(t, `SELECT count(*) FROM movies`), db.count(t, `SELECT count(*) FROM vectors`); films != n || vectors != n {
		t.Errorf("%d films and %d vectors, want %d", films, vectors, n)
	}
	mustImport(t, c, movies, small, Report{Added: len(movies) - n, Unchanged: n, Embedded: len(movies) - n})
	stillSame(t, c, db)
}

func TestConnectionKilledInABatch(t *testing.T) {
	db := newPostgres(t)
	movies := shipped(t)[:3*batchFilms]
	db.mustExec(t, `CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
			'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END';
		CREATE TRIGGER hang_up BEFORE INSERT ON vectors FOR EACH ROW
			WHEN (NEW.movie_id = '`+movies[batchFilms+7].ID+`') EXECUTE FUNCTION hang_up()`)
	c := db.open(t)
	report, err := c.Import(context.Background(), movies, small)
	if want := (Report{Added: batchFilms, Embedded: batchFilms}); err == nil || report != want || c.Len() != batchFilms {
		t.Errorf("%+v, %v, want %+v", report, err, want)
	}
	db.mustExec(t, `DROP TRIGGER hang_up ON vectors`)
	rest(t, db, batchFilms)
	if err := c.catchUp(context.Background()); err != nil || c.Len() != len(movies) {
		t.Errorf("the process that lost its connection has %d films, %v", c.Len(), err)
	}
}
