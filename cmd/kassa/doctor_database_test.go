package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/internal/bus"
	"kassa/schema"
	"kassa/schema/schematest"
)

// doctored is a database with the service's login, and the doctor's findings.
type doctored struct {
	owner   *pgx.Conn
	service string // address
	data    string
}

func newDoctored(t *testing.T) doctored {
	t.Helper()
	database := schematest.Postgres(t)
	owner, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close(context.Background()) })
	data := filepath.Join(t.TempDir(), "data")
	if code, _, complaints := kassa(t, "secret", "new", "--data", data); code != 0 {
		t.Fatal(complaints)
	}
	return doctored{owner, schematest.Service(t, database), data}
}

// login is the role of the service's address.
func (d doctored) login(t *testing.T) string {
	t.Helper()
	at, err := url.Parse(d.service)
	if err != nil {
		t.Fatal(err)
	}
	return at.User.Username()
}

func (d doctored) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := d.owner.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// report is what the doctor finds, without what is fine.
func (d doctored) report(t *testing.T, address string) (code int, findings string) {
	t.Helper()
	code, out, complaints := kassa(t, "doctor", "--data", d.data, "--addr", "127.0.0.1:0", "--database-url", address)
	for _, line := range strings.Split(out, "\n") {
		if line != "" && !strings.HasPrefix(line, "ok ") && !strings.Contains(line, " pgvector ") {
			findings += line + "\n"
		}
	}
	if strings.Contains(out+complaints, "hush") {
		t.Errorf("the doctor gives a password away: %s%s", out, complaints)
	}
	return code, findings
}

// looked is report of the database alone, in this process; without the version of
// pgvector, which is the machine's.
func (d doctored) looked(t *testing.T) (findings string) {
	t.Helper()
	command := doctorCommand{dataSettings: dataSettings{Data: d.data, DatabaseURL: d.service}}
	for _, k := range command.databaseChecks(d.service) {
		for _, f := range k.examine(t.Context()) {
			if f.state != stateOK && f.what != "pgvector" {
				findings += fmt.Sprintf("%s %s %s\n", f.state, f.what, f.says)
			}
		}
	}
	return findings
}

// The doctor finds nothing in a database as it was made, each change that was made to
// it, and nothing again when that was undone as the finding advises.
func TestDoctorOfADatabase(t *testing.T) {
	d := newDoctored(t)
	if code, findings := d.report(t, d.service); code != 0 || findings != "" {
		t.Fatalf("of a new database: exit code %d\n%s", code, findings)
	}
	login := d.login(t)
	other := strings.TrimPrefix(login, "kassa_test_service_") + "_other"
	d.exec(t, `CREATE ROLE kassa_test_`+other+`; GRANT kassa_test_`+other+` TO CURRENT_USER`)
	t.Cleanup(func() { _, _ = d.owner.Exec(context.Background(), `DROP ROLE kassa_test_`+other) })
	for _, tt := range []struct{ name, do, undo, what, says string }{
		{"a right too many", `GRANT UPDATE ON events TO kassa_app`, `REVOKE UPDATE ON events FROM kassa_app`, "rights", "REVOKE UPDATE ON public.events FROM kassa_app"},
		{"a right of everybody", `GRANT DELETE ON event_index TO PUBLIC`, `REVOKE DELETE ON event_index FROM PUBLIC`, "rights", "can DELETE on public.event_index"},
		{"a right of one login", `GRANT TRUNCATE ON events TO ` + login, `REVOKE TRUNCATE ON events FROM ` + login, "rights", login + " can TRUNCATE"},
		{"a right on a partition", `GRANT INSERT ON events_p0 TO kassa_app`, `REVOKE INSERT ON events_p0 FROM kassa_app`, "rights", "can INSERT on public.events_p0"},
		{"a right too few", `REVOKE INSERT ON events FROM kassa_app`, `GRANT INSERT ON events TO kassa_app`, "rights", "kassa_app cannot INSERT on public.events"},
		{"temporary tables", `DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$`,
			`DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$`, "powers", "temporary tables"},
		{"tables in public", `GRANT CREATE ON SCHEMA public TO PUBLIC`, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`, "powers", "can make things in the schema public"},
		{"tables in the views", `GRANT CREATE ON SCHEMA kassa_views TO kassa_app`, `REVOKE CREATE ON SCHEMA kassa_views FROM kassa_app`, "powers", "in the schema kassa_views"},
		{"another role's powers", `GRANT kassa_test_` + other + ` TO ` + login, `REVOKE kassa_test_` + other + ` FROM ` + login, "powers", "can do what kassa_test_"},
		{"commits that do not wait", `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`,
			`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET synchronous_commit', current_database()); END $$`, "powers", "synchronous_commit"},
		{"a trigger in the views", `CREATE TRIGGER t BEFORE INSERT ON kassa_views.users_v1 FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`, `DROP TRIGGER t ON kassa_views.users_v1`, "powers", "DROP TRIGGER t"},
		{"a path that can be led", `ALTER FUNCTION extend_log(bigint) SET search_path = public, pg_temp`, `ALTER FUNCTION extend_log(bigint) SET search_path = pg_catalog, pg_temp`, "functions", "ALTER FUNCTION extend_log(bigint) SET search_path"},
		{"a function for everybody", `GRANT EXECUTE ON FUNCTION kassa_views.drop(text, text) TO PUBLIC`, `REVOKE EXECUTE ON FUNCTION kassa_views.drop(text, text) FROM PUBLIC`, "functions", "everybody can call"},
		{"a function for nobody", `REVOKE EXECUTE ON FUNCTION extend_log(bigint) FROM kassa_app`, `GRANT EXECUTE ON FUNCTION extend_log(bigint) TO kassa_app`, "functions", "cannot call the function extend_log"},
		{"no trigger", `ALTER TABLE events DISABLE TRIGGER events_append_only`, `ALTER TABLE events ENABLE ALWAYS TRIGGER events_append_only`, "guards", "events_append_only"},
		{"no trigger on a partition", `ALTER TABLE events_p1 DISABLE TRIGGER append_only`, `ALTER TABLE events_p1 ENABLE ALWAYS TRIGGER append_only`, "guards", "events_p1"},
		{"another owner of a view", `GRANT CREATE ON SCHEMA kassa_views TO kassa_app; ALTER TABLE kassa_views.users_v1 OWNER TO kassa_app; REVOKE CREATE ON SCHEMA kassa_views FROM kassa_app`,
			`ALTER TABLE kassa_views.users_v1 OWNER TO CURRENT_USER; SELECT kassa_views.give('kassa_views', 'users_v1')`, "owners", "users_v1 belongs to kassa_app"},
		{"no partition", `ALTER TABLE events DETACH PARTITION events_p0; ALTER TABLE events DETACH PARTITION events_p1`,
			`ALTER TABLE events ATTACH PARTITION events_p0 FOR VALUES FROM (0) TO (5000000); ALTER TABLE events ATTACH PARTITION events_p1 FOR VALUES FROM (5000000) TO (10000000)`, "partitions", "nothing can be appended"},
		{"a head that is not the log's", `UPDATE head SET size = 7`, `ALTER TABLE head DISABLE TRIGGER ALL; UPDATE head SET size = 0; ALTER TABLE head ENABLE ALWAYS TRIGGER head_only_grows; ALTER TABLE head ENABLE ALWAYS TRIGGER head_stays`, "ledger", "run kassa verify"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.exec(t, tt.do)
			if findings := d.looked(t); !strings.Contains(findings, "fault "+tt.what+" ") || !strings.Contains(findings, tt.says) {
				t.Errorf("want %s with %q:\n%s", tt.what, tt.says, findings)
			}
			d.exec(t, tt.undo)
		})
	}
	if code, findings := d.report(t, d.service); code != 0 || findings != "" {
		t.Errorf("when all was undone: exit code %d\n%s", code, findings)
	}
}

// A replication slot that keeps deleted rows is named; one that nobody uses is a warning.
func TestDoctorNamesForgottenSlots(t *testing.T) {
	d := newDoctored(t)
	standby := schematest.NewStandby(t)
	var oldest string
	must(t, d.owner.QueryRow(t.Context(), `SELECT xid(pg_snapshot_xmax(pg_current_snapshot()))::text`).Scan(&oldest))
	standby.Reads(oldest)
	if _, out, _ := kassa(t, "doctor", "--data", d.data, "--addr", "127.0.0.1:0", "--database-url", d.service); !strings.Contains(out, "kept for what standbys read (hot_standby_feedback): "+standby.Slot) {
		t.Errorf("of a slot that is used:\n%s", out)
	}
	standby.Leave()
	if findings := d.looked(t); !strings.Contains(findings, "warning deleted rows the replication slot "+standby.Slot+" is not used") {
		t.Errorf("of a slot that is forgotten:\n%s", findings)
	}
}

// Why a database cannot be reached, a secret that is not its own, and a login that is
// not for the service are named each by its own name.
func TestDoctorNamesWhatIsInTheWay(t *testing.T) {
	d := newDoctored(t)
	at, err := url.Parse(d.service)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*url.URL)) string {
		other := *at
		change(&other)
		return other.String()
	}
	login := d.login(t)
	d.exec(t, `CREATE ROLE `+login+`_alien LOGIN PASSWORD 'hush'`)
	t.Cleanup(func() { _, _ = d.owner.Exec(context.Background(), `DROP ROLE `+login+`_alien`) })
	for _, tt := range []struct{ name, address, says string }{
		{"nobody listens", with(func(u *url.URL) { u.Host = "127.0.0.1:1" }), "nothing listens there"},
		{"no such host", with(func(u *url.URL) { u.Host = "nowhere.invalid:5432" }), "name of its host"},
		{"a wrong password", with(func(u *url.URL) { u.User = url.UserPassword(login, "hush") }), "the password is wrong"},
		{"no such database", with(func(u *url.URL) { u.Path = "/none" }), "there is no such database"},
		{"TLS", with(func(u *url.URL) { u.RawQuery = "sslmode=require" }), "TLS"},
	} {
		code, findings := d.report(t, tt.address)
		if code != exitFailed || !strings.Contains(findings, "fault    database") || !strings.Contains(findings, tt.says) || !strings.Contains(findings, "unseen   tables") {
			t.Errorf("%s: exit code %d, want %q:\n%s", tt.name, code, tt.says, findings)
		}
	}
	alien := with(func(u *url.URL) { u.User = url.UserPassword(login+"_alien", "hush") })
	if code, findings := d.report(t, alien); code != exitFailed || !strings.Contains(findings, "GRANT kassa_app TO "+login+"_alien") && !strings.Contains(findings, "permission denied") {
		t.Errorf("a login that is not in kassa_app: exit code %d\n%s", code, findings)
	}
	if code, findings := d.report(t, schematestOwner(t, d)); code != 0 || !strings.Contains(findings, "warning  login") {
		t.Errorf("the owner's login: exit code %d\n%s", code, findings)
	}
	if code, _, complaints := kassa(t, "admin", "list", "--data", d.data, "--database-url", d.service); code != 0 {
		t.Fatal(complaints) // it binds the database to the secret
	}
	another := doctored{d.owner, d.service, withSecret(t, t.TempDir())}
	if code, findings := another.report(t, d.service); code != exitFailed || !strings.Contains(findings, "this is not the secret") {
		t.Errorf("another secret: exit code %d\n%s", code, findings)
	}
	none := doctored{d.owner, d.service, t.TempDir()}
	if code, findings := none.report(t, d.service); code != exitFailed || !strings.Contains(findings, "fault    secret file") {
		t.Errorf("no secret: exit code %d\n%s", code, findings)
	}
	code, _, complaints := kassa(t, "doctor", "--data", d.data, "--database-url", "")
	if code != exitUsage {
		t.Errorf("a wrong argument: exit code %d, %s", code, complaints)
	}
	d.exec(t, fmt.Sprintf(`ALTER ROLE %s SET default_transaction_read_only = on`, login))
	if code, findings := d.report(t, d.service); code != exitFailed || !strings.Contains(findings, "takes no writes") {
		t.Errorf("a login that only reads: exit code %d\n%s", code, findings)
	}
}

func schematestOwner(t *testing.T, d doctored) string {
	t.Helper()
	at, err := url.Parse(schematest.Server(t))
	if err != nil {
		t.Fatal(err)
	}
	at.Path = "/" + d.owner.Config().Database
	return at.String()
}

// A port that another program has, and an embedded ledger whose head is not the log's.
func TestDoctorOfThisMachine(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	code, out, _ := kassa(t, "doctor", "--data", data, "--addr", strings.TrimPrefix(s.url, "http://"))
	if code != 0 || !strings.Contains(out, "a kassa process listens") {
		t.Errorf("beside the service: exit code %d\n%s", code, out)
	}
	s.interrupt(t)
	tamper(t, filepath.Join(data, "kassa.db"), `UPDATE head SET size = size + 1`)
	code, out, _ = kassa(t, "doctor", "--data", data, "--addr", foreign(t))
	for _, says := range []string{"another program listens", "kassa serve does not start"} {
		if code != exitFailed || !strings.Contains(out, says) {
			t.Errorf("exit code %d, want %q:\n%s", code, says, out)
		}
	}
	if code, _, complaints := kassa(t, "serve", "--data", data, "--addr", "127.0.0.1:0"); code != exitFailed {
		t.Errorf("serve starts on it: exit code %d, %s", code, complaints)
	}
}

// The guards of a ledger in one file are looked at as well.
func TestDoctorMissesGuardsOfAFile(t *testing.T) {
	data := t.TempDir()
	serve(t, data).interrupt(t)
	if code, out, complaints := kassa(t, "doctor", "--data", data, "--addr", "127.0.0.1:0"); code != 0 || !strings.Contains(out, "ok       guards") {
		t.Fatalf("of a new ledger: exit code %d\n%s%s", code, out, complaints)
	}
	tamper(t, filepath.Join(data, "kassa.db"), `DROP TRIGGER events_no_update`)
	code, out, _ := kassa(t, "doctor", "--data", data, "--addr", "127.0.0.1:0")
	if code != exitFailed || !strings.Contains(out, "fault    guards                 missing, or not as it was made: the trigger events_no_update;") {
		t.Errorf("without a trigger: exit code %d\n%s", code, out)
	}
}

// The JSON form has the same findings as the lines for people, and the same exit code;
// its codes are these.
func TestDoctorInJSON(t *testing.T) {
	d := newDoctored(t)
	codes := strings.Fields(`data_folder secret_file disk port model
		database tables login owners rights powers functions guards partitions ledger films followers pgvector clock wal_archive deleted_rows`)
	same := func(name string, exit int, args ...string) {
		t.Helper()
		args = append([]string{"doctor", "--data", d.data, "--addr", "127.0.0.1:0", "--database-url", d.service}, args...)
		code, lines, complaints := kassa(t, args...)
		jsonCode, out, jsonComplaints := kassa(t, append(args, "--json")...)
		var said struct {
			OK       bool
			ExitCode int `json:"exit_code"`
			Version  string
			Faults   int
			Warnings int
			Unseen   int
			Findings []struct{ Code, State, Says string }
		}
		must(t, json.Unmarshal([]byte(out), &said))
		var of []string
		n := map[string]int{}
		changing := regexp.MustCompile(`[0-9.]+ ?([mµ]?s|[GM]iB)\b`) // times, and the space of the disk
		for i, line := range strings.Split(strings.TrimSpace(lines), "\n") {
			f := said.Findings[i]
			n[f.State]++
			if changing.ReplaceAllString(line, "") != changing.ReplaceAllString(fmt.Sprintf("%-8s %-22s %s", f.State, strings.TrimSpace(line[9:31]), f.Says), "") ||
				f.Code != strings.ReplaceAll(strings.TrimSpace(line[9:31]), " ", "_") {
				t.Errorf("%s: %+v, and for people %q", name, f, line)
			}
			of = append(of, f.Code)
		}
		if code != exit || jsonCode != exit || said.ExitCode != exit || said.OK != (exit == 0) || complaints != jsonComplaints || said.Version == "" ||
			said.Faults != n[stateFault] || said.Warnings != n[stateWarning] || said.Unseen != n[stateUnseen] {
			t.Errorf("%s: exit codes %d and %d, want %d: %+v\n%s%s", name, code, jsonCode, exit, said, complaints, jsonComplaints)
		}
		if of = slices.Compact(of); !slices.Equal(of, codes) {
			t.Errorf("%s: the codes are %q, want %q", name, of, codes)
		}
	}
	same("as it was made", 0)
	d.exec(t, `GRANT UPDATE ON events TO kassa_app; GRANT DELETE ON events TO kassa_app`)
	same("with two faults of one kind", exitFailed)
	d.exec(t, `REVOKE UPDATE, DELETE ON events FROM kassa_app; INSERT INTO goose_db_version (version_id, is_applied) VALUES (90000, true)`)
	same("after a newer program", exitTooOld)
	if code, out, _ := kassa(t, "doctor", "--json", "--database-url", ""); code != exitUsage || out != "" {
		t.Errorf("a wrong argument: exit code %d, %s", code, out)
	}
	var broker []string
	for _, k := range brokerChecks(bus.Broker{}) {
		broker = append(broker, finding{what: k.what}.code())
	}
	if want := strings.Fields(`broker broker_queues broker_rights broker_alarms older_queues dead_letters`); !slices.Equal(broker, want) {
		t.Errorf("the broker's codes are %q, want %q", broker, want)
	}
}

// A check that could not look is no verdict, and one that found a fault is, whatever
// else could not be looked at.
func TestDoctorCouldNotLook(t *testing.T) {
	for _, tt := range []struct {
		exit int
		errs []error
	}{
		{0, []error{nil, warn("a little")}},
		{exitUnable, []error{nil, notLooked("x")}},
		{exitUnable, []error{context.DeadlineExceeded}},
		{exitTooOld, []error{notLooked("x"), schema.ErrNewer}},
		{exitFailed, []error{notLooked("x"), schema.ErrNewer, errors.New("broken")}},
		{exitFailed, []error{errors.Join(warn("a little"), errors.New("broken"))}},
	} {
		var findings []finding
		for _, err := range tt.errs {
			findings = append(findings, check{"x", func(context.Context) (string, error) { return "", err }}.examine(t.Context())...)
		}
		code := 0
		if err := judge(findings, countStates(findings), len(tt.errs)); err != nil {
			code = exitCode(err)
		}
		if code != tt.exit {
			t.Errorf("%v: exit code %d, want %d", tt.errs, code, tt.exit)
		}
	}
}

// foreign is an address on which a program listens that is no Kassa.
func foreign(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func tamper(t *testing.T, path, statement string) {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Write.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
