package eventstore_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
	"kassa/schema/schematest"
)

// BenchmarkPostgresAppend is what a command costs the ledger in PostgreSQL: load the
// account from memory, decide a deposit, append it durably, each writer on a wallet
// of its own. Beside it stand two floors, rows of the same bytes in a table with
// the same unique indexes: one row a transaction, over as many connections as is
// best, as a program without group commit would write them; and 500 rows a
// statement, which is what PostgreSQL takes when nobody checks anything. The three
// take turns, so that a busy machine slows all of them. pgbench, where it is
// installed, writes the rows of the first floor too.
//
// KASSA_BENCH_LOGS names how many events the log holds before, as in
// 0,1000000,20000000; the last takes many minutes to fill.
func BenchmarkPostgresAppend(b *testing.B) {
	for size := range strings.SplitSeq(cmp.Or(os.Getenv("KASSA_BENCH_LOGS"), "0"), ",") {
		n, err := strconv.Atoi(size)
		must(b, err)
		b.Run("log="+size, func(b *testing.B) { benchmarkPostgresAppend(b, eventstore.Position(n)) })
	}
}

func benchmarkPostgresAppend(b *testing.B, size eventstore.Position) {
	url := schematest.Postgres(b)
	pool, err := schema.OpenPostgres(b.Context(), url, 24) // as many as the service has
	must(b, err)
	b.Cleanup(pool.Close)
	store, err := eventstore.Postgres(b.Context(), pool)
	must(b, err)
	b.Cleanup(store.Close)
	grow(b, store, size)
	users := manyUsers(b, store, 1024)
	bare := newBarePostgres(b, url, store)

	if pgbench, err := exec.LookPath("pgbench"); err == nil && size == 0 {
		b.Run(fmt.Sprintf("pgbench-connections=%d", bare.best), func(b *testing.B) { bare.pgbench(b, pgbench) })
	}
	for _, writers := range []int{1, 16, 64, 256, 1024} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			const turns = 4
			var ours, single, bulk stopwatch
			b.ResetTimer() // b.N grows with our time alone
			b.StopTimer()
			for range turns {
				n := max(1, b.N/turns)
				round := int(rounds.Add(1))
				b.StartTimer()
				ours.time(n, func() { deposits(b, store, users[:writers], round, n) })
				b.StopTimer()
				rows := n/4 + 1 // about as long, and more would only make it longer
				single.time(rows, func() { bare.oneByOne(b, rows, bare.best) })
				rows = n/bulkRows*bulkRows + bulkRows
				bulk.time(rows, func() { bare.inBulk(b, rows) })
			}
			b.ReportMetric(ours.rate(), "appends/s")
			b.ReportMetric(single.rate(), "one-row/s")
			b.ReportMetric(ours.rate()/single.rate(), "times-one-row")
			b.ReportMetric(bulk.rate(), "unnest/s")
			b.ReportMetric(ours.rate()/bulk.rate(), "times-unnest")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// rounds keeps the commands of one turn apart from those of another.
var rounds atomic.Int64

// grow fills the log with a workload, in large batches.
func grow(b *testing.B, store *eventstore.Store, size eventstore.Position) {
	workload := eventstoretest.NewWorkload(1, 50_000)
	for at := eventstore.Position(0); at < size; {
		r, err := workload.Step(b.Context(), store, 200)
		must(b, err)
		if at/1_000_000 < r.Position()/1_000_000 {
			b.Logf("the log holds %d events", r.Position())
		}
		at = r.Position()
	}
}

// manyUsers opens that many wallets side by side.
func manyUsers(b *testing.B, store *eventstore.Store, n int) []domain.UserID {
	users := make([]domain.UserID, n)
	var work sync.WaitGroup
	for i := range users {
		users[i] = domain.UserID(fmt.Sprintf("u_%04d", i))
		work.Go(func() { fill(b, store, users[i], 2) })
	}
	work.Wait()
	return users
}

// barePostgres is a table that holds what the log holds, with nothing around it.
type barePostgres struct {
	url   string
	pool  *pgxpool.Pool
	next  atomic.Int64
	like  eventstore.Stored // the row that all are copies of, but for their names
	best  int               // connections with which one row a transaction is fastest
	nodes []byte
}

const bareColumns = `(position, stream, version, command, hashes, entry)`

func newBarePostgres(b *testing.B, url string, store *eventstore.Store) *barePostgres {
	b.Helper()
	pool, err := pgxpool.New(b.Context(), url+"&pool_max_conns=64")
	must(b, err)
	b.Cleanup(pool.Close)
	_, err = pool.Exec(b.Context(), `CREATE TABLE bare (position bigint PRIMARY KEY, stream text, version bigint, command text,
		hashes bytea, entry bytea, UNIQUE (stream, version) INCLUDE (position), UNIQUE (command) INCLUDE (position));
		ALTER TABLE bare ALTER COLUMN entry SET STORAGE EXTERNAL, ALTER COLUMN hashes SET STORAGE PLAIN`)
	must(b, err)
	t := &barePostgres{url: url, pool: pool}
	must(b, deposit(b.Context(), store, "u_0000", fmt.Sprint("bare-", rounds.Add(1))))
	head, err := store.Head(b.Context())
	must(b, err)
	must(b, store.Rows(b.Context(), head.Size-1, func(page []eventstore.Stored) error {
		t.like = page[0]
		return nil
	}))
	for _, node := range t.like.Nodes {
		t.nodes = append(t.nodes, node[:]...)
	}
	t.findBest(b)
	return t
}

// findBest tries numbers of connections, a moment each.
func (t *barePostgres) findBest(b *testing.B) {
	const rows = 2000
	var most float64
	for _, connections := range []int{4, 8, 16, 32, 64} {
		t.oneByOne(b, rows/10, connections) // opens them
		var took stopwatch
		took.time(rows, func() { t.oneByOne(b, rows, connections) })
		if took.rate() > most {
			most, t.best = took.rate(), connections
		}
	}
}

// names gives a stream and a command that no other row has.
func (t *barePostgres) names() (position int64, stream, command string) {
	n := t.next.Add(1)
	return n, fmt.Sprintf("%s_%d", t.like.Stream, n), fmt.Sprintf("%026d", n)
}

func (t *barePostgres) oneByOne(b *testing.B, rows, connections int) {
	var left atomic.Int64
	left.Store(int64(rows))
	var work sync.WaitGroup
	for range connections {
		work.Go(func() {
			for left.Add(-1) >= 0 {
				position, stream, command := t.names()
				if _, err := t.pool.Exec(b.Context(), `INSERT INTO bare `+bareColumns+` VALUES ($1,$2,$3,$4,$5,$6)`,
					position, stream, int64(1), command, t.nodes, t.like.Recorded.Entry); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

// bulkRows is how many rows one statement of the second floor has. Two connections
// take turns, so that the server need not wait for the next.
const bulkRows = 500

func (t *barePostgres) inBulk(b *testing.B, rows int) {
	var left atomic.Int64
	left.Store(int64(rows / bulkRows))
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for left.Add(-1) >= 0 {
				if err := t.insertBulk(b.Context()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

func (t *barePostgres) insertBulk(ctx context.Context) error {
	positions, versions := make([]int64, bulkRows), make([]int64, bulkRows)
	streams, commands := make([]string, bulkRows), make([]string, bulkRows)
	nodes, entries := make([][]byte, bulkRows), make([][]byte, bulkRows)
	for i := range bulkRows {
		positions[i], streams[i], commands[i] = t.names()
		versions[i], nodes[i], entries[i] = 1, t.nodes, t.like.Recorded.Entry
	}
	_, err := t.pool.Exec(ctx, `INSERT INTO bare `+bareColumns+
		` SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[])`,
		positions, streams, versions, commands, nodes, entries)
	return err
}

var pgbenchRate = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// pgbench writes the rows of the first floor, with names drawn by itself. The time
// that it takes to connect does not count.
func (t *barePostgres) pgbench(b *testing.B, program string) {
	script := filepath.Join(b.TempDir(), "one-row.sql")
	must(b, os.WriteFile(script, fmt.Appendf(nil, "\\set n random(1000000000000, 8000000000000000000)\n"+
		"INSERT INTO bare %s VALUES (:n, 'account_u_0000_' || :n::bigint, 1, lpad(:n::bigint::text, 26, '0'), '\\x%x', '\\x%x');\n",
		bareColumns, t.nodes, t.like.Recorded.Entry), 0o600))
	var rate, runs float64
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), program, "--no-vacuum", "--protocol=prepared", "--file="+script, "--jobs=2",
			fmt.Sprintf("--client=%d", t.best), fmt.Sprintf("--transactions=%d", 10_000/t.best), t.url)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("pgbench: %v: %s", err, out)
		}
		said := pgbenchRate.FindSubmatch(out)
		if said == nil {
			b.Fatalf("pgbench did not say its rate: %s", out)
		}
		one, err := strconv.ParseFloat(string(said[1]), 64)
		must(b, err)
		rate, runs = rate+one, runs+1
	}
	b.ReportMetric(rate/runs, "one-row/s")
	b.ReportMetric(0, "ns/op")
}
