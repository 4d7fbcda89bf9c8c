package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// freeAddress is one on which no process listens now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// readiness is the answer of /api/ready.
func readiness(t testing.TB, address string) (status int, detail string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/ready", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	var d struct{ Detail string }
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, d.Detail
}

// A process with an address of its own for health takes no other connection before it
// can answer.
func TestNoConnectionWhileOpening(t *testing.T) {
	broker := bustest.NewProxy(t, bustest.New(t).Address, "127.0.0.1")
	broker.Close()
	front, health := freeAddress(t), freeAddress(t)
	s, opened, err := start(command(t, "serve", "--data", withSecret(t, t.TempDir()), "--addr", front, "--health-addr", health, "--log-format", "json",
		"--database-url", schematest.Postgres(t), "--amqp-url", broker.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	eventstoretest.Eventually(t, "the process waits for its broker", func() bool { return strings.Contains(s.log.String(), "the broker is not there yet") })
	if status, detail := readiness(t, health); status != http.StatusServiceUnavailable || !strings.Contains(detail, "opening") {
		t.Errorf("while it opens it says %d %s", status, detail)
	}
	if code, _, complaints := kassa(t, "health", "--addr", health); code != 0 {
		t.Errorf("it is alive: exit code %d, %s", code, complaints)
	}
	if conn, err := net.Dial("tcp", front); err == nil {
		_ = conn.Close()
		t.Error("a connection is taken while nothing can be answered")
	}
	broker.Open(t)
	select {
	case <-opened:
	case <-time.After(time.Minute):
		t.Fatalf("the broker is there, and the process does not open:\n%s", s.log)
	}
	t.Setenv("KASSA_HEALTH_ADDR", health)
	t.Setenv("KASSA_ADDR", front)
	eventstoretest.Eventually(t, "it is ready", func() bool {
		code, _, _ := kassa(t, "health", "--ready")
		return code == 0
	})
	stranger := client{url: "http://" + front, http: newHTTP()}
	if a := stranger.do(t.Context(), "GET", "/api/", "", nil); a.status != http.StatusOK {
		t.Errorf("when it is open: %d %v", a.status, a.err)
	}
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.log)
	}
}

// A process that is to end reports first that it drains, and answers for a while all
// the same, on connections that it does not keep. What is under way then ends well.
func TestDrain(t *testing.T) {
	t.Parallel()
	health := freeAddress(t)
	s := serve(t, t.TempDir(), "--health-addr", health, "--drain", "3s")
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	if status, detail := readiness(t, health); status != http.StatusOK {
		t.Fatalf("at first it says %d %s", status, detail)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventstoretest.Eventually(t, "it says that it drains", func() bool {
		status, detail := readiness(t, health)
		return status == http.StatusServiceUnavailable && strings.Contains(detail, "drains")
	})
	if status, detail := readiness(t, strings.TrimPrefix(s.url, "http://")); status != http.StatusServiceUnavailable || !strings.Contains(detail, "drains") {
		t.Errorf("at its other address it says %d %s", status, detail)
	}
	for range 3 {
		a := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: 5})
		if a.status != http.StatusOK {
			t.Errorf("while it drains a deposit is answered %d %v %v", a.status, a.body, a.err)
		}
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.url+"/api/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := ada.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("while it drains: %d, and the connection is kept: %t", resp.StatusCode, !resp.Close)
	}
	select {
	case <-s.ended:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, s.log)
		}
	case <-time.After(time.Minute):
		t.Fatalf("it does not end:\n%s", s.log)
	}
}
