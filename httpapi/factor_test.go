package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/vault"
)

// device shows codes.
type device struct {
	w      *fixture
	secret string
}

// code is the next that was not shown before.
func (d device) code() string {
	d.w.t.Helper()
	d.w.clock.advance(30 * time.Second)
	code, err := totp.GenerateCode(d.secret, d.w.clock.Now())
	if err != nil {
		d.w.t.Fatal(err)
	}
	return code
}

// setUp gives a user a second factor by the API.
func (w *fixture) setUp(h http.Handler, name, cookie string) (d device, codes []string) {
	w.t.Helper()
	offered := w.send(h, "POST", "/api/users/factor", "", `{"password":"`+password(name)+`"}`, "Cookie", cookie)
	want(w.t, offered, http.StatusCreated, "")
	var offer struct{ Secret, URI string }
	decodeJSON(w.t, offered.Body.Bytes(), &offer)
	if !strings.HasPrefix(offer.URI, "otpauth://totp/Kassa:"+email(name)+"?secret="+offer.Secret) {
		w.t.Errorf("the address is %s", offer.URI)
	}
	d = device{w, offer.Secret}
	want(w.t, w.send(h, "POST", "/api/users/factor/confirm", "", `{"code":"000000"}`, "Cookie", cookie), http.StatusForbidden, problem.WrongCode)
	confirmed := w.send(h, "POST", "/api/users/factor/confirm", "", `{"code":"`+d.code()+`"}`, "Cookie", cookie)
	want(w.t, confirmed, http.StatusOK, "")
	var made struct {
		Codes []string `json:"recovery_codes"`
	}
	decodeJSON(w.t, confirmed.Body.Bytes(), &made)
	return d, made.Codes
}

func (w *fixture) cookie(answer *httptest.ResponseRecorder) string {
	w.t.Helper()
	s := session(w.t, answer)
	return s.Name + "=" + s.Value
}

// With a second factor neither a password alone nor a code that was used opens a session, in
// whichever process; a recovery code does once.
func TestSecondFactor(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	h, there := w.server.Handler(), w.newServer(w.newVault(), identity.Limits{Off: true}).Handler()
	cookie, other := w.cookie(w.signIn(h, "ada")), w.cookie(w.signIn(h, "ada"))
	want(t, w.send(h, "POST", "/api/users/factor", "ada", `{"password":"`+password("ada")+`"}`), http.StatusForbidden, problem.SessionRequired)
	want(t, w.send(h, "POST", "/api/users/factor", "", `{"password":"not it"}`, "Cookie", cookie), http.StatusForbidden, problem.WrongPassword)
	want(t, w.send(h, "POST", "/api/users/factor/code", "", `{"code":"123456"}`, "Cookie", cookie), http.StatusConflict, problem.NoFactor)
	d, codes := w.setUp(h, "ada", cookie)
	want(t, w.send(h, "POST", "/api/users/factor", "", `{"password":"`+password("ada")+`"}`, "Cookie", cookie), http.StatusConflict, problem.FactorActive)
	want(t, w.send(h, "GET", "/api/users/balance", "", "", "Cookie", other), http.StatusUnauthorized, problem.AuthenticationRequired)
	want(t, w.send(there, "GET", "/api/users/balance", "ada", ""), http.StatusUnauthorized, problem.SecondFactorRequired)
	want(t, w.signIn(there, "ada"), http.StatusUnauthorized, problem.SecondFactorRequired)
	signIn := func(secret, code string) *httptest.ResponseRecorder {
		t.Helper()
		return w.send(there, "POST", "/api/users/signin", "", `{"email":"`+email("ada")+`","password":"`+secret+`","code":"`+code+`"}`)
	}
	code := d.code()
	want(t, signIn("not it", code), http.StatusUnauthorized, domain.InvalidCredentials)
	want(t, signIn(password("ada"), "000000"), http.StatusForbidden, problem.WrongCode)
	again := w.cookie(signIn(password("ada"), code))
	want(t, w.send(h, "GET", "/api/users/balance", "", "", "Cookie", again), http.StatusOK, "")
	want(t, signIn(password("ada"), code), http.StatusForbidden, problem.WrongCode)
	want(t, signIn(password("ada"), codes[0]), http.StatusOK, "")
	want(t, signIn(password("ada"), codes[0]), http.StatusForbidden, problem.WrongCode)
	state := w.send(h, "GET", "/api/users/factor", "", "", "Cookie", again)
	if want(t, state, http.StatusOK, ""); !strings.Contains(state.Body.String(), `"active":true`) || !strings.Contains(state.Body.String(), `"recovery_codes":9`) {
		t.Errorf("it is %s", state.Body)
	}
}

// A lock by another process counts for the last step of a sign-in, however short a time ago this
// one has read the account.
func TestALockRefusesTheCode(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	h := w.server.Handler()
	d, _ := w.setUp(h, "ada", w.cookie(w.signIn(h, "ada")))
	code, request := d.code(), httptest.NewRequest("POST", "/", nil)
	ticket, err := w.server.Identity.HalfSignIn(httptest.NewRecorder(), request, email("ada"), password("ada"))
	if err != nil || ticket == "" {
		t.Fatalf("the first step gave %q, %v", ticket, err)
	}
	there := w.env.Process()
	w.server.Identity.Accounts = justRead{w.store}
	if _, err := there.Lock(t.Context(), commands.Order{User: ada, By: "olga"}); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	err = w.server.Identity.FinishSignIn(answer, request, ticket, code)
	if refusal := domain.RefusalIn(err); refusal == nil || refusal.Code != domain.Locked || len(answer.Result().Cookies()) > 0 {
		t.Errorf("the second step gave %v and %v", err, answer.Header())
	}
}

// justRead remembers accounts as they were before the other process's entry.
type justRead struct{ *eventstore.Store }

func (j justRead) AccountWithin(ctx context.Context, u domain.UserID, _ time.Duration) (eventstore.Loaded, error) {
	return eventstore.Loaded{Account: domain.Account{User: u}}, nil
}

// What could cost the account, its data or others' credits takes a code of the last ten
// minutes, and so does turning the factor off. A token needs none.
func TestCodesAreAskedAgain(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada, bob := w.addUser("ada"), w.addUser("bob")
	w.setAdmin("ada", true)
	h := w.server.Handler()
	cookie := w.cookie(w.signIn(h, "ada"))
	d, _ := w.setUp(h, "ada", cookie)
	w.clock.advance(10 * time.Minute)
	secret := `"password":"` + password("ada") + `"`
	gift := `{"amount":1,"user_id":"` + string(bob) + `","reason":"a gift"}`
	post := func(path, body string) *httptest.ResponseRecorder {
		t.Helper()
		return w.send(h, "POST", path, "", body, "Cookie", cookie)
	}
	for path, body := range map[string]string{"/api/users/erasure": `{` + secret + `,"credits":"withdraw"}`, "/api/admin/users/" + string(bob) + "/erasure": `{` + secret + `,"credits":"withdraw","reason":"letter 7"}`,
		"/api/users/balance/adjust": gift, "/api/users/factor/remove": `{` + secret + `}`, "/api/users/tokens": `{` + secret + `,"name":"a","scopes":["read"]}`,
		"/api/users/password": `{` + secret + `,"new_password":"nine otters on a carousel"}`} {
		want(t, post(path, body), http.StatusForbidden, problem.CodeRequired)
	}
	endSessions := func(status int, code domain.Code) {
		t.Helper()
		want(t, w.send(h, "DELETE", "/api/admin/users/"+string(bob)+"/sessions", "", "", "Cookie", cookie), status, code)
	}
	endSessions(http.StatusForbidden, problem.CodeRequired)
	export := func(status int, code domain.Code) {
		t.Helper()
		for _, path := range []string{"/api/users/export", "/api/users/export.zip"} {
			want(t, w.send(h, "GET", path, "", "", "Cookie", cookie), status, code)
		}
	}
	export(http.StatusForbidden, problem.CodeRequired)
	want(t, post("/api/users/balance/adjust", `{"amount":5}`), http.StatusOK, "")
	want(t, post("/api/users/factor/code", `{"code":"000000"}`), http.StatusForbidden, problem.WrongCode)
	want(t, post("/api/users/factor/code", `{"code":"`+d.code()+`"}`), http.StatusNoContent, "")
	want(t, post("/api/users/balance/adjust", gift), http.StatusOK, "")
	endSessions(http.StatusNoContent, "")
	export(http.StatusOK, "")
	token := w.token("ada", vault.ScopeSpend, vault.ScopeAdmin)
	w.clock.advance(10 * time.Minute)
	want(t, post("/api/users/balance/adjust", gift), http.StatusForbidden, problem.CodeRequired)
	want(t, w.bear(h, "POST", "/api/users/balance/adjust", token, gift), http.StatusOK, "")
	want(t, post("/api/users/factor/code", `{"code":"`+d.code()+`"}`), http.StatusNoContent, "")
	changed := post("/api/users/password", `{`+secret+`,"new_password":"nine otters on a carousel"}`)
	want(t, changed, http.StatusNoContent, "")
	cookie = w.cookie(changed)
	want(t, post("/api/users/factor/remove", `{`+secret+`}`), http.StatusForbidden, problem.WrongPassword)
	want(t, post("/api/users/factor/remove", `{"password":"nine otters on a carousel"}`), http.StatusNoContent, "")
	want(t, post("/api/users/factor/remove", `{"password":"nine otters on a carousel"}`), http.StatusConflict, problem.NoFactor)
	if has, err := w.newVault().HasFactor(t.Context(), ada); err != nil || has {
		t.Errorf("it is still there: %t, %v", has, err)
	}
}

// Of two requests at once with the same code, which a double click sends, both go on: a code is
// good once, and the session has been given one.
func TestACodeThatIsSentTwice(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	d, _ := w.setUp(w.server.Handler(), "ada", w.cookie(w.signIn(w.server.Handler(), "ada")))
	sessions, err := w.vault.Sessions(t.Context(), ada, w.clock.Now())
	if err != nil || len(sessions) != 1 {
		t.Fatal(sessions, err)
	}
	w.clock.advance(10 * time.Minute)
	who := identity.Person{User: ada, Session: sessions[0].ID, Factor: true, CodeDue: true} // as both requests have found it
	give := func(code string, want domain.Code) {
		t.Helper()
		got := domain.RefusalIn(w.server.Identity.GiveCode(t.Context(), who, code))
		if want == "" && got != nil || want != "" && (got == nil || got.Code != want) {
			t.Errorf("the code is answered %v, want %q", got, want)
		}
	}
	give("000000", problem.WrongCode)
	code := d.code()
	give(code, "")
	give(code, "")
	who.CodeDue = false // a request of later
	give(code, problem.WrongCode)
	who.CodeDue = true
	w.clock.advance(10 * time.Minute)
	give(code, problem.WrongCode)
}

// Codes are guessed by nobody: tries of one person are limited, wherever they come from.
func TestTriesOfCodesAreLimited(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	w.addUser("ada")
	d, _ := w.setUp(w.server.Handler(), "ada", w.cookie(w.signIn(w.server.Handler(), "ada")))
	limited := w.newServer(w.newVault(), identity.Limits{Code: identity.Rate{Burst: 2, Every: time.Hour}}).Handler()
	signIn := func(code string) *httptest.ResponseRecorder {
		t.Helper()
		return w.send(limited, "POST", "/api/users/signin", "", `{"email":"`+email("ada")+`","password":"`+password("ada")+`","code":"`+code+`"}`)
	}
	for range 2 {
		want(t, signIn("000000"), http.StatusForbidden, problem.WrongCode)
	}
	want(t, signIn(d.code()), http.StatusTooManyRequests, problem.RateLimited)
}

// Where admins need a second factor, one without it may do nothing as an admin, by no
// credentials; and everything else.
func TestAdminsNeedAFactor(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	bob := w.addUser("bob")
	w.addUser("root")
	w.setAdmin("root", true)
	w.server.Identity.AdminFactor = true
	h := w.server.Handler()
	cookie := w.cookie(w.signIn(h, "root"))
	gift := `{"amount":1,"user_id":"` + string(bob) + `","reason":"a gift"}`
	refused := func(token string, status int, code domain.Code) {
		t.Helper()
		want(t, w.send(h, "GET", "/api/admin/users", "", "", "Cookie", cookie), status, code)
		want(t, w.send(h, "POST", "/api/users/balance/adjust", "", gift, "Cookie", cookie), status, code)
		want(t, w.bear(h, "GET", "/api/admin/trial", token, ""), status, code)
		want(t, w.bear(h, "POST", "/api/users/balance/adjust", token, gift), status, code)
	}
	before := w.token("root", vault.Scopes...)
	refused(before, http.StatusForbidden, problem.FactorRequired)
	want(t, w.send(h, "GET", "/api/admin/users", "root", ""), http.StatusForbidden, problem.FactorRequired)
	want(t, w.send(h, "POST", "/api/users/balance/adjust", "root", `{"amount":5}`), http.StatusOK, "")
	w.setUp(h, "root", cookie)
	want(t, w.bear(h, "GET", "/api/admin/trial", before, ""), http.StatusUnauthorized, domain.InvalidCredentials)
	refused(w.token("root", vault.Scopes...), http.StatusOK, "")
}
