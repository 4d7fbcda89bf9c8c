package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/httpapi/identity"
	"kassa/internal/security"
)

// lines collects what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the lines since the last time.
func (l *lines) take(t testing.TB) (all []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.b.Bytes()) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, one)
	}
	l.b.Reset()
	return all
}

// recording makes a server write its request log and its security events to the lines.
func (w *fixture) recording(limits identity.Limits) (h http.Handler, events, requests *lines) {
	events, requests = &lines{}, &lines{}
	s := w.newServer(w.newVault(), limits)
	s.Log = slog.New(slog.NewJSONHandler(requests, nil))
	s.Identity.Security = security.New(security.Lines(events)).Hashing(w.vault.LogHash)
	return s.Handler(), events, requests
}

// brief is the fields of an event that do not change from run to run.
func brief(event map[string]any) string {
	var s []string
	for _, field := range []string{"event", "outcome", "user", "subject", "method", "reason", "route"} {
		if v, ok := event[field]; ok {
			s = append(s, fmt.Sprint(v))
		}
	}
	return strings.Join(s, " ")
}

// Each request that concerns security leaves its events, with the id of the request, and
// no other request leaves any.
func TestSecurityEvents(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada, root := w.addUser("ada"), w.addUser("root")
	w.setAdmin("root", true)
	h, events, _ := w.recording(identity.Limits{SignInPair: identity.Rate{Burst: 4, Every: time.Hour}, SignUpIP: identity.Rate{Burst: 1, Every: time.Hour}})
	names := strings.NewReplacer(string(ada), "ADA", string(root), "ROOT")
	sent := func(what, request string, want ...string) {
		t.Helper()
		var got []string
		for _, e := range events.take(t) {
			got = append(got, names.Replace(brief(e)))
			if e["request"] != request || e["network"] != "192.0.2.0/24" {
				t.Errorf("%s: %v, the request is %s", what, e, request)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the events are\n%q, want\n%q", what, got, want)
		}
	}
	send := func(method, path, name, body string, want ...string) {
		t.Helper()
		answer := w.send(h, method, path, name, body, "Idempotency-Key", path)
		sent(method+" "+path+" of "+name, answer.Header().Get("X-Request-Id"), want...)
	}
	credentials := func(name, secret string) string { return `{"email":"` + email(name) + `","password":"` + secret + `"}` }

	send("GET", "/api/users/balance", "ada", "", "sign_in ok ADA basic")
	send("GET", "/api/users/balance", "ada", "") // remembered
	send("GET", "/api/users/balance", "", "")
	send("POST", "/api/users/signin", "", credentials("ada", "a wrong one"), "sign_in refused ADA session invalid_credentials")
	send("POST", "/api/users/signin", "", credentials("nobody", "a wrong one"), "sign_in refused session invalid_credentials")
	here := w.send(h, "POST", "/api/users/signin", "", credentials("ada", password("ada")))
	sent("sign in", here.Header().Get("X-Request-Id"), "sign_in ok ADA session")
	out := w.browse(h, "POST", "/api/users/signout", session(t, here))
	sent("sign out", out.Header().Get("X-Request-Id"), "sign_out ok ADA session")
	send("POST", "/api/users/signout", "", "")

	send("GET", "/api/admin/users", "ada", "", "access_refused refused ADA GET /api/admin/users")
	send("GET", "/api/admin/users", "root", "", "sign_in ok ROOT basic", "admin_read ok ROOT GET /api/admin/users")
	send("GET", "/api/admin/users/"+string(ada), "root", "", "admin_read ok ROOT ADA GET /api/admin/users/{id}")
	send("GET", "/api/admin/users/p_1", "root", "") // nothing was shown
	send("POST", "/api/users/balance/adjust", "ada", `{"amount":1,"user_id":"`+string(root)+`","reason":"a gift"}`, "access_refused refused ADA ROOT POST /api/users/balance/adjust")
	send("POST", "/api/users/balance/adjust", "root", `{"amount":1,"user_id":"`+string(ada)+`","reason":"a gift"}`, "admin_change ok ROOT ADA POST /api/users/balance/adjust")
	send("POST", "/api/users/balance/adjust", "ada", `{"amount":1}`)

	for range 3 {
		w.send(h, "POST", "/api/users/signin", "", credentials("ada", "a wrong one"))
	}
	events.take(t)
	send("POST", "/api/users/signin", "", credentials("ada", "a wrong one"), "sign_in limited ADA session")
	w.send(h, "POST", "/api/users/signup", "", credentials("eve", password("eve")), "Idempotency-Key", "1")
	send("POST", "/api/users/signup", "", credentials("eve", password("eve")), "sign_up limited")
}

// Neither log has an e-mail, a password, a text, a token or an address, and the hash of an
// e-mail is the same for all its spellings.
func TestLogsHaveNoPersonalData(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.setAdmin("ada", true)
	h, events, requests := w.recording(identity.Limits{Off: true})
	var hashes []any
	for _, typed := range []string{"ada@example.org", " ADA@Example.ORG "} {
		w.send(h, "POST", "/api/users/signin", "", `{"email":"`+typed+`","password":"not this one"}`)
		hashes = append(hashes, events.take(t)[0]["email_hash"])
	}
	if hashes[0] != hashes[1] || len(fmt.Sprint(hashes[0])) != 40 || hashes[0] == w.vault.EmailHash("ada@example.org") {
		t.Errorf("the hashes of one e-mail are %v", hashes)
	}
	token := session(t, w.signIn(h, "ada")).Value
	w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"dreams within dreams"}`, "Idempotency-Key", "a key")
	w.send(h, "GET", "/api/admin/users?email=ada@example.org", "ada", "")
	w.send(h, "GET", "/api/users/nothing/ada@example.org", "ada", "")
	lines := fmt.Sprint(events.take(t), requests.take(t))
	for _, secret := range []string{"ada@", "example.org", password("ada"), "not this", "dreams", token, "a key", "192.0.2.1"} {
		if strings.Contains(strings.ToLower(lines), secret) {
			t.Errorf("%q is in the logs: %s", secret, lines)
		}
	}
	if !strings.Contains(lines, string(ada)) {
		t.Errorf("the user is not in %s", lines)
	}
}

// The line of a request has its id, route and user, and the prediction that it made,
// which other processes log.
func TestRequestLines(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	h, _, requests := w.recording(identity.Limits{Off: true})
	answer := w.send(h, "POST", "/api/events/prediction/new", "ada", `{"text":"inception"}`, "Idempotency-Key", "1")
	var p predictionJSON
	decodeJSON(t, answer.Body.Bytes(), &p)
	line := requests.take(t)[0]
	for field, want := range map[string]any{"request": answer.Header().Get("X-Request-Id"), "route": "/api/events/prediction/new", "method": "POST",
		"user": string(ada), "prediction": string(p.ID), "status": float64(answer.Code)} {
		if line[field] != want {
			t.Errorf("%s is %v, want %v", field, line[field], want)
		}
	}
	w.send(h, "GET", "/api/users/balance", "", "")
	if line := requests.take(t)[0]; line["user"] != nil || line["prediction"] != nil {
		t.Errorf("a request of nobody is logged as %v", line)
	}
}
