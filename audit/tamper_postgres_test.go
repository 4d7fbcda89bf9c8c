package audit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"kassa/audit"
	"kassa/eventstore"
)

// The same in PostgreSQL: random changes of the log by the owner of the database, with
// the triggers disabled, are found at the right position.
func TestTamperedInPostgres(t *testing.T) {
	h := newFixture(t, 60)
	head := h.head(t)
	h.exec(t, `ALTER TABLE events DISABLE TRIGGER USER`)
	h.exec(t, `ALTER TABLE events_p0 DISABLE TRIGGER USER`)
	h.exec(t, `ALTER TABLE event_index DISABLE TRIGGER USER`)
	h.exec(t, `ALTER TABLE head DISABLE TRIGGER USER`)
	rng := rand.New(rand.NewPCG(tamperSeed, 3))
	for n := range 60 {
		at := 1 + eventstore.Position(rng.Int64N(int64(head)))
		changes := []struct{ what, statement, table string }{
			{"a byte of the entry", `UPDATE events SET entry = set_byte(entry, o, get_byte(entry, o) # m) FROM (SELECT $2::int % octet_length(entry) AS o, $3::int AS m FROM events WHERE position = $1) x WHERE position = $1`, "events"},
			{"a byte of the nodes", `UPDATE events SET hashes = set_byte(hashes, o, get_byte(hashes, o) # m) FROM (SELECT $2::int % octet_length(hashes) AS o, $3::int AS m FROM events WHERE position = $1) x WHERE position = $1`, "events"},
			{"the row gone", `WITH n AS (SELECT $2::int, $3::int) DELETE FROM events WHERE position = $1`, "events"},
			{"the index's row gone", `WITH n AS (SELECT $2::int, $3::int) DELETE FROM event_index WHERE position = $1`, "event_index"},
			{"the indexed version", `UPDATE event_index SET version = version + 100000 + $2::int % 7 + $3::int WHERE position = $1`, "event_index"},
			{"the indexed command", `UPDATE event_index SET command = coalesce(command, '') || $2::int || '-' || $3::int WHERE position = $1`, "event_index"},
		}
		change := changes[n%len(changes)]
		t.Run(fmt.Sprintf("%s of %d", change.what, at), func(t *testing.T) {
			h.exec(t, `CREATE TABLE before AS TABLE `+change.table)
			h.exec(t, change.statement, int64(at), rng.IntN(1000), 1+rng.IntN(255))
			_, err := audit.Verify(t.Context(), h.store)
			faultAt(t, err, at)
			h.exec(t, `DELETE FROM `+change.table)
			h.exec(t, `INSERT INTO `+change.table+` TABLE before`)
			h.exec(t, `DROP TABLE before`)
		})
	}
	if _, err := audit.Verify(t.Context(), h.store); err != nil {
		t.Errorf("everything was put back: %v", err)
	}
	_, err := h.verify(t)
	var found *audit.Faults
	if !errors.As(err, &found) || found.List[0].Code != audit.GuardMissing {
		t.Errorf("the triggers are off: %v", err)
	}
}

// Random changes of served rows are reported by view and row.
func TestTamperedViews(t *testing.T) {
	h := newFixture(t, 60)
	rng := rand.New(rand.NewPCG(tamperSeed, 4))
	changes := []struct{ table, statement string }{
		{"balances_v2", `UPDATE kassa_views.balances_v2 SET available = available + $2 WHERE user_id = (SELECT user_id FROM kassa_views.balances_v2 ORDER BY 1 OFFSET $1 % 4 LIMIT 1)`},
		{"transactions_v2", `UPDATE kassa_views.transactions_v2 SET amount = amount - $2 WHERE position = (SELECT position FROM kassa_views.transactions_v2 ORDER BY 1 OFFSET $1 LIMIT 1)`},
		{"predictions_v4", `UPDATE kassa_views.predictions_v4 SET price = price + $2 WHERE position = (SELECT position FROM kassa_views.predictions_v4 ORDER BY 1 OFFSET $1 LIMIT 1)`},
		{"users_v1", `UPDATE kassa_views.users_v1 SET signed_up_at = signed_up_at + $2 * interval '1 s' WHERE id = (SELECT id FROM kassa_views.users_v1 ORDER BY 1 OFFSET $1 % 4 LIMIT 1)`},
		{"trial_v2", `UPDATE kassa_views.trial_v2 SET amount = amount + $2 WHERE account = (SELECT account FROM kassa_views.trial_v2 ORDER BY 1 OFFSET $1 % 4 LIMIT 1)`},
		{"days_v1", `UPDATE kassa_views.days_v1 SET amount = amount + $2 WHERE (day, measure, item) = (SELECT day, measure, item FROM kassa_views.days_v1 ORDER BY 1, 2, 3 OFFSET $1 % 4 LIMIT 1)`},
	}
	for n := range 20 {
		change, row, by := changes[n%len(changes)], rng.IntN(40), 1+rng.IntN(1000)
		t.Run(fmt.Sprintf("row %d of %s by %d", row, change.table, by), func(t *testing.T) {
			h.exec(t, change.statement, row, by)
			if found := h.differs(t, audit.ViewDiffers, change.table); len(found) != 1 || found[0].Key == "" {
				t.Errorf("found was %v", found)
			}
			h.exec(t, change.statement, row, -by)
			h.noDifferences(t)
		})
	}
}
