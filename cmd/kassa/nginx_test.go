package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"kassa/eventstore/eventstoretest"
	"kassa/httpapi/problem"
)

// gate is the nginx of the production shape, with its own settings, before one
// upstream of the test. The address of a request is in its header X-From.
type gate struct {
	t       *testing.T
	address string
	logs    string // folder
}

func newGate(t *testing.T, upstream string) gate {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Fatal("this test needs nginx: run it with go tool task test, or install nginx-light")
	}
	g := gate{t: t, address: freeAddress(t), logs: t.TempDir()}
	_ = os.Chmod(g.logs, 0o777) // the workers are of another user
	files, err := filepath.Glob("../../docker/nginx/*.conf")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		name := map[string]string{"plain.conf": "server.conf"}[filepath.Base(file)]
		if name == "" {
			name = filepath.Base(file)
		}
		must(t, os.WriteFile(filepath.Join(g.logs, name), []byte(g.here(string(text), upstream)), 0o644))
	}
	run := exec.Command("nginx", "-c", filepath.Join(g.logs, "nginx.conf"), "-g", "daemon off;")
	run.Stderr = t.Output()
	must(t, run.Start())
	t.Cleanup(func() { _ = run.Process.Signal(os.Interrupt); _ = run.Wait() })
	eventstoretest.Eventually(t, "nginx answers", func() bool {
		c, err := net.Dial("tcp", g.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return g
}

// here moves the settings from their container to the test.
func (g gate) here(text, upstream string) string {
	text = regexp.MustCompile(`/etc/nginx/(server|locations|problems|named)\.conf`).ReplaceAllString(text, g.logs+"/$1.conf")
	text = regexp.MustCompile(`/tmp/([a-z.]+)`).ReplaceAllString(text, g.logs+"/$1")
	text = regexp.MustCompile(`server api-[12]:8080`).ReplaceAllString(text, "server "+upstream)
	return strings.NewReplacer("/dev/stderr", g.logs+"/error.log", "/dev/stdout", g.logs+"/access.log", "127.0.0.1:8081", freeAddress(g.t),
		"listen 8080;", "listen "+g.address+"; set_real_ip_from 127.0.0.1; real_ip_header X-From;").Replace(text)
}

// send gives the status, the headers and the body of a request; from is the client's address.
func (g gate) send(method, target, from string, body io.Reader, headers ...string) (int, http.Header, []byte) {
	g.t.Helper()
	r, err := http.NewRequest(method, "http://"+g.address+target, body)
	must(g.t, err)
	r.Header.Set("X-From", from)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	must(g.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(g.t, err)
	return answer.StatusCode, answer.Header, text
}

func (g gate) log(name string) string {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.logs, name))
	must(g.t, err)
	return string(text)
}

// What nginx answers by itself follows the contract: a problem with a name, by which
// its log is found. And no e-mail is in its logs, whatever went wrong with the request.
func TestNginxKeepsTheContract(t *testing.T) {
	g := newGate(t, freeAddress(t)) // no process listens there
	long := strings.Repeat("a", 40_000)
	for i, tt := range []struct {
		method, target string
		body           io.Reader
		header         string
		status         int
		code           string
	}{
		{"GET", "/api/admin/users?email=zoya@example.org", nil, "", 503, "unavailable"},
		{"GET", "/web/zoya@example.org", nil, "", 503, "unavailable"},
		{"GET", "/web/zoya%40example.org", nil, "", 503, "unavailable"},
		{"GET", "/web/zoya%2540example.org", nil, "", 503, "unavailable"},
		{"GET", "/api/zoya@example.org" + long, nil, "", 431, "header_too_large"},
		{"GET", "/api/?email=zoya@example.org", nil, long, 431, "header_too_large"},
		{"POST", "/api/users/signin?email=zoya@example.org", bytes.NewReader(make([]byte, 200_000)), "", 413, "body_too_large"},
		{"TRACE", "/api/?email=zoya@example.org", nil, "", 405, "method_not_allowed"},
	} {
		status, header, text := g.send(tt.method, tt.target, fmt.Sprint("192.0.2.", i), tt.body, "X-Long", tt.header, "Referer", "http://a/?email=zoya@example.org")
		g.wantProblem(tt.method+" "+tt.target[:min(len(tt.target), 40)], status, header, text, tt.status, tt.code)
	}
	c, err := net.Dial("tcp", g.address)
	must(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET /api/?email=zoya@example.org HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	must(t, err)
	text, err := io.ReadAll(c)
	must(t, err)
	if !bytes.HasPrefix(text, []byte("HTTP/1.1 400")) || !bytes.Contains(text, []byte(`"code":"bad_request"`)) || !bytes.Contains(text, []byte(`"instance":"urn:kassa:request:`)) {
		t.Errorf("two hosts: %s", text)
	}
	eventstoretest.Eventually(t, "a line in the log for each request", func() bool { return strings.Count(g.log("access.log"), "\n") >= 9 })
	if access := g.log("access.log"); strings.Contains(access, "zoya") {
		t.Errorf("the access log has an e-mail:\n%s", access)
	}
	if errors := g.log("error.log"); strings.Contains(errors, "zoya") {
		t.Errorf("the error log has an e-mail:\n%s", errors)
	}
}

func (g gate) wantProblem(what string, status int, header http.Header, text []byte, wanted int, code string) {
	g.t.Helper()
	var details problem.Details
	if err := json.Unmarshal(text, &details); err != nil || status != wanted || details.Status != wanted || string(details.Code) != code {
		g.t.Errorf("%s: %d %s, want %d %s", what, status, text, wanted, code)
		return
	}
	if wanted == 413 && strings.ContainsAny(details.Detail, "0123456789") {
		g.t.Errorf("%s: %q, where addresses differ in what they take", what, details.Detail)
	}
	name := header.Get(problem.RequestID)
	if header.Get("Content-Type") != "application/problem+json" || name == "" || details.Instance != "urn:kassa:request:"+name {
		g.t.Errorf("%s: %s, request %q, instance %q", what, header.Get("Content-Type"), name, details.Instance)
	}
	if again := header.Get("Retry-After"); (again != "") != (wanted == 503 || wanted == 429) {
		g.t.Errorf("%s: %d with Retry-After %q", what, wanted, again)
	}
}

// A host has all addresses of its /64 and one limit; others are not held up by it. And a
// cache learns that an answer depends on what its reader accepts.
func TestNginxLimitsAndCaches(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(bytes.Repeat([]byte(" "), 5000))
	}))
	defer upstream.Close()
	g := newGate(t, strings.TrimPrefix(upstream.URL, "http://"))
	const tries = 60 // the door takes 20 at once and 5 a second
	refused := 0
	for i := range tries {
		status, header, text := g.send("POST", "/api/users/signin", fmt.Sprintf("2001:db8::%x", i+1), nil)
		if status == http.StatusTooManyRequests {
			refused++
			g.wantProblem("too often", status, header, text, 429, "rate_limited")
		}
	}
	if refused == 0 {
		t.Errorf("%d sign-ins from one /64 are let in at once", tries)
	}
	for i := range tries {
		for _, from := range []string{fmt.Sprintf("2001:db8:0:%x::1", i+1), fmt.Sprint("192.0.2.", i)} {
			if status, _, text := g.send("POST", "/api/users/signin", from, nil); status != http.StatusOK {
				t.Fatalf("%s is held up by others: %d %s", from, status, text)
			}
		}
	}
	if _, header, _ := g.send("GET", "/api/", "192.0.2.200", nil, "Accept-Encoding", "gzip"); header.Get("Content-Encoding") != "gzip" || header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("a compressed answer has %v", header)
	}
}

// A body on the paths of films is passed on as it comes, and a network has a limited number
// of requests under way there, which does not hold up another network.
func TestNginxPassesFilmsOn(t *testing.T) {
	const path, allowed = "/api/admin/films", 32
	arrived, release := make(chan struct{}, allowed), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			arrived <- struct{}{}
			<-release
			return
		}
		if r.ContentLength < 0 {
			arrived <- struct{}{}
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer upstream.Close()
	g := newGate(t, strings.TrimPrefix(upstream.URL, "http://"))

	body, rest := io.Pipe()
	answered := make(chan int)
	go func() {
		defer close(answered)
		status, _, _ := g.send("POST", path, "192.0.2.1", body)
		answered <- status
	}()
	select {
	case <-arrived: // before its body, of which nothing was sent
		rest.Close()
		if status := <-answered; status != http.StatusOK {
			t.Errorf("a body that came slowly is answered %d", status)
		}
	case <-answered:
		t.Fatal("nginx waits for the body")
	}

	var held sync.WaitGroup
	defer held.Wait()
	defer close(release)
	for range allowed {
		held.Go(func() { g.send("GET", path, "192.0.2.1", nil) })
		<-arrived
	}
	status, header, text := g.send("POST", path, "192.0.2.1", nil)
	g.wantProblem("one too many", status, header, text, 429, "rate_limited")
	if status, _, text := g.send("POST", path, "198.51.100.1", nil); status != http.StatusOK {
		t.Errorf("another network gets %d %s", status, text)
	}
}
