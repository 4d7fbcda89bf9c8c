package catalog

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// many is how many films a test of the index has: as few as it is used for.
const many = indexFrom + batchFilms

// clones are films in many versions.
func clones(t testing.TB, n int) []Movie {
	t.Helper()
	source := shipped(t)
	movies := make([]Movie, n)
	for i := range movies {
		movies[i] = source[i%len(source)]
		movies[i].ID = fmt.Sprintf("clone-%05d", i)
		movies[i].Title += fmt.Sprintf(" %d", i)
	}
	return movies
}

var questions = []string{
	"a heist inside dreams with Leonardo DiCaprio", "человек живёт один и тот же день снова и снова",
	"love and war", "космос", "The Matrix", "Фильм «Матрица»", "qwertyuiop", "the", "", "семья в доме у моря, старый отец и три дочери",
	"film", "убийство", "a man and a woman", "1994",
}

// The two forms give the same answers where both look at every film.
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
			if a, b := file.Explain(text, m.ID), postgres.Explain(text, m.ID); !slices.Equal(a, b) {
				t.Errorf("%q for %s: %q in a file, %q in PostgreSQL", text, m.ID, a, b)
			}
		}
	}
}

// They also agree where the scan gives only some of the films: those that their
// words bring in are not forgotten. (Below indexFrom, so nothing is approximate.)
func TestPostgresAgreesWithMemoryBeyondTheNearest(t *testing.T) {
	movies := clones(t, 6*scanned)
	file, postgres := newFile(t).open(t), newPostgres(t).open(t)
	for _, c := range []*Catalogue{file, postgres} {
		mustImport(t, c, movies, tilted{small}, Report{Added: len(movies), Embedded: len(movies)})
	}
	for _, limit := range []int{1, 10, 700} {
		agree(t, file, postgres, limit)
	}
}

// tilted gives films and questions a direction in common, so that their words and
// their vectors do not say the same.
type tilted struct{ hashing }

func (e tilted) EmbedAll(ctx context.Context, texts []string) ([][]float32, error) {
	vectors, err := e.hashing.EmbedAll(ctx, texts)
	for i, v := range vectors {
		random := rand.New(rand.NewPCG(uint64(len(texts[i])), 7))
		for k := range v {
			v[k] = v[k]/10 + float32(random.Float64())
		}
	}
	return vectors, err
}

func agree(t *testing.T, file, postgres *Catalogue, limit int) {
	t.Helper()
	for _, text := range questions {
		q := query(t, small, text)
		q.Vector[0]++ // for a text without words
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
				score = want[len(want)-1].Score // one of a tie at the end
			}
			if math.Abs(m.Score-score) > 1e-3 || math.Abs(m.Score-want[i].Score) > 1e-3 {
				t.Errorf("%q, limit %d: number %d is %v in PostgreSQL, %v in a file", text, limit, i, m, want[i])
			}
		}
	}
}

// Above a size an index finds the nearest; it is built by the import that passes
// the size, is used, and goes with its model.
func TestIndex(t *testing.T) {
	ctx := context.Background()
	movies := clones(t, many)
	db := newPostgres(t)
	c, file := db.open(t), newFile(t).open(t)
	const indexes = `SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'vectors_near_%'`
	mustImport(t, c, movies[:indexFrom-1], small, Report{Added: indexFrom - 1, Embedded: indexFrom - 1})
	if n := db.count(t, indexes); n != 0 {
		t.Errorf("%d indexes before there are %d films", n, indexFrom)
	}
	mustImport(t, c, movies, small, Report{Added: batchFilms + 1, Unchanged: indexFrom - 1, Embedded: batchFilms + 1})
	if n := db.count(t, indexes); n != 1 {
		t.Errorf("%d indexes for one model", n)
	}
	mustImport(t, file, movies, small, Report{Added: many, Embedded: many})

	found, all := 0, 0
	for _, text := range questions {
		q := query(t, small, text)
		q.Vector[0]++
		exact, err := file.Nearest(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Nearest(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		all += len(exact)
		for _, m := range got { // clones tie: a film of the right score is a right film
			if m.Score >= exact[len(exact)-1].Score-1e-4 {
				found++
			}
		}
	}
	if float64(found) < 0.97*float64(all) {
		t.Errorf("%d of %d films found", found, all)
	}
	if n := db.count(t, `SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE 'vectors_near_%'`); n == 0 {
		waitFor(t, func() bool {
			return db.count(t, `SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE 'vectors_near_%'`) > 0
		})
	}

	other := hashing{model: "it's another", dims: 384}
	mustImport(t, c, nil, other, Report{Embedded: many})
	if n := db.count(t, indexes); n != 2 {
		t.Errorf("%d indexes for two models", n)
	}
	if _, err := c.KeepModel(ctx, other.model); err != nil {
		t.Fatal(err)
	}
	if n := db.count(t, indexes); n != 1 {
		t.Errorf("%d indexes after a model was dropped", n)
	}
	if got := ask(t, c, other, movies[5].Title); got[0] != (Match{movies[5].ID, 1}) {
		t.Errorf("found %v", got)
	}
}

// Where the index gives too few, all vectors are scanned: no film is missing.
func TestIndexThatGivesTooFew(t *testing.T) {
	ctx := context.Background()
	movies := clones(t, many)
	db := newPostgres(t)
	mustImport(t, db.open(t), movies, small, Report{Added: many, Embedded: many})
	// The index stops after as many as its beam holds, half of them dead.
	db.mustExec(t, `ALTER ROLE kassa IN DATABASE `+db.url[strings.LastIndex(db.url, "/")+1:]+` SET hnsw.max_scan_tuples = 1`)
	c := db.open(t)
	q := query(t, small, movies[7].Description)
	q.Limit = 20
	near, err := c.Nearest(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	for range 25 { // those nearest to the question die, again and again
		var ids []string
		for _, m := range near {
			ids = append(ids, m.MovieID)
		}
		if _, err := c.Remove(ctx, ids...); err != nil {
			t.Fatal(err)
		}
		if near, err = c.Nearest(ctx, q); err != nil || len(near) != q.Limit {
			t.Fatalf("%d films, %v", len(near), err)
		}
	}
	v := c.now.Load().vectors[small.model].(*postgresVectors)
	unitVector, err := unit(q.Vector)
	if err != nil {
		t.Fatal(err)
	}
	if _, n, err := v.search(ctx, unitVector, searched); err != nil || n >= searched {
		t.Fatalf("the index gave %d, %v: this test does not show anything", n, err)
	}
	scores, err := v.scan(ctx, unitVector, scanned)
	if err != nil {
		t.Fatal(err)
	}
	found, err := v.nearest(ctx, unitVector, q.Limit)
	if err != nil || !slices.Equal(found.of, scores.of) {
		t.Errorf("after too few it is not what a scan gives, %v", err)
	}
}

// The database refuses by itself what the program never writes.
func TestPostgresRefuses(t *testing.T) {
	db := newPostgres(t)
	mustImport(t, db.open(t), append(shipped(t)[:1], solaris()), small, Report{Added: 2, Embedded: 2})
	filled := func(x string) string {
		return "'[" + strings.TrimSuffix(strings.Repeat(x+",", 384), ",") + "]'"
	}
	for statement, want := range map[string]string{
		`UPDATE movies SET json = replace(json, '1972', '1973')`:              "movies_hash",
		`UPDATE vectors SET vector = ` + filled("0"):                          "vectors_unit",
		`UPDATE vectors SET vector = ` + filled("0.5"):                        "vectors_unit",
		`UPDATE vectors SET vector = ` + filled("NaN"):                        "NaN not allowed",
		`UPDATE vectors SET vector = '[1]'`:                                   "expected 384 dimensions",
		`UPDATE vectors SET model_id = ''`:                                    "vectors_model_id_check",
		`SET ROLE kassa_app; DROP INDEX vectors_movie`:                        "must be owner",
		`SET ROLE kassa_app; DELETE FROM catalogue`:                           "permission denied",
		`INSERT INTO vectors SELECT model_id, 'x', hash, vector FROM vectors`: "vectors_movie_id_fkey",
	} {
		if err := db.exec(t, statement); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", abridge(statement), err, want)
		}
	}
	if err := db.exec(t, `UPDATE movies SET json = replace(json, '"id":"solaris', '"id":"polaris'), hash = sha256(convert_to(replace(json, '"id":"solaris', '"id":"polaris'), 'UTF8'))`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.tryOpen(t); err == nil || !strings.Contains(err.Error(), `calls itself "polaris-1972"`) {
		t.Errorf("opened what was tampered with: %v", err)
	}
}

// crashIn names the database in which the test binary, run as another process,
// imports until it is killed.
const crashIn = "KASSA_TEST_CATALOG_CRASH_IN"

func TestMain(m *testing.M) {
	if at := os.Getenv(crashIn); at != "" {
		importUntilKilled(at)
		return
	}
	os.Exit(m.Run())
}

// A process is killed in the middle of an import, and its connection in the middle
// of a batch. What is there is whole, and the next import does the rest.
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

// importUntilKilled says so when the second of three batches is being embedded,
// and goes no further.
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

// outside stands for the test in a process that is none.
type outside struct{ testing.TB }

func (*outside) Helper()           {}
func (*outside) Cleanup(func())    {}
func (*outside) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// rest checks that so many of three batches are there, whole, and imports the others.
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
