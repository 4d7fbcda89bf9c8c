package audit_test

import (
	"path/filepath"
	"testing"
	"time"

	"kassa/audit"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema"
)

func BenchmarkVerify(b *testing.B) {
	ctx := b.Context()
	db, err := schema.OpenSQLite(ctx, filepath.Join(b.TempDir(), "kassa.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	store, err := eventstore.SQLite(ctx, db)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	town := eventstoretest.NewTown(1, 20_000)
	start := time.Now()
	for n := 0; n < 1_000_000; {
		r, err := store.Append(ctx, town.Append(64, 8))
		if err != nil {
			b.Fatal(err)
		}
		n += len(r.Events)
	}
	b.Logf("filled in %s", time.Since(start))
	for b.Loop() {
		report, err := audit.Verify(ctx, store)
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("%+v", report)
	}
}
