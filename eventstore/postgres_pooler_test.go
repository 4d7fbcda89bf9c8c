package eventstore_test

import (
	"testing"

	"kassa/eventstore/eventstoretest"
	"kassa/schema/schematest"
)

// Behind PgBouncer in transaction mode, which knows nothing of prepared statements, all
// the promises are kept.
func TestPostgresBehindAPooler(t *testing.T) {
	eventstoretest.Suite(t, func(t *testing.T) eventstoretest.Open {
		_, service := schematest.Pooled(t)
		return inPostgres(t, service)
	})
}
