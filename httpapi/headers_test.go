package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"kassa/domain"
	"kassa/httpapi/identity"
)

// commonHeaders are the headers that any answer may have, listed in the contract's
// description.
func (c contract) commonHeaders() (names []string) {
	_, rest, _ := strings.Cut(c.doc.Info.Description, "**Headers of all answers.**")
	said, _, _ := strings.Cut(rest, "\n\n")
	for _, m := range aHeader.FindAllStringSubmatch(said, -1) {
		names = append(names, http.CanonicalHeaderKey(m[1]))
	}
	return names
}

var aHeader = regexp.MustCompile("`([A-Z][A-Za-z-]+)`")

// headersOf are the headers of the answer with this status, by canonical name, and
// whether each is always present.
func headersOf(op *openapi3.Operation, status int) map[string]bool {
	names := map[string]bool{}
	if answer := op.Responses.Status(status); answer != nil {
		for name, h := range answer.Value.Headers {
			names[http.CanonicalHeaderKey(name)] = h.Value.Required
		}
	}
	return names
}

// checkHeaders checks that an answer has the headers of the contract, and no others.
func (c contract) checkHeaders(t testing.TB, op *openapi3.Operation, answer *httptest.ResponseRecorder) {
	t.Helper()
	declared, common := headersOf(op, answer.Code), c.commonHeaders()
	for name, always := range declared {
		if always && answer.Header().Get(name) == "" {
			t.Errorf("%s answers %d without %s", op.OperationID, answer.Code, name)
		}
	}
	for name := range answer.Header() {
		if _, ok := declared[name]; !ok && !slices.Contains(common, name) {
			t.Errorf("%s answers %d with %s, which the contract does not name for it", op.OperationID, answer.Code, name)
		}
	}
	for _, cookie := range (&http.Response{Header: answer.Header()}).Cookies() {
		if _, ok := declared["Set-Cookie"]; !ok && cookie.MaxAge >= 0 && cookie.Name != "kassa_position" {
			t.Errorf("%s answers %d with the new cookie %s, which the contract does not name for it", op.OperationID, answer.Code, cookie.Name)
		}
	}
	if again := answer.Header().Get("Retry-After"); again == "" && (answer.Code == http.StatusServiceUnavailable || answer.Code == http.StatusTooManyRequests) {
		t.Errorf("%s answers %d without Retry-After", op.OperationID, answer.Code)
	}
}

// contractRun sends requests, and records the statuses and headers of their answers.
type contractRun struct {
	*fixture
	seen map[string]bool // "operation status", "operation status header"
}

func (w contractRun) to(h http.Handler, method, path, name, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	answer := w.send(h, method, path, name, body, headers...)
	route, _, err := theContract(w.t).router.FindRoute(httptest.NewRequest(method, path, nil))
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	for status, said := range route.Operation.Responses.Map() {
		if said != route.Operation.Responses.Status(answer.Code) {
			continue
		}
		w.seen[route.Operation.OperationID+" "+status] = true
		for name := range said.Value.Headers {
			if answer.Header().Get(name) != "" {
				w.seen[route.Operation.OperationID+" "+status+" "+name] = true
			}
		}
	}
	return answer
}

// Each answer of each operation occurs, with each of its headers in the contract; send
// checks that there are no others.
func TestHeadersAreThoseOfTheContract(t *testing.T) {
	p := newPublished(t)
	w := contractRun{p.fixture, map[string]bool{}}
	root := w.addUser("root")
	w.setAdmin("root", true)
	p.sign()
	w.to(w.server.Handler(), "GET", "/api/log/head", "", "")
	w.to(w.server.Handler(), "GET", fmt.Sprintf("/api/users/transaction/t_%d/receipt", p.money(root)), "root", "")
	for _, path := range []string{"users/statement?month=2026-03", "users/statement.csv?month=2026-03",
		"audit/log", "audit/trial", "audit/course", "audit/adjustments", "audit/adjustments.csv", "audit/proposals", "audit/entries/1", "audit/entries/1/proof",
		"admin/overview", "admin/actions", "admin/actions.csv", "audit/users/" + string(root) + "/entries", "audit/close?month=2026-03&zone=UTC", "audit/export"} {
		w.to(w.server.Handler(), "GET", "/api/"+path, "root", "")
	}
	w.successes(root)
	w.catalogue()
	w.refusals()
	for _, item := range theContract(t).doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status, answer := range op.Responses.Map() {
				if !w.seen[op.OperationID+" "+status] {
					t.Errorf("nothing here made %s answer %s", op.OperationID, status)
				}
				for name := range answer.Value.Headers {
					if !w.seen[op.OperationID+" "+status+" "+name] {
						t.Errorf("nothing here made %s answer %s with %s", op.OperationID, status, name)
					}
				}
			}
		}
	}
}

// successes sends the requests whose answers are below 400.
func (w contractRun) successes(root domain.UserID) {
	h := w.server.Handler()
	get := func(path string, headers ...string) { w.to(h, "GET", path, "root", "", headers...) }
	account := `{"email":"` + email("ada") + `","password":"` + password("ada") + `"}`
	for range 2 { // the second time the answers are replayed
		w.to(h, "POST", "/api/users/signup", "", account, "Idempotency-Key", "a")
		w.to(h, "POST", "/api/users/balance/adjust", "root", `{"amount":30}`, "Idempotency-Key", "b")
	}
	w.to(h, "POST", "/api/users/signin", "", account)
	w.to(h, "POST", "/api/users/signout", "", "")
	w.accounts(h)

	ask := func(path, body, key, wait string) (p predictionJSON) {
		answer := w.to(h, "POST", "/api/events/prediction/"+path, "root", body, "Idempotency-Key", key, "Prefer", wait)
		decodeJSON(w.t, answer.Body.Bytes(), &p)
		return p
	}
	later := func(path, body, key string) predictionJSON {
		w.env.Questions.Pause()
		ask(path, body, key, "wait=0")
		ask(path, body, key, "wait=0")
		w.env.Questions.Resume()
		return ask(path, body, key, "wait=60")
	}
	found := later("new", `{"text":"inception"}`, "found")
	for range 2 {
		w.to(h, "POST", "/api/events/prediction/"+string(found.ID)+"/feedback", "root", `{"movie_id":"`+found.Movies[0].ID+`","verdict":"that_is_it"}`, "Idempotency-Key", "it")
	}
	p := later("new", `{"text":"inception"}`, "c")
	later(string(p.ID)+"/refine", `{"text":"with a train"}`, "more")
	for range 2 {
		w.to(h, "POST", "/api/events/prediction/"+string(p.ID)+"/none-of-these", "root", "", "Idempotency-Key", "d")
	}
	stream := "/api/events/prediction/" + string(p.ID) + "/stream"
	get(stream)
	get(stream, "Last-Event-ID", strconv.FormatInt(int64(p.EndPosition), 10))
	for _, path := range []string{"/api/", "/api/health", "/api/ready", "/api/admin/users/" + string(root), "/api/admin/trial"} {
		get(path)
	}
	for _, path := range []string{"/api/admin/actions", "/api/openapi.yaml", "/api/openapi.json", "/api/films/inception-2010", "/api/events/prediction/" + string(p.ID), "/api/users/balance",
		"/api/users/transaction/history", "/api/events/prediction/history", "/api/admin/users"} {
		get(path)
		get(path, "If-None-Match", "*")
	}
}

// catalogue are the successes of an admin who keeps the films.
func (w contractRun) catalogue() {
	w.t.Helper()
	h := w.server.Handler()
	post := func(path, body string) map[string]any {
		var said map[string]any
		decodeJSON(w.t, w.to(h, "POST", "/api/admin/"+path, "root", body).Body.Bytes(), &said)
		return said
	}
	w.to(h, "GET", "/api/admin/films", "root", "")
	film := `{"id":"the-keeper-of-the-lamp-2021","title":"The Keeper of the Lamp","year":2021}`
	post("catalogue/check", `{"films":[`+film+`]}`)
	digest := post("catalogue/preview", `{"films":[`+film+`]}`)["digest"].(string)
	post("catalogue/apply", `{"films":[`+film+`],"digest":"`+digest+`"}`)
	w.to(h, "GET", "/api/admin/catalogue/editions", "root", "")
	post("catalogue/undo", `{"edition":1}`)
	post("films", `{"film":`+film+`}`)
	words := `"words":["flumadiddle","keeper"]`
	group := post("synonyms", "{"+words+"}")["synonyms_id"].(string)
	w.to(h, "GET", "/api/admin/synonyms", "root", "")
	post("synonyms/try", "{"+words+`,"text":"flumadiddle"}`)
	w.to(h, "DELETE", "/api/admin/synonyms/"+group, "root", "")
	post("catalogue/try", `{"text":"keeper lamp","movie_id":"the-keeper-of-the-lamp-2021"}`)
	var stored struct{ Version string }
	decodeJSON(w.t, w.to(h, "GET", "/api/admin/films/the-keeper-of-the-lamp-2021", "root", "").Body.Bytes(), &stored)
	post("films/the-keeper-of-the-lamp-2021/remove", `{"version":"`+stored.Version+`"}`)
}

// accounts are the successes of ada's account: her browser changes the password and back, so
// that her password stays that of the fixture.
func (w contractRun) accounts(h http.Handler) {
	w.t.Helper()
	browser := session(w.t, w.signIn(h, "ada"))
	for _, change := range [][2]string{{password("ada"), "a new password"}, {"a new password", password("ada")}} {
		body := `{"password":"` + change[0] + `","new_password":"` + change[1] + `"}`
		browser = session(w.t, w.to(h, "POST", "/api/users/password", "", body, "Cookie", browser.Name+"="+browser.Value))
	}
	w.factor(h, browser.Name+"="+browser.Value)
	w.to(h, "GET", "/api/users/sessions", "", "", "Cookie", browser.Name+"="+browser.Value)
	w.to(h, "POST", "/api/users/tokens", "", `{"name":"a","scopes":["read"],"password":"`+password("ada")+`"}`, "Cookie", browser.Name+"="+browser.Value)
	w.to(h, "GET", "/api/users/tokens", "ada", "")
	made, err := w.vault.Tokens(w.t.Context(), w.env.User(email("ada")), w.clock.Now())
	if err != nil || len(made) != 1 {
		w.t.Fatalf("the tokens are %+v, %v", made, err)
	}
	w.to(h, "DELETE", "/api/users/tokens/"+string(made[0].ID), "ada", "")
	list, err := w.vault.Sessions(w.t.Context(), w.env.User(email("ada")), w.clock.Now())
	if err != nil || len(list) != 1 {
		w.t.Fatalf("the sessions are %+v, %v", list, err)
	}
	w.to(h, "DELETE", "/api/users/sessions/"+string(list[0].ID), "", "", "Cookie", browser.Name+"="+browser.Value)
	w.to(h, "DELETE", "/api/users/sessions", "ada", "")
	token, _, err := w.vault.NewReset(w.t.Context(), w.env.User(email("ada")), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	limited := w.newServer(w.vault, identity.Limits{SignInIP: identity.Rate{Burst: 1, Every: time.Hour}}).Handler()
	for range 2 {
		w.to(limited, "POST", "/api/users/password/reset", "", `{"token":"`+token+`","new_password":"`+password("ada")+`"}`)
	}
	for range 2 {
		w.to(h, "POST", "/api/users/erasure", "ada", `{"password":"`+password("ada")+`","credits":"withdraw"}`, "Idempotency-Key", "e")
	}
	w.to(h, "GET", "/api/users/erasure", "ada", "")
	for range 2 {
		w.to(h, "POST", "/api/users/erasure/cancel", "ada", "", "Idempotency-Key", "f")
	}
	w.proposals()
	w.privacy(h)
}

// factor are the successes of a second factor, which is turned off again.
func (w contractRun) factor(h http.Handler, cookie string) {
	w.t.Helper()
	password := `{"password":"` + password("ada") + `"}`
	var offer struct{ Secret string }
	decodeJSON(w.t, w.to(h, "POST", "/api/users/factor", "", password, "Cookie", cookie).Body.Bytes(), &offer)
	d := device{w.fixture, offer.Secret}
	w.to(h, "POST", "/api/users/factor/confirm", "", `{"code":"`+d.code()+`"}`, "Cookie", cookie)
	w.to(h, "GET", "/api/users/factor", "", "", "Cookie", cookie)
	w.to(h, "POST", "/api/users/factor/code", "", `{"code":"`+d.code()+`"}`, "Cookie", cookie)
	w.passkeys(h, cookie)
	w.to(h, "POST", "/api/users/factor/remove", "", password, "Cookie", cookie)
}

// passkeys are the successes of passkeys, at a name that WebAuthn allows.
func (w contractRun) passkeys(h http.Handler, cookie string) {
	w.t.Helper()
	post := func(path, body string) []byte {
		return w.to(h, "POST", local+"/api/users/"+path, "", body, "Cookie", cookie).Body.Bytes()
	}
	password, phone := `{"password":"`+password("ada")+`"}`, newAuthenticator(w.t)
	var made passkeyJSON
	decodeJSON(w.t, post("passkeys", `{"name":"phone","credential":`+phone.make(post("passkeys/offer", password))+`}`), &made)
	post("factor/passkey", `{"credential":`+phone.sign(post("factor/passkey/ask", ""))+`}`)
	w.to(h, "GET", "/api/users/passkeys", "", "", "Cookie", cookie)
	post("passkeys/"+string(made.ID)+"/remove", password)
}

// proposals are the successes of adjustments that wait for another admin.
func (w contractRun) proposals() {
	w.t.Helper()
	w.addUser("zoe")
	w.setAdmin("zoe", true)
	s := w.newServer(w.vault, identity.Limits{Off: true})
	s.Commands.Limits, s.Commands.ProposalLife = domain.AdjustmentLimits{FourEyesAbove: 5}, time.Hour
	h, correction := s.Handler(), fmt.Sprintf(`{"amount":6,"user_id":%q,"reason":"paid twice"}`, w.env.User(email("ada")))
	for i, way := range []string{"approve", "reject"} {
		var made struct {
			ID domain.ProposalID `json:"proposal_id"`
		}
		for range 2 {
			decodeJSON(w.t, w.to(h, "POST", "/api/admin/adjustments", "root", correction, "Idempotency-Key", fmt.Sprint("p", i)).Body.Bytes(), &made)
		}
		w.to(h, "GET", "/api/admin/adjustments", "root", "")
		w.to(h, "GET", "/api/admin/adjustments/"+string(made.ID), "root", "")
		for range 2 {
			w.to(h, "POST", "/api/admin/adjustments/"+string(made.ID)+"/"+way, "zoe", `{"reason":"checked"}`, "Idempotency-Key", fmt.Sprint("q", i))
		}
	}
}

// privacy are the successes of exports, links by mail, and erasures by request.
func (w contractRun) privacy(h http.Handler) {
	w.t.Helper()
	w.to(h, "GET", "/api/users/export", "ada", "")
	w.to(h, "GET", "/api/users/export.zip", "ada", "")
	mailing := w.newServer(w.vault, identity.Limits{ForgotIP: identity.Rate{Burst: 1, Every: time.Hour}})
	mailing.Identity.Mails = true
	for range 2 { // the second is over the limit
		w.to(mailing.Handler(), "POST", "/api/users/password/forgot", "", `{"email":"`+email("ada")+`"}`)
	}
	for range 2 {
		w.to(h, "POST", "/api/admin/users/"+string(w.env.User(email("ada")))+"/erasure", "root", `{"password":"`+password("root")+`","credits":"withdraw","reason":"letter 7"}`, "Idempotency-Key", "g")
	}
	w.to(h, "POST", "/api/users/erasure/cancel", "ada", "", "Idempotency-Key", "i")

	path, order := "/api/admin/users/"+string(w.env.User(email("ada"))), `{"password":"`+password("root")+`","reason":"letter 9"`
	for _, what := range []string{"/roles/grant", "/roles/revoke"} {
		w.to(h, "POST", path+what, "root", order+`,"role":"auditor"}`)
	}
	w.to(h, "POST", path+"/lock", "root", order+"}")
	w.to(h, "POST", path+"/unlock", "root", order+"}")
	w.to(h, "DELETE", path+"/sessions", "root", "")
}

// refusals sends what each operation refuses, over its rate limit, and while the server
// is unavailable.
func (w contractRun) refusals() {
	hour := identity.Rate{Burst: 1, Every: time.Hour}
	limited := w.newServer(w.vault, identity.Limits{SignUpIP: hour, SignInPair: hour}).Handler()
	closing := w.newServer(w.vault, identity.Limits{Off: true})
	closing.drain()
	closing.close()
	faulty := w.newServer(w.vault, identity.Limits{Off: true})
	faulty.Leaving = func() bool { panic("a fault") }
	guess := `{"email":"` + email("root") + `","password":"` + password("eve") + `"}`
	for path, item := range theContract(w.t).doc.Paths.Map() {
		path = strings.Replace(path, "{id}", "p_k3v7wq2m5xbnayrzt4hd6ecfgu", 1)
		for method := range item.Operations() {
			w.to(w.server.Handler(), method, path+"?unknown", "root", "")
			w.to(w.server.Handler(), method, path, "", guess)
			for range 2 {
				w.to(limited, method, path, "eve", guess)
			}
			w.to(closing.Handler(), method, path, "", "")
			w.to(faulty.Handler(), method, path, "", "")
		}
	}
}
