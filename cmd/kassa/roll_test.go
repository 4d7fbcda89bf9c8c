package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// site is the shape of docker/compose.yaml without containers: two API processes behind
// nginx with the settings that are shipped, and one process that does the rest.
type site struct {
	t         *testing.T
	data, url string // url is nginx's
	args      []string
	api       [2]*apiProcess
}

// apiProcess is one of the two, at addresses that stay when it is replaced.
type apiProcess struct {
	front, health string
	process       *server
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, data: withSecret(t, t.TempDir())}
	s.args = []string{"serve", "--data", s.data, "--log-format", "json", "--database-url", schematest.Postgres(t)}
	behind := append(s.args, "--addr", "127.0.0.1:0", "--roles", "relay,projector,matcher,expirer", "--amqp-url", bustest.New(t).Address)
	s.opens(command(t, behind...))
	for i := range s.api {
		s.api[i] = &apiProcess{front: freeAddress(t), health: freeAddress(t)}
		s.start(s.api[i])
	}
	s.nginx()
	return s
}

func (s *site) opens(cmd *exec.Cmd) *server { s.t.Helper(); return opened(s.t, cmd) }

// start starts an API process, and returns when it is ready.
func (s *site) start(a *apiProcess) {
	s.t.Helper()
	a.process = s.opens(command(s.t, append(s.args, "--roles", "api", "--addr", a.front, "--health-addr", a.health, "--drain", "4s")...))
	eventstoretest.Eventually(s.t, "an API process is ready", func() bool {
		status, _ := readiness(s.t, a.health)
		return status == http.StatusOK
	})
}

// nginx runs the real one with the files of docker/nginx, in which only addresses, paths
// and the limit for one visitor are changed.
func (s *site) nginx() {
	s.t.Helper()
	folder, address := s.t.TempDir(), freeAddress(s.t)
	change := strings.NewReplacer("api-1:8080", s.api[0].front, "api-2:8080", s.api[1].front, "listen 8080", "listen "+address,
		"listen 127.0.0.1:8081", "listen "+freeAddress(s.t), "rate=100r/s", "rate=10000r/s", "/etc/nginx/mime.types", "/etc/nginx/mime.types",
		"/etc/nginx/server.conf", folder+"/plain.conf", "/etc/nginx/", folder+"/", "/tmp/", folder+"/", "/dev/std", "std")
	for _, name := range []string{"nginx.conf", "locations.conf", "problems.conf", "named.conf", "plain.conf"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docker", "nginx", name))
		if err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(change.Replace(string(text))), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	settings := "daemon off;"
	if os.Geteuid() == 0 {
		settings += " user root;" // whose folder this is
	}
	var said bytes.Buffer
	cmd := exec.Command("nginx", "-p", folder, "-c", filepath.Join(folder, "nginx.conf"), "-g", settings)
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("this test needs nginx: run it with go tool task test, or install it: %v", err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		_ = cmd.Wait() // how it ended does not matter
		if s.t.Failed() {
			s.t.Logf("nginx said:\n%s", tail(said.String()))
		}
	})
	s.url = "http://" + address
	eventstoretest.Eventually(s.t, "nginx answers", func() bool {
		status, _ := readiness(s.t, address)
		return status == http.StatusOK
	})
}

// traffic is what visitors send all the time, each kind one after the other.
type traffic struct {
	sent   atomic.Int64
	failed sync.Map // what failed and how
	stop   context.CancelFunc
	all    sync.WaitGroup
}

func (s *site) traffic(kinds map[string]func(ctx context.Context, n int64) error) *traffic {
	ctx, stop := context.WithCancel(s.t.Context())
	l := &traffic{stop: stop}
	for kind, send := range kinds {
		l.all.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for n := int64(0); ctx.Err() == nil; n++ {
				if err := send(s.t.Context(), n); err != nil {
					l.failed.Store(fmt.Sprintf("%s %d", kind, n), err)
				}
				l.sent.Add(1)
				<-pace.C
			}
		})
	}
	return l
}

// end stops the load, and fails the test for each request that failed.
func (l *traffic) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.all.Wait()
	l.failed.Range(func(what, err any) bool {
		t.Errorf("%s: %v", what, err)
		return true
	})
	t.Logf("%d requests", l.sent.Load())
}

// enough waits until so many more requests were sent.
func (l *traffic) enough(t *testing.T, more int64) {
	t.Helper()
	until := l.sent.Load() + more
	eventstoretest.Eventually(t, "more load", func() bool { return l.sent.Load() >= until })
}

func unless(status int, a answer) error {
	if a.status != status {
		return fmt.Errorf("%d %v %v", a.status, a.body, a.err)
	}
	return nil
}

// wallet is one person's, as the load moves it.
type wallet struct {
	client
	moved atomic.Int64 // deposits of one credit
}

func (w *wallet) read(ctx context.Context, _ int64) error {
	return unless(http.StatusOK, w.do(ctx, "GET", "/api/users/balance", "", nil))
}

func (w *wallet) open(ctx context.Context, _ int64) error { return page(ctx, w.http, w.url+"/web") }

func (w *wallet) deposit(ctx context.Context, _ int64) error {
	w.moved.Add(1)
	return unless(http.StatusOK, w.do(ctx, "POST", "/api/users/balance/adjust", "", adjustment{Amount: 1}))
}

func (w *wallet) depositByKey(ctx context.Context, n int64) error {
	w.moved.Add(1)
	return unless(http.StatusOK, w.do(ctx, "POST", "/api/users/balance/adjust", fmt.Sprint("key ", n), adjustment{Amount: 1}))
}

// holds fails the test unless each deposit was done once.
func (w *wallet) holds(t *testing.T, before int64) {
	t.Helper()
	last := w.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: 1})
	if want := before + w.moved.Load() + 1; last.number("balance") != want {
		t.Errorf("the balance is %d, want %d: %v", last.number("balance"), want, last.body)
	}
}

// Both API processes are replaced in turn under load, as docker/roll does, and no
// request fails: none that is read, none that may be repeated, and none that may not. An
// event stream ends, and is not cut.
func TestRollUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := wallet{client: (&server{url: s.url}).signUp(t, newHTTP(), "ada@example.com")}
	asked := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a man alone on an island"})
	if asked.status != http.StatusAccepted {
		t.Fatalf("a question: %d %v %v", asked.status, asked.body, asked.err)
	}
	streams := make(chan error, len(s.api))
	for _, a := range s.api {
		go func() { streams <- ada.stream(t.Context(), "http://"+a.front, asked.text("prediction_id")) }()
	}
	l := s.traffic(map[string]func(context.Context, int64) error{
		"a balance": ada.read, "a page": ada.open, "a deposit with a key": ada.depositByKey, "a deposit without": ada.deposit})
	for _, a := range s.api {
		l.enough(t, 50)
		if code := a.process.signal(t, syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d after SIGTERM:\n%s", code, tail(a.process.log.String()))
		}
		l.enough(t, 50)
		s.start(a)
	}
	l.enough(t, 50)
	l.end(t)
	for range s.api {
		if err := <-streams; err != nil {
			t.Errorf("an event stream: %v", err)
		}
	}
	ada.holds(t, 10-5)
	mustVerify(t, s.data, s.args[5:]...)
}

// An API process is killed under load and comes back, and what may be repeated does not
// fail. A process that opens takes no request.
func TestKilledBehindNginx(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := wallet{client: (&server{url: s.url}).signUp(t, newHTTP(), "ada@example.com")}
	l := s.traffic(map[string]func(context.Context, int64) error{"a balance": ada.read, "a page": ada.open, "a deposit with a key": ada.depositByKey})
	for _, a := range s.api {
		l.enough(t, 50)
		a.process.kill()
		l.enough(t, 50)
		s.start(a)
	}
	l.enough(t, 50)
	l.end(t)
	ada.holds(t, 10)
	mustVerify(t, s.data, s.args[5:]...)
}

// page opens a page.
func page(ctx context.Context, h *http.Client, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := h.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	return err
}

// stream follows a question until the server ends the stream; an error means that it was
// cut instead.
func (c client) stream(ctx context.Context, url, prediction string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/events/prediction/"+prediction+"/stream", nil)
	if err != nil {
		return err
	}
	r.SetBasicAuth(c.email, password)
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
