package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// stuckPayments is a payment provider that never answers.
type stuckPayments struct{ commands.Sandbox }

func (stuckPayments) Charge(ctx context.Context, _ string, _ domain.UserID, _ domain.Credits) error {
	<-ctx.Done()
	return ctx.Err()
}

// stuckViews never return a balance.
type stuckViews struct{ projections.Views }

func (stuckViews) Balance(ctx context.Context, _ domain.UserID, _ eventstore.Position) (projections.Balance, eventstore.Position, error) {
	<-ctx.Done()
	return projections.Balance{}, 0, ctx.Err()
}

// A request over its deadline gets an answer within the client's timeout, not an empty
// reply while the log says 503.
func TestAnswersComeWithinTheDeadline(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.server.Commands.Payments, w.server.Views, w.server.HandlerTime = stuckPayments{}, stuckViews{w.views}, 300*time.Millisecond
	w.server.Pages = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		w.server.Problems.Refuse(rw, r, r.Context().Err())
	})
	server := httptest.NewUnstartedServer(w.server.Handler())
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	defer server.Close()
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "/api/users/balance/adjust", `{"amount":5}`},
		{"GET", "/api/users/balance", ""},
		{"GET", "/web", ""},
	} {
		r, err := http.NewRequest(tt.method, server.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		basic(r, "ada").Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		var got problem.Details
		decodeBody(t, answer, &got)
		if answer.StatusCode != http.StatusServiceUnavailable || got.Code != problem.Unavailable || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s answers %d %+v, Retry-After %q", tt.path, answer.StatusCode, got, answer.Header.Get("Retry-After"))
		}
	}
}

func decodeBody(t *testing.T, answer *http.Response, v any) {
	t.Helper()
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	decodeJSON(t, body, v)
}

// Requests over the concurrency limit are refused soon. A client that waits for a
// prediction, reads a stream, or sends slowly holds no slot.
func TestTooMuchAtOnce(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.env.Questions.Pause()
	p := newFakePayments()
	w.server.MaxConcurrent, w.server.Commands.Payments = 1, p
	server := httptest.NewServer(w.server.Handler())
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")

	slow, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "POST /api/users/signin HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	l := &liveFixture{fixture: w, url: server.URL}
	path := "/api/events/prediction/" + string(l.predict("ada", "a dream")) + "/stream"
	stream, err := l.do("GET", path, "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if answer, err := l.do("POST", "/api/events/prediction/new", "ada", `{"text":"another"}`, "Prefer", "wait=60"); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("who waited for an answer: %v, %v", answer, err)
		}
	})
	l.env.WaitFor(l.waitForHeld(2))

	var paying sync.WaitGroup
	paying.Go(func() {
		if answer, err := l.do("POST", "/api/users/balance/adjust", "ada", `{"amount":5}`); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("who was first: %v, %v", answer, err)
		}
	})
	<-p.charging // the only slot is taken, while two other requests are not finished
	refused, err := l.do("GET", "/api/users/balance", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	var got problem.Details
	decodeBody(t, refused, &got)
	if refused.StatusCode != http.StatusServiceUnavailable || got.Code != problem.Unavailable || refused.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %+v", refused.StatusCode, got)
	}
	if alive, err := l.do("GET", "/api/health", "ada", ""); err != nil || alive.StatusCode != http.StatusOK {
		t.Errorf("health under load: %v, %v", alive, err)
	}
	p.proceed <- nil
	paying.Wait()
	if after, err := l.do("GET", "/api/users/balance", "ada", ""); err != nil || after.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %v, %v", after, err)
	}
	w.env.Questions.Resume()
	waiting.Wait()
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	c := newAdmission(1, 0)
	leave, err := c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.acquire(t.Context()); domain.RefusalIn(err) == nil {
		t.Errorf("there is no place and no queue: %v", err)
	}
	leave()
	leave() // the second call has no effect
	if _, err := c.acquire(t.Context()); err != nil {
		t.Errorf("the place is free: %v", err)
	}
	if _, err := c.acquire(t.Context()); err == nil {
		t.Error("one place was taken twice")
	}
}

// A client that reads slowly gets the whole of a long answer; for one that stops, the
// log gives the reason.
func TestSlowReaders(t *testing.T) {
	long := bytes.Repeat([]byte("films and films\n"), 1<<19)
	w := newFixture(t, identity.Limits{})
	log := new(syncBuffer)
	w.server.Log = slog.New(slog.NewTextHandler(log, nil))
	w.server.Pages = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(long) })
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(w.server.Handler(), w.server.Log)
	server.Config.WriteTimeout = 200 * time.Millisecond
	server.Start()
	get := func() *net.TCPConn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		tcp := conn.(*net.TCPConn)
		_ = tcp.SetReadBuffer(64 << 10)
		if _, err := io.WriteString(conn, "GET /web HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return tcp
	}
	slow, tick := get(), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	total := int64(0)
	for range 12 { // three times as long as the server's timeout
		n, err := io.CopyN(io.Discard, slow, 64<<10)
		if total += n; err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		<-tick.C
	}
	rest, err := io.Copy(io.Discard, slow)
	if total += rest; err != nil || total < int64(len(long)) {
		t.Errorf("of %d bytes %d came: %v", len(long), total, err)
	}
	slow.Close()

	gone := get()
	if _, err := io.CopyN(io.Discard, gone, 1000); err != nil {
		t.Fatal(err)
	}
	_ = gone.SetLinger(0)
	gone.Close()
	server.Close() // waits for both
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || strings.Contains(lines[0], "cut=") || !strings.Contains(lines[1], `cut="the client has left"`) {
		t.Errorf("log:\n%s", log)
	}
}

// For a client that has stopped reading, the log gives that as the reason.
func TestStoppedReader(t *testing.T) {
	x := &exchange{ResponseWriter: fullWriter{httptest.NewRecorder()}}
	if _, err := x.Write([]byte("an answer")); err == nil {
		t.Fatal("it was written")
	}
	if x.end(); x.cutReason() != "the client took nothing for 30s" {
		t.Errorf("the log would contain %q", x.cutReason())
	}
}

// fullWriter is a connection whose client has stopped reading.
type fullWriter struct{ http.ResponseWriter }

func (fullWriter) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// syncBuffer is a buffer for concurrent writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
