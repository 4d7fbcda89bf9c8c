package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
)

// A process makes one file at a time, and refuses the next one at once.
func TestAuditMakesOneFileAtATime(t *testing.T) {
	w, h, _ := audited(t)
	slow := &stalled{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.ServeHTTP(slow, basic(httptest.NewRequest("GET", "/api/audit/export", nil), "root"))
	}()
	<-slow.begun
	want(t, w.send(h, "GET", "/api/audit/close?month=2026-03&zone=UTC", "root", ""), http.StatusServiceUnavailable, problem.Unavailable)
	want(t, w.send(h, "GET", "/api/audit/trial", "root", ""), http.StatusOK, "")
	close(slow.goOn)
	<-ended
	want(t, w.send(h, "GET", "/api/audit/export", "root", ""), http.StatusOK, "")
}

// stalled is a client that reads nothing until it goes on.
type stalled struct {
	*httptest.ResponseRecorder
	begun, goOn chan struct{}
}

func (s *stalled) Write(b []byte) (int, error) {
	select {
	case <-s.goOn:
	default:
		close(s.begun)
		<-s.goOn
	}
	return s.ResponseRecorder.Write(b)
}

// HEAD asks for the headers of a file, and makes none: also while another one is made. A link on
// another site does not begin one with the session of its visitor.
func TestFilesAreMadeForWhoWantsThem(t *testing.T) {
	w, h, _ := audited(t)
	browser := session(t, w.signIn(h, "root"))
	cookie := []string{"Cookie", browser.Name + "=" + browser.Value}
	slow := &stalled{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.ServeHTTP(slow, basic(httptest.NewRequest("GET", "/api/audit/export", nil), "root"))
	}()
	<-slow.begun
	for _, path := range []string{"/api/audit/export", "/api/audit/close?month=2026-03&zone=UTC", "/api/audit/adjustments.csv", "/api/users/export", "/api/users/export.zip"} {
		head := w.send(h, "HEAD", path, "", "", cookie...)
		if head.Code != http.StatusOK || head.Header().Get("Content-Disposition") == "" || head.Body.Len() > 0 {
			t.Errorf("HEAD %s: %d, %v, and %d bytes", path, head.Code, head.Header(), head.Body.Len())
		}
	}
	close(slow.goOn)
	<-ended
	for _, path := range []string{"/api/audit/export", "/api/audit/close?month=2026-03&zone=UTC", "/api/audit/adjustments.csv", "/api/users/export", "/api/users/export.zip"} {
		for site, status := range map[string]int{"cross-site": http.StatusForbidden, "same-site": http.StatusForbidden, "same-origin": http.StatusOK, "none": http.StatusOK} {
			if answer := w.send(h, "GET", path, "", "", append(cookie, "Sec-Fetch-Site", site)...); answer.Code != status {
				t.Errorf("GET %s from %s is answered %d, want %d", path, site, answer.Code, status)
			}
		}
	}
	want(t, w.send(h, "GET", "/api/audit/export", "root", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), http.StatusForbidden, problem.CrossOrigin) // the browser remembers the password
	want(t, w.send(h, "GET", "/api/audit/export", "root", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"), http.StatusOK, "")
}

// checkedAccounts note with which context they were read last.
type checkedAccounts struct {
	identity.Accounts
	last chan context.Context
}

func (c checkedAccounts) Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error) {
	select {
	case <-c.last:
	default:
	}
	c.last <- ctx
	return c.Accounts.Refresh(ctx, u)
}

// A file that is being sent ends when its auditor is none any more.
func TestAuditFilesEndWithTheRole(t *testing.T) {
	w, h, ada := audited(t)
	for range 150 { // more than is sent at a time
		_, err := w.server.Commands.Deposit(t.Context(), commands.Move{User: ada, Amount: 1})
		must(t, err)
	}
	whole := w.send(h, "GET", "/api/audit/export", "root", "").Body.Len()
	checked := checkedAccounts{w.store, make(chan context.Context, 1)}
	w.server.Identity.Accounts = checked
	slow := &stalled{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	aborted := make(chan bool)
	go func() {
		defer func() { aborted <- recover() == http.ErrAbortHandler }()
		h.ServeHTTP(slow, basic(httptest.NewRequest("GET", "/api/audit/export", nil), "root"))
	}()
	<-slow.begun
	w.addUser("eve") // another admin, so that root is not the last one
	w.setAdmin("eve", true)
	w.setAdmin("root", false)
	<-checked.last // of the request itself, or a check before
	select {
	case ctx := <-checked.last:
		<-ctx.Done()
	case <-time.After(time.Minute):
		t.Error("nobody looks whether the file may still be sent")
	}
	close(slow.goOn)
	if !<-aborted || slow.Body.Len() >= whole {
		t.Errorf("%d bytes of %d are sent", slow.Body.Len(), whole)
	}
}
