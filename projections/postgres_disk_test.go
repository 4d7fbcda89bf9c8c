package projections_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore/eventstoretest"
)

// BenchmarkDisk reports how many bytes of PostgreSQL's disk an event takes, and where: the
// log's tables and indexes, the views, and what the write-ahead log has for both. Unlike
// speeds, these do not depend on the machine; they do on the workload, which is that of
// eventstoretest, in appends of about 20 events.
func BenchmarkDisk(b *testing.B) {
	h := newEnv(b)
	ctx := b.Context()
	written := func() (bytes float64) {
		fatal(b, h.pool.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn() - '0/0'`).Scan(&bytes))
		return bytes
	}
	start, workload := written(), eventstoretest.NewWorkload(1, 2000)
	for h.head(b) < diskEvents {
		_, err := workload.Step(ctx, h.store, 20)
		fatal(b, err)
	}
	appended, events := written(), float64(h.head(b))
	fatal(b, h.runner(b, h.views, endless).CatchUp(ctx))
	report := func(part string, bytes float64) {
		b.Run(part, func(b *testing.B) {
			for b.Loop() { // nothing is timed
			}
			b.ReportMetric(bytes/events, "B/event")
			b.ReportMetric(0, "ns/op")
		})
	}
	report("WAL of appends", appended-start)
	report("WAL of views", written()-appended)
	rows, err := h.pool.Query(ctx, `SELECT part, sum(bytes)::float8 FROM (
			SELECT CASE WHEN n.nspname = 'kassa_views' THEN 'views' WHEN c.relispartition THEN 'events' ELSE c.relname END
				|| CASE WHEN c.relkind = 'i' AND (c.relispartition OR n.nspname = 'kassa_views') THEN ' indexes' ELSE '' END AS part,
				pg_table_size(c.oid) AS bytes
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'i') AND (n.nspname = 'kassa_views' OR starts_with(c.relname, 'events_p') OR starts_with(c.relname, 'event_index'))) s
		GROUP BY 1 ORDER BY 1`)
	fatal(b, err)
	var part string
	var bytes float64
	_, err = pgx.ForEachRow(rows, []any{&part, &bytes}, func() error { report(part, bytes); return nil })
	fatal(b, err)
}

// diskEvents is enough that pages which are not full yet do not count.
const diskEvents = 50_000
