package identity

import (
	"net/http/httptest"
	"sync"
	"testing"

	"kassa/eventstore"
)

// Of writes of one user that end at the same moment the last position is kept.
func TestLastWriteOfMany(t *testing.T) {
	const writes = 200
	for range 50 {
		a := &Authenticator{}
		r := httptest.NewRequest("GET", "/", nil)
		var all sync.WaitGroup
		for at := range writes {
			all.Go(func() { a.SetLastWrite(httptest.NewRecorder(), r, "u_ada", eventstore.Position(at+1)) })
		}
		all.Wait()
		if last := a.LastWrite(r, "u_ada"); last != writes {
			t.Fatalf("the last position is %d, not %d", last, writes)
		}
	}
}
