package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
)

// doctorCommand looks at all that the service stands on, changes nothing, and says
// how to mend what it finds.
type doctorCommand struct {
	dataSettings
	productionSettings
	modelSettings
}

// finding is one line of the doctor's report.
type finding struct {
	what  string
	state string // ok, warning, fault
	says  string
}

// check is one thing that is looked at. A nil error is ok; a *warning does not fail.
type check struct {
	what string
	look func(context.Context) (says string, err error)
}

// warning is a finding with which the service runs, not as well as it could.
type warning struct{ mend string }

func (w *warning) Error() string { return w.mend }

func warn(format string, args ...any) error { return &warning{fmt.Sprintf(format, args...)} }

func (d doctorCommand) Run(ctx context.Context, c *console) error {
	checks, err := d.checks()
	if err != nil {
		return err
	}
	faults := 0
	for _, k := range checks {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		f := k.examine(ctx)
		cancel()
		if f.state == "fault" {
			faults++
		}
		fmt.Fprintf(c.out, "%-8s %-22s %s\n", f.state, f.what, f.says)
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d checks found a fault", faults, len(checks))
	}
	return nil
}

func (k check) examine(ctx context.Context) finding {
	says, err := k.look(ctx)
	var w *warning
	switch {
	case err == nil:
		return finding{k.what, "ok", says}
	case errors.As(err, &w):
		return finding{k.what, "warning", w.mend}
	}
	return finding{k.what, "fault", err.Error()}
}

// checks are those of the shape that the settings name.
func (d doctorCommand) checks() ([]check, error) {
	url, err := d.url()
	if err != nil {
		return nil, err
	}
	broker, err := d.broker("doctor")
	if err != nil {
		return nil, err
	}
	list := []check{{"data folder", d.lookAtFolder}, {"model", d.lookAtModel}}
	if url == "" {
		list = append(list, check{"ledger", d.lookAtFile})
	} else {
		list = append(list, databaseChecks(url)...)
	}
	if broker != nil {
		list = append(list, brokerChecks(*broker)...)
	}
	return list, nil
}

func (d doctorCommand) lookAtFolder(context.Context) (string, error) {
	info, err := os.Stat(d.Data)
	if errors.Is(err, os.ErrNotExist) {
		return "", warn("%s is not there yet; kassa serve makes it", d.Data)
	}
	if err != nil {
		return "", err
	}
	if secret, err := os.Stat(d.secret()); err == nil && secret.Mode().Perm()&0o077 != 0 {
		if d.SecretFile != "" { // a container is given it as it is, and nobody else is in there
			return "", warn("others can read %s: chmod 600, where it is not mounted for this process alone", d.SecretFile)
		}
		return "", fmt.Errorf("others can read the secret: chmod 600 %s", d.secret())
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", warn("others can look into %s: chmod 700 %s", d.Data, d.Data)
	}
	return d.Data, nil
}

// lookAtModel opens it, which compares its files with their hashes, and embeds a
// text in each language.
func (d doctorCommand) lookAtModel(ctx context.Context) (string, error) {
	model, err := d.openModel(ctx, dataSettings{Data: os.TempDir()})
	if err != nil {
		return "", fmt.Errorf("%w; give a folder with --model, or leave it away for the built-in one", err)
	}
	defer model.Close()
	start := time.Now()
	if _, err := model.EmbedAll(ctx, []string{"a ship in the ice", "корабль во льдах"}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, two texts in %s", model.ModelVersion(), time.Since(start).Round(100*time.Microsecond)), nil
}

func (d doctorCommand) lookAtFile(ctx context.Context) (string, error) {
	if err := d.mustExist(); err != nil {
		return "", warn("%v", err)
	}
	l, err := d.openToRead(ctx)
	if err != nil {
		return "", err
	}
	defer l.close()
	head, err := l.store.Head(ctx)
	return fmt.Sprintf("%d entries; kassa verify proves them", head.Size), err
}

// databaseChecks look at PostgreSQL, each on a connection of its own.
func databaseChecks(url string) []check {
	on := func(look func(context.Context, *pgx.Conn) (string, error)) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return "", errors.New("it does not answer: is its address right, and may we connect?")
			}
			defer conn.Close(ctx)
			return look(ctx, conn)
		}
	}
	return []check{
		{"database", on(lookAtServer)},
		{"tables", on(func(ctx context.Context, _ *pgx.Conn) (string, error) { return lookAtTables(ctx, url) })},
		{"rights", on(lookAtRights)},
		{"pgvector", on(lookAtPgvector)},
		{"clock", on(lookAtClock)},
	}
}

func lookAtServer(ctx context.Context, conn *pgx.Conn) (string, error) {
	var version, durable, fsync string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync')`).
		Scan(&version, &durable, &fsync)
	if err != nil {
		return "", err
	}
	if major, _ := strconv.Atoi(strings.SplitN(version, ".", 2)[0]); major < 16 {
		return "", fmt.Errorf("PostgreSQL %s: 16 or later is needed", version)
	}
	if fsync != "on" || durable == "off" {
		return "", fmt.Errorf("commits are not durable (fsync %s, synchronous_commit %s): switch both on", fsync, durable)
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

// lookAtRights makes sure that the service's role cannot change the log, and that
// the triggers that would stop its owner are there.
func lookAtRights(ctx context.Context, conn *pgx.Conn) (string, error) {
	var change, add, set bool
	var triggers int
	err := conn.QueryRow(ctx, `SELECT
		has_table_privilege($1, 'events', 'UPDATE') OR has_table_privilege($1, 'events', 'DELETE') OR has_table_privilege($1, 'events', 'TRUNCATE'),
		has_table_privilege($1, 'events', 'INSERT') AND has_table_privilege($1, 'events', 'SELECT') AND has_table_privilege($1, 'head', 'UPDATE'),
		pg_has_role(current_user, $1, 'SET'),
		(SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('events'::regclass, 'event_index'::regclass) AND tgenabled <> 'D' AND NOT tgisinternal)`,
		schema.AppRole).Scan(&change, &add, &set, &triggers)
	switch {
	case err != nil:
		return "", fmt.Errorf("the tables or the role %s are missing: run kassa migrate", schema.AppRole)
	case !set:
		return "", fmt.Errorf("this login cannot work as %s: GRANT %s TO it", schema.AppRole, schema.AppRole)
	case change:
		return "", fmt.Errorf("%s can change the log: REVOKE UPDATE, DELETE, TRUNCATE ON events, event_index FROM %s", schema.AppRole, schema.AppRole)
	case !add:
		return "", fmt.Errorf("%s cannot append: GRANT SELECT, INSERT ON events, event_index and SELECT, UPDATE ON head", schema.AppRole)
	case triggers < 2:
		return "", errors.New("the triggers that keep the log are gone or disabled: somebody took them away, run kassa verify")
	}
	return "the service can append and read, and nothing else", nil
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
