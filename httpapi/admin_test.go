package httpapi

import (
	"context"
	"net/http"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// wrongAdmins are views with the opposite of every user's admin flag.
type wrongAdmins struct{ *projections.Memory }

func (v wrongAdmins) User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error) {
	user, at, err := v.Memory.User(ctx, u, least)
	user.Admin = !user.Admin
	return user, at, err
}

// Whether a user is an admin is read from the log at each request, never from a view.
// The grant and its end are appended by another process, without a notification.
func TestAdminsAreReadFromTheLog(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	ada := w.addUser("ada")
	w.server.Identity.Views = wrongAdmins{w.views}
	h := w.server.Handler()

	log, err := eventstore.SQLite(t.Context(), w.env.File)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	elsewhere := &commands.Handler{Store: log, Vault: w.vault, Payments: commands.Sandbox{}, Now: w.clock.Now, HoldExpiry: time.Minute}

	for _, admin := range []bool{false, true, false, true, false} {
		change, status, code, toAuditors := elsewhere.RevokeRole, http.StatusForbidden, domain.NotAdmin, problem.AuditorRequired
		if admin {
			change, status, code, toAuditors = elsewhere.GrantRole, http.StatusOK, "", ""
		}
		at, err := change(t.Context(), domain.AdminRole, commands.Order{User: ada, By: "olga"})
		if err != nil {
			t.Fatal(err)
		}
		want(t, w.send(h, "GET", "/api/admin/users", "ada", ""), status, code)
		w.env.WaitFor(at) // and after the views have it
		want(t, w.send(h, "GET", "/api/admin/trial", "ada", ""), status, toAuditors)
		in := w.send(h, "POST", "/api/users/signin", "", `{"email":"`+email("ada")+`","password":"`+password("ada")+`"}`)
		want(t, in, http.StatusOK, "")
		var who struct{ Admin bool }
		decodeJSON(t, in.Body.Bytes(), &who)
		if who.Admin != admin {
			t.Errorf("sign-in returns admin %t, the log has %t", who.Admin, admin)
		}
	}
}
