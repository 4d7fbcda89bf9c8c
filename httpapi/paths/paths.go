// Package paths reads what stands in the path of a request, for the API and the
// pages alike.
package paths

import (
	"net/http"
	"net/url"

	"github.com/gorilla/mux"
)

// NewRouter gives a router that takes a path as it was sent: what stands encoded in
// an id is data and never a part of the path, and no redirect to a cleaned path
// answers before the route does, or drops the body of a POST.
func NewRouter() *mux.Router { return mux.NewRouter().UseEncodedPath().SkipClean(true) }

// ID gives the {id} of the path; ok is false where it cannot be one of ours. Such a
// name must not reach a query: PostgreSQL fails on some bytes.
func ID[T interface {
	~string
	Valid() bool
}](r *http.Request) (id T, ok bool) {
	plain, err := url.PathUnescape(mux.Vars(r)["id"])
	id = T(plain)
	return id, err == nil && id.Valid()
}
