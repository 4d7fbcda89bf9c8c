package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/internal/app"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
	"kassa/vault"
)

// installation is a ledger with people in it, and the real processes that serve it. The
// numbers are what a client sees, over HTTP Basic.
type installation struct {
	data             string // folder
	database, broker string // addresses; "" for the embedded default
	address          string // of the service
	emails           []string
}

// enroll signs people up with more credits than a benchmark can spend. Hashing
// their passwords at full cost would take minutes and measure nothing.
func (h *installation) enroll(b *testing.B, people int) {
	b.Helper()
	withSecret(b, h.data)
	l, err := app.Storage{Folder: h.data, DatabaseURL: h.database, Conns: 24, Vault: vault.Options{Argon2: vault.Argon2{MemoryKiB: 8, Passes: 1}}}.Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	handler := l.Commands(app.Terms{Price: 1, Bonus: domain.MaxAmount, HoldExpiry: time.Minute})
	h.emails = make([]string, people)
	inParallel(people, 32, func(i int) {
		h.emails[i] = fmt.Sprintf("person%d@example.com", i)
		if _, err := handler.SignUp(b.Context(), commands.SignUp{Email: h.emails[i], Password: password}); err != nil {
			b.Error(err)
		}
	})
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// program is the program as it runs.
type program struct {
	address string // on which it is open
	pid     int
	stop    func()
}

// process runs the program until it is stopped or the benchmark ends. Its log goes to a file, as it would to a journal: who reads a pipe
// takes time from what is measured.
func (h *installation) process(b *testing.B, args ...string) program {
	b.Helper()
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd := command(b, append(args, "--data", h.data, "--addr", "127.0.0.1:0", "--log-format", "json")...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }() // how it ended is read from its state
	stop := func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may be gone
		<-ended
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			text, _ := os.ReadFile(log.Name())
			b.Errorf("kassa %s ended with exit code %d:\n%s", args[0], code, tail(string(text)))
		}
		log.Close()
	}
	stop = sync.OnceFunc(stop)
	b.Cleanup(stop)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(2 * time.Minute)
	for {
		if address := openedAt(b, log.Name()); address != "" {
			return program{address, cmd.Process.Pid, stop}
		}
		select {
		case <-poll.C:
		case <-ended:
			b.Fatalf("kassa %s did not open", args[0])
		case <-deadline:
			b.Fatalf("kassa %s does not open", args[0])
		}
	}
}

// openedAt reads in the log where the process is open, "" while it is not.
func openedAt(b *testing.B, log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var said struct{ Msg, URL, Health string }
		if json.Unmarshal(line, &said) != nil { // half a line
			continue
		}
		switch said.Msg {
		case "kassa is open":
			return strings.TrimSuffix(strings.TrimPrefix(said.URL, "http://"), "/web")
		case "the worker is open":
			return said.Health
		}
	}
	return ""
}

// each makes a call of every person.
func (h *installation) each(one func(email string) call) []call {
	calls := make([]call, len(h.emails))
	for i, email := range h.emails {
		calls[i] = one(email)
	}
	return calls
}

func (h *installation) deposits() []call {
	return h.each(func(email string) call {
		return newCall("POST", "/api/users/balance/adjust", email, `{"amount":5}`, http.StatusOK)
	})
}

func (h *installation) reads(path string) []call {
	return h.each(func(email string) call { return newCall("GET", path, email, "", http.StatusOK) })
}

// questions are never twice the same: the worker knows a text that it has seen.
func (h *installation) questions(wait, want int) []call {
	return h.each(func(email string) call {
		return newCall("POST", "/api/events/prediction/new", email, `{"text":"ship in the ice, корабль во льдах `+aKey+`"}`, want,
			fmt.Sprint("Prefer: wait=", wait))
	})
}

// besideBare runs a benchmark for each number of clients, and reports the floor with
// it, which is measured once for each.
func (h *installation) besideBare(b *testing.B, name string, calls []call, clients ...int) {
	for _, n := range clients {
		l := load{address: h.address, clients: n, calls: calls}
		bare := sync.OnceValue(func() float64 { return l.bare(b) })
		b.Run(fmt.Sprintf("%s/clients=%d", name, n), func(b *testing.B) {
			rate := l.measure(b)
			b.ReportMetric(bare(), "bare-http/s")
			b.ReportMetric(rate/bare(), "of-bare")
		})
	}
}

// warm makes each user known to the service, and gives each a page of
// history.
func (h *installation) warm(b *testing.B) {
	load{address: h.address, clients: 16, calls: h.deposits()}.run(b.Context(), b, 20*len(h.emails))
}

// BenchmarkEmbedded is the embedded default as a whole.
func BenchmarkEmbedded(b *testing.B) {
	h := &installation{data: b.TempDir()}
	h.enroll(b, 256)
	h.address = h.process(b, "serve", "--price", "1", "--not-found-below", "0").address
	h.warm(b)
	h.besideBare(b, "deposits", h.deposits(), 1, 16, 64, 256)
	h.besideBare(b, "answers", h.questions(10, http.StatusOK), 1, 16, 64)
}

func newProduction(b *testing.B, people int) *installation {
	h := &installation{data: b.TempDir(), database: schematest.Postgres(b), broker: bustest.New(b).Address}
	h.enroll(b, people)
	return h
}

// serve runs the service in one process with these roles.
func (h *installation) serve(b *testing.B, roles string) (stop func()) {
	p := h.process(b, append(h.serving(roles), "--amqp-url", h.broker)...)
	h.address = p.address
	return p.stop
}

// serving are the arguments of a process with these roles.
func (h *installation) serving(roles string) []string {
	return []string{"serve", "--price", "1", "--not-found-below", "0", "--roles", roles, "--database-url", h.database}
}

const allButWorker = "api,relay,projector,matcher,expirer"

// BenchmarkProduction is the production shape with everything running: all roles in
// one process, and a worker where answers are waited for.
func BenchmarkProduction(b *testing.B) {
	h := newProduction(b, 256)
	h.serve(b, allButWorker)
	h.warm(b)
	h.besideBare(b, "balances", h.reads("/api/users/balance"), 1, 16, 64, 256)
	h.besideBare(b, "histories", h.reads("/api/users/transaction/history"), 1, 16, 64, 256)
	h.besideBare(b, "deposits", h.deposits(), 1, 16, 64, 256)
	for _, rate := range []float64{1000, 3000} {
		b.Run(fmt.Sprintf("lag/deposits=%.0f", rate), func(b *testing.B) { h.lag(b, rate) })
	}
	h.process(b, "worker", "--amqp-url", h.broker)
	questions, most := h.questions(10, http.StatusOK), 0.0
	b.Run("answers/clients=64", func(b *testing.B) {
		most = load{address: h.address, clients: 64, calls: questions}.measure(b)
	})
	b.Run("answers/half-of-that", func(b *testing.B) {
		load{address: h.address, clients: 128, calls: questions, rate: most / 2}.measure(b)
	})
}

// lag is how long after a deposit was acknowledged the balance in the views holds
// it, as a client sees it that asks for that with min_position, while deposits
// come in at the rate.
func (h *installation) lag(b *testing.B, rate float64) {
	ctx, stop := context.WithCancel(b.Context())
	behind := make(chan []time.Duration)
	start := time.Now()
	go func() {
		behind <- load{address: h.address, clients: 64, calls: h.deposits(), rate: rate}.run(ctx, b, 1<<20)
	}()
	took, person := make([]time.Duration, b.N), newHTTP()
	b.ResetTimer()
	inParallel(b.N, 4, func(i int) {
		c := client{url: "http://" + h.address, email: h.emails[i%len(h.emails)], http: person}
		done := c.do(ctx, "POST", "/api/users/balance/adjust", fmt.Sprint("lag-", keys.Add(1)), adjustment{Amount: 5})
		acknowledged := time.Now()
		read := c.do(ctx, "GET", fmt.Sprint("/api/users/balance?min_position=", done.number("position")), "", nil)
		took[i] = time.Since(acknowledged)
		if done.status != http.StatusOK || read.status != http.StatusOK || read.number("position") < done.number("position") {
			b.Errorf("a deposit was answered %d %v, and its balance %d %v", done.status, done.body, read.status, read.body)
		}
	})
	b.StopTimer()
	stop()
	b.ReportMetric(float64(len(<-behind))/time.Since(start).Seconds(), "deposits/s")
	reportTimes(b, took)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkProductionAccepts is the way of a command to its acknowledgement: questions
// without an answer, with all roles but the worker, and then questions and deposits
// where no view is kept either, so that an append and nothing else is measured.
func BenchmarkProductionAccepts(b *testing.B) {
	h := newProduction(b, 4000) // an account has at most 64 open questions
	stop := h.serve(b, allButWorker)
	load{address: h.address, clients: 16, calls: h.deposits()}.run(b.Context(), b, len(h.emails))
	h.besideBare(b, "questions", h.questions(0, http.StatusAccepted), 1, 16, 64, 256)
	stop()
	h.serve(b, "api")
	h.besideBare(b, "questions-alone", h.questions(0, http.StatusAccepted), 1, 16, 64, 256)
	h.besideBare(b, "deposits", h.deposits()[:256], 1, 16, 64, 256)
}
