package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deposit pays in, while the service runs.
func (c client) deposit(t *testing.T, amount int64) (balance int64) {
	t.Helper()
	a := c.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: amount})
	if a.status != http.StatusOK {
		t.Fatalf("a deposit: %d %v %v", a.status, a.body, a.err)
	}
	return a.number("balance")
}

// wants runs the program, and insists on its exit code and on what it says.
func wants(t *testing.T, code int, says string, args ...string) (out string) {
	t.Helper()
	got, out, complaints := kassa(t, args...)
	if got != code || !strings.Contains(out+complaints, says) {
		t.Errorf("kassa %s: exit code %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, says, out, complaints)
	}
	return out
}

// The drill of the embedded default: a backup is made while the service works, the data
// folder is lost, and the backup takes its place. It lacks what came after it: the restore
// refuses, and says what is missing, until it is told to go on. A newer backup lacks
// nothing.
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	data, backups, outside := filepath.Join(home, "data"), filepath.Join(home, "backups"), filepath.Join(home, "signed-head")
	flags := []string{"--signed-head-file", outside}
	s := serve(t, data, flags...)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	ada.deposit(t, 90)
	out := wants(t, 0, "is complete", "backup", "create", "--data", data, "--backups", backups)
	older, _, _ := strings.Cut(out, " ")
	ada.deposit(t, 500) // the older backup does not have it
	out = wants(t, 0, "is complete", "backup", "create", "--data", data, "--backups", backups, "--no-secrets")
	newer, _, _ := strings.Cut(out, " ")
	s.signedHead(t)
	s.kill()
	must(t, os.Rename(data, data+".lost"))
	wants(t, 0, older, "backup", "list", "--backups", backups)
	wants(t, 0, "was replayed", "backup", "verify", older, "--backups", backups)
	wants(t, exitFailed, "no such backup", "backup", "verify", "20200101T000000.000Z-1", "--backups", backups)

	restore := func(name string, more ...string) []string {
		return append([]string{"backup", "restore", name, "--backups", backups, "--data", data}, more...)
	}
	wants(t, exitUsage, "--signed-head-file or --kept", restore(older)...)
	wants(t, exitUsage, "--secret-file", restore(newer, "--unproved")...)
	wants(t, exitFailed, "entries are missing: 2", restore(older, flags...)...)
	if list, err := os.ReadDir(home); err != nil || len(list) != 3 {
		t.Errorf("a restore that was refused leaves %v, %v", list, err)
	}
	secret, key := filepath.Join(data+".lost", "secret"), filepath.Join(data+".lost", "log.key")
	wants(t, 0, "Nothing is missing", restore(newer, append(flags, "--secret-file", secret, "--log-key-file", key)...)...)
	mustVerify(t, data)
	must(t, os.RemoveAll(data))

	wants(t, 0, "signed from now on as another log", restore(older, append(flags, "--accept-loss")...)...)
	wants(t, exitFailed, "is not empty", restore(older, "--unproved")...)
	if _, err := os.Stat(outside + ".until-5"); err != nil {
		t.Errorf("the signed head is not kept aside: %v", err)
	}
	s = serve(t, data, flags...)
	ada.url = s.url
	if balance := ada.deposit(t, 7); balance != 107 {
		t.Errorf("after 10, 90 and 7 the balance is %d", balance)
	}
	if a := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a film about a ship", wait: 30}); a.text("status") != "completed" {
		t.Errorf("a question is answered %d %v", a.status, a.body)
	}
	if signed := s.signedHead(t); !strings.Contains(signed[:strings.Index(signed, "\n")], "-2") {
		t.Errorf("heads are signed as the same log:\n%s", signed)
	}
	s.interrupt(t)
	mustVerify(t, data)
}

// killedBackup kills a backup while it is made, so that a part of it is there.
func killedBackup(t *testing.T, data, backups string) {
	t.Helper()
	left := func() bool {
		list, err := filepath.Glob(filepath.Join(backups, ".partial-*"))
		must(t, err)
		return len(list) > 0
	}
	for range 50 { // some are complete before they are killed
		cmd := command(t, "backup", "create", "--data", data, "--backups", backups)
		must(t, cmd.Start())
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		for running := true; running && !left(); {
			select {
			case <-ended:
				running = false
			default:
			}
		}
		_ = cmd.Process.Kill()
		<-ended
		if left() {
			return
		}
	}
	t.Fatal("no backup could be killed while it was made")
}

// The doctor names backups that are too old, those that are not there, and what a kill has
// left, which is no backup.
func TestDoctorLooksAtBackups(t *testing.T) {
	t.Parallel()
	data, backups := filepath.Join(t.TempDir(), "data"), t.TempDir()
	look := func(want string, flags ...string) {
		t.Helper()
		_, out, complaints := kassa(t, append([]string{"doctor", "--data", data, "--addr", "127.0.0.1:0", "--backups", backups}, flags...)...)
		for line := range strings.Lines(out) {
			if strings.Contains(line, " backups ") && strings.Contains(line, want) {
				return
			}
		}
		t.Errorf("it does not say %q:\n%s%s", want, out, complaints)
	}
	look("there is no backup")
	s := serve(t, data)
	s.signUp(t, newHTTP(), "ada@example.com")
	s.interrupt(t)
	wants(t, 0, "is complete", "backup", "create", "--data", data, "--backups", backups)
	look("the newest of 1 is")
	look("make one now", "--backup-age", time.Nanosecond.String())
	killedBackup(t, data, backups)
	look("1 not complete")
	wants(t, 0, "not complete", "backup", "list", "--backups", backups)
	wants(t, 0, "is whole", "backup", "verify", "--backups", backups)
	mustVerify(t, data)
}
