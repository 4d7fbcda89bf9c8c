package web_test

import (
	"os"
	"testing"

	"kassa/httpapi/identity"
)

// An admin adds a film in a browser, is told of a fault while typing, and finds the film by a
// question. Each page on the way fits the window, and has contrast, in both languages.
func TestCatalogueInABrowser(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			h := newFixture(t, options{bonus: bonus, limits: identity.Limits{Off: true}, own: true})
			s := &screens{browser: h.browse(t, language, true), folder: os.Getenv("KASSA_SCREENSHOTS"), language: language}
			s.signUp("boss@example.org")
			h.promote("boss@example.org")
			s.open("/web/admin/films")
			s.capture("80-catalogue", "dark")
			s.open("/web/admin/films/new")
			s.typeIn("#title", "The Keeper of the Lamp")
			s.typeIn("#year", "soon")
			s.until("see the fault", `!document.getElementById('year-fault').hidden && document.getElementById('year').getAttribute('aria-invalid') === 'true'`)
			s.capture("81-film-new", "dark")
			s.do("empty the year", evaluate(`document.getElementById('year').value = ''`))
			s.typeIn("#year", "2021")
			s.until("see no fault", `document.getElementById('year-fault').hidden`)
			s.typeIn("#description", "A widow keeps a lighthouse and talks to a heron.")
			s.press("[data-field=genres] summary")
			s.press("input[value=drama]")
			s.press("#kept .actions button")
			s.until("see the notice", `document.querySelector('.notice') !== null && location.pathname === '/web/admin/film/the-keeper-of-the-lamp-2021'`)
			s.capture("82-film-kept")
			s.open("/web/admin/films/try?film=the-keeper-of-the-lamp-2021")
			s.typeIn("#text", "widow lighthouse heron")
			s.press("form[action='/web/admin/films/try'] button")
			s.until("see what it finds", `document.querySelector('ol.films') !== null`)
			s.capture("83-try", "dark")
			s.open("/web/films")
			s.open("/web")
			s.asked("widow lighthouse heron")
			s.until("find it", `document.querySelector('.films a[href$="the-keeper-of-the-lamp-2021"]') !== null`)
			s.open("/web/admin/films/upload")
			s.capture("84-upload")
			s.open("/web/admin/films/editions")
			s.capture("85-editions", "dark")
			s.press("ol.editions li:first-child a")
			s.until("see the edition", `document.querySelector('.changed-films') !== null`)
			s.capture("86-edition")
			s.open(h.uploadedPage(t))
			s.capture("87-preview", "dark")
			s.noComplaints()
		})
	}
}

// uploadedPage is the preview of a file that changes a film, and has a row that is none.
func (h *fixture) uploadedPage(t *testing.T) string {
	t.Helper()
	content := `{"id":"the-keeper-of-the-lamp-2021","title":"The Keeper of the Light","title_ru":"Хранитель лампы","year":2021}
{"id":"the-heron-2022","title":"The Heron","year":2022}
{"id":"no-year","title":"No Year"}
`
	u, err := h.editor(nil).Upload(t.Context(), h.env.User("boss@example.org"), "films.jsonl", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return "/web/admin/films/upload/" + u.ID
}
