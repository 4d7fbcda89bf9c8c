package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
	"kassa/transparency"
)

var updateMetrics = flag.Bool("update-metrics", false, "write docs/metrics.md")

// family is a metric with its labels, as a scrape shows it.
type family struct {
	kind, help string
	labels     map[string]bool
}

var (
	sample    = regexp.MustCompile(`^(\w+)(?:\{(.*)\})? `)
	labelName = regexp.MustCompile(`(\w+)="`)
	scraped   = regexp.MustCompile(`"url":"(http://[^"]+/metrics)"`)
)

// scrape reads the metrics of a process: its families, and its series.
func (s *server) scrape(t testing.TB) (families map[string]*family, series map[string]string) {
	t.Helper()
	found := scraped.FindStringSubmatch(s.log.String())
	if found == nil {
		t.Fatalf("no metrics are served:\n%s", s.log)
	}
	families, series = map[string]*family{}, map[string]string{}
	name := ""
	for line := range strings.Lines(get(t, found[1])) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, rest, _ = strings.Cut(rest, " ")
			families[name] = &family{help: rest, labels: map[string]bool{}}
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			families[name].kind = strings.TrimPrefix(rest, name+" ")
			continue
		}
		m := sample.FindStringSubmatch(line)
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				families[name].labels[l[1]] = true
			}
		}
		series[strings.TrimSpace(m[0])] = line[len(m[0]):]
	}
	return families, series
}

func get(t testing.TB, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d: %s", url, resp.StatusCode, body)
	}
	return string(body)
}

// shows waits for the values of series: what counts an append may run after its answer.
func (s *server) shows(t testing.TB, want map[string]string) {
	t.Helper()
	eventstoretest.Eventually(t, fmt.Sprintf("metrics with %v", want), func() bool {
		_, series := s.scrape(t)
		for name, value := range want {
			if series[name] != value {
				return false
			}
		}
		return true
	})
}

// story makes each metric of a process with all roles have a value.
func (s *server) story(t testing.TB) client {
	t.Helper()
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	if a := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a thief in other people's dreams", wait: 30}); a.text("status") != "completed" {
		t.Fatalf("the answer is %d %v", a.status, a.body)
	}
	if a := ada.do(t.Context(), "GET", "/api/admin/users", "", nil); a.status != http.StatusForbidden {
		t.Fatal(a)
	}
	return ada
}

// docs/metrics.md lists the metrics of a full process and a witness, with their types, labels and help
// texts. `go test ./cmd/kassa -run TestMetricsPage -update-metrics` writes it.
func TestMetricsPage(t *testing.T) {
	data, database := t.TempDir(), schematest.Postgres(t)
	s := serve(t, data, "--database-url", database, "--amqp-url", bustest.New(t).Address, "--metrics-addr", "127.0.0.1:0")
	s.story(t)
	s.shows(t, map[string]string{`kassa_predictions_ended_total{end="answered"}`: "1", `kassa_ready`: "1", `kassa_users`: "1", `kassa_ledger_total_credits`: "0",
		`kassa_http_request_duration_seconds_count{method="GET",route="/api/admin/users",status="4xx"}`: "1", `kassa_security_events_total{event="access_refused",outcome="refused"}`: "1",
		`kassa_broker_queue_messages{queue="kept"}`: "0", `kassa_prediction_age_seconds_count`: "1", `kassa_day_questions{said="answered"}`: "1", `kassa_worker_texts_total{cache="miss",language="en"}`: "1",
		`kassa_events_appended_total{type="SignedUp"}`: "1", `kassa_scrape_errors_total{part="ledger"}`: "0", `kassa_scrape_errors_total{part="broker"}`: "0"})
	families, _ := s.scrape(t)
	watching := opened(t, command(t, "witness", "run", "--state", t.TempDir(), "--key", publicKey(t), "--url", s.url, "--metrics-addr", "127.0.0.1:0", "--log-format", "json"))
	more, _ := watching.scrape(t)
	maps.Copy(families, more)
	const page = "../../docs/metrics.md"
	if *updateMetrics {
		must(t, os.WriteFile(page, []byte(metricsPage(families)), 0o644))
	}
	stored, err := os.ReadFile(page)
	must(t, err)
	if string(stored) != metricsPage(families) {
		t.Errorf("docs/metrics.md is not what a full process shows, which is\n%s", metricsPage(families))
	}
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.log)
	}
	mustVerify(t, data, "--database-url", database)
}

// publicKey is one of a log that is not there.
func publicKey(t *testing.T) string {
	t.Helper()
	_, public, err := transparency.NewKey("kassa.example.com/ledger")
	must(t, err)
	return public
}

// metricsPage is the generated page.
func metricsPage(families map[string]*family) string {
	var b strings.Builder
	b.WriteString(`# Metrics

<!-- Generated by TestMetricsPage in cmd/kassa, from a process with all roles and a witness; see -update-metrics there. -->

` + "`kassa serve --metrics-addr 127.0.0.1:9464`" + `, ` + "`kassa worker --metrics-addr …`" + ` and ` + "`kassa witness run --metrics-addr …`" + ` show these at ` + "`/metrics`" + `; [operate.md](operate.md) says how to collect them. A process shows what its roles do; what is read from the
database (the log, views, holds, the ledger, sessions) is the same in all processes, so take the maximum. Histograms have native buckets, and classic ones for servers that do not ask for those.
No label has a value that a client chooses: routes are patterns, unknown paths are ` + "`none`" + `, unknown methods ` + "`other`" + `. Beside these there are Go's own metrics of its runtime (` + "`go_…`" + `) and of the process (` + "`process_…`" + `).

| metric | type | labels | meaning |
|---|---|---|---|
`)
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		if !strings.HasPrefix(name, "kassa_") {
			continue
		}
		labels := strings.Join(slices.Sorted(maps.Keys(f.labels)), ", ")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, f.kind, labels, f.help)
	}
	return b.String()
}

// However many paths, methods and users there are, a process has a bounded number of
// series. Metrics and profiles are at their own address only.
func TestMetricsAreBounded(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data, "--metrics-addr", "127.0.0.1:0")
	http := newHTTP()
	ada := s.story(t)
	odd := func(round int) {
		for i := range 40 {
			name := fmt.Sprintf("%d-%d", round, i)
			guest := client{url: s.url, http: http}
			for _, path := range []string{"/" + name, "/web/" + name, "/web/static/" + name + "/a.css", "/api/admin/users/" + name, "/api/events/prediction/p_" + name, "/api/users/balance?" + name} {
				ada.do(t.Context(), "GET", path, "", nil)
			}
			guest.do(t.Context(), "METHOD-"+name, "/api/", "", nil)
			guest.do(t.Context(), "POST", "/api/users/signin", "", credentials{name + "@example.com", "a password that is wrong"})
		}
	}
	odd(1)
	_, before := s.scrape(t)
	odd(2)
	_, after := s.scrape(t)
	for name := range after {
		if _, ok := before[name]; !ok && !strings.HasPrefix(name, "go_") {
			t.Errorf("requests of a kind that was there already make the series %s", name)
		}
	}
	if n := len(after); n > 800 {
		t.Errorf("%d series", n)
	}
	address := strings.TrimSuffix(scraped.FindStringSubmatch(s.log.String())[1], "/metrics")
	if text := get(t, address+"/debug/pprof/goroutine?debug=1"); !strings.Contains(text, "goroutine profile") {
		t.Errorf("the profile is %.80s", text)
	}
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if a := (client{url: s.url, http: http}).do(t.Context(), "GET", path, "", nil); a.status != 404 {
			t.Errorf("%s at the address of the service answers %d", path, a.status)
		}
	}
	s.interrupt(t)
	mustVerify(t, data)
}

// A worker has metrics too, and a taken port is known at once.
func TestMetricsOfAWorker(t *testing.T) {
	broker := bustest.New(t)
	data, database := t.TempDir(), schematest.Postgres(t)
	backend := serve(t, data, "--database-url", database, "--amqp-url", broker.Address, "--roles", "api,relay,projector,matcher,expirer")
	w := opened(t, command(t, "worker", "--data", t.TempDir(), "--amqp-url", broker.Address, "--addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0", "--log-format", "json"))
	backend.story(t)
	w.shows(t, map[string]string{`kassa_worker_texts_total{cache="miss",language="en"}`: "1"})
	if _, series := w.scrape(t); series[`kassa_worker_inference_duration_seconds_count`] == "" {
		t.Errorf("the worker shows %v", series)
	}
	taken := strings.TrimSuffix(strings.TrimPrefix(scraped.FindStringSubmatch(w.log.String())[1], "http://"), "/metrics")
	if code, _, complaints := kassa(t, "serve", "--data", t.TempDir(), "--addr", "127.0.0.1:0", "--metrics-addr", taken); code != exitFailed || !strings.Contains(complaints, "listen for metrics") {
		t.Errorf("exit code %d, %s", code, complaints)
	}
	backend.interrupt(t)
	w.interrupt(t)
	mustVerify(t, data, "--database-url", database)
}

// What is slow is a warning of the log. Here everything is.
func TestSlowLines(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data, "--slow-request", "1ns", "--slow-batch", "1ns")
	s.signUp(t, newHTTP(), "ada@example.com")
	s.interrupt(t)
	seen := map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(s.log.String())); lines.Scan(); {
		for _, what := range []string{`"msg":"request"`, `"msg":"slow batch"`} {
			if line := lines.Text(); strings.Contains(line, `"level":"WARN"`) && strings.Contains(line, what) {
				seen[what] = true
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("of the slow lines only %v are there:\n%s", seen, s.log)
	}
	mustVerify(t, data)
}
