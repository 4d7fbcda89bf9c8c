package projections_test

import (
	"strings"
	"testing"

	"kassa/projections"
)

// hasIndex reports whether a plan reads an index.
func (p plan) hasIndex(name string) bool {
	found := p.Index == name
	for _, part := range p.Plans {
		found = found || part.hasIndex(name)
	}
	return found
}

// One day is read without those before it, the levels before some days without all else of
// these, and refunds without older ones.
func TestFiguresOfDaysAreReadByIndexes(t *testing.T) {
	h := newEnv(t)
	h.asOwner(t, `INSERT INTO kassa_views.days_v1 SELECT date '2025-01-01' + d, measure, item, 1
			FROM generate_series(0, 365) d, (SELECT 'bought_change' AS measure, '' AS item UNION ALL SELECT 'given_change', '' UNION ALL SELECT 'questions', ''
				UNION ALL SELECT 'answer_time', n::text FROM generate_series(1, 50) n) m`,
		`INSERT INTO kassa_views.days_v1 SELECT date '2025-01-01' + n % 366, 'follow_up', 'p_' || n, 1 FROM generate_series(1, 50000) n`,
		`INSERT INTO kassa_views.predictions_v4 SELECT 'p_' || n, 'u_' || n % 100, 'captured', '\x00', 5, 10, now(), now(), n, now(), n + 1, NULL, 'm', 'c', 0.01, 900, '',
			now(), n + 2, '', NULL, NULL, NULL, 0 FROM generate_series(1, 20000) n`,
		`ANALYZE kassa_views.days_v1`, `ANALYZE kassa_views.predictions_v4`)
	conn, err := h.pool.Acquire(t.Context())
	fatal(t, err)
	defer conn.Release()
	for _, read := range []struct {
		name, query, types, args, index string
		rows                            float64
		blocks                          int
	}{
		{"a day", projections.SelectDay, "date, text[]", `'2026-01-01', '{bought_change,given_change,questions}'`, "days_v1_pkey", 3, 30},
		{"what was before a day", projections.SelectDays, "date, date", `'2026-01-02', '2026-01-03'`, "days_v1_levels", 2, 1000},
		{"the last refunds", projections.SelectRefunders, "bigint, int", `19990, 5`, "predictions_v4_refunds", 5, 30},
	} {
		t.Run(read.name, func(t *testing.T) {
			name := strings.ReplaceAll(read.name, " ", "_")
			_, err := conn.Exec(t.Context(), "PREPARE "+name+" ("+read.types+") AS "+read.query)
			fatal(t, err)
			tree, _ := explain(t, conn.Conn(), "EXECUTE "+name+" ("+read.args+")")
			if blocks := tree.Hit + tree.Read; tree.Rows != read.rows || !tree.hasIndex(read.index) || blocks > read.blocks {
				t.Errorf("%.0f rows, %d blocks: %+v", tree.Rows, blocks, tree)
			}
		})
	}
}
