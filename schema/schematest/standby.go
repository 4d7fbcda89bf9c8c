package schematest

import (
	"context"
	"encoding/binary"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Standby is the connection of a standby of the server, by a replication slot that is dropped
// when the test ends.
type Standby struct {
	Slot string

	t    testing.TB
	conn *pgconn.PgConn
	own  *pgx.Conn
}

// NewStandby begins to replicate.
func NewStandby(t testing.TB) *Standby {
	t.Helper()
	server := os.Getenv("KASSA_DATABASE_SUPERUSER_URL")
	at, err := url.Parse(server)
	if err != nil || at.Host == "" {
		t.Fatal("KASSA_DATABASE_SUPERUSER_URL is not set: see docker/services")
	}
	settings := at.Query()
	settings.Set("replication", "true")
	at.RawQuery = settings.Encode()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &Standby{Slot: "kassa_test_" + strconv.Itoa(os.Getpid()), t: t}
	s.own, err = pgx.Connect(t.Context(), server)
	must(err)
	s.conn, err = pgconn.Connect(t.Context(), at.String())
	must(err)
	known, err := s.conn.Exec(t.Context(), `IDENTIFY_SYSTEM`).ReadAll()
	must(err)
	_, err = s.conn.Exec(t.Context(), `CREATE_REPLICATION_SLOT `+s.Slot+` PHYSICAL`).ReadAll()
	must(err)
	t.Cleanup(s.drop)
	s.conn.Frontend().Send(&pgproto3.Query{String: `START_REPLICATION SLOT ` + s.Slot + ` PHYSICAL ` + string(known[0].Rows[0][2])})
	must(s.conn.Frontend().Flush())
	for {
		m, err := s.conn.ReceiveMessage(t.Context())
		must(err)
		if _, started := m.(*pgproto3.CopyBothResponse); started {
			return s
		}
	}
}

// Reads gives the server, as hot_standby_feedback does, the oldest transaction that the standby
// still tells from later ones, and waits until it is known there.
func (s *Standby) Reads(oldest string) {
	s.t.Helper()
	xmin, err := strconv.ParseUint(oldest, 10, 32)
	feedback := binary.BigEndian.AppendUint64([]byte{'h'}, 0) // at no time
	for _, n := range []uint32{uint32(xmin), 0, 0, 0} {       // its epoch, and of the catalogue nothing
		feedback = binary.BigEndian.AppendUint32(feedback, n)
	}
	s.conn.Frontend().Send(&pgproto3.CopyData{Data: feedback})
	if err == nil {
		err = s.conn.Frontend().Flush()
	}
	for known := false; err == nil && !known; {
		err = s.own.QueryRow(s.t.Context(), `SELECT coalesce(xmin::text = $2, false) FROM pg_replication_slots WHERE slot_name = $1`, s.Slot, oldest).Scan(&known)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Leave ends the connection; the slot stays, and what it keeps.
func (s *Standby) Leave() {
	s.t.Helper()
	_ = s.conn.Close(context.Background()) // it is in the middle of a copy
	for active := true; active; {
		if err := s.own.QueryRow(s.t.Context(), `SELECT active FROM pg_replication_slots WHERE slot_name = $1`, s.Slot).Scan(&active); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *Standby) drop() {
	ctx := context.Background()
	_ = s.conn.Close(ctx)
	_, err := s.own.Exec(ctx, `SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = $1 AND active`, s.Slot)
	if err == nil {
		_, err = s.own.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, s.Slot)
	}
	if err != nil {
		s.t.Errorf("the slot %s keeps deleted rows: %v", s.Slot, err)
	}
	_ = s.own.Close(ctx)
}
