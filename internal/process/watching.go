package process

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"kassa/internal/metrics"
	"kassa/worker"
)

// Watching is how a process can be watched.
type Watching struct {
	MetricsAddr string        // to listen on, for metrics and profiles; "": none
	SlowRequest time.Duration // from which the work for a request is logged as a warning; 0: none
	SlowBatch   time.Duration // the same, of a batch of appends
	TraceTo     string        // URL of an OpenTelemetry collector; "": none
	TraceRatio  float64       // of the traces that are sent
}

// watched has the metrics of a process; nil where there are none.
type watched struct {
	*metrics.Metrics
	server *http.Server
}

// listenMetrics answers from now on, so that a process that waits for its database can be
// looked into. It gives nil without an address.
func listenMetrics(addr, version string, log *slog.Logger) (*watched, error) {
	if addr == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics on %s: %w", addr, err)
	}
	w := &watched{Metrics: metrics.New(version)}
	// Profiles take as long as they are asked to, so writing has no limit.
	w.server = &http.Server{Handler: w.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go func() {
		if err := w.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	log.Info("metrics are served", "url", "http://"+listener.Addr().String()+"/metrics")
	return w, nil
}

func (w *watched) close() {
	if w != nil {
		_ = w.server.Close() // a scrape can be repeated
	}
}

func (w *watched) models(all worker.Models) {
	if w == nil {
		return
	}
	for _, e := range all {
		e.Observe(w)
	}
}

// watchService has the service report, and what it does not report read. Reading ends
// before the service is closed.
func (p *process) watchService() (stop func()) {
	p.service.Observe(&p.observer)
	if p.watched == nil {
		return func() {}
	}
	p.WatchService(p.service)
	if p.App.Broker == nil {
		return p.watched.close
	}
	drop := p.WatchBroker(*p.App.Broker)
	return func() { p.watched.close(); drop() }
}
