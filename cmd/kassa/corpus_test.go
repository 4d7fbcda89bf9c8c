package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// corpus is where the data of earlier versions is, a folder each; tools/corpus/make makes
// one.
const corpus = "testdata/upgrade"

// The data that earlier versions have left, in a folder and in a database, is migrated by
// this one, serves the same people with the same passwords and balances, takes payments and
// questions, and is proved from its first entry on.
func TestUpgradeCorpus(t *testing.T) {
	t.Parallel()
	schematest.Postgres(t) // its migrations make the roles that dumps grant rights to
	versions, err := os.ReadDir(corpus)
	must(t, err)
	if len(versions) < 3 {
		t.Fatalf("the corpus has %d versions", len(versions))
	}
	for _, v := range versions {
		from := filepath.Join(corpus, v.Name())
		t.Run(v.Name()+"/folder", func(t *testing.T) {
			t.Parallel()
			data := unpack(t, from)
			before := mustVerify(t, data) // of the older tables, read only
			upgraded(t, from, 0, data, before)
		})
		t.Run(v.Name()+"/database", func(t *testing.T) {
			t.Parallel()
			data, database := t.TempDir(), schematest.Empty(t)
			secret, err := os.ReadFile(filepath.Join(from, "secret"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(data, "secret"), secret, 0o600))
			putBack(t, from, database)
			migrated(t, database)
			before := mustVerify(t, data, "--database-url", database, "--no-views") // those are built by the projector
			upgraded(t, from, 1, data, before, "--database-url", database, "--amqp-url", bustest.New(t).Address)
		})
	}
}

// upgraded serves what an earlier version left.
func upgraded(t *testing.T, from string, which int, data string, before verdict, flags ...string) {
	t.Helper()
	s := serve(t, data, flags...)
	// A view of a newer version begins empty, and is filled after the start.
	upTo := fmt.Sprint("?min_position=", before.Size)
	people := 0
	for person, had := range balancesOf(t, from, which) {
		people++
		c := client{url: s.url, email: person, http: newHTTP()}
		var now answer
		patiently(t, "a balance of the whole log", func() bool {
			now = c.do(t.Context(), "GET", "/api/users/balance"+upTo, "", nil)
			return now.status != http.StatusServiceUnavailable
		})
		if now.number("balance") != had {
			t.Errorf("%s had %d credits, and now %d %v", person, had, now.status, now.body)
		}
		if person != "ada@example.com" {
			continue
		}
		history := c.do(t.Context(), "GET", "/api/events/prediction/history"+upTo, "", nil)
		if asked := fmt.Sprint(history.body["items"]); !strings.Contains(asked, "a film about a ship") || !strings.Contains(asked, "фильм о корабле") {
			t.Errorf("the questions are %v", history.body)
		}
		if paid := c.deposit(t, 7); paid != had+7 {
			t.Errorf("after %d and 7 the balance is %d", had, paid)
		}
		if asked := c.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a film about a ship", wait: 30}); asked.text("status") != "completed" {
			t.Errorf("a question is answered %d %v", asked.status, asked.body)
		}
	}
	if people != 3 {
		t.Errorf("there are %d people", people)
	}
	s.interrupt(t)
	args := []string{"--kept", fmt.Sprintf("%d:%s", before.Size, before.Root)}
	if len(flags) > 0 {
		args = append(args, flags[:2]...)
	}
	if after := mustVerify(t, data, args...); after.Size < before.Size+4 || after.Accounts != 3 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// balancesOf are as the earlier version gave them: of the folder, then of the database.
func balancesOf(t *testing.T, from string, which int) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(from, "balances.txt"))
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	half := len(lines) / 2
	list := map[string]int64{}
	for _, line := range lines[which*half : (which+1)*half] {
		var person string
		var had int64
		_, err := fmt.Sscan(line, &person, &had)
		must(t, err)
		list[person] = had
	}
	return list
}

// unpack gives the data folder of a version.
func unpack(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	packed := unzip(t, filepath.Join(from, "data.tar.gz"))
	for files := tar.NewReader(packed); ; {
		file, err := files.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(to, "data")
		}
		must(t, err)
		path := filepath.Join(to, filepath.FromSlash(file.Name))
		if file.FileInfo().IsDir() {
			must(t, os.MkdirAll(path, 0o700))
			continue
		}
		text, err := io.ReadAll(files)
		must(t, err)
		must(t, os.WriteFile(path, text, 0o600))
	}
}

func unzip(t *testing.T, path string) io.Reader {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { _ = file.Close() })
	packed, err := gzip.NewReader(file)
	must(t, err)
	return packed
}

// putBack puts a version's dump into an empty database.
func putBack(t *testing.T, from, database string) {
	t.Helper()
	dump, err := io.ReadAll(unzip(t, filepath.Join(from, "dump.sql.gz")))
	must(t, err)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), string(dump), pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("put the dump back: %v", err)
	}
}
