package projections_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/projections"
)

const (
	longHistory = 1_000_000
	pageSize    = 20
)

// longWallet gives u_long a history of a million lines, most of them charges and a
// few deposits at its very beginning, among many short wallets in which deposits
// are what there is. An average says nothing about it: a plan that trusts averages
// reads it from end to end.
func (h env) longWallet(t testing.TB) {
	t.Helper()
	h.asOwner(t,
		// Nobody will need these rows after a crash.
		`ALTER TABLE kassa_views.transactions_v2 SET UNLOGGED`, `ALTER TABLE kassa_views.predictions_v4 SET UNLOGGED`,
		`INSERT INTO kassa_views.users_v1 SELECT 'u_long', '\x00', false, now(), 1`,
		`INSERT INTO kassa_views.transactions_v2 SELECT 'u_long', n, CASE WHEN n <= 10 THEN 'deposit' ELSE 'prediction' END,
			CASE WHEN n <= 10 THEN 'completed' ELSE 'held' END, -5, 0, 1000, now(), CASE WHEN n <= 10 THEN '' ELSE 'p_' || n END, '', '', ''
			FROM generate_series(1, `+fmt.Sprint(longHistory)+`) n`,
		`INSERT INTO kassa_views.transactions_v2 SELECT 'u_' || n % 20000, 2000000 + n, 'deposit', 'completed', 5, 0, 10, now(), '', '', '', ''
			FROM generate_series(1, 200000) n`,
		`INSERT INTO kassa_views.predictions_v4 SELECT 'p_' || n, 'u_long', 'captured', '\x00', 5, 10, now(), now(), n, now(), n + 1,
			'[{"movie_id": "jaws-1975", "score": 0.7}]', 'm', 'c', 0.01, 900, '', CASE WHEN n % 40000 = 0 THEN now() END, CASE WHEN n % 40000 = 0 THEN n + 2 ELSE 0 END, '', NULL, NULL, NULL, 0 FROM generate_series(11, 120000) n`,
		`INSERT INTO kassa_views.predictions_v4 SELECT 'q_' || n, 'u_' || n % 20000, 'released', '\x00', 5, 10, now(), now(), 2000000 + n, now(), n + 1,
			NULL, '', '', 0, 0, '', NULL, 0, '', NULL, NULL, NULL, 0 FROM generate_series(1, 50000) n`,
		`INSERT INTO kassa_views.predictions_v4 SELECT 'r_' || n, 'u_long', 'released', '\x00', 5, 10, now(), now(), 3000000 + n, now(), n + 1,
			NULL, '', '', 0, 0, '', NULL, 0, '', NULL, NULL, NULL, 0 FROM generate_series(1, 3) n`,
		`UPDATE kassa_views.positions SET position = 4000000`,
		`ANALYZE kassa_views.transactions_v2`, `ANALYZE kassa_views.predictions_v4`)
}

// historyPage is one of the questions that people ask of a long history.
type historyPage struct {
	name   string
	query  string
	before int64
	filter string
	rows   int
	since  int64 // of lines: behind which they are
}

// ofLines reports whether the query is of lines, which have a position behind which they are.
func (p historyPage) ofLines() bool { return strings.Contains(p.query, "transactions_v2 t") }

var historyPages = []historyPage{
	{"the newest lines", projections.PageOfTransactions, 1<<63 - 1, "", pageSize + 1, 0},
	{"lines in the middle", projections.PageOfTransactions, longHistory / 2, "", pageSize + 1, 0},
	{"the oldest lines", projections.PageOfTransactions, 5, "", 4, 0},
	{"the lines after one in the middle", projections.OldestOfTransactions, 1<<63 - 1, "", pageSize + 1, longHistory / 2},
	{"the charges after one in the middle", projections.OldestOfOneType, 1<<63 - 1, "prediction", pageSize + 1, longHistory / 2},
	{"the newest charges", projections.PageOfOneType, 1<<63 - 1, "prediction", pageSize + 1, 0},
	{"deposits, all at the beginning", projections.PageOfOneType, 1<<63 - 1, "deposit", 10, 0},
	{"adjustments, of which there are none", projections.PageOfOneType, 1<<63 - 1, "admin_adjustment", 0, 0},
	{"the newest questions", projections.PageOfPredictions, 1<<63 - 1, "", pageSize + 1, 0},
	{"answered questions in the middle", projections.PageOfOneState, 100_000, "captured", pageSize + 1, 0},
	{"questions that failed", projections.PageOfOneState, 1<<63 - 1, "released", 3, 0},
	{"refunded answers", projections.PageOfRefunded, 1<<63 - 1, "", 3, 0},
	{"open questions, of which there are none", projections.PageOfOneState, 1<<63 - 1, "held", 0, 0},
}

// plan is a node of PostgreSQL's answer to EXPLAIN.
type plan struct {
	Node    string  `json:"Node Type"`
	Table   string  `json:"Relation Name"`
	Index   string  `json:"Index Name"`
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Removed float64 `json:"Rows Removed by Filter"`
	Hit     int     `json:"Shared Hit Blocks"`
	Read    int     `json:"Shared Read Blocks"`
	Plans   []plan
}

// A page of a wallet with a million lines is read by an index and costs its own
// rows, whatever is asked for, however often the statement was planned before.
func TestLongHistory(t *testing.T) {
	h := newEnv(t)
	h.longWallet(t)
	for i, page := range historyPages {
		t.Run(page.name, func(t *testing.T) {
			conn, err := h.pool.Acquire(t.Context())
			fatal(t, err)
			defer conn.Release()
			execute := page.prepare(t, conn.Conn(), fmt.Sprintf("page_%d", i))
			took := make([]float64, 20) // milliseconds; the server is busy with other tests too
			for j := range took {
				tree, ms := explain(t, conn.Conn(), execute)
				took[j] = ms
				if tree.Rows != float64(page.rows) {
					t.Fatalf("%.0f rows, not %d", tree.Rows, page.rows)
				}
				if blocks := tree.Hit + tree.Read; blocks > 200 {
					t.Errorf("execution %d touches %d blocks", j, blocks)
				}
				tree.check(t)
			}
			if best := slices.Min(took); best >= 2 {
				t.Errorf("the fastest of %d executions took %.3f ms", len(took), best)
			}
		})
	}
}

func (p historyPage) prepare(t testing.TB, conn *pgx.Conn, name string) (execute string) {
	t.Helper()
	types, args := "bigint, bigint, text", fmt.Sprintf("%d, %d, 'u_long'", p.before, pageSize+1)
	if p.ofLines() {
		types, args = types+", bigint", fmt.Sprintf("%s, %d", args, p.since)
	}
	if p.filter != "" {
		types, args = types+", text", args+", '"+p.filter+"'"
	}
	_, err := conn.Exec(t.Context(), fmt.Sprintf("PREPARE %s (%s) AS %s", name, types, p.query))
	fatal(t, err)
	return fmt.Sprintf("EXECUTE %s (%s)", name, args)
}

func explain(t testing.TB, conn *pgx.Conn, execute string) (plan, float64) {
	t.Helper()
	var text []byte
	fatal(t, conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "+execute).Scan(&text))
	var answer []struct {
		Plan     plan
		Planning float64 `json:"Planning Time"`
		Time     float64 `json:"Execution Time"`
	}
	fatal(t, json.Unmarshal(text, &answer))
	return answer[0].Plan, answer[0].Planning + answer[0].Time
}

// check looks at every node of the plan.
func (p plan) check(t *testing.T) {
	t.Helper()
	if p.Table == "positions" { // a row for each view
		return
	}
	if strings.Contains(p.Node, "Seq Scan") || p.Node == "Sort" {
		t.Errorf("the plan has a node %q", p.Node)
	}
	if p.Rows*p.Loops > pageSize+1 || p.Removed > 0 {
		t.Errorf("%s gives %.0f rows %.0f times, and throws %.0f away", p.Node, p.Rows, p.Loops, p.Removed)
	}
	for _, part := range p.Plans {
		part.check(t)
	}
}

// BenchmarkLongHistory reads pages of the same wallet as the service does.
func BenchmarkLongHistory(b *testing.B) {
	h := newEnv(b)
	h.longWallet(b)
	for _, bench := range []struct {
		name string
		read func() (int, error)
	}{
		{"transactions", func() (int, error) {
			page, _, err := h.views.Transactions(b.Context(), "u_long", projections.TransactionQuery{PageQuery: projections.PageQuery{Limit: pageSize}}, 0)
			return len(page.Items), err
		}},
		{"transactions of one type", func() (int, error) {
			page, _, err := h.views.Transactions(b.Context(), "u_long", projections.TransactionQuery{
				PageQuery: projections.PageQuery{Limit: pageSize}, Type: projections.Charge}, 0)
			return len(page.Items), err
		}},
		{"predictions", func() (int, error) {
			page, _, err := h.views.Predictions(b.Context(), "u_long", projections.PredictionQuery{PageQuery: projections.PageQuery{Limit: pageSize}}, 0)
			return len(page.Items), err
		}},
		{"one prediction", func() (int, error) {
			_, _, err := h.views.Prediction(b.Context(), "u_long", "p_4711", 0)
			return pageSize, err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				lines, err := bench.read()
				took = append(took, time.Since(start))
				if err != nil || lines != pageSize {
					b.Fatalf("%d lines, %v", lines, err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs/p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs/p99")
		})
	}
}
