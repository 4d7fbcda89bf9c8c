package httpapi

import (
	"net/http"

	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/catalog/filmlinks"
	"kassa/domain"
	"kassa/httpapi/conditional"
	"kassa/httpapi/poster"
	"kassa/httpapi/problem"
)

// similarListed is how many similar films the API names.
const similarListed = 10

// filmJSON is a film with what may be read and seen of it.
type filmJSON struct {
	catalog.Movie
	Page    string            `json:"page"`    // its page, for people
	Poster  string            `json:"poster"`  // address of its picture
	Links   []filmlinks.Link  `json:"links"`   // at other sites
	Similar []similarFilmJSON `json:"similar"` // most similar first
}

type similarFilmJSON struct {
	ID      string `json:"movie_id"`
	Title   string `json:"title"`
	TitleRU string `json:"title_ru"`
	Year    int    `json:"year"`
}

// film answers with a film of the catalogue. Everybody may read it and keep it for a while.
func (s *Server) film(w http.ResponseWriter, r *http.Request) error {
	m, ok := s.Films.Movie(mux.Vars(r)["id"])
	if !ok {
		return domain.Reject(problem.NotFound, "the catalogue has no such film")
	}
	film := filmJSON{Movie: m, Page: "/web/films/" + m.ID, Poster: poster.Address(poster.Film{Movie: m}), Links: filmlinks.Of(m, "en", s.FilmLinks), Similar: []similarFilmJSON{}}
	for _, other := range s.Films.Similar(m.ID, similarListed) {
		film.Similar = append(film.Similar, similarFilmJSON{other.ID, other.Title, other.TitleRU, other.Year})
	}
	body, err := encode(film)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	conditional.Write(w, r, "application/json", body)
	return nil
}
