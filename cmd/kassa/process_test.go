package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kassa/vault"
)

// asProgram makes the test binary be the program: so tests can run, and kill, a
// real process.
const asProgram = "KASSA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// brokerKey is that of the installations of all tests: each has a virtual host of its
// own.
const brokerKey = "testing00 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// command gives the program as a process that was not started yet.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	// The services of the tests are for those that name them on the command line.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "KASSA_DATABASE_URL=") || strings.HasPrefix(v, "KASSA_AMQP_URL=")
	}), asProgram+"=1", "KASSA_RATE_LIMIT=off", "KASSA_BROKER_KEY="+brokerKey)
	return cmd
}

// kassa runs the program to its end, and gives its exit code and output.
func kassa(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := command(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

// server is a kassa serve that runs.
type server struct {
	cmd   *exec.Cmd
	url   string
	ended chan struct{} // closed when the process is gone
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// withSecret gives the folder a secret, as an operator does before the first start on a
// database.
func withSecret(t testing.TB, data string) string {
	t.Helper()
	if err := vault.NewSecret(filepath.Join(data, "secret")); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	return data
}

// serve starts the service on a free port and waits until its log has that it is open.
func serve(t testing.TB, data string, flags ...string) *server {
	t.Helper()
	if slices.Contains(flags, "--database-url") {
		withSecret(t, data)
	}
	return opened(t, command(t, append([]string{"serve", "--data", data, "--addr", "127.0.0.1:0", "--log-format", "json"}, flags...)...))
}

// opened starts the program and waits until its log has that it is open.
func opened(t testing.TB, cmd *exec.Cmd) *server {
	t.Helper()
	s, open, err := start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	select {
	case s.url = <-open:
	case <-s.ended:
		t.Fatalf("kassa serve ended at once:\n%s", s.log)
	case <-time.After(2 * time.Minute):
		t.Fatalf("kassa serve did not open:\n%s", s.log)
	}
	return s
}

// start starts the program; the channel gives the URL at which it is open.
func start(cmd *exec.Cmd) (s *server, open <-chan string, err error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	s = &server{cmd: cmd, ended: make(chan struct{}), log: &lockedBuffer{}}
	opened := make(chan string, 1)
	go s.follow(stderr, opened)
	return s, opened, nil
}

// follow reads the log until the process is gone.
func (s *server) follow(stderr io.Reader, open chan<- string) {
	defer close(s.ended)
	lines := bufio.NewScanner(io.TeeReader(stderr, s.log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg, URL, Health string }
		switch err := json.Unmarshal(lines.Bytes(), &line); {
		case err == nil && line.Msg == "kassa is open":
			open <- strings.TrimSuffix(line.URL, "/web")
		case err == nil && line.Msg == "the worker is open":
			open <- "http://" + line.Health
		}
	}
	_ = s.cmd.Wait() // how it ended is read from its state
}

// kill is kill -9.
func (s *server) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

// interrupt is Ctrl-C; it gives the exit code.
func (s *server) interrupt(t testing.TB) int {
	t.Helper()
	return s.signal(t, os.Interrupt)
}

// signal asks the process to end, and gives its exit code.
func (s *server) signal(t testing.TB, by os.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(by); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		t.Fatalf("kassa serve did not end after %s:\n%s", by, s.log)
	}
	return s.cmd.ProcessState.ExitCode()
}

// client is one person with their password, over HTTP Basic; without an e-mail it is a
// browser, or a guest.
type client struct {
	url, email string
	http       *http.Client
}

const password = "a till by the sea"

// answer is the answer of the service. A status of 0 means that there was none.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	err    error // why there was none
}

func (a answer) number(field string) int64 {
	n, _ := a.body[field].(float64)
	return int64(n)
}

func (a answer) text(field string) string {
	s, _ := a.body[field].(string)
	return s
}

// do sends a request; a connection that breaks is an answer of status 0.
func (c client) do(ctx context.Context, method, path, key string, body any) answer {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			panic(err) // a test's own mistake
		}
		payload = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, payload)
	if err != nil {
		panic(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	if wait, ok := body.(question); ok {
		r.Header.Set("Prefer", fmt.Sprintf("wait=%d", wait.wait))
	}
	if c.email != "" {
		r.SetBasicAuth(c.email, password)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.status == http.StatusNoContent {
		return a
	}
	if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil {
		return answer{err: err} // cut off in the middle
	}
	return a
}

// question asks for a prediction.
type question struct {
	Text  string `json:"text"`
	Limit int    `json:"limit,omitempty"`
	wait  int    // seconds
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

type adjustment struct {
	Amount    int64  `json:"amount"`
	User      string `json:"user_id,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Reference string `json:"reference,omitempty"`
}

func newHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 600}, Timeout: 2 * time.Minute}
}

// signUp makes a person.
func (s *server) signUp(t testing.TB, h *http.Client, email string) client {
	t.Helper()
	c := client{url: s.url, email: email, http: h}
	if a := c.do(t.Context(), "POST", "/api/users/signup", "", credentials{email, password}); a.status != http.StatusCreated {
		t.Fatalf("sign up: %d %v", a.status, a.body)
	}
	return c
}

// mustVerify is kassa verify on the folder, or on the database that the flags name;
// a fault ends the test.
func mustVerify(t testing.TB, data string, flags ...string) verdict {
	t.Helper()
	code, out, complaints := kassa(t, append([]string{"verify", "--json", "--data", data}, flags...)...)
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || !v.OK {
		t.Fatalf("kassa verify: exit code %d, %s%s", code, out, complaints)
	}
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
