package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
)

// live is a world whose server listens.
type live struct {
	*world
	url  string
	stop context.CancelFunc
	end  chan error // what Serve came to
}

func newLive(t *testing.T) *live {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := &live{world: newWorld(t, identity.Limits{Off: true}), url: "http://" + l.Addr().String(), stop: cancel, end: make(chan error, 1)}
	out.server.Heartbeat = 20 * time.Millisecond
	go func() { out.end <- out.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
	})
	return out
}

// ended waits for Serve.
func (l *live) ended() error {
	select {
	case err := <-l.end:
		return err
	case <-time.After(20 * time.Second):
		return fmt.Errorf("the server does not end")
	}
}

func (l *live) do(method, path, name, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequest(method, l.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	basic(r, name)
	r.Header.Set("Content-Type", "application/json")
	for h := range slices.Chunk(headers, 2) {
		r.Header.Set(h[0], h[1])
	}
	return http.DefaultClient.Do(r)
}

// ask asks as somebody, without waiting, and gives the id.
func (l *live) ask(name, text string) domain.PredictionID {
	l.t.Helper()
	answer, err := l.do("POST", "/api/events/prediction/new", name, `{"text":"`+text+`"}`, "Prefer", "wait=0")
	if err != nil {
		l.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		l.t.Fatalf("asking gives %d, %v: %s", answer.StatusCode, err, body)
	}
	var p predictionJSON
	decodeJSON(l.t, body, &p)
	return p.ID
}

// event is one of a stream; a comment has a name of ":".
type event struct{ name, id, data string }

// events reads a stream as EventSource does.
func events(t *testing.T, r io.Reader) func() (event, error) {
	lines := bufio.NewReader(r)
	return func() (e event, err error) {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return e, err
			}
			field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch field {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if line == "\n" {
					return e, nil
				}
				e.name = ":"
			}
		}
	}
}

func TestStreamTellsTheStateAndTheEnd(t *testing.T) {
	l := newLive(t)
	l.join("ada")
	l.settler.pause()
	id := l.ask("ada", "inception")
	path := "/api/events/prediction/" + string(id) + "/stream"
	answer, err := l.do("GET", path, "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("stream answers %d, %s", answer.StatusCode, got)
	}
	next := events(t, answer.Body)
	first, err := next()
	if err != nil || first.name != "prediction" || !strings.Contains(first.data, `"status":"pending"`) {
		t.Fatalf("first event is %+v, %v", first, err)
	}
	if beat, err := next(); err != nil || beat.name != ":" {
		t.Fatalf("no sign of life: %+v, %v", beat, err)
	}
	l.settler.resume()
	last, err := next()
	for err == nil && last.name == ":" {
		last, err = next()
	}
	if err != nil || !strings.Contains(last.data, `"status":"completed"`) || !strings.Contains(last.data, "inception-2010") || last.id == first.id {
		t.Fatalf("last event is %+v, %v", last, err)
	}
	if more, err := next(); err != io.EOF {
		t.Fatalf("the stream goes on: %+v, %v", more, err)
	}

	// An EventSource connects again with the last id; one that knows the end is told to stop.
	for id, want := range map[string]int{last.id: http.StatusNoContent, first.id: http.StatusOK} {
		again, err := l.do("GET", path, "ada", "", "Last-Event-ID", id)
		if err != nil {
			t.Fatal(err)
		}
		again.Body.Close()
		if again.StatusCode != want {
			t.Errorf("coming back with id %s answers %d, want %d", id, again.StatusCode, want)
		}
	}
}

// While the server drains, whoever waits gets what there is, and nobody new is let in.
func TestDrain(t *testing.T) {
	l := newLive(t)
	l.join("ada")
	l.settler.pause()
	path := "/api/events/prediction/" + string(l.ask("ada", "a dream")) + "/stream"
	stream, err := l.do("GET", path, "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	next := events(t, stream.Body)
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	type result struct {
		status int
		err    error
	}
	waiting := make(chan result, 1)
	go func() {
		answer, err := l.do("POST", "/api/events/prediction/new", "ada", `{"text":"another dream"}`, "Prefer", "wait=60")
		if err != nil {
			waiting <- result{0, err}
			return
		}
		answer.Body.Close()
		waiting <- result{answer.StatusCode, nil}
	}()
	l.see(l.held(2))
	l.stop()

	select {
	case got := <-waiting:
		if got.err != nil || got.status != http.StatusAccepted {
			t.Errorf("who waits gets %d, %v, want 202", got.status, got.err)
		}
	case <-time.After(10 * time.Second):
		t.Error("who waits gets nothing")
	}
	for err = nil; err == nil; {
		_, err = next()
	}
	if err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	if err := l.ended(); err != nil {
		t.Errorf("draining gives %v", err)
	}
	for path, want := range map[string]int{"/api/users/balance": http.StatusServiceUnavailable, "/api/ready": http.StatusServiceUnavailable, "/api/health": http.StatusOK} {
		answer := httptest.NewRecorder()
		l.server.Handler().ServeHTTP(answer, basic(httptest.NewRequest("GET", path, nil), "ada"))
		if answer.Code != want {
			t.Errorf("%s answers %d while draining, want %d", path, answer.Code, want)
		}
	}
}

// held waits until so many questions are in the views, and gives the last's position.
func (l *live) held(n int) (at eventstore.Position) {
	l.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		open, err := l.views.OpenHolds(context.Background(), l.clock.Now().Add(time.Hour), n)
		if err != nil {
			l.t.Fatal(err)
		}
		if len(open) == n {
			return open[n-1].Position
		}
		position, _ := l.views.Position(context.Background())
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = l.views.Wait(ctx, position+1)
		cancel()
		select {
		case <-deadline:
			l.t.Fatalf("%d of %d questions came", len(open), n)
		default:
		}
	}
}

// A wait is longer than the server's timeouts, which must not end it.
func TestWaitOutlastsTheTimeouts(t *testing.T) {
	w := newWorld(t, identity.Limits{Off: true})
	w.join("ada")
	w.settler.pause()
	server := httptest.NewUnstartedServer(w.server.Handler())
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	defer server.Close()
	r, err := http.NewRequest("POST", server.URL+"/api/events/prediction/new", bytes.NewBufferString(`{"text":"a dream"}`))
	if err != nil {
		t.Fatal(err)
	}
	basic(r, "ada").Header.Set("Content-Type", "application/json")
	r.Header.Set("Prefer", "wait=1")
	start := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		t.Errorf("answers %d, %v: %s", answer.StatusCode, err, body)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("waited %v only", took)
	}
}
