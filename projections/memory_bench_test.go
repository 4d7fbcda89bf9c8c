package projections_test

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/projections"
	"kassa/schema"
)

// replayed is the length of the log of BenchmarkMemoryReplay: a million events are
// to be served less than ten seconds after the start, on two cores.
const replayed = 1_000_000

// BenchmarkMemoryReplay is what the embedded default does before it serves: it
// replays a log of a million events into the views, beside a bare scan of the same
// rows that looks at nothing.
func BenchmarkMemoryReplay(b *testing.B) {
	db, err := schema.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "kassa.db"))
	fatal(b, err)
	defer db.Close()
	store, err := eventstore.SQLite(b.Context(), db)
	fatal(b, err)
	defer store.Close()
	town := eventstoretest.NewTown(1, 20_000)
	var size eventstore.Position
	for size < replayed {
		r, err := town.Live(b.Context(), store, 200)
		fatal(b, err)
		size = r.Position()
	}

	var ours, bare, heap float64
	for b.Loop() {
		start := time.Now()
		views := projections.NewMemory()
		fatal(b, views.Replay(b.Context(), store))
		ours += time.Since(start).Seconds()
		if at, err := views.Position(b.Context()); err != nil || at != size {
			b.Fatalf("the views stand at %d of %d, %v", at, size, err)
		}
		heap = heldBy(views)
		start = time.Now()
		fatal(b, eventstoretest.BareScan(b.Context(), db))
		bare += time.Since(start).Seconds()
	}
	events := float64(size) * float64(b.N)
	b.ReportMetric(events/ours, "events/s")
	b.ReportMetric(events/bare, "bare/s")
	b.ReportMetric(bare/ours, "times-bare")
	b.ReportMetric(heap/float64(size), "B/event")
	b.ReportMetric(ours/float64(b.N), "s/replay")
	b.ReportMetric(0, "ns/op")
}

// heldBy is the heap while the views are in memory.
func heldBy(views *projections.Memory) float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(views)
	return float64(m.HeapAlloc)
}
