package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// send sends one request, and checks the answer against the contract.
func (w *fixture) send(h http.Handler, method, path, name, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.sendWith(http.Header.Set, h, method, path, name, body, headers)
}

// sendTwice is the same with headers that may be repeated.
func (w *fixture) sendTwice(h http.Handler, method, path, name, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.sendWith(http.Header.Add, h, method, path, name, body, headers)
}

// sendWith adds each header to the request by put.
func (w *fixture) sendWith(put func(http.Header, string, string), h http.Handler, method, path, name, body string, headers []string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if name != "" {
		basic(r, name)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		put(r.Header, headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	theContract(w.t).check(w.t, r, []byte(body), answer)
	return answer
}

// want fails the test unless the answer has the status and, for a refusal, the code.
func want(t testing.TB, answer *httptest.ResponseRecorder, status int, code domain.Code) {
	t.Helper()
	if answer.Code != status {
		t.Fatalf("answers %d, want %d: %s", answer.Code, status, answer.Body)
	}
	if code == "" {
		return
	}
	var got problem.Details
	decodeJSON(t, answer.Body.Bytes(), &got)
	if got.Code != code {
		t.Fatalf("refuses with %s, want %s", got.Code, code)
	}
}

// fakePayments is a payment provider that can be slow or decline. Like a real provider
// it carries out each payment once, and repeats the result when asked again.
type fakePayments struct {
	commands.Sandbox
	charging chan struct{} // receives each new payment
	proceed  chan error    // the result of the payment
	known    *sync.Map     // payment → error, nil for one that was accepted
}

func newFakePayments() fakePayments {
	return fakePayments{charging: make(chan struct{}, 1), proceed: make(chan error), known: new(sync.Map)}
}

func (p fakePayments) Charge(_ context.Context, payment string, _ domain.UserID, _ domain.Credits) error {
	if came, ok := p.known.Load(payment); ok {
		err, _ := came.(error)
		return err
	}
	p.charging <- struct{}{}
	err := <-p.proceed
	p.known.Store(payment, err)
	return err
}

func TestPayments(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	p := newFakePayments()
	w.server.Commands.Payments = p
	h := w.server.Handler()
	deposit := func(key string) *httptest.ResponseRecorder {
		return w.send(h, "POST", "/api/users/balance/adjust", "ada", `{"amount":30}`, "Idempotency-Key", key)
	}

	// While the first request with a key runs, the second gets 409.
	var first *httptest.ResponseRecorder
	var running sync.WaitGroup
	running.Go(func() { first = deposit("k") })
	<-p.charging
	second := deposit("k")
	want(t, second, http.StatusConflict, domain.KeyInProgress)
	if second.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	p.proceed <- nil
	running.Wait()
	want(t, first, http.StatusOK, "")
	third := deposit("k")
	want(t, third, http.StatusOK, "")
	if third.Body.String() != first.Body.String() || third.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("replay answers %s, the first was %s", third.Body, first.Body)
	}

	running.Go(func() { first = deposit("declined") })
	<-p.charging
	p.proceed <- domain.Reject(domain.PaymentDeclined, "the card is not good for it")
	running.Wait()
	want(t, first, http.StatusPaymentRequired, domain.PaymentDeclined)
}

// If the client leaves during a deposit, the deposit is completed.
func TestCommandEndsAlthoughTheClientLeft(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	p := newFakePayments()
	w.server.Commands.Payments = p
	ctx, leave := context.WithCancel(context.Background())
	r := basic(httptest.NewRequest("POST", "/api/users/balance/adjust", strings.NewReader(`{"amount":30}`)).WithContext(ctx), "ada")
	r.Header.Set("Content-Type", "application/json")
	before := w.env.Size()
	var running sync.WaitGroup
	running.Go(func() { w.server.Handler().ServeHTTP(httptest.NewRecorder(), r) })
	<-p.charging
	leave()
	p.proceed <- nil
	running.Wait()
	if got := w.env.Size(); got != before+2 {
		t.Errorf("the ledger grew by %d entries, want the payment's claim and the deposit", got-before)
	}
}

func TestTooManyOpenPredictions(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.env.Questions.Pause()
	h := w.server.Handler()
	want(t, w.send(h, "POST", "/api/users/balance/adjust", "ada", `{"amount":1000}`), http.StatusOK, "")
	for range domain.MaxOpenHolds {
		want(t, w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"a dream"}`, "Prefer", "wait=0"), http.StatusAccepted, "")
	}
	want(t, w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"a dream"}`, "Prefer", "wait=0"), http.StatusConflict, domain.TooManyOpen)
	w.env.Questions.Resume()
	want(t, w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"a dream"}`), http.StatusOK, "")
}

func TestLargeBodies(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	w.setAdmin("ada", true)
	h := w.server.Handler()
	for _, rt := range w.server.routes() {
		if rt.method != http.MethodPost || rt.path == "/api/users/signout" {
			continue
		}
		before := w.env.Size()
		fits := `{"text":"` + strings.Repeat("a", int(bodyMost(rt.path))-11) + `"}`
		if got := w.send(h, rt.method, rt.path, "ada", fits); got.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s of %d bytes: %d", rt.path, len(fits), got.Code)
		}
		want(t, w.send(h, rt.method, rt.path, "ada", fits+" "), http.StatusRequestEntityTooLarge, problem.BodyTooLarge)
		if w.env.Size() != before {
			t.Errorf("%s moved the ledger", rt.path)
		}
	}
}

func TestReady(t *testing.T) {
	w := newFixture(t, identity.Limits{})
	missing := errors.New("no model, and a secret word")
	w.server.Ready = func(context.Context) error { return missing }
	got := w.send(w.server.Handler(), "GET", "/api/ready", "", "")
	want(t, got, http.StatusServiceUnavailable, problem.NotReady)
	if strings.Contains(got.Body.String(), "secret") {
		t.Errorf("names internals: %s", got.Body)
	}
	for _, tt := range []struct {
		missing error
		says    string
	}{
		{fmt.Errorf("%w: position 7", eventstore.ErrNewer), "too old"},
		{fmt.Errorf("%w: a replica", eventstore.ErrReadOnly), "takes no writes"},
		{&pgconn.PgError{Code: "53100"}, "no space left"},
		{&pgconn.PgError{Code: "57P03"}, "cannot be reached"},
		{context.DeadlineExceeded, "in time"},
	} {
		missing = tt.missing
		got := w.send(w.server.Handler(), "GET", "/api/ready", "", "")
		want(t, got, http.StatusServiceUnavailable, problem.NotReady)
		if !strings.Contains(got.Body.String(), tt.says) {
			t.Errorf("%v is answered with %s", tt.missing, got.Body)
		}
	}
	missing = nil
	w.server.Failing = func() []string { return []string{"save snapshots"} }
	got = w.send(w.server.Handler(), "GET", "/api/ready", "", "")
	want(t, got, http.StatusOK, "")
	if !strings.Contains(got.Body.String(), `"failing":["save snapshots"]`) {
		t.Errorf("does not name what fails: %s", got.Body)
	}
}

func TestHosts(t *testing.T) {
	w := newFixture(t, identity.Limits{})
	w.server.Hosts = []string{"kassa.example", "::1"}
	h := w.server.Handler()
	for host, status := range map[string]int{"kassa.example": 200, "KASSA.example:8080": 200, "[::1]:8080": 200, "[::1]": 200,
		"evil.example": 421, "kassa.example.evil.example": 421, "": 421} {
		for path, want := range map[string]int{"/api/": status, "/api/health": 200, "/api/ready": 200} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = host
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			if answer.Code != want {
				t.Errorf("%s of host %q answers %d, want %d", path, host, answer.Code, want)
			}
		}
	}
}

func TestSecure(t *testing.T) {
	w := newFixture(t, identity.Limits{})
	w.addUser("ada")
	w.server.Identity.Secure = true
	got := w.send(w.server.Handler(), "POST", "/api/users/signin", "", `{"email":"ada@example.org","password":"ada likes films"}`)
	want(t, got, http.StatusOK, "")
	cookie := got.Result().Cookies()[0]
	if cookie.Name != "__Host-kassa_session" || !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.Domain != "" || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie is %s", cookie)
	}
	if got.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

func TestPages(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	var seen []string
	w.server.Pages = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		who, ok := identity.From(r.Context())
		seen = append(seen, fmt.Sprint(r.URL.Path, " ", who.User, " ", ok))
	})
	h := w.server.Handler()
	got := w.send(h, "GET", "/", "", "")
	if got.Code != http.StatusSeeOther || got.Header().Get("Location") != "/web" {
		t.Errorf("/ answers %d to %s", got.Code, got.Header().Get("Location"))
	}
	w.send(h, "GET", "/web", "", "")
	w.send(h, "GET", "/web/a/b", "ada", "")
	if want := fmt.Sprintf("[/web  false /web/a/b %s true]", ada); fmt.Sprint(seen) != want {
		t.Errorf("pages saw %v, want %v", seen, want)
	}
	want(t, w.send(h, "GET", "/web", "unknown", ""), http.StatusUnauthorized, domain.InvalidCredentials)
}

func TestPanics(t *testing.T) {
	w := newFixture(t, identity.Limits{})
	w.server.Pages = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/web/half" {
			_, _ = rw.Write([]byte("half an answer"))
		}
		panic("a secret word")
	})
	server := httptest.NewServer(w.server.Handler())
	defer server.Close()
	answer, err := http.Get(server.URL + "/web/whole")
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != http.StatusInternalServerError || !strings.Contains(body.String(), string(problem.Internal)) || strings.Contains(body.String(), "secret") {
		t.Errorf("a panic answers %d: %s", answer.StatusCode, &body)
	}
	answer, err = http.Get(server.URL + "/web/half")
	if err == nil {
		_, err = body.ReadFrom(answer.Body)
		answer.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looks whole")
	}
}

// A user whom the views have had for a while is identified without reading them; a new
// user is read once a second. The admin flag is read each time.
func TestUserCache(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	asked := &countedViews{Views: w.views}
	w.server.Identity.Views = asked
	h := w.server.Handler()
	for _, tt := range []struct {
		path    string
		later   time.Duration
		asks    int
		answers int
	}{
		{"/api/users/balance", 0, 1, http.StatusOK},
		{"/api/users/balance", time.Second / 2, 0, http.StatusOK},
		{"/api/users/balance", time.Second / 2, 1, http.StatusOK},
		{"/api/users/balance", 4 * time.Second, 1, http.StatusOK},
		{"/api/users/balance", time.Second, 0, http.StatusOK},
		{"/api/admin/users", 0, 1, http.StatusForbidden},
		{"/api/users/balance", time.Hour, 0, http.StatusOK},
	} {
		asked.users = 0
		w.clock.advance(tt.later)
		if got := w.send(h, "GET", tt.path, "ada", ""); got.Code != tt.answers || asked.users != tt.asks {
			t.Errorf("%s, %s later: %d, and the views were asked %d times, want %d, %d", tt.path, tt.later, got.Code, asked.users, tt.answers, tt.asks)
		}
	}
}

// countedViews counts the reads of users.
type countedViews struct {
	identity.Views
	users int
}

func (v *countedViews) User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error) {
	v.users++
	return v.Views.User(ctx, u, least)
}

// The log has the route, and nothing of the request's content.
func TestLog(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	var log bytes.Buffer
	w.server.Log = slog.New(slog.NewTextHandler(&log, nil))
	h := w.server.Handler()
	got := w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"body secret"}`)
	want(t, got, http.StatusOK, "")
	w.send(h, "GET", "/api/events/prediction/p_secret", "ada", "")
	w.send(h, "GET", "/api/users/transaction/history?cursor=query-secret", "ada", "")
	w.send(h, strings.Repeat("SECRET", 5000), "/api/users/balance", "ada", "")
	text := log.String()
	if len(text) > 10_000 {
		t.Errorf("the log holds %d bytes of four requests", len(text))
	}
	for _, must := range []string{"route=/api/events/prediction/new", "route=/api/events/prediction/{id}", "status=200", "status=404", "request=" + got.Header().Get(problem.RequestID)} {
		if !strings.Contains(text, must) {
			t.Errorf("the log lacks %s:\n%s", must, text)
		}
	}
	for _, never := range []string{"secret", "ada@", "likes"} {
		if strings.Contains(text, never) {
			t.Errorf("the log has %q:\n%s", never, text)
		}
	}
}

// A user whom the views do not have yet is waited for, not refused.
func TestViewsThatAreBehind(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	entries, err := w.store.After(context.Background(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	behind := &slowViews{Memory: projections.NewMemory(), waited: make(chan struct{}, 1)}
	s := w.newServer(w.vault, identity.Limits{Off: true})
	s.Views, s.Identity.Views = behind, behind
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- w.send(s.Handler(), "GET", "/api/users/balance", "ada", "") }()
	<-behind.waited
	if err := behind.Apply(entries); err != nil {
		t.Fatal(err)
	}
	want(t, <-answered, http.StatusOK, "")
}

// A prediction that was just accepted is found, although the views are behind.
func TestPredictionBeforeTheViews(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	behind := &slowViews{Memory: projections.NewMemory(), waited: make(chan struct{}, 1)}
	s := w.newServer(w.vault, identity.Limits{Off: true})
	s.Views, s.PositionWait = behind, time.Minute
	h := s.Handler()
	got := w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"a dream"}`, "Prefer", "wait=0")
	want(t, got, http.StatusAccepted, "")
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- w.send(h, "GET", got.Header().Get("Location"), "ada", "") }()
	<-behind.waited
	entries, err := w.store.After(context.Background(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := behind.Apply(entries); err != nil {
		t.Fatal(err)
	}
	want(t, <-answered, http.StatusOK, "")
}

// slowViews report when a read waits for them.
type slowViews struct {
	*projections.Memory
	waited chan struct{}
}

func (v *slowViews) User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error) {
	if now, _ := v.Position(ctx); least > now {
		_ = v.Wait(ctx, least) // the read returns the result
	}
	return v.Memory.User(ctx, u, least)
}

func (v *slowViews) Wait(ctx context.Context, at eventstore.Position) error {
	select {
	case v.waited <- struct{}{}:
	default:
	}
	return v.Memory.Wait(ctx, at)
}
