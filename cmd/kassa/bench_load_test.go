package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// call is one HTTP request whose bytes were made before: the load shares its cores
// with what it measures.
type call struct {
	parts []string // of the request; a new key is put between them each time
	want  int      // status of the answer
}

// aKey is replaced in a body by the call's key.
const aKey = "{key}"

// newCall makes a request by the person with that e-mail; one with a body has an
// Idempotency-Key. Headers are whole lines.
func newCall(method, path, email, body string, want int, headers ...string) call {
	if body != "" {
		length := len(strings.ReplaceAll(body, aKey, strconv.FormatInt(keys.Load(), 10)))
		headers = append(headers, "Content-Type: application/json", fmt.Sprint("Content-Length: ", length), "Idempotency-Key: "+aKey)
	}
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: kassa\r\nAuthorization: Basic %s\r\n", method, path,
		base64.StdEncoding.EncodeToString([]byte(email+":"+password)))
	for _, h := range headers {
		request += h + "\r\n"
	}
	return call{strings.Split(request+"\r\n"+body, aKey), want}
}

// keys are never used twice in one process, and are all of the same length.
var keys = func() *atomic.Int64 {
	var k atomic.Int64
	k.Store(1_000_000_000)
	return &k
}()

// caller is a connection that is kept alive.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func dial(address string) (*caller, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, in: bufio.NewReader(conn)}, nil
}

func (c *caller) do(q call) error {
	key := keys.Add(1)
	c.out = append(c.out[:0], q.parts[0]...)
	for _, part := range q.parts[1:] {
		c.out = append(strconv.AppendInt(c.out, key, 10), part...)
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != q.want {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s answered %d, want %d: %s", strings.Fields(q.parts[0])[1], answer.StatusCode, q.want, text)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// load is calls that come in.
type load struct {
	address string
	clients int
	rate    float64 // calls a second that come whether the ones before were answered or not; 0: a client calls again when it was answered
	calls   []call  // taken in turn
}

// run makes n calls, fewer where ctx ends before, and gives how long each took, in
// the order of their beginnings. Where calls come at a rate, the time counts from
// when a call should have been made: who could not call because all clients still
// waited has waited too.
func (l load) run(ctx context.Context, b *testing.B, n int) []time.Duration {
	b.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range min(l.clients, n) {
		all.Go(func() {
			c, err := dial(l.address)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.conn.Close()
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				from := time.Now()
				if l.rate > 0 {
					from = start.Add(time.Duration(float64(i) / l.rate * float64(time.Second)))
					if early := time.Until(from); early > 0 {
						<-time.After(early)
					}
				}
				if err := c.do(l.calls[int(i)%len(l.calls)]); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(from)
			}
		})
	}
	all.Wait()
	return slices.DeleteFunc(took, func(d time.Duration) bool { return d == 0 })
}

// measure is a benchmark of the load: how many a second, and how long they took.
func (l load) measure(b *testing.B) (rate float64) {
	b.ResetTimer()
	took := l.run(b.Context(), b, b.N)
	b.StopTimer()
	rate = float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "calls/s")
	reportTimes(b, took)
	b.ReportMetric(0, "ns/op")
	return rate
}

// bare is the floor: how many of the same calls as many clients make a second to a
// server of net/http that reads them and knows nothing.
func (l load) bare(b *testing.B) float64 {
	const n = 10_000
	l.address = bareServer(b, l.calls[0].want)
	start := time.Now()
	l.run(b.Context(), b, n)
	return n / time.Since(start).Seconds()
}

func bareServer(b *testing.B, status int) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"balance":1000000,"held":0,"position":1}`)
	})}
	go func() { _ = server.Serve(listener) }() // ends by Close
	b.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

func reportTimes(b *testing.B, took []time.Duration) {
	slices.SortFunc(took, cmp.Compare[time.Duration])
	for _, percent := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*percent/100].Microseconds())/1e3, fmt.Sprintf("p%d-ms", percent))
	}
}
