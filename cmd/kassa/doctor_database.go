package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/schema"
)

// databaseChecks look at PostgreSQL, each on a connection of its own. Where the first
// cannot connect, or there are no tables, the others do not look.
func (d doctorCommand) databaseChecks(url string) []check {
	reached, migrated := false, false
	on := func(look func(context.Context, *pgx.Conn) (string, error)) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			if !reached {
				return "", notLooked("the database cannot be reached")
			}
			conn, err := schema.Connect(ctx, url)
			if err != nil {
				return "", explainConnect(err)
			}
			defer conn.Close(context.WithoutCancel(ctx))
			return look(ctx, conn)
		}
	}
	inTables := func(look func(context.Context, *pgx.Conn) (string, error)) func(context.Context) (string, error) {
		return on(func(ctx context.Context, conn *pgx.Conn) (string, error) {
			if !migrated {
				return "", notLooked("the tables are not those of this version")
			}
			return look(ctx, conn)
		})
	}
	none := func(look schema.Faults, fine string) func(context.Context) (string, error) {
		return inTables(func(ctx context.Context, conn *pgx.Conn) (string, error) { return noFault(ctx, conn, look, fine) })
	}
	return []check{
		{"database", func(ctx context.Context) (string, error) {
			reached = true
			says, err := on(lookAtServer)(ctx)
			if _, connect := errors.AsType[*connectError](err); connect {
				reached = false
			}
			return says, err
		}},
		{"tables", on(func(ctx context.Context, _ *pgx.Conn) (string, error) {
			says, err := lookAtTables(ctx, url)
			// Where this login may not read them they are there, and the next checks give the reason.
			migrated = err == nil || sqlState(err) == "42501"
			return says, err
		})},
		{"login", inTables(lookAtLogin)},
		{"owners", none(schema.WrongOwners, "all tables and functions are the owner's")},
		{"rights", none(schema.WrongRights, "the service can append and read, auditors can read the log and the views, and neither can change the log")},
		{"powers", none(schema.WrongPowers, "the service and auditors can create nothing, and be nobody else")},
		{"functions", none(schema.WrongFunctions, "those with more rights can be led nowhere else")},
		{"guards", none(schema.WrongGuards, "the log's triggers and constraints are as they were made")},
		{"partitions", inTables(lookAtPartitions)},
		{"ledger", inTables(func(ctx context.Context, _ *pgx.Conn) (string, error) { return d.lookAtTablesOfLedger(ctx, url) })},
		{"films", inTables(func(ctx context.Context, _ *pgx.Conn) (string, error) { return d.lookAtFilms(ctx) })},
		{"followers", inTables(lookAtFollowers)},
		{"pgvector", on(lookAtPgvector)},
		{"clock", on(lookAtClock)},
		{"wal archive", on(lookAtArchiver)},
		{"deleted rows", on(lookAtDeletedRows)},
	}
}

// noFault makes an error of each sentence.
func noFault(ctx context.Context, conn *pgx.Conn, look schema.Faults, fine string) (string, error) {
	list, err := look(ctx, conn)
	if err != nil {
		return "", unableError{err}
	}
	var faults []error
	for _, f := range list {
		faults = append(faults, errors.New(f))
	}
	if len(faults) > 0 {
		return "", errors.Join(faults...)
	}
	return fine, nil
}

func lookAtServer(ctx context.Context, conn *pgx.Conn) (string, error) {
	var version, durable, fsync, encoding string
	var standby, readOnly bool
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'),
		current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only')::bool`).
		Scan(&version, &durable, &fsync, &encoding, &standby, &readOnly)
	if err != nil {
		return "", err
	}
	major, _ := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	switch {
	case major < 16:
		return "", fmt.Errorf("PostgreSQL %s: 16 or later is needed", version)
	case fsync != "on" || durable == "off":
		return "", fmt.Errorf("commits are not durable (fsync %s, synchronous_commit %s): switch both on", fsync, durable)
	case standby:
		return "", errors.New("it is a standby, which may be behind: give the address of the primary")
	case readOnly:
		return "", errors.New("it takes no writes from this login (default_transaction_read_only): give the primary, and the service's login")
	case encoding != "UTF8":
		return "", fmt.Errorf("its encoding is %s: make the database again with UTF8", encoding)
	}
	return "PostgreSQL " + version, nil
}

func lookAtTables(ctx context.Context, url string) (string, error) {
	plan, err := schema.PlanPostgres(ctx, url)
	if err != nil {
		return "", err
	}
	if len(plan) > 0 {
		return "", fmt.Errorf("%d migrations wait: run kassa migrate", len(plan))
	}
	return "up to date", nil
}

// lookAtLogin checks whether this login is one for the service.
func lookAtLogin(ctx context.Context, conn *pgx.Conn) (string, error) {
	is, err := schema.LoginOf(ctx, conn)
	switch {
	case err != nil:
		return "", err
	case !is.Member:
		return "", fmt.Errorf("%s cannot work as %s: GRANT %[2]s TO %[1]s", is.Login, schema.AppRole)
	case is.Owner:
		return "", warn("%s owns the tables: give the service a login of its own (CREATE ROLE … LOGIN IN ROLE %s), so that what runs in its name cannot change the log", is.Login, schema.AppRole)
	}
	return is.Login + " works as " + schema.AppRole, nil
}

// leastPartitions is how many positions should have their partition before they come.
const leastPartitions = 1_000_000

func lookAtPartitions(ctx context.Context, conn *pgx.Conn) (string, error) {
	ahead, err := schema.PartitionsAhead(ctx, conn)
	switch {
	case err != nil:
		return "", unableError{err}
	case ahead <= 0:
		return "", fmt.Errorf("there is none for the next position, so nothing can be appended: as the owner, SELECT extend_log((SELECT size FROM head) + 10000000)")
	case ahead < leastPartitions:
		return "", warn("the last ends in %d positions: processes that run make the next; their log says what hinders them", ahead)
	}
	return fmt.Sprintf("made for %d positions ahead", ahead) + lookAtArchived(ctx, conn), nil
}

// lookAtArchived gives the position up to which the log is archived.
func lookAtArchived(ctx context.Context, conn *pgx.Conn) string {
	var upTo int64
	if err := conn.QueryRow(ctx, `SELECT coalesce(max(upto), 0) FROM archives`).Scan(&upTo); err != nil || upTo == 0 {
		return "" // the checks of rights and tables give the reason
	}
	return fmt.Sprintf("; archived up to position %d", upTo)
}

// lookAtTablesOfLedger opens the log as kassa serve does, and tries whether the
// database's disk has space: the try is taken back.
func (d doctorCommand) lookAtTablesOfLedger(ctx context.Context, url string) (string, error) {
	l, err := d.openToRead(ctx)
	if err != nil {
		return "", err
	}
	defer l.Close()
	says, err := d.lookAtLedger(ctx, l)
	if err != nil {
		return says, err
	}
	switch err := l.Store.Probe(ctx); {
	case schema.FaultOf(err) == schema.Full:
		return "", fmt.Errorf("the database's disk is full: make space there (%w)", err)
	case err != nil:
		return "", unableError{err}
	}
	return says, nil
}

// connectError is why a database could not be reached.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// refusals are the answers of a server to a login that it refuses, and what to do about each.
var refusals = map[string]string{
	"28P01": "the password is wrong: compare it with the file of the address",
	"28000": "the server lets this login in from here under no name: look at pg_hba.conf, and whether the role exists and has LOGIN",
	"3D000": "there is no such database: look at the end of the address, or CREATE DATABASE",
	"53300": "it has no connection left: raise max_connections, or lower --database-conns",
	"57P03": "it is starting up, shutting down or recovering: wait, and read its log",
	"42501": "this login may not connect to the database: GRANT CONNECT",
	"53100": "its disk is full: make space there",
}

// explainConnect names why a connection did not come about, and what to do. The driver's
// text holds the address without its password.
func explainConnect(err error) error {
	what := "it cannot be reached"
	switch said, _ := errors.AsType[*pgconn.PgError](err); {
	case said != nil && refusals[said.Code] != "":
		what = refusals[said.Code]
	case said != nil:
		what = "it refuses the connection"
	case isA[*net.DNSError](err):
		what = "the name of its host is not known: look at the address, and at the resolver"
	case errors.Is(err, syscall.ECONNREFUSED):
		what = "nothing listens there: start PostgreSQL, or correct host and port"
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		what = "there is no answer: a firewall drops it, or the server hangs"
	case strings.Contains(err.Error(), "tls: certificate required"):
		what = "it wants a certificate of its clients: sslcert and sslkey in the address"
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		// A server that wants a certificate may close before its reason is read.
		what = "it closes the connection: is it PostgreSQL? By TLS, does it want sslcert and sslkey in the address?"
	case strings.Contains(err.Error(), "tls"):
		what = "TLS fails: look at sslmode and sslrootcert in the address, and at the server's certificate"
	}
	return &connectError{fmt.Errorf("%s (%w)", what, err)}
}

func isA[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

func isTimeout(err error) bool {
	late, is := errors.AsType[net.Error](err)
	return is && late.Timeout()
}

func sqlState(err error) string {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return said.Code
	}
	return ""
}

// goodPgvector is the first version whose index builds and scans have no known
// faults that concern us.
var goodPgvector = [3]int{0, 8, 3}

func lookAtPgvector(ctx context.Context, conn *pgx.Conn) (string, error) {
	var version string
	if err := conn.QueryRow(ctx, `SELECT extversion FROM pg_extension WHERE extname = 'vector'`).Scan(&version); err != nil {
		return "", errors.New("it is not there: CREATE EXTENSION vector as a superuser")
	}
	var have [3]int
	for i, part := range strings.SplitN(version, ".", 3) {
		have[i], _ = strconv.Atoi(part)
	}
	for i := range have {
		if have[i] > goodPgvector[i] {
			break
		}
		if have[i] < goodPgvector[i] {
			return "", warn("version %s: 0.8.3 or later is better, update the extension", version)
		}
	}
	return "version " + version, nil
}

// clockApart is how far our clock and the database's may be apart: holds expire by
// ours, and entries carry it.
const clockApart = 2 * time.Second

func lookAtClock(ctx context.Context, conn *pgx.Conn) (string, error) {
	var theirs time.Time
	before := time.Now()
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&theirs); err != nil {
		return "", err
	}
	apart := theirs.Sub(before.Add(time.Since(before) / 2)).Abs()
	if apart > clockApart {
		return "", fmt.Errorf("it is %s apart from the database's: set up NTP on both", apart.Round(time.Millisecond))
	}
	return fmt.Sprintf("within %s of the database's", max(apart, time.Millisecond).Round(time.Millisecond)), nil
}
