package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// inhabited is a service on a database, as the login of production, with a person who
// has paid.
type inhabited struct {
	data, broker string
	flags        []string
	ada          client
	*server
}

func inhabit(t *testing.T, service string, flags ...string) inhabited {
	t.Helper()
	h := inhabited{data: filepath.Join(t.TempDir(), "data"), broker: bustest.New(t).Address, flags: flags}
	must(t, os.Mkdir(h.data, 0o700))
	h.serve(t, service)
	h.ada = h.signUp(t, newHTTP(), "ada@example.com")
	h.pay(t, 90)
	return h
}

func (h *inhabited) serve(t *testing.T, database string) {
	t.Helper()
	h.server = serve(t, h.data, append([]string{"--database-url", database, "--amqp-url", h.broker}, h.flags...)...)
	h.ada.url = h.url
}

// pay adds to the bonus of 10.
func (h inhabited) pay(t *testing.T, amount int64) (balance int64) {
	t.Helper()
	paid := h.ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: amount})
	if paid.status != http.StatusOK {
		t.Fatalf("a deposit: %d %v %v\n%s", paid.status, paid.body, paid.err, tail(h.log.String()))
	}
	return paid.number("balance")
}

// restored insists that the doctor finds nothing and verify proves the ledger, from the
// kept head on; and that the service serves it, with the balance that it had.
func (h inhabited) restored(t *testing.T, kept, database string, had int64) {
	t.Helper()
	if findings := findingsOf(t, h.data, database); findings != "" {
		t.Errorf("of the restored database the doctor finds\n%s", findings)
	}
	mustVerify(t, h.data, "--database-url", database, "--kept", kept)
	h.serve(t, database)
	if balance := h.pay(t, 7); balance != had+7 {
		t.Errorf("after %d and 7 the balance is %d", had, balance)
	}
	if asked := h.ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a film about a ship", wait: 30}); asked.text("status") != "completed" {
		t.Errorf("a question is answered %d %v", asked.status, asked.body)
	}
	h.interrupt(t)
	mustVerify(t, h.data, "--database-url", database, "--kept", kept)
}

// findingsOf is what the doctor finds in a database, without what is fine.
func findingsOf(t *testing.T, data, database string) (findings string) {
	t.Helper()
	_, out, complaints := kassa(t, "doctor", "--data", data, "--addr", "127.0.0.1:0", "--database-url", database)
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "ok ") && !strings.Contains(line, " pgvector ") {
			findings += line
		}
	}
	if out == "" {
		t.Fatal(complaints)
	}
	return findings
}

// head is the head of the ledger, as verify prints it.
func (h inhabited) head(t *testing.T, database string) string {
	t.Helper()
	v := mustVerify(t, h.data, "--database-url", database)
	return fmt.Sprintf("%d:%s", v.Size, v.Root)
}

// The drill of PostgreSQL, by the commands of docs/operate.md: WAL is archived, and a base
// backup is taken while the service works. Then a payment is made that is to be undone, and
// the server's folder is lost. The backup is brought to the moment before that payment; kassa
// recover says what is missing, and goes on when it is told to.
func TestBaseBackup(t *testing.T) {
	t.Parallel()
	own := append(os.Environ(), "KASSA_SERVICES_DIR="+t.TempDir())
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join("..", "..", "docker", "services"), args...)
		cmd.Env = own
		var complaints strings.Builder
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("docker/services %s: %v\n%s", strings.Join(args, " "), err, complaints.String())
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() { run("wipe") })
	ask := func(query string) string {
		t.Helper()
		return run("psql", "--tuples-only", "--no-align", "--command", query)
	}
	_, address, _ := strings.Cut(run("up", "postgres"), "KASSA_DATABASE_URL=")
	address, _, _ = strings.Cut(address, "\n")
	folder := ask("SHOW data_directory") // where the server has it
	places := strings.NewReplacer("DIR", folder+".backup", "ARCHIVE", folder+".archive")
	run("exec", "postgres", "mkdir", folder+".archive")
	for _, setting := range strings.Split(documented(t, "(?s)```sql\n(ALTER SYSTEM SET archive_mode.*?)\n```"), "\n") {
		ask(places.Replace(setting))
	}
	run("stop", "postgres")
	run("start", "postgres")
	service := schematest.Service(t, migrated(t, address))
	outside, key := filepath.Join(t.TempDir(), "signed-head"), filepath.Join(t.TempDir(), "log.key")
	wants(t, 0, "is new", "key", "new", "kassa.example.com/ledger", "--log-key-file", key)
	h := inhabit(t, service, "--signed-head-file", outside, "--log-key-file", key)

	run(append([]string{"exec", "postgres"}, strings.Fields(places.Replace(documented(t, "`(pg_basebackup [^`]*)`")))...)...)
	h.pay(t, 500) // it is in the archive alone
	kept := h.head(t, service)
	ask("SELECT pg_create_restore_point('before')")
	h.pay(t, 1000)
	h.signedHead(t)
	last := ask("SELECT pg_walfile_name(pg_switch_wal())")
	eventstoretest.Eventually(t, "the WAL is archived", func() bool { return ask("SELECT last_archived_wal FROM pg_stat_archiver") >= last })
	h.kill()
	run("exec", "postgres", "mv", folder, folder+".lost")
	run("exec", "postgres", "mv", folder+".backup", folder)
	recovery := places.Replace(documented(t, "(?s)```\n(restore_command .*?)```"))
	run("exec", "postgres", "sh", "-c", "cat >>"+folder+"/postgresql.auto.conf <<'END'\n"+recovery+"END\ntouch "+folder+"/recovery.signal")
	run("kill", "postgres")
	run("start", "postgres")
	eventstoretest.Eventually(t, "the server ends its recovery", func() bool { return ask("SELECT pg_is_in_recovery()") == "f" })

	wants(t, exitFailed, "kassa recover", append([]string{"serve", "--data", h.data, "--addr", "127.0.0.1:0", "--database-url", service, "--amqp-url", h.broker}, h.flags...)...)
	recover := append([]string{"recover", "--data", h.data, "--database-url", address}, h.flags...)
	wants(t, exitFailed, "entries are missing: 2", recover...)
	wants(t, 0, "as another log", append(recover, "--accept-loss")...)
	h.restored(t, kept, service, 600)
	if signed, err := os.ReadFile(outside); err != nil || !strings.HasPrefix(string(signed), "kassa.example.com/ledger-2\n") {
		t.Errorf("signed is %s, %v", signed, err)
	}

	// The server as a hot standby, whose primary is away: an auditor can verify it.
	auditor := schematest.Auditor(t, address)
	run("exec", "postgres", "touch", folder+"/standby.signal")
	run("stop", "postgres")
	run("start", "postgres")
	if recovers := ask("SELECT pg_is_in_recovery()"); recovers != "t" {
		t.Fatalf("it is no standby: %q", recovers)
	}
	mustVerify(t, h.data, "--database-url", auditor, "--kept", kept)
	if code, out, complaints := kassa(t, "events", "--database-url", auditor); code != 0 || !strings.Contains(out, "Deposited") {
		t.Errorf("events of a standby: exit code %d\n%s%s", code, out, complaints)
	}
	run("exec", "postgres", "rm", folder+"/standby.signal") // so that the logins can be dropped
	run("stop", "postgres")
	run("start", "postgres")
}

func migrated(t *testing.T, owner string) string {
	t.Helper()
	if code, _, complaints := kassa(t, "migrate", "--database-url", owner); code != 0 {
		t.Fatal(complaints)
	}
	return owner
}

// documented is what docs/operate.md has in that place.
func documented(t *testing.T, place string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operate.md")
	must(t, err)
	found := regexp.MustCompile(place).FindSubmatch(page)
	if found == nil {
		t.Fatalf("docs/operate.md has no %s", place)
	}
	return string(found[1])
}

// A dump that is taken and put back by exactly the commands of docs/operate.md is a
// ledger that serves, with the owners and rights of before.
func TestDump(t *testing.T) {
	t.Parallel()
	owner, fresh := schematest.Postgres(t), schematest.Empty(t)
	service := schematest.Service(t, owner)
	h := inhabit(t, service)
	kept := h.head(t, service)
	h.interrupt(t)

	moved := at(t, service, func(u *url.URL) { u.Path = at(t, fresh, nil).Path }).String()
	script := strings.ReplaceAll(documented(t, "(?s)```\n(pg_dump .*?)```"), "DATABASE kassa", "DATABASE "+strings.TrimPrefix(at(t, fresh, nil).Path, "/"))
	cmd := exec.Command("bash", "-euxc", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(command(t).Env, "PATH="+clientTools(t)+":"+os.Getenv("PATH"), "KASSA_DATA="+h.data, "KASSA_ADDR=127.0.0.1:0",
		"OWNER_URL="+inside(t, owner), "NEW_OWNER_URL="+inside(t, fresh), "NEW_SERVICE_URL="+moved)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.restored(t, kept, moved, 100)
}

// at is an address with a change.
func at(t *testing.T, address string, change func(*url.URL)) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	if change != nil {
		change(u)
	}
	return u
}

// inside is the address of a database for a client beside the server, who finds the
// server by itself.
func inside(t *testing.T, address string) string {
	t.Helper()
	return at(t, address, func(u *url.URL) { u.Host, u.RawQuery = "", "" }).String()
}

// clientTools is a folder with PostgreSQL's own programs, which run beside the server,
// and with this program.
func clientTools(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	services, err := filepath.Abs("../../docker/services")
	must(t, err)
	write := func(name, text string) {
		must(t, os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\nexec "+text+" \"$@\"\n"), 0o700))
	}
	for _, name := range []string{"pg_dump", "pg_restore", "psql"} {
		write(name, "'"+services+"' exec postgres "+name)
	}
	self, err := os.Executable()
	must(t, err)
	write("kassa", "'"+self+"'")
	return folder
}

// A dump that was put back in another way than the documented one has wrong owners or
// rights: the doctor reports it with the login of the service. What it reports about rights
// corrects them.
func TestDumpPutBackWrongly(t *testing.T) {
	t.Parallel()
	owner := schematest.Postgres(t)
	service := schematest.Service(t, owner)
	h := inhabit(t, service)
	h.interrupt(t)
	tools, dump := clientTools(t), filepath.Join(t.TempDir(), "kassa.dump")
	run := func(script string) {
		t.Helper()
		if out, err := exec.Command("bash", "-euc", "PATH="+tools+":$PATH; "+script).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	run("pg_dump --format=custom '" + inside(t, owner) + "' >" + dump)
	superuser, alien := os.Getenv("KASSA_DATABASE_SUPERUSER_URL"), schematest.Service(t, owner)
	for _, tt := range []struct{ name, as, options, says string }{
		{"by a superuser, with owners", superuser, "", ""},
		{"by a superuser, without owners", superuser, "--no-owner", "fault owners the log belongs to postgres, and the database to kassa"},
		{"by another role", alien, "--no-owner --no-comments", "fault owners the log belongs to kassa_test_service_"},
		{"without rights", owner, "--no-owner --no-comments --no-privileges", "fault rights kassa_app cannot SELECT, INSERT on public.events: GRANT"},
	} {
		fresh := schematest.Empty(t)
		path := at(t, fresh, nil).Path
		moved := func(address string) string { return at(t, address, func(u *url.URL) { u.Path = path }).String() }
		conn, err := pgx.Connect(t.Context(), fresh)
		must(t, err)
		defer conn.Close(context.Background())
		d := doctored{conn, moved(service), h.data}
		d.exec(t, "REVOKE TEMPORARY ON DATABASE "+path[1:]+" FROM PUBLIC")
		if tt.as == alien {
			d.exec(t, "GRANT CREATE ON DATABASE "+path[1:]+" TO "+at(t, alien, nil).User.Username()+"; GRANT ALL ON SCHEMA public TO "+at(t, alien, nil).User.Username())
		}
		run("pg_restore --exit-on-error " + tt.options + " --dbname '" + inside(t, moved(tt.as)) + "' <" + dump)
		findings := d.looked(t)
		if !strings.Contains(findings, tt.says) || (tt.says == "") != (findings == "") {
			t.Errorf("%s: the doctor finds\n%s\nand not %q", tt.name, findings, tt.says)
		}
		if !strings.HasPrefix(tt.says, "fault rights") {
			continue
		}
		for range 3 { // what one right hides is seen in the next look
			for _, mend := range regexp.MustCompile(`(?m)^fault (?:rights|functions) .*?: ((?:GRANT|REVOKE) .*)$`).FindAllStringSubmatch(findings, -1) {
				d.exec(t, mend[1])
			}
			findings = d.looked(t)
		}
		if findings != "" {
			t.Errorf("%s, when all was done as it says:\n%s", tt.name, findings)
		}
	}
}
