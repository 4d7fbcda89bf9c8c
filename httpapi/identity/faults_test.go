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

// fakes are all dependencies of an Authenticator, with one user, u_ada. A method whose
// name is in fails returns an error; done are the changes that were made.
type fakes struct {
	tokens
	factors
	passkeys
	fails map[string]error
	done  []string
	late  int // how many reads of the views do not find her yet

	locked, remembered bool // in the log, and by this process
	stale              bool // what this process remembers was not read for a while
}

func (p *fakes) FindUser(context.Context, string) (domain.UserID, error) {
	return "u_ada", p.fails["FindUser"]
}

func (p *fakes) Verify(context.Context, domain.UserID, string) (bool, error) {
	return p.fails["Verify"] == nil, p.fails["Verify"]
}

func (p *fakes) Remembered(context.Context, domain.UserID, string) (bool, error) {
	return false, p.fails["Remembered"]
}

func (p *fakes) HasFactor(context.Context, domain.UserID) (bool, error) {
	return false, p.fails["HasFactor"]
}

func (p *fakes) CheckPassword(string, string) error { return p.fails["CheckPassword"] }

func (p *fakes) ChangePassword(context.Context, domain.UserID, string, string) (bool, error) {
	p.done = append(p.done, "ChangePassword")
	return p.fails["ChangePassword"] == nil, p.fails["ChangePassword"]
}

func (p *fakes) AskReset(context.Context, string, string, time.Time) error {
	p.done = append(p.done, "AskReset")
	return p.fails["AskReset"]
}

func (p *fakes) ResetOf(context.Context, string, time.Time) (domain.UserID, bool, error) {
	return "u_ada", p.fails["ResetOf"] == nil, p.fails["ResetOf"]
}

func (p *fakes) Reset(context.Context, domain.UserID, string, string, time.Time) (bool, error) {
	p.done = append(p.done, "Reset")
	return p.fails["Reset"] == nil, p.fails["Reset"]
}

// adaSession is the session of the fakes' cookie.
const adaSession = vault.SessionID("00112233445566778899")

func (p *fakes) NewSession(context.Context, domain.UserID, string, vault.Origin, time.Time) (string, vault.Session, error) {
	p.done = append(p.done, "NewSession")
	return "new", vault.Session{ID: adaSession, User: "u_ada"}, p.fails["NewSession"]
}

func (p *fakes) Session(context.Context, string, string, time.Time) (vault.Session, bool, error) {
	return vault.Session{ID: adaSession, User: "u_ada"}, p.fails["Session"] == nil, p.fails["Session"]
}

func (p *fakes) Sessions(context.Context, domain.UserID, time.Time) ([]vault.Session, error) {
	return nil, p.fails["Sessions"]
}

func (p *fakes) EndSessionOf(context.Context, domain.UserID, vault.SessionID) (bool, error) {
	return p.fails["EndSessionOf"] == nil, p.fails["EndSessionOf"]
}

func (p *fakes) EndOtherSessions(context.Context, domain.UserID, vault.SessionID) error {
	return p.fails["EndOtherSessions"]
}

func (p *fakes) EndSession(context.Context, string) error {
	p.done = append(p.done, "EndSession")
	return p.fails["EndSession"]
}

func (p *fakes) OpenEmail(context.Context, domain.UserID, domain.Sealed) (string, error) {
	if err := p.fails["OpenEmail"]; err != nil {
		return "", err
	}
	return "ada@example.org", nil
}

func (p *fakes) AccountWithin(ctx context.Context, u domain.UserID, age time.Duration) (eventstore.Loaded, error) {
	if p.stale || age != recheck {
		loaded, err := p.Refresh(ctx, u)
		loaded.Fresh = true
		return loaded, err
	}
	return eventstore.Loaded{Account: domain.Account{User: "u_ada", Admin: true, Locked: p.remembered}}, nil
}

func (p *fakes) Refresh(context.Context, domain.UserID) (eventstore.Loaded, error) {
	p.done = append(p.done, "Refresh")
	return eventstore.Loaded{Account: domain.Account{User: "u_ada", Admin: true, Locked: p.locked}}, p.fails["Refresh"]
}

func (p *fakes) User(_ context.Context, _ domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error) {
	if p.late--; p.late >= 0 {
		return projections.User{}, least + 1, projections.ErrNotFound
	}
	return projections.User{ID: "u_ada"}, least, p.fails["User"]
}

func (p *fakes) Take(context.Context, string, int, time.Duration) (time.Duration, error) {
	p.done = append(p.done, "Take")
	return 0, p.fails["Take"]
}

func (p *fakes) authenticator() *Authenticator {
	return &Authenticator{Users: p, Vault: p, Accounts: p, Views: p, Tries: p, Now: time.Now}
}

// An error of a dependency is returned, and nobody is signed in.
func TestEachFaultIsReturned(t *testing.T) {
	for _, name := range []string{"FindUser", "Remembered", "Take", "Verify", "HasFactor", "User", "OpenEmail", "Refresh", "EndSession", "NewSession"} {
		fault := errors.New(name + " fails")
		p := &fakes{fails: map[string]error{name: fault}}
		r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
		r.Header.Set("Cookie", "kassa_session=old")
		person, err := p.authenticator().SignIn(t.Context(), w, r, "ada@example.org", "a password", "")
		if !errors.Is(err, fault) || person != (Person{}) || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: signed in as %+v with %v: %v", name, person, w.Result().Cookies(), err)
		}
		if name != "NewSession" && slices.Contains(p.done, "NewSession") {
			t.Errorf("%s: a session was begun all the same", name)
		}
	}
	for _, name := range []string{"Session", "User", "OpenEmail", "Refresh"} {
		fault := errors.New(name + " fails")
		p := &fakes{fails: map[string]error{name: fault}}
		a := p.authenticator()
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Header.Set("Cookie", "kassa_session=old")
		for what, read := range map[string]userReader{"person": a.person, "user": a.userOnly} {
			if _, ok, err := a.identify(w, r, read); ok || !errors.Is(err, fault) || len(w.Result().Cookies()) > 0 {
				t.Errorf("%s: attached a %s: %v", name, what, err)
			}
		}
	}
	for _, name := range []string{"User", "CheckPassword", "Take", "Verify", "ChangePassword", "NewSession"} {
		fault := errors.New(name + " fails")
		p := &fakes{fails: map[string]error{name: fault}}
		r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
		err := p.authenticator().ChangePassword(t.Context(), w, r, Person{User: "u_ada", Session: adaSession}, "a password", "another")
		changes := name == "ChangePassword" || name == "NewSession"
		if !errors.Is(err, fault) || len(w.Result().Cookies()) > 0 || !changes && slices.Contains(p.done, "ChangePassword") {
			t.Errorf("%s: a change of the password has done %v with %v: %v", name, p.done, w.Result().Cookies(), err)
		}
		if changed := name == "NewSession"; errors.Is(err, vault.ErrUnknown) != changed {
			t.Errorf("%s: the change says of its outcome: %v", name, err)
		}
	}
	for _, name := range []string{"Take", "ResetOf", "User", "CheckPassword", "Reset"} {
		fault := errors.New(name + " fails")
		p := &fakes{fails: map[string]error{name: fault}}
		err := p.authenticator().Reset(httptest.NewRequest("POST", "/", nil), "a token", "another")
		if !errors.Is(err, fault) || name != "Reset" && slices.Contains(p.done, "Reset") {
			t.Errorf("%s: a reset has done %v: %v", name, p.done, err)
		}
	}
	p := &fakes{fails: map[string]error{"EndSession": errors.New("it stays")}}
	r, w := httptest.NewRequest("POST", "/", nil), httptest.NewRecorder()
	r.Header.Set("Cookie", "kassa_session=old")
	if err := p.authenticator().SignOut(w, r); !errors.Is(err, p.fails["EndSession"]) || len(w.Result().Cookies()) > 0 {
		t.Errorf("a sign-out that ends nothing: %v, %v", err, w.Result().Cookies())
	}
	p, w = &fakes{}, httptest.NewRecorder()
	if err := p.authenticator().SignOut(w, r); err != nil || len(w.Result().Cookies()) != 1 || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("a sign-out leaves %v: %v", w.Result().Cookies(), err)
	}
	p = &fakes{fails: map[string]error{"Take": errors.New("not counted")}}
	if err := p.authenticator().AllowSignUp(r); !errors.Is(err, p.fails["Take"]) {
		t.Errorf("a sign-up that is not counted: %v", err)
	}
}

// A user whose e-mail is lost is still identified, and one whom the views do not have
// yet is waited for.
func TestWhoIsAttached(t *testing.T) {
	ada := Person{User: "u_ada", Email: "ada@example.org", Admin: true, Session: adaSession}
	for _, tt := range []struct {
		name string
		p    fakes
		want Person
	}{
		{"everything is there", fakes{}, ada},
		{"the views are behind", fakes{late: 3}, ada},
		{"her key is erased", fakes{fails: map[string]error{"OpenEmail": vault.ErrErased}}, Person{User: "u_ada", Admin: true, Session: adaSession}},
	} {
		a := tt.p.authenticator()
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Header.Set("Cookie", "kassa_session=old")
		got, ok, err := a.identify(w, r, a.person)
		if err != nil || !ok || got != tt.want {
			t.Errorf("%s: %+v, %t, %v", tt.name, got, ok, err)
		}
		tt.want.Session = ""
		basic := httptest.NewRequest("GET", "/", nil)
		basic.SetBasicAuth("ada@example.org", "a password")
		if got, ok, err := a.identify(w, basic, a.person); err != nil || !ok || got != tt.want {
			t.Errorf("%s: by a password %+v, %t, %v", tt.name, got, ok, err)
		}
		tt.want.Session = adaSession
		if got, err := a.SignIn(t.Context(), w, r, "ada@example.org", "a password", ""); err != nil || got != tt.want {
			t.Errorf("%s: signed in as %+v, %v", tt.name, got, err)
		}
		if got, ok, err := a.identify(w, r, a.userOnly); err != nil || !ok || got != (Person{User: "u_ada", Session: adaSession}) {
			t.Errorf("%s: as a user %+v, %t, %v", tt.name, got, ok, err)
		}
	}
}

// Requests of a user do not each read the log: what the process remembers is enough where it
// was read within the last second and says that the account is not locked.
func TestLocksAreReadOnceASecond(t *testing.T) {
	p, now := &fakes{}, time.Unix(1_700_000_000, 0)
	a := p.authenticator()
	a.Now = func() time.Time { return now }
	request := func(locked bool, reads int) {
		t.Helper()
		p.done = nil
		_, err := a.userOnly(t.Context(), "u_ada")
		if refusal := domain.RefusalIn(err); locked != (refusal != nil && refusal.Code == domain.Locked) || !locked && err != nil || len(p.done) != reads {
			t.Errorf("after %v: %v, want locked %t", p.done, err, locked)
		}
	}
	request(false, 1)
	request(false, 0)
	p.locked = true // by another process, of which this one has not heard
	request(false, 0)
	p.stale = true
	request(true, 1)
	p.stale, p.remembered = false, true
	request(true, 1)
	p.locked = false // it has not heard of the unlocking
	request(false, 1)
}
