package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"kassa/internal/bus/bustest"
	"kassa/internal/process"
	"kassa/schema/schematest"
)

// A setting that is empty or odd names nothing, or another thing than was meant: it is
// refused by its name, before anything is opened or made.
func TestOddSettingsAreRefused(t *testing.T) {
	address := "postgres://kassa@127.0.0.1:1/kassa"
	for _, tt := range []struct {
		name, value string
		says        string // "" where it is fine
	}{
		{"empty", "", "is empty"},
		{"blank", " \n", "is empty"},
		{"a line's end alone", "\r\n", "is empty"},
		{"a byte order mark", "\uFEFF" + address, "byte order mark"},
		{"double quotes", `"` + address + `"`, "in quotes"},
		{"single quotes", "'" + address + "'", "in quotes"},
		{"two lines", address + "\n" + address, "more than one line"},
		{"UTF-16", "p\x00o\x00", "control character"},
		{"spaces", " " + address, "spaces around it"},
		{"its name before it", "KASSA_DATABASE_URL=" + address, "not a postgres:// URL"},
		{"another database", "mysql://x@y/z", "not a postgres:// URL"},
		{"as it should be", address, ""},
		{"with a line's end", address + "\n", ""},
		{"with a line's end of Windows", address + "\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			file := filepath.Join(t.TempDir(), "url")
			if err := os.WriteFile(file, []byte(tt.value), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, flag := range []string{"--database-url-file=" + file, "--database-url=" + tt.value, "KASSA_DATABASE_URL=" + tt.value} {
				if strings.Contains(tt.value, "\x00") && !strings.HasPrefix(flag, "--database-url-file") {
					continue // no argument and no variable can hold it
				}
				if strings.HasSuffix(tt.value, "\n") && tt.says == "" && !strings.HasPrefix(flag, "--database-url-file") {
					continue // a file ends with a line's end, a variable does not
				}
				code, complaints := withSetting(t, data, flag)
				if tt.says == "" {
					if code != exitFailed || strings.Contains(complaints, "See kassa --help") {
						t.Errorf("%q: exit code %d, %s", flag, code, complaints)
					}
					continue
				}
				if code != exitUsage || !strings.Contains(complaints, tt.says) || !strings.Contains(complaints, file) && !strings.Contains(complaints, "--database-url") {
					t.Errorf("%q: exit code %d, %q, want %q and where", flag, code, complaints, tt.says)
				}
			}
			if _, err := os.Stat(data); err == nil && tt.says != "" {
				t.Error("a data folder was made")
			}
		})
	}
	for _, both := range [][]string{{"--database-url", address}, {"--amqp-url", "amqp://x@127.0.0.1:1/y"}} {
		file := filepath.Join(t.TempDir(), "url")
		if err := os.WriteFile(file, []byte(both[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, complaints := kassa(t, "doctor", both[0], both[1], both[0]+"-file", file); code != exitUsage || !strings.Contains(complaints, "leave one away") {
			t.Errorf("%s twice: exit code %d, %s", both[0], code, complaints)
		}
	}
}

// withSetting runs a command that opens the ledger, with one setting by flag or by
// environment.
func withSetting(t *testing.T, data, setting string) (code int, complaints string) {
	t.Helper()
	args := []string{"admin", "list", "--data", data}
	var env []string
	if strings.HasPrefix(setting, "--") {
		args = append(args, setting)
	} else {
		env = append(env, setting)
	}
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	_ = cmd.Run() // its exit code is looked at
	return cmd.ProcessState.ExitCode(), said.String()
}

// A secret is made for a new ledger of the embedded default, and by kassa secret new;
// never because a file is not where it was looked for.
func TestASecretIsNotMadeInSilence(t *testing.T) {
	data := t.TempDir()
	path := filepath.Join(data, "secret")
	serve(t, data).interrupt(t)
	own, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, says, made string, args ...string) {
		t.Helper()
		code, out, complaints := kassa(t, append([]string{"admin", "list"}, args...)...)
		if code != exitFailed || !strings.Contains(complaints, says) {
			t.Errorf("%s: exit code %d, %s%s", what, code, out, complaints)
		}
		if made != "" {
			if _, err := os.Stat(made); err == nil {
				t.Errorf("%s: %s was made", what, made)
			}
		}
	}
	mistyped := filepath.Join(data, "secert")
	refused("a mistyped name", "there is no secret in "+mistyped, mistyped, "--data", data, "--secret-file", mistyped)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("a lost secret", "there is no secret", path, "--data", data)
	another := t.TempDir()
	serve(t, another).interrupt(t)
	refused("the secret of another ledger, before anybody signed up", "this is not the secret", "", "--data", data, "--secret-file", filepath.Join(another, "secret"))
	if err := os.WriteFile(path, own, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, complaints := kassa(t, "admin", "list", "--data", data); code != 0 {
		t.Errorf("with its own again: %s", complaints)
	}

	empty := filepath.Join(t.TempDir(), "data")
	refused("a database", "kassa secret new", filepath.Join(empty, "secret"), "--data", empty, "--database-url", schematest.Postgres(t))
	if code, out, complaints := kassa(t, "secret", "new", "--data", empty); code != 0 || !strings.Contains(out, "is new") {
		t.Errorf("secret new: exit code %d, %s%s", code, out, complaints)
	}
	made, err := os.ReadFile(filepath.Join(empty, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, complaints := kassa(t, "secret", "new", "--data", empty); code != exitFailed || !strings.Contains(complaints, "is there already") {
		t.Errorf("secret new again: exit code %d, %s", code, complaints)
	}
	if kept, err := os.ReadFile(filepath.Join(empty, "secret")); err != nil || !bytes.Equal(kept, made) {
		t.Error("the secret was made again")
	}
}

// Of two processes that begin on one new database with different secrets, one is
// refused, and stays refused; so that no e-mail can sign up twice.
func TestOneSecretForADatabase(t *testing.T) {
	database := schematest.Postgres(t)
	folders := []string{withSecret(t, t.TempDir()), withSecret(t, t.TempDir())}
	opened := make(chan error, len(folders))
	for _, data := range folders {
		go func() {
			l, err := dataSettings{Data: data, DatabaseURL: database, DatabaseConns: 4}.open(context.WithoutCancel(t.Context()))
			if err == nil {
				err = l.Close()
			}
			opened <- err
		}()
	}
	refusals := 0
	for range folders {
		if err := <-opened; err != nil {
			refusals++
			if !strings.Contains(err.Error(), "this is not the secret") {
				t.Error(err)
			}
		}
	}
	if refusals != 1 {
		t.Fatalf("%d of two secrets were refused", refusals)
	}
	refused := ""
	for _, data := range folders {
		code, _, complaints := kassa(t, "admin", "list", "--data", data, "--database-url", database)
		if code != 0 {
			refused = data
			if !strings.Contains(complaints, "check value") {
				t.Error(complaints)
			}
		}
	}
	if refused == "" {
		t.Fatal("both secrets are taken now")
	}
	code, _, complaints := kassa(t, "serve", "--data", refused, "--addr", "127.0.0.1:0", "--database-url", database, "--amqp-url", bustest.New(t).Address)
	if code != exitFailed || !strings.Contains(complaints, "this is not the secret") {
		t.Errorf("serve with it: exit code %d, %s", code, complaints)
	}
}

// The database's list of sessions names the process of each.
func TestConnectionsCarryNames(t *testing.T) {
	database := schematest.Postgres(t)
	serve(t, t.TempDir(), "--database-url", database, "--amqp-url", bustest.New(t).Address)
	owner, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.WithoutCancel(t.Context()))
	var names []string
	err = owner.QueryRow(t.Context(), `SELECT array_agg(DISTINCT application_name) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`).Scan(&names)
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], "kassa all roles ") {
		t.Errorf("the sessions are called %q, %v", names, err)
	}
}

// The issuer of statements is written in one line, and printed in several.
func TestIssuerAndZone(t *testing.T) {
	for typed, want := range map[string]string{"Kassa Ltd | 1 Main Street|VAT 7 ": "Kassa Ltd\n1 Main Street\nVAT 7", "": ""} {
		s, surface := statementSettings{Issuer: typed, Zone: "Europe/Moscow"}, process.Surface{}
		if err := errors.Join(s.check(), s.set(&surface)); err != nil {
			t.Fatal(err)
		}
		if surface.Issuer != want || surface.Zone.String() != "Europe/Moscow" {
			t.Errorf("of %q the issuer is %q, the zone %s", typed, surface.Issuer, surface.Zone)
		}
	}
}
