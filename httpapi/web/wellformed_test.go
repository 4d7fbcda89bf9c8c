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

// voidElements are the elements without an end tag.
var voidElements = []string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

// commandForms are the actions of forms that append to the ledger.
var commandForms = []string{"/web/ask", "/web/deposit", "/web/withdraw", "/web/signup", "/adjust"}

// wellFormed checks every page that any test opens: elements are closed in order, there
// are no inline scripts or styles, labels and hints refer to existing fields, and forms
// that run commands have a key.
func wellFormed(t *testing.T, name string, page []byte) *html.Node {
	t.Helper()
	if !bytes.HasPrefix(page, []byte("<!doctype html>")) {
		t.Errorf("%s has no doctype", name)
	}
	checkNesting(t, name, page)
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
	walk(root, func(n *html.Node) { checkElement(t, name, n, ids) })
	if strings.Contains(string(page), "%!") {
		t.Errorf("%s has a sentence with wrong arguments", name)
	}
	return root
}

// checkNesting checks that every element is closed, in the order of opening.
func checkNesting(t *testing.T, name string, page []byte) {
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
			if tag, _ := z.TagName(); !slices.Contains(voidElements, string(tag)) {
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

func checkElement(t *testing.T, name string, n *html.Node, ids map[string]int) {
	t.Helper()
	for _, a := range n.Attr {
		if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			t.Errorf("%s: <%s %s> is inside the page", name, n.Data, a.Key)
		}
		if (a.Key == "src" || a.Key == "href" || a.Key == "action") && !strings.HasPrefix(a.Val, "/") && !(strings.HasPrefix(a.Val, "#") && ids[a.Val[1:]] == 1) && !mayLeadElsewhere(n) {
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
		if attr(n, "type") == "application/ld+json" { // data, which no browser runs
			break
		}
		if n.FirstChild != nil || attr(n, "src") == "" {
			t.Errorf("%s has a script inside", name)
		}
	case "input", "textarea", "select":
		if attr(n, "type") != "hidden" && !labelled(n) {
			t.Errorf("%s: the field %q has no label", name, attr(n, "name"))
		}
	case "form":
		checkForm(t, name, n)
	}
}

// mayLeadElsewhere reports whether an address may be absolute: what search engines read of
// the page, and a link to another site that is marked as one.
func mayLeadElsewhere(n *html.Node) bool {
	rel := strings.Fields(attr(n, "rel"))
	if n.Data == "link" {
		return slices.Contains(rel, "canonical") || slices.Contains(rel, "alternate")
	}
	return slices.Contains(rel, "external") && slices.Contains(rel, "noopener") && strings.HasPrefix(attr(n, "href"), "https://")
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

func checkForm(t *testing.T, name string, form *html.Node) {
	t.Helper()
	// What an auditor asks for, and an admin of the catalogue, has an address, to be kept and
	// passed on; no query is logged.
	if asks := strings.HasPrefix(attr(form, "action"), "/web/audit/") || strings.HasPrefix(attr(form, "action"), "/web/admin/films") || attr(form, "action") == "/web/actions"; attr(form, "method") != "post" && !asks {
		t.Errorf("%s: the form for %s would write what it sends into an address", name, attr(form, "action"))
	}
	if !slices.ContainsFunc(commandForms, func(s string) bool { return strings.HasSuffix(attr(form, "action"), s) }) {
		return
	}
	key := find(form, func(n *html.Node) bool { return attr(n, "name") == "idempotency_key" })
	if key == nil || len(attr(key, "value")) < 20 || attr(key, "autocomplete") != "off" {
		t.Errorf("%s: the form for %s commands and has no key", name, attr(form, "action"))
	}
}
