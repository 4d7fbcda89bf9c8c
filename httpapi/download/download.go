// Package download sends files that are made while they are sent, for the API and the pages alike.
package download

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/httpapi/deadline"
	"kassa/httpapi/problem"
)

// File is one that a browser saves.
type File struct {
	Name, Media string
	Write       func(io.Writer) error
}

// While returns a context that ends when the request's credentials do, with a refusal as its cause.
type While func(ctx context.Context, r *http.Request) (context.Context, context.CancelFunc)

// Within returns the context of a request whose answer is a file: it has d, in place of the time of other
// requests, and ends with the request's credentials. The connection's read deadline is moved behind
// d: when it passes, the server ends the request as if the client had left.
func Within(w http.ResponseWriter, r *http.Request, d time.Duration, valid While) (context.Context, context.CancelFunc) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d + afterEnd)) // a writer without deadlines needs none
	ctx, cancel := deadline.Limit(deadline.WithoutLimit(r.Context()), d)
	ctx, end := valid(ctx, r)
	return ctx, func() { end(); cancel() }
}

// Wanted refuses a file that another site asks for with what the browser adds by itself, the session
// or a remembered password: it costs much, and the person did not want it. A page that may use the
// API brings credentials with fetch. Programs, and browsers that do not state the site, are not
// refused.
func Wanted(r *http.Request) error {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		if r.Header.Get("Authorization") == "" || r.Header.Get("Sec-Fetch-Mode") != "cors" {
			return domain.Reject(problem.CrossOrigin, "another site asked for this file: open it from a page of this one")
		}
	}
	return nil
}

// Why is the refusal for which the context of a file has ended, else the error.
func Why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && domain.RefusalIn(cause) != nil {
		return cause
	}
	return err
}

// afterEnd is the time for the client to read the last part.
const afterEnd = time.Minute

// part is how much is sent at a time, in bytes.
const part = 32 << 10

// Send writes the file within ctx; for HEAD, its headers alone. An error is returned only if nothing was sent; after that a
// failure closes the connection, because half a file must not look complete.
func Send(ctx context.Context, w http.ResponseWriter, r *http.Request, problems *problem.Writer, f File) error {
	h := w.Header()
	h.Set("Content-Type", f.Media)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.Name))
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	sent := &startedWriter{Writer: w, ctx: ctx}
	out := bufio.NewWriterSize(sent, part)
	err := f.Write(out)
	if err == nil {
		err = out.Flush()
	}
	err = Why(ctx, err)
	switch {
	case err == nil || ctx.Err() != nil && r.Context().Err() != nil: // sent, or the client has left
		return nil
	case !sent.started:
		h.Del("Content-Type")
		h.Del("Content-Disposition")
		return err
	}
	problems.Explain(w, r, err) // logs it
	panic(http.ErrAbortHandler)
}

// startedWriter notes whether anything was written, and writes nothing after the end of its context.
type startedWriter struct {
	io.Writer
	ctx     context.Context
	started bool
}

func (s *startedWriter) Write(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	s.started = true
	return s.Writer.Write(b)
}
