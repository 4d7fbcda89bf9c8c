package audit_test

import (
	"database/sql"
	"testing"

	"kassa/audit"
	"kassa/eventstore"
)

// beside verifies a file together with what is kept beside the log.
func (l ledger) beside(t testing.TB, kept *eventstore.Head) error {
	t.Helper()
	_, err := audit.Ledger{Store: l.read(t), Kept: kept}.Verify(t.Context())
	return err
}

// What is kept beside the log: checkpoints of followers, guards, and a head that was
// kept elsewhere.
func TestWhatIsKeptBesideTheLog(t *testing.T) {
	l := newLedger(t, 13, 70)
	guards := []want{{audit.GuardMissing, 0}, {audit.GuardMissing, 0}, {audit.GuardMissing, 0}, {audit.GuardMissing, 0}, {audit.GuardMissing, 0}}
	other := l.head
	other.Root[0] ^= 1
	longer := l.head
	longer.Size++
	for _, tt := range []struct {
		name      string
		kept      *eventstore.Head
		statement string
		want      []want
	}{
		{"a follower at the head", nil, `INSERT INTO checkpoints VALUES ('relay', (SELECT size FROM head))`, nil},
		{"a follower ahead", nil, `INSERT INTO checkpoints VALUES ('relay', (SELECT size + 1 FROM head))`, []want{{audit.CheckpointAhead, l.head.Size + 1}}},
		{"two followers ahead", nil, `INSERT INTO checkpoints VALUES ('b', (SELECT size + 2 FROM head)), ('a', (SELECT size + 1 FROM head))`,
			[]want{{audit.CheckpointAhead, l.head.Size + 1}, {audit.CheckpointAhead, l.head.Size + 2}}},
		{"the kept head", &l.head, `SELECT 1`, nil},
		{"another head", &other, `SELECT 1`, []want{{audit.HeadNotKept, l.head.Size}}},
		{"a longer head", &longer, `SELECT 1`, []want{{audit.EntryMissing, l.head.Size + 1}}},
		{"a log that is broken", &other, `UPDATE events SET entry = x'00' WHERE position = 5`, []want{{audit.EntryUnreadable, 5}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The forger removed the triggers and indexes in this session: that is
			// found too.
			err := l.tampered(t, func(c *sql.Conn) { exec(t, c, tt.statement) }).beside(t, tt.kept)
			finds(t, err, append(tt.want, guards...)...)
		})
	}
	if err := l.beside(t, &l.head); err != nil {
		t.Errorf("nothing was touched: %v", err)
	}
}
