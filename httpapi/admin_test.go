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
	"kassa/projections"
)

// mistaken are views that say the opposite of the log about every admin.
type mistaken struct{ *projections.Memory }

func (v mistaken) User(ctx context.Context, u domain.UserID, least eventstore.Position) (projections.User, eventstore.Position, error) {
	user, at, err := v.Memory.User(ctx, u, least)
	user.Admin = !user.Admin
	return user, at, err
}

// Who is an admin is read from the log, at each request, and never from a view. The
// grant and its end are appended by another process, of which this one hears nothing.
func TestAdminsAreReadFromTheLog(t *testing.T) {
	w := newWorld(t, identity.Limits{Off: true})
	ada := w.join("ada")
	w.server.Identity.Views = mistaken{w.views}
	h := w.server.Handler()

	log, err := eventstore.SQLite(t.Context(), w.db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	elsewhere := &commands.Handler{Log: log, People: w.vault, Payments: commands.Sandbox{}, Now: w.clock.Now, HoldExpiry: time.Minute}

	for _, admin := range []bool{false, true, false, true, false} {
		at, err := elsewhere.SetAdmin(t.Context(), ada, admin)
		if err != nil {
			t.Fatal(err)
		}
		status, code := http.StatusForbidden, domain.NotAdmin
		if admin {
			status, code = http.StatusOK, ""
		}
		want(t, w.send(h, "GET", "/api/admin/users", "ada", ""), status, code)
		w.see(at) // and when the views have it
		want(t, w.send(h, "GET", "/api/admin/trial", "ada", ""), status, code)
		in := w.send(h, "POST", "/api/users/signin", "", `{"email":"`+email("ada")+`","password":"`+password("ada")+`"}`)
		want(t, in, http.StatusOK, "")
		var who struct{ Admin bool }
		decodeJSON(t, in.Body.Bytes(), &who)
		if who.Admin != admin {
			t.Errorf("sign-in says admin %t, the log %t", who.Admin, admin)
		}
	}
}
