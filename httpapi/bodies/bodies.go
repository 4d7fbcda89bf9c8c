// Package bodies limits how many bytes are read of the body of a request: few while it is
// not known who sent it, more where a handler allows them to a person that it knows.
package bodies

import (
	"bytes"
	"io"
	"net/http"
)

// body is what a handler may read of what the client sends.
type body struct {
	io.ReadCloser
	whole io.ReadCloser
}

// Buffer reads the body up to its end, its error, or most bytes; the rest stays with the
// client. A handler that reads on gets an http.MaxBytesError, unless it calls Limit.
func Buffer(r *http.Request, most int64) {
	start, err := io.ReadAll(io.LimitReader(r.Body, most+1)) // one more: with it the body is too large
	whole := io.MultiReader(bytes.NewReader(start), r.Body)
	if err != nil {
		whole = io.MultiReader(bytes.NewReader(start), failing{err})
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{whole, r.Body}
	Limit(r, most)
}

// Limit sets how many bytes of the body can be read, in place of the limit before. It is for
// handlers that have read nothing of it yet.
func Limit(r *http.Request, most int64) {
	whole := r.Body
	if limited, ok := whole.(body); ok {
		whole = limited.whole
	}
	r.Body = body{http.MaxBytesReader(nil, whole, most), whole}
}

// failing is a reader that returns its error.
type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }
