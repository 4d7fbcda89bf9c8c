package eventstore_test

import (
	"testing"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/schema/schematest"
)

// Hints of other processes' appends are needed where the database cannot notify of them, and
// nowhere else.
func TestWhereHintsAreNeeded(t *testing.T) {
	_, pooled := schematest.Pooled(t)
	for _, tt := range []struct {
		name  string
		store *eventstore.Store
		needs bool
	}{{"one file", inFile(t, newFile(t))(), false}, {"PostgreSQL", inPostgres(t, schematest.Postgres(t))(), false}, {"behind a pooler", inPostgres(t, pooled)(), true}} {
		if tt.store.NeedsHints() != tt.needs {
			t.Errorf("%s: hints are needed: %t", tt.name, !tt.needs)
		}
	}
}

// Behind PgBouncer in transaction mode, which knows nothing of prepared statements, all
// the promises are kept.
func TestPostgresBehindAPooler(t *testing.T) {
	eventstoretest.Suite(t, func(t *testing.T) eventstoretest.Open {
		_, service := schematest.Pooled(t)
		return inPostgres(t, service)
	})
}
