package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/mux"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/editing"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
)

// keptFilms are how many films a page of the admin's list has.
const keptFilms = 50

type keptFilmJSON struct {
	ID      string `json:"movie_id"`
	Title   string `json:"title"`
	TitleRU string `json:"title_ru"`
	Year    int    `json:"year"`
	Own     bool   `json:"own"`
}

// filmList lists films for those who keep them.
func (s *Server) filmList(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	l := catalog.Listing{Words: q.Get("q"), Genre: q.Get("genre"), Lack: q.Get("lack"), Own: q.Get("own") == "true"}
	page := 1
	if q.Has("page") {
		n, err := strconv.Atoi(q.Get("page"))
		if err != nil || n < 1 || n > catalogPagesMax {
			return domain.Reject(problem.InvalidFilter, "page must be a whole number from 1 to %d", catalogPagesMax)
		}
		page = n
	}
	for name, most := range map[string]int{"q": 200, "genre": 100} {
		if utf8.RuneCountInString(q.Get(name)) > most {
			return domain.Reject(problem.InvalidFilter, "%s may have at most %d characters", name, most)
		}
	}
	if known := slices.ContainsFunc(catalog.Lacks(), func(k catalog.Lack) bool { return k.Code == l.Lack }); q.Has("lack") && !known {
		return domain.Reject(problem.InvalidFilter, "lack is not among what films may lack")
	}
	if own := q.Get("own"); q.Has("own") && own != "true" && own != "false" {
		return domain.Reject(problem.InvalidFilter, "own must be true or false")
	}
	films := s.Editor.Catalogue.List(l)
	from := min((page-1)*keptFilms, len(films))
	items := []keptFilmJSON{}
	for _, f := range films[from:min(from+keptFilms, len(films))] {
		items = append(items, keptFilmJSON{f.ID, f.Title, f.TitleRU, f.Year, f.Own})
	}
	return writeJSON(w, http.StatusOK, struct {
		Items   []keptFilmJSON `json:"items"`
		Total   int            `json:"total"`
		Version string         `json:"catalogue_version"`
	}{items, len(films), s.Editor.Catalogue.Version()})
}

// catalogPagesMax is more than a catalogue that fits into memory has.
const catalogPagesMax = 1_000_000

type recordJSON struct {
	Film    catalog.Movie `json:"film"`
	Version string        `json:"version"`
	Own     bool          `json:"own"`
}

// filmRecord answers with a film as it is stored.
func (s *Server) filmRecord(w http.ResponseWriter, r *http.Request) error {
	film, err := s.Editor.Film(r.Context(), mux.Vars(r)["id"])
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, recordJSON{film.Movie, film.Version, film.Own})
}

type filmFaultJSON struct {
	Line   int    `json:"line"` // in the value of film or films, from 1
	Film   string `json:"movie_id,omitempty"`
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
}

// decodeFilms reads films as kassa catalog import does, with what is wrong with the others.
func decodeFilms(raw jsontext.Value) (films []catalog.Movie, faults []filmFaultJSON, err error) {
	faults = []filmFaultJSON{}
	for m, err := range catalog.Decode("", raw) {
		p, isFault := errors.AsType[catalog.Problem](err)
		switch {
		case isFault && len(faults) < faultsAnswered:
			faults = append(faults, filmFaultJSON{p.Line, p.Movie, p.Field, p.What})
		case isFault:
		case err != nil:
			return nil, nil, err
		default:
			films = append(films, m.Movie)
		}
	}
	return films, faults, nil
}

// faultsAnswered bounds the faults of an answer.
const faultsAnswered = 200

// oneFilm reads the film of a body. What is wrong with it is a refusal.
func oneFilm(raw jsontext.Value) (catalog.Movie, error) {
	films, faults, err := decodeFilms(raw)
	switch {
	case err != nil:
		return catalog.Movie{}, err
	case len(faults) > 0:
		return catalog.Movie{}, domain.Reject(problem.InvalidFilm, "the film is not valid: %s %s", faults[0].Field, faults[0].Detail)
	case len(films) != 1:
		return catalog.Movie{}, domain.Reject(problem.InvalidFilm, "film must be one film")
	}
	return films[0], nil
}

// checkFilms says what is wrong with films, and stores nothing.
func (s *Server) checkFilms(w http.ResponseWriter, r *http.Request) error {
	var raw jsontext.Value
	if err := readFilms(r, &raw, fields{}); err != nil {
		return err
	}
	films, faults, err := decodeFilms(raw)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Valid  int             `json:"valid"`
		Faults []filmFaultJSON `json:"faults"`
	}{len(films), faults})
}

// readFilms is readBody for a body whose member films is required, an array of objects. What
// is in these is for decodeFilms.
func readFilms(r *http.Request, raw *jsontext.Value, into fields, required ...string) error {
	into["films"] = raw
	given, err := readBody(r, into)
	if err != nil {
		return err
	}
	for _, name := range append(required, "films") {
		if !given[name] {
			return domain.Reject(problem.InvalidField, "%s is missing", name)
		}
	}
	var list []jsontext.Value
	if raw.Kind() != '[' || json.Unmarshal(*raw, &list) != nil || len(list) == 0 || len(list) > catalog.EditMax ||
		slices.ContainsFunc(list, func(one jsontext.Value) bool { return one.Kind() != '{' }) {
		return domain.Reject(problem.InvalidField, "films must be an array of 1 to %d films", catalog.EditMax)
	}
	return nil
}

// tokenText refuses a text of ours, such as a version, that is longer than any.
func tokenText(name, text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return domain.Reject(problem.InvalidField, "%s has at most %d characters", name, most)
	}
	return nil
}

// Lengths of the texts that the API has given to a client.
const (
	versionMost = 16
	digestMost  = 32
	filmIDMost  = 100
)

type doneJSON struct {
	Edition int64 `json:"edition"` // 0: nothing differed
	Films   int   `json:"films"`   // that were changed
	Behind  int   `json:"behind"`  // processes that do not answer with it yet
}

func writeDone(w http.ResponseWriter, done editing.Done, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, doneJSON{done.Edition.Number, done.Edition.Films, done.Behind})
}

// editor is who sent the request.
func editor(r *http.Request) domain.UserID {
	who, _ := identity.From(r.Context())
	return who.User
}

// saveFilm adds or changes one film.
func (s *Server) saveFilm(w http.ResponseWriter, r *http.Request) error {
	var raw jsontext.Value
	var version string
	given, err := readBody(r, fields{"film": &raw, "version": &version})
	if err != nil {
		return err
	}
	if !given["film"] {
		return domain.Reject(problem.InvalidField, "film is missing")
	}
	if err := tokenText("version", version, versionMost); err != nil {
		return err
	}
	film, err := oneFilm(raw)
	if err != nil {
		return err
	}
	done, err := s.Editor.Save(r.Context(), editor(r), film, version)
	return writeDone(w, done, err)
}

// removeFilm removes a film that an operator brought in.
func (s *Server) removeFilm(w http.ResponseWriter, r *http.Request) error {
	var version string
	given, err := readBody(r, fields{"version": &version})
	if err == nil && !given["version"] {
		err = domain.Reject(problem.InvalidField, "version is missing")
	}
	if err != nil {
		return err
	}
	done, err := s.Editor.Remove(r.Context(), editor(r), mux.Vars(r)["id"], version)
	return writeDone(w, done, err)
}

type filmChangeJSON struct {
	ID     string            `json:"movie_id"`
	Kind   string            `json:"change"` // added, changed or removed
	Fields []fieldChangeJSON `json:"fields"`
}

type fieldChangeJSON struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func changesJSON(changes []catalog.Change) []filmChangeJSON {
	list := []filmChangeJSON{}
	for _, c := range changes {
		out := filmChangeJSON{c.ID, "changed", []fieldChangeJSON{}}
		switch {
		case c.Before == nil:
			out.Kind = "added"
		case c.After == nil:
			out.Kind = "removed"
		default:
			for _, f := range c.Fields() {
				out.Fields = append(out.Fields, fieldChangeJSON(f))
			}
		}
		list = append(list, out)
	}
	return list
}

// previewFilms says what films would change, and stores nothing.
func (s *Server) previewFilms(w http.ResponseWriter, r *http.Request) error {
	var raw jsontext.Value
	var whole bool
	if err := readFilms(r, &raw, fields{"whole": &whole}); err != nil {
		return err
	}
	films, faults, err := decodeFilms(raw)
	if err != nil {
		return err
	}
	plan, err := s.Editor.Preview(r.Context(), catalog.Upload{Films: films}, whole)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Digest    string           `json:"digest"`
		Changes   []filmChangeJSON `json:"changes"`
		Unchanged int              `json:"unchanged"`
		Faults    []filmFaultJSON  `json:"faults"`
	}{plan.Digest(), changesJSON(plan.Changes), plan.Unchanged, faults})
}

// takeFilms stores films as a preview has shown them. Those with faults are left out.
func (s *Server) takeFilms(w http.ResponseWriter, r *http.Request) error {
	var raw jsontext.Value
	var whole bool
	var digest string
	if err := readFilms(r, &raw, fields{"whole": &whole, "digest": &digest}, "digest"); err != nil {
		return err
	}
	if err := tokenText("digest", digest, digestMost); err != nil {
		return err
	}
	films, _, err := decodeFilms(raw)
	if err != nil {
		return err
	}
	done, err := s.Editor.Take(r.Context(), editor(r), catalog.Upload{Films: films}, whole, digest)
	return writeDone(w, done, err)
}

type editionJSON struct {
	Number   int64               `json:"edition"`
	Kind     catalog.EditionKind `json:"kind"`
	By       string              `json:"made_by"`
	At       time.Time           `json:"made_at"`
	Films    int                 `json:"films"`
	Undoable bool                `json:"undoable"`
}

// editionsAnswered is how many editions are listed.
const editionsAnswered = 100

// filmEditions lists the newest editions; the first can be undone.
func (s *Server) filmEditions(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Editor.Catalogue.Editions(r.Context(), editionsAnswered)
	if err != nil {
		return err
	}
	items := []editionJSON{}
	for i, e := range list {
		items = append(items, editionJSON{e.Number, e.Kind, e.By, e.At.UTC(), e.Films, i == 0 && e.Undoable})
	}
	return writeJSON(w, http.StatusOK, struct {
		Items []editionJSON `json:"items"`
	}{items})
}

// undoEdition takes the last edition back.
func (s *Server) undoEdition(w http.ResponseWriter, r *http.Request) error {
	var number int
	given, err := readBody(r, fields{"edition": &number})
	if err == nil && !given["edition"] {
		err = domain.Reject(problem.InvalidField, "edition is missing")
	}
	if err != nil {
		return err
	}
	done, err := s.Editor.Undo(r.Context(), editor(r), int64(number))
	return writeDone(w, done, err)
}

// tryQuestion finds films for a question without a charge.
func (s *Server) tryQuestion(w http.ResponseWriter, r *http.Request) error {
	var text, film string
	if _, err := readBody(r, fields{"text": &text, "movie_id": &film}); err != nil {
		return err
	}
	if err := tokenText("movie_id", film, filmIDMost); err != nil {
		return err
	}
	tried, err := s.Editor.Try(r.Context(), text, film)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, trialOf(tried))
}

type trialJSON struct {
	Movies     []triedFilmJSON `json:"movies"`
	Confidence float64         `json:"confidence"`
	Charged    bool            `json:"charged"`
	Place      int             `json:"place"` // of the film that was looked for; 0: not among the first hundred
}

type triedFilmJSON struct {
	ID    string  `json:"movie_id"`
	Score float64 `json:"score"`
}

func trialOf(t editing.Tried) trialJSON {
	movies := []triedFilmJSON{}
	for _, m := range t.Matches[:min(len(t.Matches), similarListed)] {
		movies = append(movies, triedFilmJSON{m.MovieID, m.Score})
	}
	return trialJSON{movies, t.Confidence, t.Charged, t.Place}
}

type synonymsJSON struct {
	ID    string   `json:"synonyms_id"`
	Words []string `json:"words"`
}

// synonyms lists the operator's groups of words.
func (s *Server) synonyms(w http.ResponseWriter, r *http.Request) error {
	groups, err := s.Editor.Catalogue.Synonyms(r.Context())
	if err != nil {
		return err
	}
	items := []synonymsJSON{}
	for _, g := range groups {
		items = append(items, synonymsJSON(g))
	}
	return writeJSON(w, http.StatusOK, struct {
		Items []synonymsJSON `json:"items"`
	}{items})
}

// addSynonyms adds a group of words that mean the same.
func (s *Server) addSynonyms(w http.ResponseWriter, r *http.Request) error {
	var words []string
	if _, err := readBody(r, fields{"words": &words}); err != nil {
		return err
	}
	g, err := s.Editor.AddSynonyms(r.Context(), editor(r), words)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, synonymsJSON(g))
}

// removeSynonyms removes a group of words.
func (s *Server) removeSynonyms(w http.ResponseWriter, r *http.Request) error {
	if err := s.Editor.RemoveSynonyms(r.Context(), editor(r), mux.Vars(r)["id"]); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// trySynonyms says what a question finds without a group of words and with it.
func (s *Server) trySynonyms(w http.ResponseWriter, r *http.Request) error {
	var words []string
	var text string
	if _, err := readBody(r, fields{"words": &words, "text": &text}); err != nil {
		return err
	}
	now, with, err := s.Editor.TrySynonyms(r.Context(), words, text)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Now  trialJSON `json:"now"`
		With trialJSON `json:"with"`
	}{trialOf(now), trialOf(with)})
}
