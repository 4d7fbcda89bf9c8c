package schematest

import (
	"fmt"
	"testing"
)

// Partitions gives an empty log partitions that end at these positions, and one behind
// them: those of the migrations are too large for a test to fill.
func Partitions(t testing.TB, database string, ends ...int64) {
	t.Helper()
	statements := []string{`DROP TABLE events_p0`}
	first := int64(0)
	add := func(name string, behind int64) {
		statements = append(statements, fmt.Sprintf(`CREATE TABLE %s PARTITION OF events FOR VALUES FROM (%d) TO (%d)`, name, first, behind),
			fmt.Sprintf(`CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`, name),
			fmt.Sprintf(`ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only`, name))
		first = behind
	}
	for i, end := range ends {
		add(fmt.Sprintf("events_small%d", i), end+1)
	}
	add("events_p0", 5_000_000)
	for _, statement := range statements {
		if err := onServer(database, statement); err != nil {
			t.Fatal(err)
		}
	}
}
