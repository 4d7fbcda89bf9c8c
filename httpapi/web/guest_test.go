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

// guest is a browser without scripts, as far as forms and links go.
type guest struct {
	t        *testing.T
	house    *house
	client   *http.Client
	language string
}

func (h *house) guest(language string) *guest {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &guest{h.t, h, &http.Client{Jar: jar}, language}
}

// member is a guest who has signed up.
func (h *house) member(language, email string) *guest {
	h.t.Helper()
	g := h.guest(language)
	g.open("/web/signup").fill("/web/signup", "email", email, "password", password).is(http.StatusOK)
	return g
}

// sheet is a page as it came.
type sheet struct {
	*guest
	status  int
	address *url.URL
	header  http.Header
	text    string // the visible words, spaces joined
	root    *html.Node
}

func (g *guest) open(path string) *sheet {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.house.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.do(req)
}

// send posts a form as it stands, whatever the page says.
func (g *guest) send(path string, values url.Values) *sheet {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.house.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return g.do(req)
}

func (g *guest) do(req *http.Request) *sheet {
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
	s := &sheet{guest: g, status: resp.StatusCode, address: resp.Request.URL, header: resp.Header}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		s.root = wellFormed(g.t, req.Method+" "+req.URL.Path, body)
		s.text = words(s.root)
	}
	return s
}

// fill sends the form of an action with these names and values; all else keeps
// what the page gave it. A name that starts with ":" is the button that is pressed.
func (s *sheet) fill(action string, pairs ...string) *sheet {
	s.t.Helper()
	values := s.form(action)
	for i := 0; i < len(pairs); i += 2 {
		values.Set(strings.TrimPrefix(pairs[i], ":"), pairs[i+1])
	}
	return s.send(action, values)
}

// form is what a browser would send of the form, without any button.
func (s *sheet) form(action string) url.Values {
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
			values.Set(name, raw(option))
		case attr(n, "type") != "radio" || has(n, "checked"):
			values.Set(name, attr(n, "value"))
		}
	})
	return values
}

func (s *sheet) is(status int) *sheet {
	s.t.Helper()
	if s.status != status {
		s.t.Fatalf("%s answers %d, want %d: %s", s.address.Path, s.status, status, s.text)
	}
	return s
}

// at insists on the path where the redirects ended.
func (s *sheet) at(path string) *sheet {
	s.t.Helper()
	if s.address.Path != path {
		s.t.Fatalf("the way ends at %s, want %s: %s", s.address.Path, path, s.text)
	}
	return s
}

func (s *sheet) says(sentences ...string) *sheet {
	s.t.Helper()
	for _, want := range sentences {
		if !strings.Contains(s.text, want) {
			s.t.Errorf("%s does not say %q: %s", s.address.Path, want, s.text)
		}
	}
	return s
}

func (s *sheet) silent(sentences ...string) *sheet {
	s.t.Helper()
	for _, not := range sentences {
		if strings.Contains(s.text, not) {
			s.t.Errorf("%s says %q: %s", s.address.Path, not, s.text)
		}
	}
	return s
}

// value is what a field of the page holds.
func (s *sheet) value(name string) string {
	n := find(s.root, func(n *html.Node) bool { return attr(n, "name") == name })
	if n == nil {
		return ""
	}
	if n.Data == "textarea" {
		return raw(n)
	}
	return attr(n, "value")
}

// follow opens the first link with these words.
func (s *sheet) follow(text string) *sheet {
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

// raw is the text of an element as it stands.
func raw(n *html.Node) string {
	var out strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			out.WriteString(c.Data)
		}
	}
	return out.String()
}

// words is the text of an element with one space between its words, and between
// what stands in boxes of their own.
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
