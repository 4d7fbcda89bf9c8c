package web

import (
	"net/http"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/httpapi/conditional"
	"kassa/httpapi/poster"
)

// postersPath is where the posters are.
const postersPath = "/posters/"

// servePoster serves the picture of a film. An address with the picture's version is its
// for ever; one without may show another picture after the film was edited.
func (p *Pages) servePoster(w http.ResponseWriter, r *http.Request) {
	m, ok := p.Films.Movie(mux.Vars(r)["id"])
	if !ok {
		p.Refusal(http.StatusNotFound).ServeHTTP(w, r)
		return
	}
	query := r.URL.Query()
	film := poster.Film{Movie: m, Language: languages[0].Code}
	if l := languageByCode(query.Get(languageParameter)); l != nil {
		film.Language = l.Code
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	if query.Get("v") == film.Version() {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	conditional.Write(w, r, "image/svg+xml", poster.Draw(film))
}

// posterOf is the address of a film's picture with its title in the page's language.
func (l *Language) posterOf(m catalog.Movie) string {
	return poster.Address(poster.Film{Movie: m, Language: l.Code})
}
