package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
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
	"kassa/vault"
)

// liveFixture is a fixture whose server listens on a port.
type liveFixture struct {
	*fixture
	url  string
	stop context.CancelFunc
	end  chan error // the result of Serve
}

func newLiveFixture(t *testing.T) *liveFixture {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := &liveFixture{fixture: newFixture(t, identity.Limits{Off: true}), url: "http://" + l.Addr().String(), stop: cancel, end: make(chan error, 1)}
	out.server.Heartbeat = 20 * time.Millisecond
	go func() { out.end <- out.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
	})
	return out
}

// ended waits for Serve.
func (l *liveFixture) ended() error {
	select {
	case err := <-l.end:
		return err
	case <-time.After(time.Minute):
		return fmt.Errorf("the server does not end")
	}
}

func (l *liveFixture) do(method, path, name, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequest(method, l.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if name != "" {
		basic(r, name)
	}
	r.Header.Set("Content-Type", "application/json")
	for h := range slices.Chunk(headers, 2) {
		r.Header.Set(h[0], h[1])
	}
	return http.DefaultClient.Do(r)
}

// predict asks a question as a user, without waiting, and returns its id.
func (l *liveFixture) predict(name, text string) domain.PredictionID {
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

// event is one event of a stream; a comment has the name ":".
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

func TestStreamSendsTheStateAndTheEnd(t *testing.T) {
	l := newLiveFixture(t)
	l.addUser("ada")
	l.env.Questions.Pause()
	id := l.predict("ada", "inception")
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
	l.env.Questions.Resume()
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

	// An EventSource reconnects with the last id; one that has the end gets 204, which
	// stops it.
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

// While the server drains, waiting clients get the current state, and new requests are
// refused.
func TestDrain(t *testing.T) {
	l := newLiveFixture(t)
	l.addUser("ada")
	l.env.Questions.Pause()
	path := "/api/events/prediction/" + string(l.predict("ada", "a dream")) + "/stream"
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
	l.env.WaitFor(l.waitForHeld(2))
	l.stop()

	select {
	case got := <-waiting:
		if got.err != nil || got.status != http.StatusAccepted {
			t.Errorf("who waits gets %d, %v, want 202", got.status, got.err)
		}
	case <-time.After(time.Minute):
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

// waitForHeld waits until the views have n held predictions, and returns the position
// of the last.
func (l *liveFixture) waitForHeld(n int) (at eventstore.Position) {
	l.t.Helper()
	deadline := time.After(time.Minute)
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

// A wait longer than the server's timeouts is not cut by them.
func TestWaitOutlastsTheTimeouts(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.env.Questions.Pause()
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

// An event stream ends within a second after the credentials that opened it: the session was
// ended by another process, or the password was changed. Without either it goes on.
func TestStreamsEndWithTheirSession(t *testing.T) {
	l := newLiveFixture(t)
	l.env.Questions.Pause()
	ada := l.addUser("ada")
	p := l.predict("ada", "inception")
	browser, other := session(t, l.signIn(l.server.Handler(), "ada")), session(t, l.signIn(l.server.Handler(), "ada"))
	open := func(name string, headers ...string) *http.Response {
		t.Helper()
		answer, err := l.do("GET", "/api/events/prediction/"+string(p)+"/stream", name, "", headers...)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%+v, %v", answer, err)
		}
		return answer
	}
	ends := func(what string, answer *http.Response) {
		t.Helper()
		start := time.Now()
		if _, err := io.ReadAll(answer.Body); err != nil || time.Since(start) > 30*time.Second { // one, and the pauses of a busy machine
			t.Errorf("%s: the stream ends after %s, %v", what, time.Since(start), err)
		}
		answer.Body.Close()
	}
	withCookie := func(c *http.Cookie) *http.Response {
		t.Helper()
		return open("", "Cookie", c.Name+"="+c.Value)
	}
	first, second, basic := withCookie(browser), withCookie(other), open("ada")
	there := l.newVault() // another process
	list, err := there.Sessions(t.Context(), ada, l.clock.Now())
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	id := vault.SessionID(fmt.Sprintf("%x", sha256.Sum256([]byte(browser.Value)))[:20])
	if ok, err := there.EndSessionOf(t.Context(), ada, id); err != nil || !ok {
		t.Fatal(ok, err)
	}
	ends("an ended session", first)
	for _, going := range []*http.Response{second, basic} { // heartbeats still come
		if _, err := io.ReadFull(going.Body, make([]byte, 1000)); err != nil {
			t.Errorf("another's stream has ended: %v", err)
		}
	}
	if ok, err := there.ChangePassword(t.Context(), ada, password("ada"), "another password"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	ends("a changed password", second)
	ends("a changed password, by Basic", basic)
}
