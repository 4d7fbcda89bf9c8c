package schematest_test

import (
	"testing"

	"kassa/schema"
	"kassa/schema/schematest"
)

// Each test has a database to itself, of this binary's version, in which the
// service has only its role's rights.
func TestPostgres(t *testing.T) {
	ctx := t.Context()
	one, other := schematest.Postgres(t), schematest.Postgres(t)
	if one == other {
		t.Fatal("two tests got the same database")
	}
	if plan, err := schema.PlanPostgres(ctx, one); err != nil || len(plan) > 0 {
		t.Fatalf("the database waits for %v, %v", plan, err)
	}
	pool, err := schema.OpenPostgres(ctx, one, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var role string
	if err := pool.QueryRow(ctx, `SELECT current_user`).Scan(&role); err != nil || role != schema.AppRole {
		t.Fatalf("the service works as %q, %v", role, err)
	}
}
