package httpapi

import (
	"net/http"
	"testing"

	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
)

// Anyone may read a film, and a client that has it gets no body.
func TestFilm(t *testing.T) {
	w := newFixture(t, identity.Limits{Off: true})
	h := w.server.Handler()
	read := w.send(h, "GET", "/api/films/inception-2010", "", "")
	want(t, read, http.StatusOK, "")
	var film filmJSON
	decodeJSON(t, read.Body.Bytes(), &film)
	if film.ID != "inception-2010" || film.TitleRU != "Начало" || film.Page != "/web/films/inception-2010" {
		t.Errorf("the film is %+v", film)
	}
	if got := read.Header().Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("the film is kept by %q", got)
	}
	want(t, w.send(h, "GET", "/api/films/inception-2010", "", "", "If-None-Match", read.Header().Get("ETag")), http.StatusNotModified, "")
	want(t, w.send(h, "GET", "/api/films/no-such-film", "", ""), http.StatusNotFound, problem.NotFound)
	want(t, w.send(h, "GET", "/api/films/inception-2010?fields=title", "", ""), http.StatusUnprocessableEntity, problem.UnknownParameter)
}
