package identity

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
	"kassa/vault"
)

// parts are all that an Authenticator asks, of one person, u_ada. Each method fails
// whose name is in fails; done are the changes that were made.
type parts struct {
	fails map[string]error
	done  []string
	late  int // so often the views do not know her yet
}

func (p *parts) FindUser(context.Context, string) (domain.UserID, error) {
	return "u_ada", p.fails["FindUser"]
}

func (p *parts) Verify(context.Context, domain.UserID, string) (bool, error) {
	return p.fails["Verify"] == nil, p.fails["Verify"]
}

func (p *parts) Remembered(domain.UserID, string) bool { return false }

func (p *parts) NewSession(context.Context, domain.UserID, time.Time) (string, error) {
	p.done = append(p.done, "NewSession")
	return "new", p.fails["NewSession"]
}

func (p *parts) Session(context.Context, string, time.Time) (domain.UserID, bool, error) {
	return "u_ada", p.fails["Session"] == nil, p.fails["Session"]
}

func (p *parts) EndSession(context.Context, string) error {
	p.done = append(p.done, "EndSession")
	return p.fails["EndSession"]
}

func (p *parts) OpenEmail(context.Context, domain.UserID, domain.Sealed) (string, error) {
	if err := p.fails["OpenEmail"]; err != nil {
		return "", err
	}
	return "ada@example.org", nil
}

func (p *parts) Refresh(context.Context, domain.UserID) (eventstore.Loaded, error) {
	return eventstore.Loaded{Account: domain.Account{User: "u_ada", Admin: true}}, p.fails["Refresh"]
}

func (p *parts) User(_ context.Context, _ domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error) {
	if p.late--; p.late >= 0 {
		return projections.User{}, least + 1, projections.ErrNotFound
	}
	return projections.User{ID: "u_ada"}, least, p.fails["User"]
}

func (p *parts) Take(context.Context, string, int, time.Duration) (time.Duration, error) {
	p.done = append(p.done, "Take")
	return 0, p.fails["Take"]
}

func (p *parts) authenticator() *Authenticator {
	return &Authenticator{People: p, Vault: p, Accounts: p, Views: p, Tries: p, Now: time.Now}
}

// Each fault of what is asked is the answer, and nobody is signed in.
func TestEachFaultIsTold(t *testing.T) {
	for _, name := range []string{"FindUser", "Take", "Verify", "User", "OpenEmail", "Refresh", "EndSession", "NewSession"} {
		fault := errors.New(name + " fails")
		p := &parts{fails: map[string]error{name: fault}}
		r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
		r.Header.Set("Cookie", "kassa_session=old")
		person, err := p.authenticator().SignIn(t.Context(), w, r, "ada@example.org", "a password")
		if !errors.Is(err, fault) || person != (Person{}) || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: signed in as %+v with %v: %v", name, person, w.Result().Cookies(), err)
		}
		if name != "NewSession" && slices.Contains(p.done, "NewSession") {
			t.Errorf("%s: a session was begun all the same", name)
		}
	}
	for _, name := range []string{"Session", "User", "OpenEmail", "Refresh"} {
		fault := errors.New(name + " fails")
		p := &parts{fails: map[string]error{name: fault}}
		a := p.authenticator()
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Header.Set("Cookie", "kassa_session=old")
		for what, read := range map[string]reader{"person": a.person, "user": a.userOnly} {
			if _, ok, err := a.identify(w, r, read); ok || !errors.Is(err, fault) || len(w.Result().Cookies()) > 0 {
				t.Errorf("%s: attached a %s: %v", name, what, err)
			}
		}
	}
	p := &parts{fails: map[string]error{"EndSession": errors.New("it stays")}}
	r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
	r.Header.Set("Cookie", "kassa_session=old")
	if err := p.authenticator().SignOut(w, r); !errors.Is(err, p.fails["EndSession"]) || len(w.Result().Cookies()) > 0 {
		t.Errorf("a sign-out that ends nothing: %v, %v", err, w.Result().Cookies())
	}
	p, w = &parts{}, httptest.NewRecorder()
	if err := p.authenticator().SignOut(w, r); err != nil || len(w.Result().Cookies()) != 1 || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("a sign-out leaves %v: %v", w.Result().Cookies(), err)
	}
	p = &parts{fails: map[string]error{"Take": errors.New("not counted")}}
	if err := p.authenticator().AllowSignUp(r); !errors.Is(err, p.fails["Take"]) {
		t.Errorf("a sign-up that is not counted: %v", err)
	}
}

// A person whose e-mail is lost is still that person, and one whom the views do not know
// yet is waited for.
func TestWhoIsAttached(t *testing.T) {
	ada := Person{User: "u_ada", Email: "ada@example.org", Admin: true, Session: true}
	for _, tt := range []struct {
		name string
		p    parts
		want Person
	}{
		{"everything is there", parts{}, ada},
		{"the views are behind", parts{late: 3}, ada},
		{"her key is erased", parts{fails: map[string]error{"OpenEmail": vault.ErrErased}}, Person{User: "u_ada", Admin: true, Session: true}},
	} {
		a := tt.p.authenticator()
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Header.Set("Cookie", "kassa_session=old")
		got, ok, err := a.identify(w, r, a.person)
		if err != nil || !ok || got != tt.want {
			t.Errorf("%s: %+v, %t, %v", tt.name, got, ok, err)
		}
		tt.want.Session = false
		basic := httptest.NewRequest("GET", "/", nil)
		basic.SetBasicAuth("ada@example.org", "a password")
		if got, ok, err := a.identify(w, basic, a.person); err != nil || !ok || got != tt.want {
			t.Errorf("%s: by a password %+v, %t, %v", tt.name, got, ok, err)
		}
		tt.want.Session = true
		if got, err := a.SignIn(t.Context(), w, r, "ada@example.org", "a password"); err != nil || got != tt.want {
			t.Errorf("%s: signed in as %+v, %v", tt.name, got, err)
		}
		if got, ok, err := a.identify(w, r, a.userOnly); err != nil || !ok || got != (Person{User: "u_ada", Session: true}) {
			t.Errorf("%s: as a user %+v, %t, %v", tt.name, got, ok, err)
		}
	}
}
