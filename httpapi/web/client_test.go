package web_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

type node = html.Node

// client is a browser without scripts: it follows links, sends forms and keeps cookies.
type client struct {
	t        *testing.T
	fixture  *fixture
	client   *http.Client
	language string
}

func (h *fixture) client(language string) *client {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &client{h.t, h, &http.Client{Jar: jar}, language}
}

// member is a client that has signed up.
func (h *fixture) member(language, email string) *client {
	h.t.Helper()
	g := h.client(language)
	g.open("/web/signup").fill("/web/signup", "email", email, "password", password).is(http.StatusOK)
	return g
}

// document is a page as received.
type document struct {
	*client
	status  int
	address *url.URL
	header  http.Header
	body    []byte
	text    string // the visible words, spaces joined
	root    *html.Node
}

func (g *client) open(path string, headers ...string) *document {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.fixture.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return g.do(req)
}

// send posts values as a form.
func (g *client) send(path string, values url.Values) *document {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.fixture.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return g.do(req)
}

func (g *client) do(req *http.Request) *document {
	g.t.Helper()
	req.Header.Set("Accept-Language", g.language)
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	s := &document{client: g, status: resp.StatusCode, address: resp.Request.URL, header: resp.Header, body: body}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		s.root = wellFormed(g.t, req.Method+" "+req.URL.Path, body)
		s.text = words(s.root)
	}
	return s
}

// fill sends the form with this action and these fields; the other fields keep their
// values. A name that begins with ":" is the button that is pressed.
func (s *document) fill(action string, pairs ...string) *document {
	s.t.Helper()
	values := s.form(action)
	for i := 0; i < len(pairs); i += 2 {
		values.Set(strings.TrimPrefix(pairs[i], ":"), pairs[i+1])
	}
	return s.send(action, values)
}

// ask sends a form whose answer can be asked for again, by GET.
func (s *document) ask(action string, pairs ...string) *document {
	s.t.Helper()
	values := s.form(action)
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return s.open(action + "?" + values.Encode())
}

// form is what a browser would send for the form, without a button.
func (s *document) form(action string) url.Values {
	s.t.Helper()
	form := find(s.root, func(n *html.Node) bool { return n.Data == "form" && attr(n, "action") == action })
	if form == nil {
		s.t.Fatalf("%s has no form for %s: %s", s.address.Path, action, s.text)
	}
	values := url.Values{}
	walk(form, func(n *html.Node) {
		name := attr(n, "name")
		switch {
		case name == "" || n.Data == "button":
		case n.Data == "textarea":
			values.Set(name, raw(n))
		case n.Data == "select":
			option := find(n, func(o *html.Node) bool { return o.Data == "option" && has(o, "selected") })
			if option == nil {
				option = find(n, func(o *html.Node) bool { return o.Data == "option" })
			}
			values.Set(name, chosenValue(option))
		case attr(n, "type") == "checkbox" && has(n, "checked"):
			values.Add(name, attr(n, "value"))
		case !slices.Contains([]string{"radio", "checkbox"}, attr(n, "type")) || has(n, "checked"):
			values.Set(name, attr(n, "value"))
		}
	})
	return values
}

// chosenValue is what a browser sends for an option.
func chosenValue(option *html.Node) string {
	if has(option, "value") {
		return attr(option, "value")
	}
	return raw(option)
}

func (s *document) is(status int) *document {
	s.t.Helper()
	if s.status != status {
		s.t.Fatalf("%s answers %d, want %d: %s", s.address.Path, s.status, status, s.text)
	}
	return s
}

// at checks the path after redirects.
func (s *document) at(path string) *document {
	s.t.Helper()
	if s.address.Path != path {
		s.t.Fatalf("the way ends at %s, want %s: %s", s.address.Path, path, s.text)
	}
	return s
}

func (s *document) shows(sentences ...string) *document {
	s.t.Helper()
	for _, want := range sentences {
		if !strings.Contains(s.text, want) {
			s.t.Errorf("%s does not show %q: %s", s.address.Path, want, s.text)
		}
	}
	return s
}

func (s *document) lacks(sentences ...string) *document {
	s.t.Helper()
	for _, not := range sentences {
		if strings.Contains(s.text, not) {
			s.t.Errorf("%s shows %q: %s", s.address.Path, not, s.text)
		}
	}
	return s
}

// value is the value of a field.
func (s *document) value(name string) string {
	n := find(s.root, func(n *html.Node) bool { return attr(n, "name") == name })
	if n == nil {
		return ""
	}
	if n.Data == "textarea" {
		return raw(n)
	}
	return attr(n, "value")
}

// follow opens the first link with this text.
func (s *document) follow(text string) *document {
	s.t.Helper()
	link := find(s.root, func(n *html.Node) bool { return n.Data == "a" && strings.Contains(words(n), text) })
	if link == nil {
		s.t.Fatalf("%s has no link %q: %s", s.address.Path, text, s.text)
	}
	return s.open(attr(link, "href"))
}

func walk(n *html.Node, visit func(*html.Node)) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode {
			visit(c)
		}
	}
}

func find(n *html.Node, want func(*html.Node) bool) (found *html.Node) {
	walk(n, func(c *html.Node) {
		if found == nil && want(c) {
			found = c
		}
	})
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// raw is the text of an element, unchanged.
func raw(n *html.Node) string {
	var out strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			out.WriteString(c.Data)
		}
	}
	return out.String()
}

// words is the text of an element with one space between words, and between block
// elements.
func words(n *html.Node) string {
	var out strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			out.WriteString(c.Data)
		} else if slices.Contains([]string{"dt", "dd", "th", "td"}, c.Data) {
			out.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

func digits(n int) string { return strconv.Itoa(n) }
