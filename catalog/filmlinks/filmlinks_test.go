package filmlinks

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"kassa/catalog"
)

var film = catalog.Movie{ID: "e-1931", Title: "What's Up & Down?", TitleRU: "Что/где", Year: 1931}

func TestOf(t *testing.T) {
	plain := Of(film, "en", Default)
	want := []Link{
		{"Кинопоиск", "https://www.kinopoisk.ru/index.php?kp_query=%D0%A7%D1%82%D0%BE%2F%D0%B3%D0%B4%D0%B5%201931"},
		{"JustWatch", "https://www.justwatch.com/us/search?q=What%27s%20Up%20%26%20Down%3F"},
		{"IMDb", "https://www.imdb.com/find/?s=tt&q=What%27s%20Up%20%26%20Down%3F%201931"},
		{"Wikipedia", "https://en.wikipedia.org/w/index.php?search=What%27s%20Up%20%26%20Down%3F%201931"},
	}
	if !slices.Equal(plain, want) {
		t.Errorf("by title: %q", plain)
	}
	known := film
	known.IDs = &catalog.IDs{IMDb: "tt0022100", Kinopoisk: "570", Wikidata: "Q127021"}
	var addresses []string
	for _, l := range Of(known, "ru", Default) {
		addresses = append(addresses, l.URL)
	}
	if want := []string{"https://www.kinopoisk.ru/film/570/", "https://www.justwatch.com/us/search?q=What%27s%20Up%20%26%20Down%3F",
		"https://www.imdb.com/title/tt0022100/", "https://www.wikidata.org/wiki/Special:GoToLinkedPage/ruwiki/Q127021"}; !slices.Equal(addresses, want) {
		t.Errorf("by id: %q", addresses)
	}
	if links := Of(film, "en", []Template{{"A", "https://a.example/{kinopoisk}"}}); len(links) != 0 {
		t.Errorf("without the id it is needed for: %q", links)
	}
}

func TestTemplate(t *testing.T) {
	for _, d := range Default {
		if err := new(Template).UnmarshalText([]byte(d.Site + "=" + d.Form)); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
	for _, bad := range []string{"", "IMDb", "=https://a.example/", " A=https://a.example/", "A=http://a.example/{title}", "A=javascript:alert({title})",
		"A=https://{title}.example/", "A=https://a.example/{poster}", "A=https://a.example/{title", "A=https://u:p@a.example/", "A=/films/{title}",
		strings.Repeat("a", 41) + "=https://a.example/"} {
		if err := new(Template).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Whatever a title is, the link stays at its site.
func FuzzOf(f *testing.F) {
	for _, title := range []string{"M", "../..", "//evil.example/", "@evil.example", "?#", "\x00\n", "Иди и смотри"} {
		f.Add(title)
	}
	f.Fuzz(func(t *testing.T, title string) {
		for _, l := range Of(catalog.Movie{Title: title, Year: 1985}, "en", Default) {
			u, err := url.Parse(l.URL)
			if err != nil || u.Scheme != "https" || strings.Contains(u.Host, "evil") || u.Fragment != "" {
				t.Errorf("%q gives %q (%v)", title, l.URL, err)
			}
		}
	})
}
