package conditional

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func answer(body string, ifNoneMatch ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["If-None-Match"] = ifNoneMatch
	w := httptest.NewRecorder()
	Write(w, r, "text/plain", []byte(body))
	return w
}

func TestWrite(t *testing.T) {
	tag := answer("films").Header().Get("ETag")
	if len(tag) != 24 || tag[0] != '"' || tag[23] != '"' || strings.Contains(tag, ",") {
		t.Fatalf("the tag is %s", tag)
	}
	for _, tt := range []struct {
		name   string
		sent   []string
		status int
	}{
		{"none", nil, 200},
		{"the tag", []string{tag}, 304},
		{"the tag, made weak by a proxy", []string{"W/" + tag}, 304},
		{"a list", []string{`"other", ` + tag}, 304},
		{"two headers", []string{`"other"`, tag}, 304},
		{"any", []string{"*"}, 304},
		{"another", []string{`"other"`}, 200},
		{"empty", []string{""}, 200},
		{"without quotes", []string{strings.Trim(tag, `"`)}, 200},
		{"a part", []string{tag[:12] + `"`}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := answer("films", tt.sent...)
			body, media := "films", "text/plain"
			if tt.status == http.StatusNotModified {
				body, media = "", ""
			}
			if w.Code != tt.status || w.Body.String() != body || w.Header().Get("Content-Type") != media || w.Header().Get("ETag") != tag {
				t.Errorf("answers %d, %q, %v", w.Code, w.Body, w.Header())
			}
		})
	}
	if answer("film").Header().Get("ETag") == tag {
		t.Error("other bytes have the same tag")
	}
}

// A weak tag is that of the content, whatever stands beside it in the body.
func TestWriteWeak(t *testing.T) {
	page := func(body, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		WriteWeak(w, r, "text/plain", []byte(body), []byte("films"))
		return w
	}
	tag := page("films at 1", "").Header().Get("ETag")
	if tag != "W/"+answer("films").Header().Get("ETag") {
		t.Errorf("the tag is %s", tag)
	}
	if w := page("films at 2", tag); w.Code != http.StatusNotModified || w.Header().Get("ETag") != tag {
		t.Errorf("answers %d, %v", w.Code, w.Header())
	}
}
