package metrics

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kassa/domain"
	"kassa/eventstore"
)

// shown is what a scrape gives.
func shown(m *Metrics) string {
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}

func wants(t *testing.T, m *Metrics, lines ...string) {
	t.Helper()
	text := shown(m)
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%s is not in\n%s", line, text)
		}
	}
}

// A batch counts by the outcome of its appends, and each event by its type. How a
// prediction ends is read from its event.
func TestBatchesAreCounted(t *testing.T) {
	m := New("test")
	wants(t, m, `kassa_appends_total{outcome="unknown"} 0`, `kassa_predictions_ended_total{end="expired"} 0`, `kassa_events_appended_total{type="Deposited"} 0`)
	var entries []eventstore.Recorded
	for _, e := range []domain.Event{domain.PredictionCompleted{}, domain.PredictionFailed{Reason: domain.FailedNotFound}, domain.PredictionFailed{Reason: domain.FailedWorker},
		domain.PredictionExpired{}, domain.PredictionExpired{}, domain.PredictionRefunded{}, domain.Deposited{}} {
		entries = append(entries, eventstore.Recorded{Event: e})
	}
	m.Batch(eventstore.Batch{Appends: 12, Conflicts: 2, Unknown: 1, Failed: 2, Entries: entries, Took: 3 * time.Millisecond})
	wants(t, m, `kassa_appends_total{outcome="done"} 7`, `kassa_appends_total{outcome="conflict"} 2`, `kassa_appends_total{outcome="unknown"} 1`, `kassa_appends_total{outcome="failed"} 2`,
		`kassa_predictions_ended_total{end="answered"} 1`, `kassa_predictions_ended_total{end="not_found"} 1`, `kassa_predictions_ended_total{end="worker_failed"} 1`,
		`kassa_predictions_ended_total{end="expired"} 2`, `kassa_predictions_ended_total{end="refunded"} 1`, `kassa_events_appended_total{type="Deposited"} 1`,
		`kassa_append_batch_size_bucket{le="16"} 1`, `kassa_append_batch_duration_seconds_bucket{le="0.005"} 1`)
}

// Labels of requests have only values of ours, whatever a client sends.
func TestLabelsOfRequests(t *testing.T) {
	m := New("test")
	for _, end := range []struct {
		method, route string
		status        int
	}{{"GET", "/web", 200}, {"PROPFIND", "", 404}, {"x\"}", "", 999}, {"GET", "/web", 0}} {
		m.Begin()
		m.End(end.method, end.route, end.status, time.Millisecond)
	}
	for _, labels := range []string{`{method="GET",route="/web",status="2xx"}`, `{method="other",route="none",status="4xx"}`, `{method="other",route="none",status="none"}`, `{method="GET",route="/web",status="none"}`} {
		wants(t, m, "kassa_http_request_duration_seconds_count"+labels+" 1")
	}
	wants(t, m, "kassa_http_requests_in_flight 0")
}

// What cannot be read is missing and counted, and hides nothing else.
func TestPartThatCannotBeRead(t *testing.T) {
	m := New("test")
	for part, fault := range map[string]error{"good": nil, "bad": errors.New("the database is away")} {
		r := m.reading(part)
		value := r.desc("kassa_"+part, "A value.")
		r.read = func(_ context.Context, out chan<- prometheus.Metric) error {
			if fault == nil {
				out <- gaugeOf(value, 7)
			}
			return fault
		}
		m.registry.MustRegister(r)
	}
	shown(m)
	wants(t, m, "kassa_good 7", `kassa_scrape_errors_total{part="good"} 0`)
	if text := shown(m); strings.Contains(text, "\nkassa_bad ") || strings.Contains(text, `part="bad"} 0`) {
		t.Errorf("the fault is not in\n%s", text)
	}
}
