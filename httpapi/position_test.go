package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// reads are the paths of all reads, for an admin.
func (w *fixture) reads(u domain.UserID, p domain.PredictionID) (list []string) {
	for _, rt := range w.server.routes() {
		if rt.kind == read {
			id := string(p)
			if strings.HasPrefix(rt.path, "/api/admin") {
				id = string(u)
			}
			list = append(list, strings.Replace(rt.path, "{id}", id, 1))
		}
	}
	return list
}

// A position beyond the end of the log is refused at once by every read, because
// waiting would not help. Every read returns the position that it shows.
func TestPositionsOfReads(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	root := w.addUser("root")
	w.setAdmin("root", true)
	w.server.PositionWait = time.Hour
	h := w.server.Handler()
	got := w.send(h, "POST", "/api/events/prediction/new", "root", `{"text":"inception"}`)
	want(t, got, http.StatusOK, "")
	var prediction predictionJSON
	decodeJSON(t, got.Body.Bytes(), &prediction)
	if position := got.Header().Get(PositionHeader); position != fmt.Sprint(prediction.Position) {
		t.Errorf("the command at %d returned position %q", prediction.Position, position)
	}
	head := w.env.Size()
	w.env.WaitFor(head)
	for _, path := range w.reads(root, prediction.ID) {
		for _, beyond := range []eventstore.Position{head + 1, 1 << 62} {
			want(t, w.send(h, "GET", fmt.Sprintf("%s?min_position=%d", path, beyond), "root", ""), http.StatusUnprocessableEntity, problem.InvalidPosition)
		}
		got := w.send(h, "GET", fmt.Sprintf("%s?min_position=%d", path, head), "root", "")
		want(t, got, http.StatusOK, "")
		if position := got.Header().Get(PositionHeader); position != fmt.Sprint(head) {
			t.Errorf("%s returned position %q, want %d", path, position, head)
		}
	}
	list := w.send(h, "GET", "/api/users/transaction/history", "root", "")
	if !strings.Contains(list.Body.String(), fmt.Sprintf(`"position":%d}`, head)) {
		t.Errorf("a page has no position: %s", list.Body)
	}
}

// process is another process on the same log, whose views advance when the test says
// so.
type process struct {
	*Server
	views *slowViews
}

func (w *fixture) process() process {
	v := &slowViews{Memory: projections.NewMemory(), waited: make(chan struct{}, 1)}
	s := w.newServer(w.vault, identity.Limits{Off: true})
	s.Views, s.Identity.Views, s.PositionWait = v, v, time.Minute
	return process{s, v}
}

// catchUp applies the whole log to the views.
func (p process) catchUp(w *fixture) {
	w.t.Helper()
	at, err := p.views.Position(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	entries, err := w.store.After(w.t.Context(), at, 1000)
	if err == nil {
		err = p.views.Apply(entries)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// Users read their own writes although the views are behind: in the same process from
// memory, in another by the cookie that the browser sends.
func TestPeopleReadTheirOwnWrites(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	one, other := w.process(), w.process()
	one.catchUp(w)
	other.catchUp(w)
	signedIn := w.send(one.Handler(), "POST", "/api/users/signin", "", `{"email":"ada@example.org","password":"ada likes films"}`)
	want(t, signedIn, http.StatusOK, "")
	browser := signedIn.Result().Cookies()
	ask := func(p process, method, path, body string, withCookies bool) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if withCookies {
			for _, c := range browser {
				r.AddCookie(c)
			}
		} else {
			basic(r, "ada")
		}
		answer := httptest.NewRecorder()
		p.Handler().ServeHTTP(answer, r)
		theContract(t).check(t, r, []byte(body), answer)
		return answer
	}
	balance := 10
	for _, tt := range []struct {
		name       string
		at         process
		withCookie bool
	}{{"the same process, Basic credentials", one, false}, {"the same process, a browser", one, true}, {"another process, a browser", other, true}} {
		t.Run(tt.name, func(t *testing.T) {
			paid := ask(one, "POST", "/api/users/balance/adjust", `{"amount":5}`, tt.withCookie)
			want(t, paid, http.StatusOK, "")
			balance += 5
			browser = append(browser[:1], paid.Result().Cookies()...)
			for path, says := range map[string]string{
				"/api/users/balance":             fmt.Sprintf(`"balance":%d`, balance),
				"/api/users/transaction/history": fmt.Sprintf(`"balance_after":%d`, balance),
			} {
				answered := make(chan *httptest.ResponseRecorder, 1)
				select {
				case <-tt.at.views.waited: // of the previous read
				default:
				}
				go func() { answered <- ask(tt.at, "GET", path, "", tt.withCookie) }()
				select {
				case <-tt.at.views.waited:
					tt.at.catchUp(w)
				case got := <-answered:
					t.Fatalf("%s does not wait for what was written: %s", path, got.Body)
				}
				if got := <-answered; got.Code != http.StatusOK || !strings.Contains(got.Body.String(), says) {
					t.Errorf("%s: %d, without %s: %s", path, got.Code, says, got.Body)
				}
			}
			one.catchUp(w)
			other.catchUp(w)
		})
	}
}

// Where the log was restored from an older copy, no read waits for the lost writes.
func TestWritesThatAreGone(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.server.PositionWait = time.Hour
	remembered := httptest.NewRequest("GET", "/", nil)
	remembered.SetBasicAuth("a", "b")
	w.server.Identity.SetLastWrite(httptest.NewRecorder(), remembered, ada, w.env.Size()+100)
	h := w.server.Handler()
	want(t, w.send(h, "GET", "/api/users/balance", "ada", ""), http.StatusOK, "")
	if left := w.server.Identity.LastWrite(remembered, ada); left != 0 {
		t.Errorf("position %d is still waited for", left)
	}
	session := w.send(h, "POST", "/api/users/signin", "", `{"email":"ada@example.org","password":"ada likes films"}`).Result().Cookies()[0]
	got := w.send(h, "GET", "/api/users/balance", "", "", "Cookie", session.Name+"="+session.Value+"; kassa_position=99999")
	want(t, got, http.StatusOK, "")
	if cleared := got.Header().Get("Set-Cookie"); !strings.Contains(cleared, "kassa_position=;") {
		t.Errorf("the browser keeps it: %q", cleared)
	}
}

// Views that do not catch up in time are reported as behind, to API clients and on
// pages.
func TestViewsThatStayBehind(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	p := w.process()
	p.catchUp(w)
	p.PositionWait = 20 * time.Millisecond
	var shown eventstore.Position
	p.Pages = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown = identity.MinPosition(r.Context()) })
	h := p.Handler()
	paid := w.send(h, "POST", "/api/users/balance/adjust", "ada", `{"amount":5}`)
	want(t, paid, http.StatusOK, "")
	for _, path := range []string{"/api/users/balance", "/api/users/balance?min_position=" + paid.Header().Get(PositionHeader), "/web"} {
		got := w.send(h, "GET", path, "ada", "")
		want(t, got, http.StatusServiceUnavailable, problem.PositionNotReached)
		if got.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	p.catchUp(w)
	if w.send(h, "GET", "/web", "ada", ""); shown != w.env.Size() {
		t.Errorf("a page must show the log up to %d, want %d", shown, w.env.Size())
	}
}
