package catalog

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A Sheet is a film as texts by field, as a form has it. A list has an entry on each line,
// and the parts of an entry are separated by vertical lines: "Tom Hanks | Том Хэнкс".
type Sheet map[string]string

// partSeparator is between the parts of an entry.
const partSeparator = " | "

// Yes is the text of a flag that a film has.
const Yes = "yes"

// column is one field of a Sheet. set returns the faults of a text that is none of it.
type column struct {
	field string
	get   func(Movie) string
	set   func(*Movie, string) []Fault
}

// columns are the fields of a Sheet, in the order of forms.
var columns = []column{
	textColumn("id", func(m *Movie) *string { return &m.ID }),
	textColumn("title", func(m *Movie) *string { return &m.Title }),
	textColumn("title_ru", func(m *Movie) *string { return &m.TitleRU }),
	textColumn("original_title", func(m *Movie) *string { return &m.OriginalTitle }),
	numberColumn("year", func(m *Movie) *int { return &m.Year }),
	numberColumn("runtime", func(m *Movie) *int { return &m.Runtime }),
	textColumn("description", func(m *Movie) *string { return &m.Description }),
	textColumn("description_ru", func(m *Movie) *string { return &m.DescriptionRU }),
	entriesColumn("directors", 2, func(m *Movie) *[]Person { return &m.Directors }, Person.parts, personOf),
	entriesColumn("cast", 2, func(m *Movie) *[]Person { return &m.Cast }, Person.parts, personOf),
	listColumn("genres", func(m *Movie) *[]string { return &m.Genres }),
	listColumn("countries", func(m *Movie) *[]string { return &m.Countries }),
	listColumn("keywords", func(m *Movie) *[]string { return &m.Keywords }),
	listColumn("keywords_ru", func(m *Movie) *[]string { return &m.KeywordsRU }),
	entriesColumn("characters", 3, func(m *Movie) *[]Character { return &m.Characters },
		func(c Character) []string { return []string{c.Name, c.NameRU, c.Actor} },
		func(p []string) Character { return Character{p[0], p[1], p[2]} }),
	entriesColumn("lines", 2, func(m *Movie) *[]Line { return &m.Lines },
		func(l Line) []string { return []string{l.Text, l.TextRU} },
		func(p []string) Line { return Line{p[0], p[1]} }),
	entriesColumn("settings", 2, func(m *Movie) *[]Setting { return &m.Settings },
		func(s Setting) []string { return []string{s.Name, s.NameRU} },
		func(p []string) Setting { return Setting{p[0], p[1]} }),
	listColumn("other_titles", func(m *Movie) *[]string { return &m.OtherTitles }),
	listColumn("moods", func(m *Movie) *[]string { return &m.Moods }),
	listColumn("themes", func(m *Movie) *[]string { return &m.Themes }),
	listColumn("languages", func(m *Movie) *[]string { return &m.Languages }),
	listColumn("awards", func(m *Movie) *[]string { return &m.Awards }),
	{"series", seriesText, setSeries},
	idColumn("imdb", func(i *IDs) *string { return &i.IMDb }),
	idColumn("kinopoisk", func(i *IDs) *string { return &i.Kinopoisk }),
	idColumn("wikidata", func(i *IDs) *string { return &i.Wikidata }),
	flagColumn("black_and_white", func(m *Movie) *bool { return &m.BlackAndWhite }),
	flagColumn("silent", func(m *Movie) *bool { return &m.Silent }),
	flagColumn("for_children", func(m *Movie) *bool { return &m.ForChildren }),
}

// SheetFields are the names of the fields, in the order of forms.
func SheetFields() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.field
	}
	return names
}

// Sheet is the film as a form has it.
func (m Movie) Sheet() Sheet {
	s := make(Sheet, len(columns))
	for _, c := range columns {
		s[c.field] = c.get(m)
	}
	return s
}

// Movie is the film of a form, with everything that is wrong in it. A film without an id
// gets that of its title and year.
func (s Sheet) Movie() (m Movie, faults []Fault) {
	unread := make(map[string]bool) // fields whose text is none of the field
	for _, c := range columns {
		of := c.set(&m, strings.TrimSpace(strings.ReplaceAll(s[c.field], "\r\n", "\n")))
		unread[c.field] = len(of) > 0
		faults = append(faults, of...)
	}
	if title := cmp.Or(m.Title, m.TitleRU); m.ID == "" && title != "" && m.Year >= yearMin {
		m.ID = NewID(title, m.Year)
	}
	m.normalize()
	for _, f := range m.Check() {
		derived := m.ID == "" && f.Field == "id" // what it is made of has a fault of its own
		if !unread[f.SheetField()] && !derived {
			faults = append(faults, f)
		}
	}
	return m, faults
}

// SheetField is the field of a Sheet that a fault is in.
func (f Fault) SheetField() string {
	if id, ok := strings.CutPrefix(f.Field, "ids."); ok {
		return id
	}
	name, _, _ := strings.Cut(f.Field, ".")
	name, _, _ = strings.Cut(name, "[")
	return name
}

// Entry is the number of the entry of a list that a fault is in, from 1; 0 for none.
func (f Fault) Entry() int {
	_, rest, ok := strings.Cut(f.Field, "[")
	number, _, _ := strings.Cut(rest, "]")
	if n, err := strconv.Atoi(number); ok && err == nil {
		return n + 1
	}
	return 0
}

// entries are the lines of a text that are not blank.
func entries(text string) (list []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

func textColumn(field string, in func(*Movie) *string) column {
	return column{field, func(m Movie) string { return *in(&m) }, func(m *Movie, text string) []Fault {
		*in(m) = text
		return nil
	}}
}

func listColumn(field string, in func(*Movie) *[]string) column {
	return column{field, func(m Movie) string { return strings.Join(*in(&m), "\n") }, func(m *Movie, text string) []Fault {
		*in(m) = entries(text)
		return nil
	}}
}

func flagColumn(field string, in func(*Movie) *bool) column {
	return column{field, func(m Movie) string {
		if *in(&m) {
			return Yes
		}
		return ""
	}, func(m *Movie, text string) []Fault {
		*in(m) = text != ""
		return nil
	}}
}

func numberColumn(field string, in func(*Movie) *int) column {
	return column{field, func(m Movie) string {
		if n := *in(&m); n != 0 {
			return strconv.Itoa(n)
		}
		return ""
	}, func(m *Movie, text string) []Fault {
		return setNumber(in(m), field, text)
	}}
}

func setNumber(to *int, field, text string) []Fault {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return []Fault{{field, FaultNumber, []any{Abridge(text)}}}
	}
	*to = n
	return nil
}

func idColumn(field string, in func(*IDs) *string) column {
	return column{field, func(m Movie) string {
		if m.IDs == nil {
			return ""
		}
		return *in(m.IDs)
	}, func(m *Movie, text string) []Fault {
		if text == "" {
			return nil
		}
		if m.IDs == nil {
			m.IDs = &IDs{}
		}
		*in(m.IDs) = text
		return nil
	}}
}

func (p Person) parts() []string { return []string{p.Name, p.NameRU} }

func personOf(parts []string) Person { return Person{parts[0], parts[1]} }

// entriesColumn is a list of entries with as many parts, of which the last may be missing.
func entriesColumn[E any](field string, parts int, in func(*Movie) *[]E, split func(E) []string, join func([]string) E) column {
	return column{field, func(m Movie) string {
		lines := make([]string, len(*in(&m)))
		for i, e := range *in(&m) {
			lines[i] = joinParts(split(e))
		}
		return strings.Join(lines, "\n")
	}, func(m *Movie, text string) (faults []Fault) {
		var list []E
		for i, line := range entries(text) {
			cut, ok := splitParts(line, parts)
			if !ok {
				faults = append(faults, Fault{field + "[" + strconv.Itoa(i) + "]", FaultParts, []any{len(cut), parts}})
				continue
			}
			list = append(list, join(cut))
		}
		*in(m) = list
		return faults
	}}
}

func joinParts(parts []string) string {
	for len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return strings.TrimSpace(strings.Join(parts, partSeparator))
}

// splitParts gives exactly that many parts, or all and false where there are more.
func splitParts(line string, most int) ([]string, bool) {
	parts := strings.Split(line, strings.TrimSpace(partSeparator))
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
	}
	if len(parts) > most {
		return parts, false
	}
	return slices.Concat(parts, make([]string, most-len(parts))), true
}

func seriesText(m Movie) string {
	if m.Series == nil {
		return ""
	}
	return joinParts([]string{m.Series.Name, m.Series.NameRU, strconv.Itoa(m.Series.Part)})
}

func setSeries(m *Movie, text string) []Fault {
	if text == "" {
		return nil
	}
	const parts = 3
	cut, ok := splitParts(text, parts)
	if !ok {
		return []Fault{{"series", FaultParts, []any{len(cut), parts}}}
	}
	m.Series = &Series{Name: cut[0], NameRU: cut[1]}
	return setNumber(&m.Series.Part, "series.part", cut[2])
}
