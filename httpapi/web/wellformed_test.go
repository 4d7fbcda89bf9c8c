package web_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// void are the elements that have no end.
var void = []string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

// commanding are the addresses whose forms append to the ledger.
var commanding = []string{"/web/ask", "/web/deposit", "/web/withdraw", "/web/signup", "/adjust"}

// wellFormed holds every page that any test opens to the same manners: elements
// are closed in order, nothing runs or styles from inside the page, labels and
// hints belong to fields that are there, and forms that command have a key.
func wellFormed(t *testing.T, name string, page []byte) *html.Node {
	t.Helper()
	if !bytes.HasPrefix(page, []byte("<!doctype html>")) {
		t.Errorf("%s has no doctype", name)
	}
	nested(t, name, page)
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	ids := map[string]int{}
	walk(root, func(n *html.Node) {
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
	})
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%s has the id %q %d times", name, id, n)
		}
	}
	walk(root, func(n *html.Node) { mannerly(t, name, n, ids) })
	if strings.Contains(string(page), "%!") {
		t.Errorf("%s has a sentence with wrong arguments", name)
	}
	return root
}

// nested insists that every element is closed, and in the order of opening.
func nested(t *testing.T, name string, page []byte) {
	t.Helper()
	var open []string
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) || len(open) > 0 {
				t.Errorf("%s ends with %v open: %v", name, open, z.Err())
			}
			return
		case html.StartTagToken:
			if tag, _ := z.TagName(); !slices.Contains(void, string(tag)) {
				open = append(open, string(tag))
			}
		case html.EndTagToken:
			tag, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(tag) {
				t.Errorf("%s closes <%s>, open are %v", name, tag, open)
				return
			}
			open = open[:len(open)-1]
		}
	}
}

func mannerly(t *testing.T, name string, n *html.Node, ids map[string]int) {
	t.Helper()
	for _, a := range n.Attr {
		if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			t.Errorf("%s: <%s %s> is inside the page", name, n.Data, a.Key)
		}
		if (a.Key == "src" || a.Key == "href" || a.Key == "action") && !strings.HasPrefix(a.Val, "/") && a.Val != "#main" {
			t.Errorf("%s: <%s %s=%q> leads elsewhere", name, n.Data, a.Key, a.Val)
		}
		if a.Key == "for" || a.Key == "aria-describedby" || a.Key == "aria-labelledby" {
			for id := range strings.FieldsSeq(a.Val) {
				if ids[id] != 1 {
					t.Errorf("%s: <%s %s=%q> names nothing", name, n.Data, a.Key, id)
				}
			}
		}
	}
	switch n.Data {
	case "style":
		t.Errorf("%s has a style inside", name)
	case "script":
		if n.FirstChild != nil || attr(n, "src") == "" {
			t.Errorf("%s has a script inside", name)
		}
	case "input", "textarea", "select":
		if attr(n, "type") != "hidden" && !labelled(n) {
			t.Errorf("%s: the field %q has no label", name, attr(n, "name"))
		}
	case "form":
		formly(t, name, n)
	}
}

func labelled(n *html.Node) bool {
	root := n
	for p := n; p != nil; p = p.Parent {
		if p.Data == "label" {
			return true
		}
		root = p
	}
	return find(root, func(l *html.Node) bool { return l.Data == "label" && attr(l, "for") == attr(n, "id") }) != nil
}

func formly(t *testing.T, name string, form *html.Node) {
	t.Helper()
	if attr(form, "method") != "post" {
		t.Errorf("%s: the form for %s would write what it sends into an address", name, attr(form, "action"))
	}
	if !slices.ContainsFunc(commanding, func(s string) bool { return strings.HasSuffix(attr(form, "action"), s) }) {
		return
	}
	key := find(form, func(n *html.Node) bool { return attr(n, "name") == "idempotency_key" })
	if key == nil || len(attr(key, "value")) < 20 || attr(key, "autocomplete") != "off" {
		t.Errorf("%s: the form for %s commands and has no key", name, attr(form, "action"))
	}
}
