package question_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"kassa/catalog"
	"kassa/catalog/lexicon"
	"kassa/catalog/question"
	"kassa/catalog/words"
	"kassa/domain"
)

// vocabulary is that of the shipped films.
var vocabulary = sync.OnceValue(func() *question.Vocabulary {
	movies, err := catalog.Shipped()
	if err != nil {
		panic(err)
	}
	var source question.Source
	var texts []string
	for _, g := range lexicon.Groups() {
		texts = append(texts, g.Phrases...)
	}
	for _, m := range movies {
		texts = append(texts, catalog.EmbeddingTexts(m)...)
		for _, p := range append(m.Directors, m.Cast...) {
			source.People = append(source.People, question.Name{Name: p.Name, NameRU: p.NameRU})
		}
		source.Titles = append(source.Titles, question.Title{ID: m.ID, Texts: []string{m.Title, m.TitleRU, m.OriginalTitle}})
	}
	source.Series = []question.Name{{Name: "The Godfather", NameRU: "Крёстный отец"}, {Name: "Back to the Future", NameRU: "Назад в будущее"}}
	source.Words = func(yield func(words.Word, int32) bool) {
		cutter := words.NewCutter()
		for _, text := range texts {
			for _, w := range cutter.Split(text) {
				if !yield(w, 1) {
					return
				}
			}
		}
	}
	return question.NewVocabulary(source)
})

func describe(q question.Question) string {
	var parts []string
	for _, c := range q.Corrections {
		parts = append(parts, fmt.Sprintf("%s>%s", c.From, c.To))
	}
	for _, f := range q.Filters {
		sign := ""
		if f.Not {
			sign = "!"
		}
		value := f.Value
		if f.From != 0 || f.To != 0 {
			value = strings.TrimSpace(fmt.Sprintf("%s %d-%d", value, f.From, f.To))
		}
		parts = append(parts, fmt.Sprintf("%s%s:%s", sign, f.Field, value))
	}
	return strings.Join(parts, "; ")
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ typed, text, read string }{
		// Typos, keyboard layouts, alphabets.
		{"the matix", "the Matrix", "matix>Matrix"},
		{"itnerstellar", "interstellar", "itnerstellar>interstellar"},
		{"понми", "помни", "понми>помни"},
		{"сеьм самураев", "Семь самураев", "сеьм>Семь"},
		{"matritsa", "Матрица", "matritsa>Матрица"},
		{"the imitaton game, matritsa", "the Imitation game Матрица", "imitaton>Imitation; matritsa>Матрица"},
		{"не про войну, комедия", "комедия", "!topic:войну; genre:comedy"},
		{"файт клаб", "Fight Club", "файт клаб>Fight Club"},
		{"про лорд оф зе рингс", "про The Lord of the Rings", "лорд оф зе рингс>The Lord of the Rings"},
		{"v boj idut odni stariki", "В бой идут одни старики", "v boj idut odni stariki>В бой идут одни «старики»"},
		{"ejik v tumane", "Ёжик в тумане", "ejik v tumane>Ёжик в тумане"},
		{"брюс вилис в небоскрёбе", "Bruce Willis в небоскрёбе", "брюс вилис>Bruce Willis"},
		{"клин фёрт", "Колин Фёрт", "клин>Колин; person:Колин Фёрт"},
		{"в эстонии на хуторе", "в эстонии на хуторе", ""},
		{"what temperature to bake bread", "what temperature to bake bread", ""},
		{"как далеко до солнца", "как далеко до солнца", ""},
		{"film pro mafiyu i loshadinuyu golovu", "фильм про мафию и лошадиную голову", "film>фильм; pro>про; mafiyu>мафию; i>и; loshadinuyu>лошадиную; golovu>голову"},
		{"vfnhbwf", "матрица", "vfnhbwf>матрица"},
		{"d rjnjhjv utybq cj,bhfk hj,jnf", "в котором гений собирал робота", "d>в; rjnjhjv>котором; utybq>гений; cj,bhfk>собирал; hj,jnf>робота"},
		{"еру ьфекшч", "the matrix", "еру>the; ьфекшч>matrix"},
		{"Звeздныe вoйны", "Звездные войны", "Звeздныe>Звездные; вoйны>войны"},
		{"хо\u00adро\u200bший пло\u200fхой", "хороший плохой", ""},
		{"о\u0301стров", "остров", ""},
		{"ДиКаприо", "Леонардо ДиКаприо", "person:Леонардо ДиКаприо"},
		{"фывапролдж йцукен", "фывапролдж йцукен", ""},
		{"ъъъъ щщщщ", "ъъъъ щщщщ", ""},
		{"пппп рррр дщщщ", "пппп рррр дщщщ", ""},
		{"аааа шшшш", "аааа шшшш", ""},
		{"щщщы ыыщщ", "щщщы ыыщщ", ""},
		{"ввв аываыва", "ввв аываыва", ""},
		{"ящик с кошкой оговорил рыцаря", "ящик с кошкой оговорил рыцаря", ""},

		// Conditions that describe the film.
		{"soviet comedy", "soviet comedy", "country:SU; genre:comedy"},
		{"советская комедия про баню", "про баню", "country:SU; genre:comedy"},
		{"грустная советская комедия, где мужики пьют", "грустная где мужики пьют", "country:SU; genre:comedy"},
		{"film before 1950", "film", "years:0-1949"},
		{"cartoon after 2005 about a robot", "about a robot", "genre:animation; years:2006-0"},
		{"comedy of the 80s about time travel", "about time travel", "genre:comedy; years:1980-1989"},
		{"комедия 90-х про бандитов", "про бандитов", "genre:comedy; years:1990-1999"},
		{"фильм шестидесятых про войну", "фильм про войну", "years:1960-1969"},
		{"film between 1950 and 1960 about a bicycle", "film about a bicycle", "years:1950-1960"},
		{"фильм с 1960 по 1970 год про художника", "фильм про художника", "years:1960-1970"},
		{"что-нибудь из 60-х, французское, чёрно-белое", "что нибудь французское чёрно белое", "years:1960-1969; country:FR; flag:black-and-white"},
		{"чёрно-белый фильм про самураев", "фильм про самураев", "flag:black-and-white"},
		{"animated film for children about a lost fish", "film about a lost fish", "genre:animation; flag:for-children"},
		{"фильм короче двух часов про космос", "фильм про космос", "runtime:0-120"},
		{"horror film under 90 minutes about a house", "film about a house", "genre:horror; runtime:0-90"},
		{"film over 99999999999999999999 hours", "film over 99999999999999999999 hours", ""},
		{"film under 0 minutes", "film under 0 minutes", ""},
		{"drama longer than 90 minutes, no shorter than an hour", "drama", "genre:drama; runtime:90-0; runtime:60-0"},
		{"не длиннее полутора часов, про любовь", "про любовь", "runtime:0-90"},
		{"film in french about love", "film about love", "language:fr"},
		{"фильм на японском языке про старость", "фильм про старость", "language:ja"},
		{"movie with Tom Hanks on an island", "movie on an island", "actor:Tom Hanks"},
		{"советский фильм 1979 года режиссёра Тарковского про зону", "фильм про зону", "country:SU; years:1979-1979; director:Андрей Тарковский"},
		{"фильм Рязанова про новый год", "фильм про новый год", "person:Эльдар Рязанов"},
		{"movie about dreams inside of dreams made after 2005", "movie about dreams inside of dreams", "years:2006-0"},
		{"oscar winning film about a ship", "film about a ship", "award:oscar"},
		{"назад в будущее 3", "назад в будущее", "series:Back to the Future 3-0"},
		{"крёстный отец два", "крёстный отец", "series:The Godfather 2-0"},
		{"крёстный отец, вторая часть", "крёстный отец", "series:The Godfather 2-0"},
		{"second godfather", "godfather", "series:The Godfather 2-0"},
		{"вторая часть крёстного отца", "крёстного отца", "series:The Godfather 2-0"},

		// Negative conditions.
		{"комедия не про зомби про школу", "про школу", "genre:comedy; !topic:зомби"},
		{"фильм без убийств про любовь", "фильм про любовь", "!topic:убийств"},
		{"сказка, не мультик", "сказка", "!genre:animation"},
		{"western not set in America about a stranger", "about a stranger", "genre:western; !country:US"},
		{"не американский детектив про поезд", "про поезд", "!country:US; genre:mystery"},
		{"японский мультфильм про девочку и духов, не Миядзаки", "про девочку и духов", "country:JP; genre:animation; !person:Хаяо Миядзаки"},
		{"like Alien but funny", "funny", "like:alien-1979"},
		{"что-то вроде Матрицы, только смешное", "что то смешное", "like:the-matrix-1999"},

		// Words of a story, and titles.
		{"a french spy teaches drama in Berlin", "a french spy teaches drama in Berlin", ""},
		{"drama teacher falls in love", "drama teacher falls in love", ""},
		{"man without memory tattoos himself", "man without memory tattoos himself", ""},
		{"парень без рук, вместо них ножницы", "парень без рук вместо них ножницы", ""},
		{"he looks like a brother", "he looks like a brother", ""},
		{"мужик не может уснуть и дерётся", "мужик не может уснуть и дерётся", ""},
		{"солдат возвращается с войны в 1945 году", "солдат возвращается с войны в 1945 году", ""},
		{"The Irony of Fate", "The Irony of Fate", ""},
		{"", "", ""},
		{" ?! ", "?!", ""},
	} {
		q := question.Read(c.typed, vocabulary())
		if got := describe(q); q.Text != c.text || got != c.read {
			t.Errorf("%q\n got %q  %s\nwant %q  %s", c.typed, q.Text, got, c.text, c.read)
		}
	}
}

// A question that is read again gives the same text: a user's own correction of it is
// not corrected back.
func TestReadAgain(t *testing.T) {
	for _, typed := range []string{"the matix", "vfnhbwf", "film pro mafiyu", "файт клаб", "Звeздныe вoйны"} {
		q := question.Read(typed, vocabulary())
		if again := question.Read(q.Text, vocabulary()); again.Text != q.Text || len(again.Corrections) > 0 {
			t.Errorf("%q reads as %q, and that as %q with %v", typed, q.Text, again.Text, again.Corrections)
		}
	}
}

// What a user takes back is searched for as typed, alone, with all that was corrected in
// it, and without a change of the words beside it.
func TestAsTyped(t *testing.T) {
	for _, c := range []struct {
		typed  string
		pieces []string
		marked string
		text   string // to search for
		read   string
	}{
		{"the matix", []string{"matix"}, "the !matix", "the matix", ""},
		{"vfnhbwf", []string{"vfnhbwf"}, "!vfnhbwf", "vfnhbwf", ""},
		{"film pro mafiyu", []string{"film", "mafiyu"}, "!film pro !mafiyu", "film pro mafiyu", ""},
		{"файт клаб", []string{"файт клаб"}, "!файт !клаб", "файт клаб", ""},
		{"Звeздныe вoйны", []string{"Звeздныe"}, "!Звeздныe вoйны", "Звeздныe войны", "вoйны>войны"},
		{"о привдении (ограбленее)", []string{"ограбленее"}, "о привдении !(ограбленее)", "о Привидение ограбленее", "привдении>Привидение"},
		{"!matix  and\nthe matix!", []string{"matix"}, "!matix and the !matix!", "matix and the matix", ""},
		{"wait ! !!! matrix", []string{"matrix"}, "wait ! !!! !matrix", "wait matrix", ""},
	} {
		marked, ok := question.AsTyped(c.typed, c.pieces...)
		q := question.Read(marked, vocabulary())
		if got := describe(q); !ok || marked != c.marked || q.Text != c.text || got != c.read || len(q.AsTyped) == 0 {
			t.Errorf("%q without %q\n got %q, %q  %s\nwant %q, %q  %s", c.typed, c.pieces, marked, q.Text, got, c.marked, c.text, c.read)
		}
		if again, ok := question.AsTyped(marked, c.pieces...); !ok || again != marked {
			t.Errorf("%q is marked again as %q", marked, again)
		}
	}
	for _, piece := range []string{"", "!", "matrix", "matix the", "mati", "the matix film"} {
		if marked, ok := question.AsTyped("the matix", piece); ok {
			t.Errorf("%q, which is no piece, is marked: %q", piece, marked)
		}
	}
}

// A condition that the text says to read as typed is recognised, and neither applied nor
// searched for; the rest is read as before.
func TestConditionsTakenBack(t *testing.T) {
	for _, c := range []struct {
		typed  string
		field  question.Field
		marked string
		text   string // to search for
		read   string
	}{
		{"a french comedy about a cook", question.Country, "a !french comedy about a cook", "a about a cook", "genre:comedy"},
		{"a french comedy about a cook", question.Genre, "a french !comedy about a cook", "a about a cook", "country:FR"},
		{"комедия до 1990 года про повара, не американская", question.Years, "комедия !до !1990 !года про повара, не американская", "про повара", "genre:comedy; !country:US"},
		{"комедия до 1990 года про повара, не американская", question.Country, "комедия до 1990 года про повара, !не !американская", "про повара", "genre:comedy; years:0-1989"},
		{"фильм про войну без зомби", question.Topic, "фильм про войну !без !зомби", "фильм про войну", ""},
		{"про девушку, не цветной", question.Flag, "про девушку, !не !цветной", "про девушку", ""},
		{"a film under two hours about a cook", question.Runtime, "a film !under !two !hours about a cook", "a film about a cook", ""},
		{"film directed by Akira Kurosawa about samurai", question.Director, "film !directed !by !Akira !Kurosawa about samurai", "film about samurai", ""},
		{"хоррор про дом, но без слэшера", question.Genre, "!хоррор про дом, но без слэшера", "про дом но", ""},
		{"французкая комедия про повара", question.Country, "!французкая комедия про повара", "французкая про повара", "genre:comedy"}, // it is not corrected any more, and so no condition
	} {
		before := question.Read(c.typed, vocabulary())
		at := slices.IndexFunc(before.Filters, func(f question.Filter) bool { return f.Field == c.field })
		if at < 0 {
			t.Errorf("%q: no %s in %s", c.typed, c.field, describe(before))
			continue
		}
		f := before.Filters[at]
		marked, ok := question.AsTyped(c.typed, f.Piece)
		q := question.Read(marked, vocabulary())
		if got := describe(q); !ok || marked != c.marked || q.Text != c.text || got != c.read {
			t.Errorf("%q without %q\n got %q, %q  %s\nwant %q, %q  %s", c.typed, f.Piece, marked, q.Text, got, c.marked, c.text, c.read)
		}
		if len(before.Corrections) == 0 && (len(q.TakenBack) != 1 || !q.TakenBack[0].Same(f) || len(q.AsTyped) > 0) {
			t.Errorf("%q: %+v is taken back, %q as typed, want %+v", marked, q.TakenBack, q.AsTyped, f)
		}
		if again, ok := question.AsTyped(marked, f.Piece); !ok || again != marked {
			t.Errorf("%q is marked again as %q", marked, again)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"the matix", "vfnhbwf", "comedy of the 80s", "не", "без", "like", "with", "до", "between 1990 and", "in", "вторая часть", "«»", "не в", "for", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q := question.Read(text, vocabulary())
		if !utf8.ValidString(q.Text) {
			t.Errorf("%q reads as %q", text, q.Text)
		}
		for _, filter := range q.Filters {
			if filter.Field == "" || filter.Typed == "" || filter.Value == "" && filter.From == 0 && filter.To == 0 {
				t.Errorf("%q: filter %+v says nothing", text, filter)
			}
		}
	})
}

// A long text of unknown words does not look up the vocabulary more often than a short
// one.
func TestReadIsBounded(t *testing.T) {
	vocabulary := vocabulary()
	q := question.Read(strings.Repeat("matrux ", 300), vocabulary)
	if n := len(q.Corrections); n == 0 || n > 40 {
		t.Errorf("%d of 300 words are corrected", n)
	}
}

func BenchmarkRead(b *testing.B) {
	vocabulary()
	for b.Loop() {
		question.Read("советская комедия 70-х про мужика, который попал в другой город, похожая на матрцу", vocabulary())
	}
}

// What only compares gets the year of the film that it compares with, and is then a condition.
func TestRelative(t *testing.T) {
	for said, want := range map[string]string{
		"older": "older than 1994", "something older": "older than 1994", "Newer!": "newer than 1994", "a more recent film": "newer than 1994",
		"старше": "раньше 1994 года", "что-нибудь поновее": "позже 1994 года", "более старый": "раньше 1994 года",
		"older and newer": "older and newer", "an older brother": "an older brother", "film": "film", "": "", "чёрно-белый": "чёрно-белый",
	} {
		if got := question.Relative(said, 1994); got != want {
			t.Errorf("%q becomes %q, want %q", said, got, want)
		}
		if got := question.Relative(said, 0); got != said {
			t.Errorf("%q becomes %q without a year", said, got)
		}
	}
	for said, want := range map[string]question.Filter{
		"older": {Field: question.Years, To: 1993}, "новее": {Field: question.Years, From: 1995}, "black and white": {Field: question.Flag, Value: "black-and-white"},
		"not with DiCaprio": {Field: question.Person, Value: "Leonardo DiCaprio", Not: true}, "не комедия": {Field: question.Genre, Value: "comedy", Not: true},
	} {
		text, err := domain.Refined("a thief steals from dreams", question.Relative(said, 1994))
		filters := question.Read(text, vocabulary()).Filters
		if err != nil || len(filters) != 1 {
			t.Fatalf("%q is read as %+v, %v", said, filters, err)
		}
		if filters[0].Typed, filters[0].Piece = "", ""; filters[0] != want {
			t.Errorf("%q is read as %+v, want %+v", said, filters[0], want)
		}
	}
}
