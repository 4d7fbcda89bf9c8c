package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kassa/internal/bus"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// fleet is the production shape: processes that share a database and a broker,
// each of which is started again when it ends.
type fleet struct {
	t        *testing.T
	data     string // folder of the secret and the model
	database string // URL
	broker   *bustest.Broker
	users    map[string]string // addresses of the broker for a user with the rights of a kind of process, and no others
	members  []*member
	http     *http.Client
	watching sync.WaitGroup
	closing  context.Context
	close    context.CancelFunc

	asked, replayed, unknown atomic.Int64 // requests of the load, by what came of them
}

// fleetExpiry is the least that the settings allow: a test waits for it.
const fleetExpiry = 15 * time.Second

// newFleet makes the database, the virtual host and the folder; processes are added,
// and then begin.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, data: withSecret(t, t.TempDir()), database: schematest.Postgres(t), broker: bustest.New(t), http: newHTTP()}
	key, err := bus.ParseKey(brokerKey)
	must(t, err)
	service, worker := key.ServiceRights(), key.WorkerRights()
	f.users = map[string]string{"backend": f.broker.As(t, service.Configure, service.Write, service.Read),
		"worker": f.broker.As(t, worker.Configure, worker.Write, worker.Read)}
	f.closing, f.close = context.WithCancel(t.Context())
	t.Cleanup(f.shut)
	return f
}

// add gives places for so many processes of a kind: api, backend or worker.
func (f *fleet) add(kind string, n int) {
	for i := range n {
		f.members = append(f.members, &member{kind: kind, name: fmt.Sprint(kind, i+1), gone: make(chan struct{}),
			args: f.args(kind, "127.0.0.1", f.database)})
	}
}

// args are the command line of a process that listens on the host. A backend is all
// that runs behind the API.
func (f *fleet) args(kind, host, database string) []string {
	common := []string{"--data", f.data, "--addr", host + ":0", "--log-format", "json"}
	if user := f.users[kind]; user != "" { // an API process does not get the broker's address
		common = append(common, "--amqp-url", user)
	}
	if kind == "worker" {
		return append([]string{"worker"}, common...)
	}
	roles := map[string]string{"api": "api", "backend": "relay,projector,matcher,expirer"}[kind]
	return append([]string{"serve", "--roles", roles, "--database-url", database, "--bonus", "100", "--refunds-per-month", "20", "--not-found-below", "0", "--hold-expiry", fleetExpiry.String()}, common...)
}

// begin starts the processes and waits until they are ready.
func (f *fleet) begin() {
	f.t.Helper()
	for i, m := range f.members {
		f.watching.Go(func() { f.keep(m) })
		if i == 0 { // it unpacks the model, and embeds the films
			f.await("the first process", func() bool { return m.address() != "" })
		}
	}
	f.awaitReady()
}

// member is one place in the fleet, and the process that has it now.
type member struct {
	kind, name string
	args       []string
	wrap       func(*exec.Cmd) // changes how it is started, nil for nothing
	gone       chan struct{}   // closed when it is kept no more

	mu      sync.Mutex
	process *server
	url     string // by which it was last open
	open    bool
	killed  bool // by the test
	starts  int
}

func (m *member) address() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.url
}

// keep has a process in the member's place, as a supervisor has.
func (f *fleet) keep(m *member) {
	defer close(m.gone)
	for f.closing.Err() == nil {
		cmd := command(f.t, m.args...)
		if m.wrap != nil {
			m.wrap(cmd)
		}
		process, opened, err := start(cmd)
		if err != nil {
			f.t.Errorf("start %s: %v", m.name, err)
			return
		}
		m.takes(process)
		select {
		case url := <-opened:
			m.opens(url)
			<-process.ended
			if !m.left() && f.closing.Err() == nil {
				f.t.Errorf("%s ended by itself:\n%s", m.name, tail(process.log.String()))
			}
		case <-process.ended: // its servers were away: it is started until they are there
		case <-f.closing.Done():
			<-process.ended
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-f.closing.Done():
		}
	}
}

func (m *member) takes(process *server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.open, m.killed = process, false, false
	m.starts++
}

func (m *member) opens(url string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.url, m.open = url, true
}

// left notes that the process is gone, and reports whether the test killed it.
func (m *member) left() (killed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = false
	return m.killed
}

// signal reaches the process; where it is gone already, nothing happens.
func (m *member) signal(s syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process != nil {
		m.killed = m.killed || s == syscall.SIGKILL
		_ = m.process.cmd.Process.Signal(s)
	}
}

func tail(log string) string {
	lines := strings.SplitAfter(log, "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "")
}

// stop is Ctrl-C for all; each must end by itself and without a fault.
func (f *fleet) stop() {
	f.t.Helper()
	f.close()
	for _, m := range f.members {
		m.signal(syscall.SIGINT)
	}
	for _, m := range f.members {
		select {
		case <-m.gone:
			if code := m.process.cmd.ProcessState.ExitCode(); code != 0 {
				f.t.Errorf("%s: exit code %d after Ctrl-C:\n%s", m.name, code, tail(m.process.log.String()))
			}
		case <-time.After(time.Minute):
			f.t.Errorf("%s does not end after Ctrl-C:\n%s", m.name, tail(m.process.log.String()))
		}
	}
}

// shut leaves nothing running, however the test ended.
func (f *fleet) shut() {
	f.close()
	for _, m := range f.members {
		m.signal(syscall.SIGCONT)
		m.signal(syscall.SIGKILL)
	}
	f.watching.Wait()
	if f.t.Failed() {
		for _, m := range f.members {
			if m.process != nil {
				f.t.Logf("the end of the log of %s, after %d starts:\n%s", m.name, m.starts, tail(m.process.log.String()))
			}
		}
	}
}

// await polls.
func (f *fleet) await(what string, done func() bool) {
	f.t.Helper()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(3 * time.Minute); !done(); <-poll.C {
		if time.Now().After(deadline) {
			f.t.Fatalf("in vain we waited for %s", what)
		}
	}
}

// quiet is longer than a pool trusts a connection that was not used.
const quiet = 1500 * time.Millisecond

// awaitReady waits until every process is open, and reports for a while that it is
// ready.
func (f *fleet) awaitReady() {
	f.t.Helper()
	since := time.Now()
	f.await("all processes to be ready", func() bool {
		for _, m := range f.members {
			if !f.ready(m) {
				since = time.Now()
				return false
			}
		}
		return time.Since(since) > quiet
	})
}

func (f *fleet) ready(m *member) bool {
	m.mu.Lock()
	open, url := m.open, m.url
	m.mu.Unlock()
	if !open {
		return false
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/ready", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := f.http.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// of gives the members of a kind.
func (f *fleet) of(kind string) (list []*member) {
	for _, m := range f.members {
		if m.kind == kind {
			list = append(list, m)
		}
	}
	return list
}

// anyAPI is the address of one of the API processes, as it was last known.
func (f *fleet) anyAPI(random *rand.Rand) string {
	list := f.of("api")
	return list[random.IntN(len(list))].address()
}

// services runs docker/services.
func services(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join("..", "..", "docker", "services"), args...).Output()
	if err != nil {
		t.Fatalf("docker/services %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
