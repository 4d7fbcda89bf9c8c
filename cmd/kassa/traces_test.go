package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// traced is a span with the process that sent it.
type traced struct {
	*trace.Span
	process string
}

// traceCollector takes spans by OTLP over HTTP.
type traceCollector struct {
	url string

	mu    sync.Mutex
	spans []traced
	raw   strings.Builder
}

func newTraceCollector(t testing.TB) *traceCollector {
	c := &traceCollector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &sent) != nil {
			t.Errorf("%s has a body of %d bytes that is no export (%v)", r.URL.Path, len(body), err)
			return
		}
		c.take(&sent, body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *traceCollector) take(sent *collector.ExportTraceServiceRequest, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, of := range sent.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans = append(c.spans, traced{span, attribute(of.Resource.Attributes, "kassa.process")})
			}
		}
	}
}

func attribute(list []*common.KeyValue, name string) string {
	for _, a := range list {
		if a.Key == name {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// One question through four processes is one trace: of the request, both appends, the
// relay, the worker, the matcher, the search and the views, each below the request. No
// process was told of it by another, and no span has the question's text, or the asker's
// e-mail.
func TestOneTraceThroughFourProcesses(t *testing.T) {
	collector, broker := newTraceCollector(t), bustest.New(t).Address
	data, database := withSecret(t, t.TempDir()), schematest.Postgres(t)
	flags := []string{"--database-url", database, "--trace-endpoint", collector.url, "--trace-ratio", "1"}
	api := serve(t, data, append(flags, "--roles", "api")...)
	relay := serve(t, data, append(flags, "--amqp-url", broker, "--roles", "relay,projector,expirer")...)
	matcher := serve(t, data, append(flags, "--amqp-url", broker, "--roles", "matcher")...)
	worker := opened(t, command(t, "worker", "--data", t.TempDir(), "--amqp-url", broker, "--addr", "127.0.0.1:0", "--log-format", "json",
		"--trace-endpoint", collector.url, "--trace-ratio", "1"))
	ada := api.signUp(t, newHTTP(), "ada@example.com")
	ask := func() answer {
		return ada.do(t.Context(), "POST", "/api/events/prediction/new", "once", question{Text: "a thief in other people's dreams", wait: 60})
	}
	first := ask()
	if again := ask(); first.text("status") != "completed" || again.text("prediction_id") != first.text("prediction_id") {
		t.Fatalf("the answers are %v and %v", first.body, again.body)
	}
	// The answer may be there before the views have it, which a read of the answer's position waits for.
	if read := ada.do(t.Context(), "GET", fmt.Sprint("/api/users/balance?min_position=", first.number("position")), "", nil); read.status != http.StatusOK {
		t.Fatalf("the balance is %d %v", read.status, read.body)
	}
	for _, s := range []*server{api, relay, matcher, worker} { // each sends what it has when it ends
		if code := s.interrupt(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, s.log)
		}
	}
	collector.expect(t, first.text("prediction_id"), "api: POST /api/events/prediction/new", "api: append PredictionRequested", "matcher: append PredictionCompleted",
		"matcher: handle answers", "matcher: search", "relay projector expirer: relay", "relay projector expirer: views PredictionCompleted",
		"relay projector expirer: views PredictionRequested", "worker: handle work")
	mustVerify(t, data, "--database-url", database)
}

// expect compares the trace of a prediction.
func (c *traceCollector) expect(t *testing.T, prediction string, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var root traced
	for _, s := range c.spans {
		if attribute(s.Attributes, "kassa.prediction") == prediction && strings.HasSuffix(s.Name, "/prediction/new") && root.Span == nil {
			root = s // the repeated request comes later
		}
	}
	var got []string
	for _, s := range c.spans {
		switch {
		case string(s.TraceId) != string(root.TraceId):
			if attribute(s.Attributes, "kassa.prediction") == prediction && !strings.HasSuffix(s.Name, "/prediction/new") {
				t.Errorf("%s of %s is in a trace of its own", s.Name, s.process)
			}
			continue
		case string(s.SpanId) == string(root.SpanId):
			if len(s.ParentSpanId) != 0 {
				t.Errorf("the root has a parent")
			}
		case string(s.ParentSpanId) != string(root.SpanId):
			t.Errorf("%s of %s is below another span", s.Name, s.process)
		}
		if s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s ends before it begins", s.Name)
		}
		got = append(got, s.process+": "+s.Name)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the trace is\n%q, want\n%q", got, want)
	}
	for _, secret := range []string{"dreams", "ada@", "example.com", password} {
		if strings.Contains(c.raw.String(), secret) {
			t.Errorf("%q was sent", secret)
		}
	}
}

// With a ratio of 0 nothing is sent, and a collector that is away disturbs nobody.
func TestTracesThatAreNotSent(t *testing.T) {
	collector := newTraceCollector(t)
	for _, tt := range []struct{ endpoint, ratio string }{{collector.url, "0"}, {"http://127.0.0.1:1", "1"}} {
		data := t.TempDir()
		s := serve(t, data, "--trace-endpoint", tt.endpoint, "--trace-ratio", tt.ratio)
		s.story(t)
		if code := s.interrupt(t); code != 0 {
			t.Errorf("with %v the exit code is %d\n%s", tt, code, s.log)
		}
		mustVerify(t, data)
	}
	if len(collector.spans) != 0 {
		t.Errorf("%d spans were sent", len(collector.spans))
	}
	for _, flags := range [][]string{{"serve", "--trace-ratio", "1.5"}, {"worker", "--trace-ratio", "NaN"}, {"serve", "--trace-endpoint", "localhost:4318"}} {
		if code, _, complaints := kassa(t, flags...); code != exitUsage || !strings.Contains(complaints, flags[1]) {
			t.Errorf("%q: exit code %d, %s", flags, code, complaints)
		}
	}
}
