// Package paths reads the path of a request, for the API and the pages alike.
package paths

import (
	"net/http"
	"net/url"

	"github.com/gorilla/mux"
)

// NewRouter returns a router that takes a path as it was sent: an encoded character in
// an id is data and never a separator. There is no redirect to a cleaned path, which
// would come before the route's own answer and drop the body of a POST.
func NewRouter() *mux.Router { return mux.NewRouter().UseEncodedPath().SkipClean(true) }

// ID returns the {id} of the path; ok is false where it cannot be one of ours. Such an
// id must not reach a query: PostgreSQL fails on some bytes.
func ID[T interface {
	~string
	Valid() bool
}](r *http.Request) (id T, ok bool) {
	plain, err := url.PathUnescape(mux.Vars(r)["id"])
	id = T(plain)
	return id, err == nil && id.Valid()
}
