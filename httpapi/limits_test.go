package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
)

func TestLimits(t *testing.T) {
	w := newFixture(t, identity.Limits{SignUpIP: identity.Rate{Burst: 2, Every: time.Minute}, Command: identity.Rate{Burst: 2, Every: 10 * time.Second}})
	h := w.server.Handler()
	signUp := func(name string) *httptest.ResponseRecorder {
		return w.send(h, "POST", "/api/users/signup", "", `{"email":"`+email(name)+`","password":"`+password(name)+`"}`)
	}
	want(t, signUp("ada"), http.StatusCreated, "")
	want(t, signUp("bob"), http.StatusCreated, "")
	want(t, signUp("eve"), http.StatusTooManyRequests, problem.RateLimited)
	w.clock.advance(time.Minute)
	want(t, signUp("eve"), http.StatusCreated, "")

	deposit := func(name string) *httptest.ResponseRecorder {
		return w.send(h, "POST", "/api/users/balance/adjust", name, `{"amount":1}`)
	}
	want(t, deposit("ada"), http.StatusOK, "")
	want(t, deposit("ada"), http.StatusOK, "")
	got := deposit("ada")
	want(t, got, http.StatusTooManyRequests, problem.RateLimited)
	if got.Header().Get("Retry-After") != "10" {
		t.Errorf("Retry-After is %s, want 10", got.Header().Get("Retry-After"))
	}
	want(t, deposit("bob"), http.StatusOK, "")
	want(t, w.send(h, "GET", "/api/users/balance", "ada", ""), http.StatusOK, "")
	w.clock.advance(10 * time.Second)
	want(t, deposit("ada"), http.StatusOK, "")
}

// The documented limits are the defaults: for each kind of request a burst, and then
// one after each interval.
func TestTheDefaultLimits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		burst int
		after string // Retry-After, in seconds
		send  func(w *fixture, h http.Handler, n int) *httptest.ResponseRecorder
	}{
		{"sign-ups of an address", 10, "30", func(w *fixture, h http.Handler, n int) *httptest.ResponseRecorder {
			name := fmt.Sprint("person", n)
			who := ""
			if n%2 == 1 {
				who = "ada" // valid credentials change nothing
			}
			return w.send(h, "POST", "/api/users/signup", who, `{"email":"`+email(name)+`","password":"`+password(name)+`"}`)
		}},
		{"passwords from an address", 30, "2", func(w *fixture, h http.Handler, n int) *httptest.ResponseRecorder {
			return w.send(h, "GET", "/api/users/balance", fmt.Sprint("person", n), "")
		}},
		{"passwords of an e-mail from an address", 10, "6", func(w *fixture, h http.Handler, n int) *httptest.ResponseRecorder {
			return w.send(h, "GET", "/api/users/balance", "unknown", "")
		}},
		{"passwords of an e-mail", 60, "2", func(w *fixture, h http.Handler, n int) *httptest.ResponseRecorder {
			return w.send(h, "GET", "/api/users/balance", "unknown", "", "X-Forwarded-For", fmt.Sprint("203.0.113.", n))
		}},
		{"exports of a person", 5, "60", func(w *fixture, h http.Handler, n int) *httptest.ResponseRecorder {
			return w.send(h, "GET", []string{"/api/users/export", "/api/users/export.zip"}[n%2], "ada", "")
		}},
		{"commands of a person", 60, "1", func(w *fixture, h http.Handler, n int) *httptest.ResponseRecorder {
			return w.send(h, "POST", "/api/users/balance/adjust", "ada", `{"amount":1}`)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newFixture(t, identity.Limits{})
			w.server.Identity.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's address is in it
			w.addUser("ada")
			h := w.server.Handler()
			for n := range tt.burst {
				if got := tt.send(w, h, n); got.Code == http.StatusTooManyRequests {
					t.Fatalf("request %d is refused already: %s", n+1, got.Body)
				}
			}
			got := tt.send(w, h, tt.burst)
			want(t, got, http.StatusTooManyRequests, problem.RateLimited)
			if after := got.Header().Get("Retry-After"); after != tt.after {
				t.Errorf("Retry-After is %q, want %q", after, tt.after)
			}
		})
	}
}

// For a client that has left the queue, no account is opened and no password hashed.
func TestSignUpOfAClientThatLeft(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	left, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(left, "POST", "/api/users/signup", strings.NewReader(`{"email":"`+email("ada")+`","password":"`+password("ada")+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w.server.Handler().ServeHTTP(httptest.NewRecorder(), r)
	if n := w.env.Size(); n != 0 {
		t.Errorf("%d entries were appended", n)
	}
	w.addUser("ada")
}

// A dozen concurrent requests of a client with valid credentials count as one password
// check.
func TestParallelBasicCountsOnce(t *testing.T) {
	w := newFixture(t, identity.Limits{})
	w.addUser("ada")
	h := w.newServer(w.newVault(), identity.Limits{SignInEmail: identity.Rate{Burst: 1, Every: time.Hour}}).Handler()
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, basic(httptest.NewRequest("GET", "/api/users/balance", nil), "ada"))
			if answer.Code != http.StatusOK {
				t.Errorf("answers %d: %s", answer.Code, answer.Body)
			}
		})
	}
	all.Wait()
	answer := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/api/users/balance", nil)
	r.SetBasicAuth(email("ada"), "wrong guess")
	h.ServeHTTP(answer, r)
	want(t, answer, http.StatusTooManyRequests, problem.RateLimited)
}

// Attempts at one e-mail from many addresses are counted together, after each address's
// own limit.
func TestGuessesFromManyAddresses(t *testing.T) {
	w := newFixture(t, identity.Limits{SignInPair: identity.Rate{Burst: 2, Every: time.Hour}, SignInEmail: identity.Rate{Burst: 3, Every: time.Hour}})
	w.server.Identity.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's address is in it
	h := w.server.Handler()
	guess := func(from string) *httptest.ResponseRecorder {
		return w.send(h, "GET", "/api/users/balance", "ada", "", "X-Forwarded-For", from)
	}
	want(t, guess("203.0.113.1"), http.StatusUnauthorized, "")
	want(t, guess("203.0.113.1"), http.StatusUnauthorized, "")
	want(t, guess("203.0.113.1"), http.StatusTooManyRequests, "")
	want(t, guess("203.0.113.2"), http.StatusUnauthorized, "")
	want(t, guess("203.0.113.3"), http.StatusTooManyRequests, "")
}

// Behind a trusted proxy, each client has its own limits.
func TestLimitsBehindAProxy(t *testing.T) {
	w := newFixture(t, identity.Limits{SignInIP: identity.Rate{Burst: 1, Every: time.Hour}})
	w.server.Identity.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's address is in it
	h := w.server.Handler()
	guess := func(name, from string) *httptest.ResponseRecorder {
		return w.send(h, "GET", "/api/users/balance", name, "", "X-Forwarded-For", from)
	}
	want(t, guess("a", "203.0.113.1"), http.StatusUnauthorized, "")
	want(t, guess("b", "203.0.113.2"), http.StatusUnauthorized, "")
	want(t, guess("c", "198.51.100.1, 203.0.113.1"), http.StatusTooManyRequests, "")
	want(t, guess("d", "2001:db8::1"), http.StatusUnauthorized, "")
	want(t, guess("e", "2001:db8::2"), http.StatusTooManyRequests, "")
	want(t, guess("f", "2001:db8:0:1::1"), http.StatusUnauthorized, "")
}

// A trial of synonyms is counted with the commands of its admin: it builds an index.
func TestTrialsOfSynonymsAreLimited(t *testing.T) {
	w := newFixture(t, identity.Limits{Command: identity.Rate{Burst: 1, Every: time.Hour}})
	w.addUser("root")
	w.setAdmin("root", true)
	h := w.server.Handler()
	try := func() *httptest.ResponseRecorder {
		return w.send(h, "POST", "/api/admin/synonyms/try", "root", `{"words":["gumshoe","shamus"],"text":"a gumshoe"}`)
	}
	want(t, try(), http.StatusOK, "")
	want(t, try(), http.StatusTooManyRequests, problem.RateLimited)
}
