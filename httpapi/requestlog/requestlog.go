// Package requestlog is what the server writes about a request when it has ended: filled in
// by the layers that learn it, read by the request log, the metrics and the security log.
package requestlog

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"

	"kassa/domain"
)

// Line is about one request. One goroutine serves it, and no other may use this.
type Line struct {
	ID         string
	Route      string              // the template: paths contain ids; "" where there is none
	User       domain.UserID       // who is signed in; "": nobody
	Admin      bool                // the route is for admins or auditors, and the user is one
	Subject    domain.UserID       // of an admin's request, whose account it concerns
	Forbidden  bool                // it was not allowed, whatever the status of the page that shows it
	Prediction domain.PredictionID // that the request made: other processes log it by this
	Replayed   bool                // the prediction was made by an earlier request with the same key
}

type key struct{}

// With gives the request to the layers within.
func With(ctx context.Context, r *Line) context.Context { return context.WithValue(ctx, key{}, r) }

// Of is the request of a context; one that nobody reads where there is none.
func Of(ctx context.Context) *Line {
	if r, ok := ctx.Value(key{}).(*Line); ok {
		return r
	}
	return &Line{}
}

// NameRoute runs inside a router, because only there the route's template is known. Of
// two routers the inner one knows more.
func NameRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Of(r.Context()).Route, _ = mux.CurrentRoute(r).GetPathTemplate()
		next.ServeHTTP(w, r)
	})
}
