package poster

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kassa/catalog"
)

var update = flag.Bool("update", false, "write the golden poster")

func shipped(t *testing.T) []catalog.Movie {
	t.Helper()
	movies, err := catalog.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return movies
}

// A film has the same picture for ever. Whoever changes how posters are drawn changes the
// edition too, or browsers keep the old pictures.
func TestDrawIsTheSame(t *testing.T) {
	film := catalog.Movie{ID: "the-lighthouse-by-the-sea-1931", Title: "The Lighthouse by the Sea", TitleRU: "Маяк у моря", Year: 1931,
		Directors: []catalog.Person{{Name: "Ada Keeper", NameRU: "Ада Смотритель"}}, Moods: []string{"melancholic"}, Genres: []string{"drama"},
		Keywords: []string{"lighthouse in the fog", "letters to a sister", "old dog"}}
	const golden = "testdata/lighthouse-ru.svg"
	drawn := Draw(Film{film, "ru"})
	if *update {
		if err := os.WriteFile(golden, drawn, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(drawn, kept) {
		t.Errorf("the poster is another than %s, edition %s (%v)", golden, edition, err)
	}
	if !bytes.Contains(drawn, []byte(`aria-label="Маяк у моря (1931)"`)) {
		t.Error("the poster does not say what it shows")
	}
	english, changed := Film{film, "en"}, Film{film, "ru"}
	changed.Moods = []string{"funny"}
	if v := (Film{film, "ru"}).Version(); v == english.Version() || v == changed.Version() || v != (Film{film, "ru"}).Version() {
		t.Error("another picture has the same version, or the same picture another")
	}
}

// number is a coordinate in a path of letters.
var number = regexp.MustCompile(`-?[0-9.]+ -?[0-9.]+`)

// titlePaths are the paths of the letters: the credit and the title.
func titlePaths(t *testing.T, svg []byte) []string {
	t.Helper()
	_, below, ok := bytes.Cut(svg, []byte("</svg>")) // of the picture
	if !ok {
		t.Fatal("there is no title below a picture")
	}
	var paths []string
	for _, m := range regexp.MustCompile(`<path d="([^"]*)"`).FindAllSubmatch(below, -1) {
		paths = append(paths, string(m[1]))
	}
	return paths
}

// Titles of every length keep their place, in both scripts.
func TestTitlesFit(t *testing.T) {
	titles := []string{"M", "8½", strings.Repeat("Щ", 60), strings.Repeat("Wide words ", 27), "Приключения Шерлока Холмса и доктора Ватсона: Собака Баскервилей", strings.Repeat("и ", 150)}
	var films []Film
	for i, title := range titles {
		for _, genre := range []string{"science-fiction", "family", "war", "romance"} {
			films = append(films, Film{catalog.Movie{ID: fmt.Sprint("film-", i), Title: title, Year: 2000, Genres: []string{genre},
				Directors: []catalog.Person{{Name: strings.Repeat("Очень длинное имя ", 11)}}}, "en"})
		}
	}
	for _, m := range shipped(t) {
		films = append(films, Film{m, "ru"}, Film{m, "en"})
	}
	for _, f := range films {
		svg := Draw(f)
		paths := titlePaths(t, svg)
		if len(paths) != 2 {
			t.Fatalf("%s, %s: %d paths of letters, want a credit and a title", f.ID, f.title(), len(paths))
		}
		for _, point := range number.FindAllString(strings.Join(paths, ""), -1) {
			x, y, _ := strings.Cut(point, " ")
			h, _ := strconv.ParseFloat(x, 64)
			v, _ := strconv.ParseFloat(y, 64)
			if h < margin-3 || h > posterWidth-margin+3 || v < pictureHeight || v > posterHeight-4 {
				t.Fatalf("%q (%s) has a letter at %s", f.title(), f.face(), point)
			}
		}
	}
}

// Every poster is an SVG without anything that loads or runs, and of a moderate size.
func TestPostersAreHarmless(t *testing.T) {
	hostile := catalog.Movie{ID: "x-1999", Title: `黑<script>alert("&")</script>`, Year: 1999}
	for _, m := range append(shipped(t), hostile, catalog.Movie{ID: "no-year-1900", TitleRU: "А", Year: 1900}) {
		svg := Draw(Film{m, "ru"})
		if len(svg) > 48<<10 {
			t.Errorf("%s has %d bytes", m.ID, len(svg))
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			token, err := d.Token()
			if token == nil {
				if err.Error() != "EOF" {
					t.Errorf("%s is no XML: %v", m.ID, err)
				}
				break
			}
			start, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			switch start.Name.Local {
			case "svg", "g", "path", "circle", "ellipse", "text":
			default:
				t.Errorf("%s has an element %s", m.ID, start.Name.Local)
			}
			for _, a := range start.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || a.Name.Local == "style" || len(a.Value) == 1 && strings.Contains("ABCD", a.Value) {
					t.Errorf("%s has %s=%q", m.ID, a.Name.Local, a.Value)
				}
			}
		}
	}
}

// Letters can be read, and objects seen, in every palette.
func TestPalettes(t *testing.T) {
	all := append([]palette{}, silver...)
	for _, list := range palettes {
		all = append(all, list...)
	}
	for _, p := range all {
		if c := contrast(p.main, p.ground); c < 4.5 {
			t.Errorf("%v: letters have a contrast of %.1f", p, c)
		}
		if c := contrast(p.main, p.deep); c < 3 {
			t.Errorf("%v: objects have a contrast of %.1f", p, c)
		}
	}
}

// Side by side the posters differ: no object, palette or composition is on too many.
func TestPostersDiffer(t *testing.T) {
	movies := shipped(t)
	objects, looks := map[string]int{}, map[string]int{}
	for _, m := range movies {
		f := Film{m, "en"}
		objects[f.motifs()[0].name]++
		looks[fmt.Sprint(f.palette(), f.motifs()[0].name, fmt.Sprintf("%p", f.composition()))]++
	}
	for name, n := range objects {
		if n > len(movies)/15 {
			t.Errorf("%d of %d posters show the object %s", n, len(movies), name)
		}
	}
	if len(objects) < 60 || len(looks) < len(movies)*9/10 {
		t.Errorf("%d objects, %d looks for %d films", len(objects), len(looks), len(movies))
	}
	for word, names := range motifsByWord {
		for _, name := range names {
			if motifs[name].shapes == "" {
				t.Errorf("%s asks for %s, which has no shapes", word, name)
			}
		}
	}
	for genre, names := range genreMotifs {
		for _, name := range append(names, anyMotif...) {
			if motifs[name].shapes == "" {
				t.Errorf("%s asks for %s, which is not drawn", genre, name)
			}
		}
	}
}

// Fifty posters beside each other, for looking at them: into the folder KASSA_POSTERS.
func TestFiftyTogether(t *testing.T) {
	folder := os.Getenv("KASSA_POSTERS")
	if folder == "" {
		folder = t.TempDir()
	}
	movies := shipped(t)
	page := `<!doctype html><meta charset="utf-8"><body style="margin:12px;background:#e6ebee;display:flex;flex-wrap:wrap;gap:12px">`
	for i := range 50 {
		m := movies[i*len(movies)/50]
		f := Film{m, []string{"ru", "en"}[i%2]}
		if err := os.WriteFile(filepath.Join(folder, m.ID+".svg"), Draw(f), 0o644); err != nil {
			t.Fatal(err)
		}
		page += fmt.Sprintf("<img src=%q width=150 height=225>", m.ID+".svg")
	}
	if err := os.WriteFile(filepath.Join(folder, "index.html"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}
