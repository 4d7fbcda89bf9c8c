package audit_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
)

const tamperSeed = 7

// picks are positions to tamper with: the first, the last, and some between.
func picks(rng *rand.Rand, size eventstore.Position, n int) []eventstore.Position {
	list := []eventstore.Position{1, 2, size - 1, size}
	for range n {
		list = append(list, 1+eventstore.Position(rng.Int64N(int64(size))))
	}
	return list
}

func TestOneByteChanged(t *testing.T) {
	l := newLedger(t, tamperSeed, 70)
	rng := rand.New(rand.NewPCG(tamperSeed, 0))
	for _, at := range picks(rng, l.head.Size, 12) {
		entry, nodes := l.stored(t, at)
		// The format, the numbers, the names, the payload, and anywhere.
		for _, offset := range []int{0, 1, 2, 3, 6, 14, len(entry) / 2, len(entry) - 1, rng.IntN(len(entry))} {
			changed := flip(entry, offset, byte(1+rng.IntN(255)))
			t.Run(fmt.Sprintf("entry %d byte %d", at, offset), func(t *testing.T) {
				l := l.tampered(t, func(c *sql.Conn) {
					exec(t, c, `UPDATE events SET entry = ? WHERE position = ?`, changed, at)
				})
				_, err := l.verify(t)
				faultAt(t, err, at)
			})
		}
		offset := rng.IntN(len(nodes))
		t.Run(fmt.Sprintf("nodes of %d byte %d", at, offset), func(t *testing.T) {
			l := l.tampered(t, func(c *sql.Conn) {
				exec(t, c, `UPDATE events SET hashes = ? WHERE position = ?`, flip(nodes, offset, 1), at)
			})
			_, err := l.verify(t)
			faultAt(t, err, at)
		})
	}
}

func TestEntriesRemovedAndSwapped(t *testing.T) {
	l := newLedger(t, tamperSeed, 70)
	rng := rand.New(rand.NewPCG(tamperSeed, 1))
	for _, at := range picks(rng, l.head.Size, 8) {
		t.Run(fmt.Sprintf("%d removed", at), func(t *testing.T) {
			l := l.tampered(t, func(c *sql.Conn) {
				exec(t, c, `DELETE FROM events WHERE position = ?`, at)
			})
			_, err := l.verify(t)
			faultAt(t, err, at)
		})
		other := 1 + eventstore.Position(rng.Int64N(int64(l.head.Size)))
		if other == at {
			continue
		}
		t.Run(fmt.Sprintf("rows %d and %d swapped", at, other), func(t *testing.T) {
			l := l.tampered(t, func(c *sql.Conn) {
				exec(t, c, `UPDATE events SET position = -1 WHERE position = ?`, at)
				exec(t, c, `UPDATE events SET position = ? WHERE position = ?`, at, other)
				exec(t, c, `UPDATE events SET position = ? WHERE position = -1`, other)
			})
			_, err := l.verify(t)
			faultAt(t, err, min(at, other))
		})
		t.Run(fmt.Sprintf("bytes of %d and %d swapped", at, other), func(t *testing.T) {
			a, _ := l.stored(t, at)
			b, _ := l.stored(t, other)
			l := l.tampered(t, func(c *sql.Conn) {
				exec(t, c, `UPDATE events SET entry = ? WHERE position = ?`, b, at)
				exec(t, c, `UPDATE events SET entry = ? WHERE position = ?`, a, other)
			})
			_, err := l.verify(t)
			faultAt(t, err, min(at, other))
		})
	}
}

func TestTamperedBesideTheEntries(t *testing.T) {
	l := newLedger(t, tamperSeed, 70)
	size := l.head.Size
	marked, unmarked := l.commands(t)
	stream, folded := l.snapshot(t)
	row := []any{leafOf(size + 1), entryAt(size + 1)}
	for _, tt := range []struct {
		name  string
		at    eventstore.Position
		query string
		args  []any
	}{
		{"a stream", 40, `UPDATE events SET stream = 'account-other' WHERE position = 40`, nil},
		{"a version", 41, `UPDATE events SET version = version + 1000 WHERE position = 41`, nil},
		{"a command renamed", marked, `UPDATE events SET command = 'other' WHERE position = ?`, []any{marked}},
		{"a command removed", marked, `UPDATE events SET command = NULL WHERE position = ?`, []any{marked}},
		{"a command on a later entry", unmarked, `UPDATE events SET command = 'other' WHERE position = ?`, []any{unmarked}},
		{"too few nodes", 64, `UPDATE events SET hashes = substr(hashes, 1, 32) WHERE position = 64`, nil},
		{"a piece of a node", 63, `UPDATE events SET hashes = substr(hashes, 1, 31) WHERE position = 63`, nil},
		{"one node too many", 63, `UPDATE events SET hashes = CAST(hashes || hashes AS BLOB) WHERE position = 63`, nil},
		{"no nodes", 62, `UPDATE events SET hashes = x'' WHERE position = 62`, nil},
		{"a head that counts more", size + 1, `UPDATE head SET size = size + 1`, nil},
		{"a head that counts less", size, `UPDATE head SET size = size - 1`, nil},
		{"another root", size, `UPDATE head SET root = zeroblob(32)`, nil},
		{"a snapshot with more credits", folded, `UPDATE snapshots SET state =
			CAST(json_set(CAST(state AS TEXT), '$.available', 1000000) AS BLOB) WHERE stream = ?`, []any{stream}},
		{"a snapshot that is no JSON", folded, `UPDATE snapshots SET state = x'00' WHERE stream = ?`, []any{stream}},
		{"a snapshot of another account", folded, `UPDATE snapshots SET state =
			CAST(json_set(CAST(state AS TEXT), '$.user_id', 'u_other') AS BLOB) WHERE stream = ?`, []any{stream}},
		{"a snapshot of a version to come", 0, `UPDATE snapshots SET version = version + 100000 WHERE stream = ?`, []any{stream}},
		{"a snapshot of an unknown account", 0, `INSERT INTO snapshots SELECT 'account-nobody', version, format, state FROM snapshots LIMIT 1`, nil},
		{"a row behind the head", size + 1, `INSERT INTO events VALUES (?3, 'account-u_x', 1, NULL, ?1, ?2)`, append(row, size+1)},
		{"a row far behind the head", size + 50, `INSERT INTO events VALUES (?3, 'account-u_x', 1, NULL, ?1, ?2)`, append(row, size+50)},
		{"a row before the first", -3, `INSERT INTO events VALUES (-3, 'account-u_x', 1, NULL, ?1, ?2)`, row},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := l.tampered(t, func(c *sql.Conn) { exec(t, c, tt.query, tt.args...) })
			_, err := l.verify(t)
			faultAt(t, err, tt.at)
		})
	}
	t.Run("a row that the head counts, without its tree", func(t *testing.T) {
		l := l.tampered(t, func(c *sql.Conn) {
			exec(t, c, `INSERT INTO events VALUES (?3, 'account-u_x', 1, NULL, ?1, ?2)`, append(row, size+1)...)
			exec(t, c, `UPDATE head SET size = size + 1`)
		})
		_, err := l.verify(t)
		faultAt(t, err, size+1)
	})
	t.Run("nothing but triggers and indexes", func(t *testing.T) {
		if _, err := l.tampered(t, func(*sql.Conn) {}).verify(t); err != nil {
			t.Errorf("no entry was changed, and verify returned %v", err)
		}
	})
}

// entryAt is a valid entry for the position.
func entryAt(at eventstore.Position) []byte {
	return eventstore.EncodeEntry(eventstore.Envelope{Position: at, Stream: "account-u_x", Version: 1,
		Type: domain.TypeSignedUp, Schema: 1, Time: eventstore.Earliest}, []byte(`{"user_id":"u_x","email_sealed":""}`))
}

func leafOf(at eventstore.Position) []byte {
	leaf := eventstore.LeafHash(entryAt(at))
	return leaf[:]
}

func flip(b []byte, offset int, mask byte) []byte {
	c := bytes.Clone(b)
	c[offset] ^= mask
	return c
}
