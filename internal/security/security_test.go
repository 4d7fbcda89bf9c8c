package security_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kassa/internal/security"
)

// record gives the fields of one event's line, but for its time.
func record(t *testing.T, ctx context.Context, e security.Event) map[string]any {
	t.Helper()
	var out bytes.Buffer
	security.New(security.Lines(&out)).Hashing(func(email string) string { return "hash of " + strings.Repeat("x", len(email)) }).Record(ctx, e)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["time"] == nil {
		t.Fatalf("%s: %v", out.Bytes(), err)
	}
	delete(line, "time")
	return line
}

// A line has what is known of the event, and nothing for what is not. An e-mail is hashed,
// and an address is cut to its network.
func TestLines(t *testing.T) {
	from := func(address string) context.Context {
		ip, _ := netip.ParseAddr(address) // "" is no address
		return security.WithOrigin(t.Context(), security.Origin{Request: "r_1", Client: ip})
	}
	for _, tt := range []struct {
		ctx  context.Context
		e    security.Event
		want map[string]any
	}{
		{t.Context(), security.Event{Kind: security.RoleGranted, Subject: "u_ada", Details: []slog.Attr{slog.String("role", "admin")}},
			map[string]any{"level": "INFO", "event": "role_granted", "outcome": "ok", "subject": "u_ada", "role": "admin"}},
		{from("192.0.2.77"), security.Event{Kind: security.SignIn, Outcome: security.Refused, User: "u_ada", Email: "ada@x", Method: "basic", Reason: "invalid_credentials"},
			map[string]any{"level": "WARN", "event": "sign_in", "outcome": "refused", "user": "u_ada", "email_hash": "hash of xxxxx", "method": "basic", "reason": "invalid_credentials",
				"network": "192.0.2.0/24", "request": "r_1"}},
		{from("2001:db8:1:2:3:4:5:6%eth0"), security.Event{Kind: security.SignOut, User: "u_ada"},
			map[string]any{"level": "INFO", "event": "sign_out", "outcome": "ok", "user": "u_ada", "network": "2001:db8:1::/48", "request": "r_1"}},
		{from("::ffff:192.0.2.77"), security.Event{Kind: security.SignUp, Outcome: security.Limited},
			map[string]any{"level": "WARN", "event": "sign_up", "outcome": "limited", "network": "192.0.2.0/24", "request": "r_1"}},
		{from(""), security.Event{Kind: security.SignOut},
			map[string]any{"level": "INFO", "event": "sign_out", "outcome": "ok", "request": "r_1"}},
	} {
		if got := record(t, tt.ctx, tt.e); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v is\n%v, want\n%v", tt.e, got, tt.want)
		}
	}
}

// Without a log nothing is written, and without a key no e-mail.
func TestNoLogAndNoKey(t *testing.T) {
	var none *security.Log
	none.Hashing(nil).Record(t.Context(), security.Event{Kind: security.SignIn})

	var out bytes.Buffer
	security.New(security.Lines(&out)).Record(t.Context(), security.Event{Kind: security.SignIn, Email: "ada@example.org"})
	if strings.Contains(out.String(), "ada") || strings.Contains(out.String(), "email") {
		t.Errorf("an e-mail is in %s", out.String())
	}
}

// What is written after the file was renamed and opened again is in the new one, and
// nothing is lost. Only its owner may read it.
func TestRotatedFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "security.log")
	file, err := security.OpenFile(name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	log := security.New(security.Lines(file))
	record := func(kind security.Kind) { log.Record(t.Context(), security.Event{Kind: kind}) }
	record("a")
	for _, do := range []func() error{func() error { return os.Rename(name, name+".1") }, func() error { record("b"); return nil }, file.Reopen} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	record("c")
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{name + ".1": 2, name: 1} {
		text, err := os.ReadFile(name)
		if err != nil || bytes.Count(text, []byte("\n")) != want {
			t.Errorf("%s has %q (%v), want %d lines", name, text, err, want)
		}
		if at, err := os.Stat(name); err != nil || at.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, at.Mode(), err)
		}
	}
}

// A file that cannot be written is reported once, and again after it could be written.
func TestFileThatCannotBeWritten(t *testing.T) {
	var trouble bytes.Buffer
	file, err := security.OpenFile(filepath.Join(t.TempDir(), "security.log"), slog.New(slog.NewTextHandler(&trouble, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 2} {
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := file.Write([]byte("x\n")); !errors.Is(err, os.ErrClosed) {
				t.Fatal(err)
			}
		}
		if n := strings.Count(trouble.String(), "cannot be written"); n != want {
			t.Errorf("reported %d times, want %d: %s", n, want, trouble.String())
		}
		if err := file.Reopen(); !errors.Is(err, os.ErrClosed) { // of the old file
			t.Fatal(err)
		}
		if _, err := file.Write([]byte("x\n")); err != nil {
			t.Fatal(err)
		}
	}
}
