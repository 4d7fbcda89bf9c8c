package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The security log is a file of its own: of the service, which opens it again at SIGHUP,
// and of commands that change a role, which name the user of the operating system.
func TestSecurityLog(t *testing.T) {
	data, name := t.TempDir(), filepath.Join(t.TempDir(), "security.log")
	s := serve(t, data, "--security-log", name)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	read := func(name string) string {
		text, err := os.ReadFile(name)
		must(t, err)
		return string(text)
	}
	if text := read(name); !strings.Contains(text, `"event":"settings"`) || strings.Contains(s.log.String(), `"event"`) {
		t.Errorf("at start the security log is %s, and the log\n%s", text, s.log)
	}
	must(t, os.Rename(name, name+".1"))
	must(t, s.cmd.Process.Signal(syscall.SIGHUP))
	patiently(t, "a new file", func() bool { _, err := os.Stat(name); return err == nil })
	if a := ada.do(t.Context(), "GET", "/api/admin/users", "", nil); a.status != http.StatusForbidden {
		t.Fatal(a)
	}
	if text := read(name); !strings.Contains(text, `"event":"access_refused"`) || strings.Contains(text, `"settings"`) {
		t.Errorf("after SIGHUP the new file has %s", text)
	}
	before := len(read(name))
	for range 2 { // the second changes nothing
		if code, _, complaints := kassa(t, "admin", "grant", ada.email, "--data", data, "--security-log", name); code != 0 || complaints != "" {
			t.Fatalf("admin grant: %d, %s", code, complaints)
		}
	}
	var e map[string]any
	must(t, json.Unmarshal([]byte(read(name)[before:]), &e))
	if e["event"] != "role_granted" || e["role"] != "admin" || e["console"] == "" || e["subject"] == "" || e["user"] != nil {
		t.Errorf("the event of a grant is %v", e)
	}
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.log)
	}
	mustVerify(t, data)
}

// Without a file security events are lines of the log; one that cannot be opened stops the
// command.
func TestSecurityLogElsewhere(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	patiently(t, "the settings", func() bool { return strings.Contains(s.log.String(), `"msg":"security","event":"settings"`) })
	s.interrupt(t)
	if code, _, complaints := kassa(t, "serve", "--data", data, "--security-log", filepath.Join(data, "none", "x.log")); code != exitUsage || !strings.Contains(complaints, "security log") {
		t.Errorf("exit code %d, %s", code, complaints)
	}
	if code, out, _ := kassa(t, "admin", "list", "--data", data, "--security-log", "-"); code != 0 || strings.Contains(out, "event") {
		t.Errorf("exit code %d, %s", code, out)
	}
}
