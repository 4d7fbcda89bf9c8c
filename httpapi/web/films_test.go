package web_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// linkedMovie is the schema.org Movie of a page.
func (d *document) linkedMovie() map[string]any {
	d.t.Helper()
	script := find(d.root, func(n *node) bool { return n.Data == "script" && attr(n, "type") == "application/ld+json" })
	if script == nil {
		d.t.Fatal("the page has no linked data")
	}
	var movie map[string]any
	if err := json.Unmarshal([]byte(script.FirstChild.Data), &movie); err != nil {
		d.t.Fatalf("the linked data is no JSON: %v", err)
	}
	return movie
}

// A guest reads a film's page in both languages, by an address for each, and from it finds
// its people, its lists and similar films.
func TestFilmPage(t *testing.T) {
	h := newFixture(t, options{})
	g := h.client("en")
	page := g.open("/web/films/cast-away-2000").is(http.StatusOK).shows("Cast Away", "2000", "Tom Hanks", "Robert Zemeckis", "143 minutes", "Wilson")
	movie := page.linkedMovie()
	if movie["@type"] != "Movie" || movie["name"] != "Cast Away" || movie["datePublished"] != "2000" || movie["duration"] != "PT143M" || !strings.Contains(movie["sameAs"].(string), "tt0162222") {
		t.Errorf("the linked data is %v", movie)
	}
	alternates := map[string]string{}
	walk(page.root, func(n *html.Node) {
		if n.Data == "link" && attr(n, "hreflang") != "" {
			alternates[attr(n, "hreflang")] = strings.TrimPrefix(attr(n, "href"), h.url)
		}
	})
	if len(alternates) != 3 || alternates["x-default"] != "/web/films/cast-away-2000" {
		t.Errorf("the page is there in other languages as %v", alternates)
	}
	russian := g.open(alternates["ru"]).is(http.StatusOK).shows("Изгой", "Том Хэнкс", "Режиссёр", "Похожие фильмы")
	if got := russian.header.Get("Content-Language"); got != "ru" {
		t.Errorf("the Russian address is in %q", got)
	}
	for _, text := range []string{"IMDb", "Кинопоиск"} {
		if l := link(russian.root, text); l == nil || !strings.HasPrefix(attr(l, "href"), "https://") {
			t.Errorf("there is no link to %s", text)
		}
	}
	for text, says := range map[string]string{"Том Хэнкс": "Форрест Гамп", "драма": "Жанр: Драма", "2000": "Фильмы 2000-х", "США": "Страна: США"} {
		l := link(russian.root, text)
		if l == nil {
			t.Fatalf("there is no link %q", text)
		}
		g.open(attr(l, "href")).is(http.StatusOK).shows(says) // the address keeps the language
	}
	for _, path := range []string{"/web/films/no-such-film-2000", "/web/films/genre/cooking", "/web/films/genre/DRAMA", "/web/films/decade/1985", "/web/people/nobody-at-all", "/web/films/%00"} {
		g.open(path).is(http.StatusNotFound)
	}
	for _, path := range []string{"/web/films?page=0", "/web/films?page=01", "/web/films?page=1000", "/web/films?page=x"} {
		g.open(path).is(http.StatusBadRequest)
	}
}

// link is the first link with this text.
func link(root *node, text string) *node {
	return find(root, func(n *node) bool { return n.Data == "a" && strings.TrimSpace(words(n)) == text })
}

// Through the pages of the list a guest sees every film once.
func TestFilmsAreListed(t *testing.T) {
	h := newFixture(t, options{})
	seen := map[string]int{}
	for path := "/web/films"; path != ""; {
		page := h.client("ru").open(path).is(http.StatusOK)
		path = ""
		walk(page.root, func(n *html.Node) {
			switch {
			case n.Data == "a" && attr(n, "rel") == "next":
				path = attr(n, "href")
			case n.Data == "ul" && attr(n, "class") == "tiles":
				walk(n, func(n *html.Node) {
					if n.Data == "a" {
						seen[attr(n, "href")]++
					}
				})
			}
		})
	}
	for to, n := range seen {
		if n != 1 {
			t.Errorf("%s is listed %d times", to, n)
		}
	}
	if len(seen) != films.Len() {
		t.Errorf("%d films are listed of %d", len(seen), films.Len())
	}
}

// A guest's page may be kept by caches; that of a person, which shows a balance, may not.
func TestFilmPageIsCached(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	guest := h.client("en")
	first := guest.open("/web/films/alien-1979")
	if got := first.header.Get("Cache-Control"); got != "public, max-age=300" || first.header.Get("Vary") != "Cookie, Accept-Language" {
		t.Errorf("a guest's page is kept by %q, %q", got, first.header.Get("Vary"))
	}
	resp, err := http.DefaultClient.Do(request(t, h.url+"/web/films/alien-1979", "If-None-Match", first.header.Get("ETag"), "Accept-Language", "en"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotModified {
		t.Errorf("the page that the client has is sent again: %d", resp.StatusCode)
	}
	member := h.member("en", "vera@example.org")
	member.open("/web")
	if got := member.open("/web/films/alien-1979").header.Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("a person's page is kept by %q", got)
	}
}

func request(t *testing.T, address string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// A film's page shows its poster, which a browser keeps for ever under the address that the
// page has, and for an hour under another.
func TestPosters(t *testing.T) {
	h := newFixture(t, options{})
	page := h.client("ru").open("/web/films/alien-1979")
	picture := find(page.root, func(n *node) bool { return n.Data == "img" })
	if attr(picture, "width") != "400" || attr(picture, "height") != "600" || !strings.Contains(attr(picture, "alt"), "Чужой") {
		t.Errorf("the poster is shown by %s", attr(picture, "alt"))
	}
	get := func(path string, headers ...string) (*http.Response, string) {
		t.Helper()
		resp, err := http.DefaultClient.Do(request(t, h.url+path, headers...))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	drawn, svg := get(attr(picture, "src"))
	if drawn.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || drawn.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(svg, "Чужой (1979)") {
		t.Errorf("the poster is %v: %.200s", drawn.Header, svg)
	}
	if again, body := get(attr(picture, "src"), "If-None-Match", drawn.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("the poster that the browser has is sent again: %d", again.StatusCode)
	}
	for path, title := range map[string]string{"/posters/alien-1979.svg": "Alien (1979)", "/posters/alien-1979.svg?lang=ru&v=old": "Чужой (1979)"} {
		if other, svg := get(path); other.Header.Get("Cache-Control") != "public, max-age=3600" || !strings.Contains(svg, title) {
			t.Errorf("%s is kept by %q", path, other.Header.Get("Cache-Control"))
		}
	}
	if none, _ := get("/posters/no-such-film.svg"); none.StatusCode != http.StatusNotFound {
		t.Errorf("the poster of no film is answered by %d", none.StatusCode)
	}
}

// The sitemap names every film in both languages, and robots may read what it names.
func TestSitemap(t *testing.T) {
	h := newFixture(t, options{})
	get := func(path string, into any) {
		t.Helper()
		resp, err := http.DefaultClient.Do(request(t, path))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if err := xml.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
	}
	var index struct {
		Parts []string `xml:"sitemap>loc"`
	}
	get(h.url+"/sitemap.xml", &index)
	named := map[string]bool{}
	for _, part := range index.Parts {
		var set struct {
			Pages []string `xml:"url>loc"`
		}
		get(part, &set)
		for _, p := range set.Pages {
			named[strings.TrimPrefix(p, h.url)] = true
		}
	}
	for _, m := range films.Movies() {
		for _, language := range []string{"ru", "en"} {
			if path := "/web/films/" + m.ID + "?lang=" + language; !named[path] {
				t.Errorf("the sitemap lacks %s", path)
			}
		}
	}
	for _, path := range []string{"/sitemap/2.xml", "/sitemap/0.xml", "/sitemap/x.xml"} {
		resp, err := http.DefaultClient.Do(request(t, h.url+path))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	h.client("en").open("/web/people/tom-hanks?lang=ru").is(http.StatusOK)
	if !named["/web/people/tom-hanks?lang=ru"] || !named["/web/films/genre/drama?lang=en"] {
		t.Error("the sitemap lacks people or genres")
	}
}

// A guest sees three questions with their answers before signing up, and what answers cost;
// the wallet says it too.
func TestLandingAnswersAndCosts(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	for language, says := range map[string][]string{
		"en": {"Cast Away", "Ratatouille", "Inception", "An answer costs 5 credits", "the credits come back at once", "You can withdraw the credits you bought"},
		"ru": {"Изгой", "Рататуй", "Начало", "Ответ стоит 5 кредитов", "кредиты сразу возвращаются", "Купленные кредиты можно вывести"},
	} {
		page := h.client(language).open("/web").is(http.StatusOK).shows(says...)
		var first []string
		walk(page.root, func(n *html.Node) {
			if n.Data == "ol" && attr(n, "class") == "sample-films" {
				first = append(first, words(find(n, func(n *node) bool { return attr(n, "class") == "tile-title" })))
			}
		})
		if !slices.Equal(first, says[:3]) {
			t.Errorf("%s: the examples are answered by %q", language, first)
		}
		h.member(language, language+"@example.org").open("/web/deposit").shows(says[3:]...)
	}
}

// firstVisitMost is how many bytes a first visit may load, without pictures and uncompressed.
const firstVisitMost = 60_000

// A first visit is small, on the landing page and on the public pages.
func TestFirstVisitIsSmall(t *testing.T) {
	h := newFixture(t, options{})
	size := func(path string) int {
		t.Helper()
		resp, err := http.DefaultClient.Do(request(t, h.url+path))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		return int(n)
	}
	for _, path := range []string{"/web?lang=ru", "/web/films?lang=ru", "/web/films/the-godfather-1972?lang=ru"} {
		total := size(path)
		walk(h.client("ru").open(path).root, func(n *html.Node) {
			for _, address := range []string{attr(n, "href"), attr(n, "src")} {
				if strings.HasPrefix(address, "/web/static/") && !strings.HasSuffix(address, ".png") {
					total += size(address)
				}
			}
		})
		if total > firstVisitMost {
			t.Errorf("%s loads %d bytes", path, total)
		}
	}
}
