package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"kassa/domain"
	"kassa/vault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// started signs a person in, from an unknown place.
func started(t testing.TB, v *vault.Vault, u domain.UserID, now time.Time) (token string) {
	t.Helper()
	token, _, err := v.NewSession(t.Context(), u, password, vault.Origin{}, now)
	must(t, err)
	return token
}

func testSessions(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	ada, phone, bob := started(t, v, "u_ada", noon), started(t, v, "u_ada", noon), started(t, v, "u_bob", noon)
	if ada == phone || len(ada) < 26 {
		t.Fatalf("tokens %q and %q", ada, phone)
	}
	idle := noon.Add(7 * 24 * time.Hour)
	for _, tt := range []struct {
		name, token string
		now         time.Time
		want        string
	}{
		{"at once", ada, noon, "u_ada"},
		{"a second before it is idle", ada, idle.Add(-time.Second), "u_ada"},
		{"a second before it is idle again", ada, idle.Add(-time.Second).Add(7*24*time.Hour - time.Second), "u_ada"},
		{"another browser meanwhile", phone, idle, ""},
		{"another's", bob, noon, "u_bob"},
		{"none", "", noon, ""},
		{"one that never was", ada + "A", noon, ""},
		{"in another spelling", string(bytes.ToLower([]byte(ada))), noon, ""},
	} {
		s, ok, err := opened(t, p).Session(t.Context(), tt.token, "", tt.now)
		if err != nil || string(s.User) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %+v, %t, %v", tt.name, s, ok, err)
		}
	}
}

// However often it is used, a session ends; both lives are settings.
func testSessionLives(t *testing.T, p place) {
	v, err := p.open(t, secret, vault.Options{Argon2: cheap.Argon2, Sessions: vault.SessionLife{Idle: time.Hour, Absolute: 3 * time.Hour}})
	must(t, err)
	enrolled(t, v, "u_ada")
	used, idle := started(t, v, "u_ada", noon), started(t, v, "u_ada", noon)
	for _, tt := range []struct {
		token string
		after time.Duration
		want  bool
	}{
		{used, 50 * time.Minute, true}, {idle, 59 * time.Minute, true}, {used, 100 * time.Minute, true}, {used, 150 * time.Minute, true},
		{idle, 2 * time.Hour, false}, {used, 3*time.Hour - time.Second, true}, {used, 3 * time.Hour, false},
	} {
		if _, ok, err := v.Session(t.Context(), tt.token, "", noon.Add(tt.after)); err != nil || ok != tt.want {
			t.Errorf("after %s session %.4s… is valid: %t, %v", tt.after, tt.token, ok, err)
		}
	}
	must(t, v.DropExpired(t.Context(), noon.Add(3*time.Hour)))
	if n := p.one(t, `SELECT cast(count(*) AS text) FROM sessions`); n != "0" {
		t.Errorf("%s sessions are kept that are over", n)
	}
}

// A person sees where they are signed in, and when each browser was last used there; most
// requests write nothing.
func testSessionList(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	token, ada, err := v.NewSession(t.Context(), "u_ada", password, vault.Origin{Device: "Firefox, Linux", Network: "203.0.113.0/24"}, noon)
	must(t, err)
	started(t, v, "u_bob", noon)
	phone := started(t, v, "u_ada", noon.Add(time.Hour))
	list := func(now time.Time) []vault.Session {
		t.Helper()
		list, err := opened(t, p).Sessions(t.Context(), "u_ada", now)
		must(t, err)
		for i, s := range list {
			list[i].CreatedAt, list[i].SeenAt, list[i].ExpiresAt = s.CreatedAt.UTC(), s.SeenAt.UTC(), s.ExpiresAt.UTC()
		}
		return list
	}
	if all := list(noon.Add(time.Hour)); len(all) != 2 || all[1] != ada || !all[0].ID.Valid() || all[0].ID == all[1].ID {
		t.Errorf("the sessions are %+v, want %+v last", all, ada)
	}
	for _, tt := range []struct {
		after time.Duration
		seen  time.Duration
		where string
	}{{4 * time.Minute, 0, "203.0.113.0/24"}, {2 * time.Hour, 2 * time.Hour, "198.51.100.0/24"}, {2*time.Hour + time.Minute, 2 * time.Hour, "198.51.100.0/24"}} {
		if _, ok, err := v.Session(t.Context(), token, "198.51.100.0/24", noon.Add(tt.after)); err != nil || !ok {
			t.Fatal(ok, err)
		}
		all := list(noon.Add(3 * time.Hour))
		at := slices.IndexFunc(all, func(s vault.Session) bool { return s.ID == ada.ID })
		if at < 0 || !all[at].SeenAt.Equal(noon.Add(tt.seen)) || all[at].Network != tt.where {
			t.Errorf("after %s the sessions are %+v", tt.after, all)
		}
	}
	if all := list(noon.Add(7*24*time.Hour + 90*time.Minute)); len(all) != 1 || all[0].ID != ada.ID {
		t.Errorf("beside an idle one the sessions are %+v", all)
	}
	if ok, err := v.EndSessionOf(t.Context(), "u_bob", ada.ID); err != nil || ok {
		t.Errorf("another's session was ended: %t, %v", ok, err)
	}
	for _, id := range []vault.SessionID{"", "no id", ada.ID[:18], ada.ID + "00", "00000000000000000000"} {
		if ok, err := v.EndSessionOf(t.Context(), "u_ada", id); err != nil || ok {
			t.Errorf("the session %q was ended: %t, %v", id, ok, err)
		}
	}
	if ok, err := v.EndSessionOf(t.Context(), "u_ada", ada.ID); err != nil || !ok {
		t.Errorf("a session was not ended: %t, %v", ok, err)
	}
	for token, want := range map[string]bool{token: false, phone: true} {
		if _, ok, err := opened(t, p).Session(t.Context(), token, "", noon.Add(time.Hour)); err != nil || ok != want {
			t.Errorf("session %.4s… is valid: %t, %v", token, ok, err)
		}
	}
}

// At most so many sessions of a person last, also where many begin at once in two
// processes: the oldest end, and never one that has just begun.
func testManySessions(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	bob, oldest := started(t, here, "u_bob", noon), started(t, here, "u_ada", noon)
	second := started(t, here, "u_ada", noon.Add(time.Second))
	var all sync.WaitGroup
	for i := range vault.MaxSessions - 1 {
		all.Go(func() {
			_, _, err := []*vault.Vault{here, there}[i%2].NewSession(t.Context(), "u_ada", password, vault.Origin{}, noon.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	late := started(t, there, "u_ada", noon.Add(-time.Hour)) // by a clock that is behind
	if n := p.one(t, `SELECT cast(count(*) AS text) FROM sessions WHERE user_id = 'u_ada'`); n != strconv.Itoa(vault.MaxSessions) {
		t.Errorf("there are %s sessions", n)
	}
	for token, want := range map[string]bool{oldest: false, second: false, late: true, bob: true} {
		if _, ok, err := here.Session(t.Context(), token, "", noon); err != nil || ok != want {
			t.Errorf("session %.4s… is valid: %t, %v", token, ok, err)
		}
	}
	s, _, err := here.Session(t.Context(), late, "", noon)
	must(t, err)
	must(t, there.EndOtherSessions(t.Context(), "u_ada", s.ID))
	if left, err := here.Sessions(t.Context(), "u_ada", noon); err != nil || len(left) != 1 || left[0].ID != s.ID {
		t.Errorf("after all others have ended %+v are left, %v", left, err)
	}
	must(t, there.EndOtherSessions(t.Context(), "u_ada", ""))
	if left, err := here.Sessions(t.Context(), "u_ada", noon); err != nil || len(left) != 0 {
		t.Errorf("after all have ended %+v are left, %v", left, err)
	}
}

// Who signs out is signed out in every process, and in no other browser.
func testEndSession(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada", "u_bob")
	ada, phone, bob := started(t, v, "u_ada", noon), started(t, v, "u_ada", noon), started(t, v, "u_bob", noon)
	must(t, v.EndSession(t.Context(), ada))
	must(t, v.EndSession(t.Context(), ada)) // twice is no matter
	for token, want := range map[string]bool{ada: false, phone: true, bob: true} {
		for _, process := range []*vault.Vault{v, opened(t, p)} {
			if _, ok, err := process.Session(t.Context(), token, "", noon); err != nil || ok != want {
				t.Errorf("after one ended, session %.4s… is there: %t, %v", token, ok, err)
			}
		}
	}
}

func testDropExpired(t *testing.T, p place) {
	v := opened(t, p)
	const idle = 7 * 24 * time.Hour
	enrolled(t, v, "u_ada")
	old, young := started(t, v, "u_ada", noon), started(t, v, "u_ada", noon.Add(time.Second))
	for now, want := range map[time.Time]int{noon: 2, noon.Add(idle): 1, noon.Add(idle + time.Second): 0} {
		if n, err := v.CountSessions(t.Context(), now); err != nil || n != want {
			t.Errorf("at %s there are %d sessions (%v), want %d", now, n, err, want)
		}
	}
	must(t, v.DropExpired(t.Context(), noon.Add(idle)))
	for token, want := range map[string]bool{old: false, young: true} {
		// Asked of a time at which both still ran: what is gone is gone.
		if _, ok, err := v.Session(t.Context(), token, "", noon.Add(2*time.Second)); err != nil || ok != want {
			t.Errorf("session %.4s… is there: %t, %v", token, ok, err)
		}
	}
}

// Who reads the files cannot sign in with what they find.
func TestTokensAreStoredAsHashes(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	enrolled(t, v, "u_reader")
	token := started(t, v, "u_reader", noon)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		must(t, err)
		if bytes.Contains(content, []byte(token)) {
			t.Errorf("kassa.db%s holds the token", suffix)
		}
		if suffix == "-wal" && !bytes.Contains(content, []byte("u_reader")) {
			t.Error("the row is not found either: the search is blind")
		}
	}
}

// A database that cannot be asked is a fault: never an answer of no, and never a yes.
func testFaults(t *testing.T, p place) {
	v := opened(t, p)
	enrolled(t, v, "u_ada")
	token := started(t, v, "u_ada", noon)
	later := opened(t, p) // which remembers nothing
	left, release := context.WithCancel(t.Context())
	release()
	if token, _, err := later.NewSession(left, "u_ada", password, vault.Origin{}, noon); !errors.Is(err, context.Canceled) || token != "" {
		t.Errorf("a session that is not kept: %q, %v", token, err)
	}
	if u, ok, err := later.Session(left, token, "", noon); !errors.Is(err, context.Canceled) || ok || u.User != "" {
		t.Errorf("a session that is not read: %+v, %t, %v", u, ok, err)
	}
	if ok, err := later.Verify(left, "u_ada", password); !errors.Is(err, context.Canceled) || ok {
		t.Errorf("a password that is not read: %t, %v", ok, err)
	}
	for name, err := range map[string]error{
		"end a session":     later.EndSession(left, token),
		"drop sessions":     later.DropExpired(left, noon.Add(30*24*time.Hour)),
		"list sessions":     second(later.Sessions(left, "u_ada", noon)),
		"end one of many":   second(later.EndSessionOf(left, "u_ada", "00000000000000000000")),
		"end others":        later.EndOtherSessions(left, "u_ada", ""),
		"end all access":    later.EndAccess(left, "u_ada"),
		"change a password": second(later.ChangePassword(left, "u_ada", password, "another password")),
		"seal a text":       second(later.SealText(left, "u_ada", "p_1", "x")),
		"seal an email":     second(later.SealEmail(left, "u_ada", "x")),
		"open a text":       second(later.OpenText(left, "u_ada", "p_1", nil)),
		"fingerprint":       second(later.Fingerprint(left, "u_ada", "x")),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, vault.ErrErased) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, ok, err := later.Session(t.Context(), token, "", noon); err != nil || !ok || s.User != "u_ada" {
		t.Errorf("the session afterwards: %+v, %t, %v", s, ok, err)
	}
}

// With a change of the password all sessions end, and every process forgets the old one
// within a second, also one that has just verified it.
func testChangePassword(t *testing.T, p place) {
	const another = "a short walk away"
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada", "u_bob")
	browser, bob := started(t, here, "u_ada", noon), started(t, here, "u_bob", noon)
	for _, v := range []*vault.Vault{here, there} {
		if ok, err := v.Verify(t.Context(), "u_ada", password); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	if ok, err := here.ChangePassword(t.Context(), "u_ada", another, "a third one"); err != nil || ok {
		t.Errorf("changed by a wrong password: %t, %v", ok, err)
	}
	if ok, err := here.ChangePassword(t.Context(), "u_ada", password, another); err != nil || !ok {
		t.Fatalf("not changed: %t, %v", ok, err)
	}
	changed := time.Now()
	// From the cache of the other process the old password starts no session, not even now.
	if token, _, err := there.NewSession(t.Context(), "u_ada", password, vault.Origin{}, noon); token != "" || domain.RefusalIn(err) == nil {
		t.Errorf("the old password starts a session: %q, %v", token, err)
	}
	if ok, err := there.ChangePassword(t.Context(), "u_ada", password, "a third one"); err != nil || ok {
		t.Errorf("changed by the former password: %t, %v", ok, err)
	}
	for name, v := range map[string]*vault.Vault{"here": here, "there": there} {
		for {
			began := time.Since(changed)
			ok, err := v.Verify(t.Context(), "u_ada", password)
			must(t, err)
			if !ok {
				break
			}
			if began > time.Second {
				t.Fatalf("%s the old password is accepted where it is given %s later", name, began)
			}
		}
		if ok, err := v.Verify(t.Context(), "u_ada", another); err != nil || !ok {
			t.Errorf("%s the new password: %t, %v", name, ok, err)
		}
	}
	for token, want := range map[string]bool{browser: false, bob: true} {
		if _, ok, err := there.Session(t.Context(), token, "", noon); err != nil || ok != want {
			t.Errorf("session %.4s… is valid: %t, %v", token, ok, err)
		}
	}
}

// However sign-ins with the old password and a change of it fall together, none of their
// sessions outlives the change.
func testSignInsBesideAChange(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	enrolled(t, here, "u_ada")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, _, err := there.NewSession(t.Context(), "u_ada", password, vault.Origin{}, noon)
			if err != nil && domain.RefusalIn(err) == nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		if ok, err := here.ChangePassword(t.Context(), "u_ada", password, "a short walk away"); err != nil || !ok {
			t.Errorf("not changed: %t, %v", ok, err)
		}
	})
	all.Wait()
	if left, err := here.Sessions(t.Context(), "u_ada", noon); err != nil || len(left) != 0 {
		t.Errorf("of the old password %d sessions are left, %v", len(left), err)
	}
}
