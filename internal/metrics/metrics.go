// Package metrics is what a process of Kassa shows to Prometheus. Other packages report
// through small interfaces of their own, and know nothing of it; what nobody reports is
// read at each scrape. docs/metrics.md lists all of it.
package metrics

import (
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/security"
)

// Metrics has the metrics of one process in a registry of its own.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.HistogramVec
	inFlight prometheus.Gauge

	appends     *prometheus.CounterVec
	batchSize   prometheus.Histogram
	batchTime   prometheus.Histogram
	events      *prometheus.CounterVec
	predictions *prometheus.CounterVec

	texts         *prometheus.CounterVec
	inferenceSize prometheus.Histogram
	inferenceTime prometheus.Histogram
	searchSize    prometheus.Histogram
	searchTime    prometheus.Histogram
	answerTime    prometheus.Histogram

	security *prometheus.CounterVec
	scrapes  *prometheus.CounterVec
}

// seconds are the classic buckets of durations, for servers that take no native
// histograms: from a commit to a wait.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}

// sizes are the classic buckets of batches.
var sizes = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}

// Ends of predictions, as a label.
const (
	endAnswered = "answered"
	endExpired  = "expired"
	endRefunded = "refunded"
)

// failures are the other ends.
var failures = []domain.FailureReason{domain.FailedNotFound, domain.FailedNoMeaning, domain.FailedWorker, domain.FailedErased}

// New returns the metrics of a process that runs this version of the program.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.gauge("kassa_build_info", "Always 1; the label has the version of the program.", prometheus.Labels{"version": version}, func() float64 { return 1 })

	m.requests = vector(m, prometheus.NewHistogramVec(histogram("kassa_http_request_duration_seconds",
		"Time from the head of a request to the end of its answer, waits included.", seconds), []string{"method", "route", "status"}))
	m.inFlight = single(m, prometheus.NewGauge(prometheus.GaugeOpts{Name: "kassa_http_requests_in_flight", Help: "Requests that are being answered."}))

	m.appends = m.counters("kassa_appends_total", "Appends to the log by this process, by their outcome.", "outcome", "done", "conflict", "unknown", "failed")
	m.batchSize = m.histogram("kassa_append_batch_size", "Appends that were committed together.", sizes)
	m.batchTime = m.histogram("kassa_append_batch_duration_seconds", "Time from the first append of a batch to its answer.", seconds)
	types := domain.EventTypes()
	m.events = m.counters("kassa_events_appended_total", "Events that this process appended to the log.", "type", texts(types)...)
	m.predictions = m.counters("kassa_predictions_ended_total", "Predictions that this process ended, by how.", "end",
		append(texts(failures), endAnswered, endExpired, endRefunded)...)

	m.texts = vector(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kassa_worker_texts_total",
		Help: "Texts that were to be embedded, by the language that their script suggests, and whether a vector was remembered."}, []string{"language", "cache"}))
	m.inferenceSize = m.histogram("kassa_worker_batch_size", "Texts that went through the model together.", sizes[:6])
	m.inferenceTime = m.histogram("kassa_worker_inference_duration_seconds", "Time of one run of the model.", seconds)
	m.searchSize = m.histogram("kassa_search_batch_size", "Questions whose films were looked for together.", sizes[:8])
	m.searchTime = m.histogram("kassa_search_duration_seconds", "Time of one search for films, vectors and ranking.", seconds)
	m.answerTime = m.histogram("kassa_prediction_age_seconds", "Age of a question when this process settled it.", seconds)

	m.security = vector(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kassa_security_events_total",
		Help: "Security events, by kind and outcome; see security-log.md."}, []string{"event", "outcome"}))
	m.scrapes = m.counters("kassa_scrape_errors_total", "Reads at a scrape that failed, so that the answer lacks their metrics.", "part")
	return m
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}

// histogram has native buckets, within 10 % of each value, and classic ones.
func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return single(m, prometheus.NewHistogram(histogram(name, help, buckets)))
}

// counters are there from the start, at 0: the first event of a kind is an increase.
func (m *Metrics) counters(name, help, label string, values ...string) *prometheus.CounterVec {
	vec := vector(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label}))
	for _, v := range values {
		vec.WithLabelValues(v)
	}
	return vec
}

// gauge is a value that is read at each scrape.
func (m *Metrics) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// counter is a count that is kept elsewhere.
func (m *Metrics) counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

func vector[C prometheus.Collector](m *Metrics, c C) C { return single(m, c) }

func single[C prometheus.Collector](m *Metrics, c C) C {
	m.registry.MustRegister(c)
	return c
}

// Handler serves /metrics, and the profiles of Go's pprof below /debug/pprof/. It must not
// be reachable for strangers: a profile has parts of the memory.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// methods are the values of the label; a client may send any text.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// Begin counts a request that begins.
func (m *Metrics) Begin() { m.inFlight.Inc() }

// End counts a request that has ended. A route is the pattern of a path, "" where no route
// matched.
func (m *Metrics) End(method, route string, status int, took time.Duration) {
	m.inFlight.Dec()
	if !slices.Contains(methods, method) {
		method = "other"
	}
	if route == "" {
		route = "none"
	}
	class := "none" // the client left before there was an answer
	if status >= 100 && status < 600 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(method, route, class).Observe(took.Seconds())
}

// Batch counts what was appended together.
func (m *Metrics) Batch(b eventstore.Batch) {
	m.batchSize.Observe(float64(b.Appends))
	m.batchTime.Observe(b.Took.Seconds())
	m.appends.WithLabelValues("conflict").Add(float64(b.Conflicts))
	m.appends.WithLabelValues("unknown").Add(float64(b.Unknown))
	m.appends.WithLabelValues("failed").Add(float64(b.Failed))
	m.appends.WithLabelValues("done").Add(float64(b.Appends - b.Conflicts - b.Unknown - b.Failed))
	for _, entry := range b.Entries {
		m.events.WithLabelValues(string(entry.Event.Type())).Inc()
		if end := endOf(entry.Event); end != "" {
			m.predictions.WithLabelValues(end).Inc()
		}
	}
}

// endOf is how the event ends a prediction; "" where it does not.
func endOf(e domain.Event) string {
	switch e := e.(type) {
	case domain.PredictionCompleted:
		return endAnswered
	case domain.PredictionFailed:
		return string(e.Reason)
	case domain.PredictionExpired:
		return endExpired
	case domain.PredictionRefunded:
		return endRefunded
	}
	return ""
}

// Text counts a text that was to be embedded.
func (m *Metrics) Text(language string, remembered bool) {
	cache := "miss"
	if remembered {
		cache = "hit"
	}
	m.texts.WithLabelValues(language, cache).Inc()
}

// Inference counts a run of the model.
func (m *Metrics) Inference(texts int, took time.Duration) {
	m.inferenceSize.Observe(float64(texts))
	m.inferenceTime.Observe(took.Seconds())
}

// Searched counts a search for films.
func (m *Metrics) Searched(questions int, took time.Duration) {
	m.searchSize.Observe(float64(questions))
	m.searchTime.Observe(took.Seconds())
}

// Settled counts a question that has ended.
func (m *Metrics) Settled(age time.Duration) { m.answerTime.Observe(age.Seconds()) }

// SecurityEvent counts an event of the security log.
func (m *Metrics) SecurityEvent(kind security.Kind, outcome security.Outcome) {
	m.security.WithLabelValues(string(kind), string(outcome)).Inc()
}
