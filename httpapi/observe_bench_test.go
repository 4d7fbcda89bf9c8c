package httpapi

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"kassa/httpapi/requestlog"
	"kassa/internal/metrics"
	"kassa/internal/security"
)

// silent is a writer that keeps nothing.
type silent struct{ header http.Header }

func (s silent) Header() http.Header       { return s.header }
func (silent) Write(b []byte) (int, error) { return len(b), nil }
func (silent) WriteHeader(int)             {}

// counted passes requests on to metrics.
type counted struct{ *metrics.Metrics }

func (c counted) End(method string, line requestlog.Line, status int, _ time.Time, took time.Duration) {
	c.Metrics.End(method, line.Route, status, took)
}

// BenchmarkObserve is what observing costs a request: its id and its line in the log;
// with metrics too; and where an admin is answered, a security event.
func BenchmarkObserve(b *testing.B) {
	client, lines := netip.MustParseAddr("192.0.2.1"), slog.New(slog.NewJSONHandler(io.Discard, nil))
	for _, of := range []struct {
		name     string
		admin    bool
		observer Observer
	}{{"user", false, nil}, {"metrics", false, counted{metrics.New("test")}}, {"admin", true, nil}} {
		b.Run(of.name, func(b *testing.B) {
			e := edge{log: lines, security: security.New(security.Lines(io.Discard)), client: func(*http.Request) netip.Addr { return client }, observer: of.observer}
			h := e.observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				line := requestlog.Of(r.Context())
				line.Route, line.User, line.Admin = "/api/users/balance", "u_k3v7wq2m5xbnayrzt4hd6ecfgu", of.admin
				w.WriteHeader(http.StatusOK)
			}))
			w, r := silent{http.Header{}}, httptest.NewRequest("GET", "/api/users/balance", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
