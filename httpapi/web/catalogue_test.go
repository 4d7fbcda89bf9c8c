package web_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"kassa/httpapi/identity"
)

// catalogueAdmin is a fixture with films of its own, and an admin's client.
func catalogueAdmin(t *testing.T, language string) (*fixture, *client) {
	t.Helper()
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{Off: true}, own: true})
	g := h.member(language, "boss@example.org")
	h.promote("boss@example.org")
	return h, g
}

const newFilm = "/web/admin/films/new"

// lampFilm fills the form of a film.
var lampFilm = []string{"title", "The Keeper of the Lamp", "title_ru", "Хранитель лампы", "year", "2021", "genres", "drama",
	"description", "A widow keeps a lighthouse and talks to a heron.", "description_ru", "Вдова хранит маяк и разговаривает с цаплей.",
	"keywords", "lighthouse\r\nheron", "directors", "Ada Reed | Ада Рид"}

// An admin adds a film, and a question finds it: in a trial, which costs nothing, and by
// somebody who pays.
func TestAddFilm(t *testing.T) {
	h, g := catalogueAdmin(t, "en")
	before := h.env.Size()
	g.open("/web/admin").follow("Catalogue").at("/web/admin/films").shows("60 films").follow("Add a film").at(newFilm)
	saved := g.open(newFilm).fill(newFilm, lampFilm...).at("/web/admin/film/the-keeper-of-the-lamp-2021").shows("The film is saved.", "your version", "It would be easier to find with")
	if got := saved.value("keywords"); got != "lighthouse\nheron" {
		t.Errorf("the keywords come back as %q", got)
	}
	saved.follow("Try a question").fill("/web/admin/films/try", "text", "вдова на маяке и цапля").at("/web/admin/films/try").is(http.StatusOK).
		shows("This answer would be charged.", "“The Keeper of the Lamp” comes in place 1.")
	if h.env.Size() != before {
		t.Error("the ledger has grown")
	}
	v := h.member("ru", "vera@example.org")
	v.open("/web").fill("/web/ask", "text", "вдова на маяке и цапля").shows("Хранитель лампы")
	v.open("/web/films/the-keeper-of-the-lamp-2021").is(http.StatusOK).shows("Ада Рид")
	g.open("/web/admin/films?q=ада+рид&own=yes").shows("1 film", "The Keeper of the Lamp", "yours")
	g.open("/web/admin/films?lack=countries&own=yes").shows("The Keeper of the Lamp")
	g.open("/web/admin/films?lack=genres&own=yes").shows("No film fits.")
	g.open("/web/admin/films").follow("Next").shows("Page 2 of 2")
	g.open("/web/admin/films?page=9").is(http.StatusBadRequest)
	g.open("/web/admin/film/no-such-film").is(http.StatusNotFound)
}

// What is wrong in a form is named beside its field, in both languages, and what was typed
// stays; the check of the script says the same.
func TestFilmFaults(t *testing.T) {
	for language, sentences := range map[string][]string{
		"en": {"Some fields need another look.", "Line 2: There are 3 parts; the limit is 2.", "“soon” is not a whole number."},
		"ru": {"Проверьте отмеченные поля.", "Строка 2: Частей здесь 3, можно не больше 2.", "«soon» — не целое число."},
	} {
		_, g := catalogueAdmin(t, language)
		wrong := []string{"title", "A", "year", "soon", "cast", "Ada\r\nA | Б | C"}
		page := g.open(newFilm).fill(newFilm, wrong...).at(newFilm).shows(sentences...)
		if page.value("year") != "soon" || page.value("cast") != "Ada\nA | Б | C" {
			t.Errorf("the form comes back as %v", page.form(newFilm))
		}
		checked := g.send("/web/admin/films/check", page.form(newFilm))
		var faults map[string]string
		if checked.header.Get("Content-Type") != "application/json" || checked.status != http.StatusOK {
			t.Fatalf("the check answers %d", checked.status)
		}
		if err := json.Unmarshal(checked.body, &faults); err != nil || faults["cast"] != sentences[1] || faults["year"] != sentences[2] || len(faults) != 2 {
			t.Errorf("the check says %v, %v", faults, err)
		}
	}
}

// Of two admins who have a film open the second gets a refusal that shows what the first has
// changed, and can save over it knowingly.
func TestTwoAdmins(t *testing.T) {
	h, g := catalogueAdmin(t, "en")
	eve := h.member("en", "eve@example.org")
	h.promote("eve@example.org")
	id := h.films.Movies()[3].ID
	address := "/web/admin/film/" + id
	first, second := g.open(address), eve.open(address)
	first.fill(address, "description", "The first description.").shows("The film is saved.")
	refused := second.fill(address, "description", "The second description.").
		shows("Look again before you save.", "Changed in the meantime", "The first description.", "The second description.")
	if m, _ := h.films.Movie(id); m.Description != "The first description." {
		t.Fatalf("stored is %q", m.Description)
	}
	refused.fill(address).at(address).shows("The film is saved.")
	if m, _ := h.films.Movie(id); m.Description != "The second description." {
		t.Errorf("stored is %q", m.Description)
	}
	refused.fill(address).shows("Nothing to change") // the same form once more
	page := eve.open("/web/admin/films/editions").shows("Version 2", "eve@example.org", "Version 1", "boss@example.org")
	page.follow("Version 2").shows("The first description.", "The second description.")
	page.fill("/web/admin/films/editions", ":number", "2").shows("The last change is undone.")
	if m, _ := h.films.Movie(id); m.Description != "The first description." {
		t.Errorf("after the undo it is %q", m.Description)
	}
	page.fill("/web/admin/films/editions", ":number", "2").shows("The last change is undone.") // the same form once more
	g.open(newFilm).fill(newFilm, lampFilm...)
	g.open(newFilm).fill(newFilm, append(lampFilm, "description", "Another one.")...).at(newFilm).shows("There is a film with this title and year already:")
	lamp := "/web/admin/film/the-keeper-of-the-lamp-2021"
	g.open(lamp).fill(lamp + "/remove").at("/web/admin/films/editions").shows("The film is removed.")
	g.open(lamp).is(http.StatusNotFound)
}

// sendFile sends a file by the form of uploads.
func (g *client) sendFile(name, content string) *document {
	g.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write([]byte(content))
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.fixture.url+"/web/admin/films/upload", &body)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	return g.do(req)
}

const lampLine = `{"id":"the-keeper-of-the-lamp-2021","title":"The Keeper of the Lamp","title_ru":"Хранитель лампы","year":2021,"genres":["drama"],"description":"A widow keeps a lighthouse."}`

// A file is shown before it counts: what it adds, changes and removes, and what is left out;
// and it is stored only as it was shown.
func TestUpload(t *testing.T) {
	h, g := catalogueAdmin(t, "en")
	known := h.films.Movies()[0]
	known.Title = "Quite Another Title"
	line, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	page := g.sendFile("films.jsonl", lampLine+"\n"+string(line)+"\n"+`{"id":"x","title":"X","year":1}`+"\n").is(http.StatusOK).
		shows("What the file changes", "films.jsonl", "Added 1", "Changed 1", "Removed 0", "Left out", "Line 3", "Quite Another Title")
	if _, ok := h.films.Movie("the-keeper-of-the-lamp-2021"); ok {
		t.Fatal("it counts already")
	}
	action := page.address.Path
	known.Title = "By Another Admin"
	address := "/web/admin/film/" + known.ID
	g.open(address).fill(address, "title", known.Title)
	page = page.fill(action).at(action).shows("This was changed in the meantime.", "By Another Admin")
	page.fill(action).at("/web/admin/films/editions").shows("The changes are made.", "2 films")
	if m, _ := h.films.Movie(known.ID); m.Title != "Quite Another Title" {
		t.Errorf("it is called %q", m.Title)
	}
	page.fill(action).shows("Nothing to change")

	whole := g.sendFile("films.json", "["+lampLine+"]").shows("There is nothing to change.", "Films that are not in the file stay.").follow("Remove them instead").shows("are removed", known.ID)
	whole.fill(takeAction(whole)).shows("The changes are made.")
	if m, _ := h.films.Movie(known.ID); m.Title == "Quite Another Title" {
		t.Error("the operator's version is still there")
	}
	g.sendFile(strings.Repeat("🎬", 100)+".jsonl", lampLine).is(http.StatusOK).shows("What the file changes", "🎬.jsonl") // 400 bytes and more
	g.sendFile("films.txt", "no films").shows("This file cannot be read.")
	g.sendFile("films.json.gz", "no films").shows("This file cannot be read.")
	g.sendFile("big.json", strings.Repeat(" ", 4<<20+1)).is(http.StatusRequestEntityTooLarge)
	g.send("/web/admin/films/upload", nil).shows("This file cannot be read.")
	eve := h.member("en", "eve@example.org")
	eve.sendFile("films.json", "["+lampLine+"]").is(http.StatusForbidden)
	eve.open(action).is(http.StatusForbidden)
	h.promote("eve@example.org")
	eve.open(action).is(http.StatusNotFound) // another admin's
}

// takeAction is the action of the page's form that takes an upload.
func takeAction(s *document) string {
	form := find(s.root, func(n *html.Node) bool {
		return n.Data == "form" && strings.HasPrefix(attr(n, "action"), "/web/admin/films/upload/")
	})
	return attr(form, "action")
}

// A group of words is tried on a question before it counts; then it counts for everybody,
// until it is removed.
func TestSynonymsPage(t *testing.T) {
	h, g := catalogueAdmin(t, "en")
	keyword := h.films.Movies()[7].Keywords[0]
	title := h.films.Movies()[7].Title
	const path = "/web/admin/films/synonyms"
	page := g.open("/web/admin/films").follow("Synonyms").at(path).shows("You have not added any yet.")
	before := h.films.Version()
	values := page.form(path)
	values.Set("words", "flumadiddle\r\n"+keyword)
	values.Set("text", "flumadiddle")
	page = page.send(path+"/try", values).at(path).shows("Now", "With these words", title)
	g.open(path).shows("With these words") // as after Back
	if h.films.Version() != before {
		t.Fatal("it counts already")
	}
	page.fill(path).at(path).shows("The group counts now.", "flumadiddle")
	if h.films.Version() == before {
		t.Error("it does not count")
	}
	g.open(path).lacks("With these words")
	g.open("/web/admin/films/try").fill("/web/admin/films/try", "text", "flumadiddle").shows(title)
	page = g.open(path).fill(path, "words", "alone").at(path).shows("A group needs two different words or more")
	if page.value("words") != "alone" {
		t.Errorf("what was typed comes back as %q", page.value("words"))
	}
	list, err := h.films.Synonyms(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("the groups are %v, %v", list, err)
	}
	page.fill(path+"/remove", ":id", list[0].ID).at(path).shows("The group is removed.")
	page.fill(path+"/remove", ":id", list[0].ID).at(path).shows("This group was already removed.")
	if h.films.Version() != before {
		t.Error("it still counts")
	}
}

// Texts of questions that are tried are in no address, and one that does not fit into a cookie is
// answered at once.
func TestTrialsAreInNoAddress(t *testing.T) {
	h, g := catalogueAdmin(t, "ru")
	ordinary := strings.TrimSpace(strings.Repeat("вдова хранит маяк и разговаривает с цаплей ", 46)) // more than nginx takes in an address
	signs, random := rand.New(rand.NewPCG(1, 2)), make([]rune, 2000)
	for i := range random {
		random[i] = '一' + signs.Int32N(20_000)
	}
	before := h.env.Size()
	for path, post := range map[string]string{"/web/admin/films/try": "/web/admin/films/try", "/web/admin/films/synonyms": "/web/admin/films/synonyms/try"} {
		for text, fits := range map[string]bool{ordinary: true, string(random): false} {
			page := g.open(path)
			form := find(page.root, func(n *node) bool { return n.Data == "form" && attr(n, "action") == path })
			if attr(form, "method") != "post" {
				t.Fatalf("the form of %s is sent by %q", path, attr(form, "method"))
			}
			values := page.form(path)
			values.Set("words", "маяк\r\nцапля")
			values.Set("text", text)
			end := post
			if fits {
				end = path
			}
			page = page.send(post, values).at(end).is(http.StatusOK)
			if page.address.RawQuery != "" || page.value("text") != text {
				t.Errorf("%s answers at %s, with the text %.60q", post, page.address, page.value("text"))
			}
			if stored := g.open(path).value("text") == text; stored != fits {
				t.Errorf("%s: %.60q is stored: %t", path, text, stored)
			}
		}
	}
	if h.env.Size() != before {
		t.Error("the ledger has grown")
	}
}

// A trial of synonyms is counted with the commands of its admin.
func TestTrialsOfSynonymsAreLimited(t *testing.T) {
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{Command: identity.Rate{Burst: 1, Every: time.Hour}}, own: true})
	g := h.member("en", "boss@example.org")
	h.promote("boss@example.org")
	const path, post = "/web/admin/films/synonyms", "/web/admin/films/synonyms/try"
	values := g.open(path).form(path)
	values.Set("words", "gumshoe\r\nshamus")
	values.Set("text", "a gumshoe")
	page := g.open(path).send(post, values).at(path).is(http.StatusOK).shows("With these words")
	page.send(post, values).at(path).is(http.StatusTooManyRequests)
}
