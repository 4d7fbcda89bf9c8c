package download

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kassa/domain"
	"kassa/httpapi/deadline"
	"kassa/httpapi/problem"
)

// deadlines is a writer that notes the connection's read deadline.
type deadlines struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = t
	return nil
}

// always are credentials that do not end.
func always(ctx context.Context, _ *http.Request) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// A file has its own time: neither the deadline of the request nor that of the connection ends it
// before.
func TestWithin(t *testing.T) {
	short, cancel := deadline.Limit(t.Context(), 0)
	defer cancel()
	w, began := &deadlines{ResponseRecorder: httptest.NewRecorder()}, time.Now()
	ctx, cancel := Within(w, httptest.NewRequestWithContext(short, http.MethodGet, "/", nil), time.Hour, always)
	defer cancel()
	until, ok := ctx.Deadline()
	if ctx.Err() != nil || !ok || until.Before(began.Add(time.Hour)) || !w.read.After(until) {
		t.Errorf("the file has until %s, and the connection until %s (%v)", until, w.read, ctx.Err())
	}
}

// What fails before a byte is sent is a refusal; after that the connection is closed.
func TestSendFails(t *testing.T) {
	fails := errors.New("cannot be made")
	send := func(length int) (answer *httptest.ResponseRecorder, err error, aborted bool) {
		defer func() { aborted = recover() == http.ErrAbortHandler }()
		answer = httptest.NewRecorder()
		err = Send(context.Background(), answer, httptest.NewRequest(http.MethodGet, "/", nil), &problem.Writer{}, File{"a.txt", "text/plain", func(out io.Writer) error {
			_, _ = out.Write(make([]byte, length))
			return fails
		}})
		return answer, err, false
	}
	if answer, err, aborted := send(10); !errors.Is(err, fails) || aborted || answer.Header().Get("Content-Disposition") != "" || answer.Body.Len() > 0 {
		t.Errorf("before anything was sent: %v, aborted %t, %v", err, aborted, answer.Header())
	}
	if _, _, aborted := send(2 * part); !aborted {
		t.Error("half a file looks complete")
	}
}

// With the credentials a file ends: before a byte is sent it is refused, after that nothing more is
// sent and the connection is closed, whatever makes the file.
func TestSendEndsWithTheCredentials(t *testing.T) {
	for _, before := range []bool{true, false} {
		ctx, end := context.WithCancelCause(t.Context())
		answer, aborted := httptest.NewRecorder(), false
		var err error
		func() {
			defer func() { aborted = recover() == http.ErrAbortHandler }()
			err = Send(ctx, answer, httptest.NewRequest(http.MethodGet, "/", nil), &problem.Writer{}, File{"a.txt", "text/plain", func(out io.Writer) error {
				if !before {
					_, _ = out.Write(make([]byte, 2*part))
				}
				end(domain.Reject(problem.AuthenticationRequired, "ended"))
				_, err := out.Write(make([]byte, 2*part))
				return err
			}})
		}()
		refusal := domain.RefusalIn(err)
		if refused := refusal != nil && refusal.Code == problem.AuthenticationRequired; refused != before || aborted == before || answer.Body.Len() > 2*part {
			t.Errorf("ended before the first byte: %t, and %d bytes are sent, aborted %t, %v", before, answer.Body.Len(), aborted, err)
		}
	}
}
