package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkCost is what an answer costs: the processor time of each part, at one client,
// under load and at half of the highest rate, in the processes that docker/compose.yaml
// runs; and that of another program, where KASSA_BENCH_PEER has one, also at the same
// rates. The times have the kernel's resolution of 10 ms, so a cell takes seconds.
func BenchmarkCost(b *testing.B) {
	h := newProduction(b, 256)
	broker := []string{"--amqp-url", h.broker}
	api := h.process(b, h.serving("api")...)
	backend := h.process(b, append(h.serving("relay,projector,matcher,expirer"), broker...)...)
	worker := h.process(b, append([]string{"worker"}, broker...)...)
	h.address = api.address
	own := []part{{"api", api.pid}, {"backend", backend.pid}, {"worker", worker.pid}}
	shared := []part{{"postgres", serverProcess(b, "KASSA_POSTGRES_PID")}, {"rabbitmq", serverProcess(b, "KASSA_RABBITMQ_PID")}, {"load", os.Getpid()}}
	h.warm(b)
	kassa := costed{"", h, append(own, shared...)}
	most := kassa.clients(b, 1, 16, 64)
	kassa.atRate(b, "half-of-the-most", most/2)
	folder := os.Getenv("KASSA_BENCH_PEER")
	if folder == "" {
		return
	}
	other, process := startPeer(b, folder, len(h.emails))
	peer := costed{"peer/", other, append([]part{process}, shared...)}
	mostOfPeer := peer.clients(b, 1, 16, 64)
	lesser := min(most, mostOfPeer) / 2
	kassa.atRate(b, "half-of-the-lesser", lesser)
	peer.atRate(b, "half-of-the-lesser", lesser)
}

// costed is a service whose answers are counted in processor time.
type costed struct {
	prefix string // of the names of its benchmarks
	*installation
	parts []part
}

// clients measures as many clients as there are, each of which asks again once it was
// answered, and gives the highest rate.
func (c costed) clients(b *testing.B, numbers ...int) (most float64) {
	for _, n := range numbers {
		most = max(most, c.cell(b, fmt.Sprintf("clients=%d", n), load{clients: n}))
	}
	return most
}

func (c costed) atRate(b *testing.B, name string, rate float64) {
	c.cell(b, name, load{clients: 128, rate: rate})
}

func (c costed) cell(b *testing.B, name string, l load) (rate float64) {
	l.address, l.calls = c.address, c.questions(10, http.StatusOK)
	b.Run(c.prefix+name, func(b *testing.B) {
		before := used(b, c.parts)
		rate = l.measure(b)
		reportCost(b, c.parts, before)
	})
	return rate
}

// part is a process with all processes below it.
type part struct {
	name string
	pid  int
}

// serverProcess is the first process of a server, as docker/services pid prints it.
func serverProcess(b *testing.B, variable string) int {
	pid, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		b.Fatalf("%s must be a process: go tool task cost sets it from docker/services pid", variable)
	}
	return pid
}

// reportCost gives milliseconds of processor an answer, and their sum without the load
// generator.
func reportCost(b *testing.B, parts []part, before []time.Duration) {
	total := 0.0
	for i, now := range used(b, parts) {
		each := float64((now - before[i]).Microseconds()) / 1e3 / float64(b.N)
		b.ReportMetric(each, parts[i].name+"-cpu-ms")
		if parts[i].name != "load" {
			total += each
		}
	}
	b.ReportMetric(total, "cpu-ms")
}

// used is the processor time of each part since it began. What a child has used is in
// its parent's count once it has ended; the load generator's children are parts.
func used(b *testing.B, parts []part) []time.Duration {
	b.Helper()
	all := processes(b)
	times := make([]time.Duration, len(parts))
	for i, p := range parts {
		if _, runs := all[p.pid]; !runs {
			b.Fatalf("%s, process %d, does not run", p.name, p.pid)
		}
		for pid, own := range all {
			if pid == p.pid || p.pid != os.Getpid() && all.below(pid, p.pid) {
				times[i] += own.used
			}
		}
	}
	return times
}

type processState struct {
	parent int
	used   time.Duration
}

type processTable map[int]processState

func (t processTable) below(pid, ancestor int) bool {
	for ; pid != 0; pid = t[pid].parent {
		if t[pid].parent == ancestor {
			return true
		}
	}
	return false
}

// tick is the unit of times in /proc/PID/stat.
const tick = time.Second / 100

func processes(b *testing.B) processTable {
	b.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	table := processTable{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// After the name in parentheses: state, parent, and as 12th to 15th the times of
		// the process and of its children that ended (proc_pid_stat(5)).
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		var p processState
		p.parent, _ = strconv.Atoi(fields[1])
		for _, ticks := range fields[11:15] {
			n, _ := strconv.Atoi(ticks)
			p.used += time.Duration(n) * tick
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		table[pid] = p
	}
	return table
}
