package eval

import (
	"fmt"
	"slices"
	"strconv"

	"kassa/catalog"
	"kassa/catalog/judged"
)

// byID returns the questions with their expected films as ids.
func byID(questions []judged.Question, movies []catalog.Movie) ([]judged.Question, error) {
	const several = "" // films of one title and year
	ids := make(map[string]string, 3*len(movies))
	for _, m := range movies {
		ids[m.ID] = m.ID
	}
	for _, m := range movies {
		for _, title := range []string{m.Title, m.TitleRU} {
			name := title + " (" + strconv.Itoa(m.Year) + ")"
			if title == "" {
				continue
			}
			if id, ok := ids[name]; ok && id != m.ID {
				ids[name] = several
				continue
			}
			ids[name] = m.ID
		}
	}
	resolved := slices.Clone(questions)
	for i := range resolved {
		q := &resolved[i]
		q.Expected = nil
		for _, film := range questions[i].Expected {
			id, ok := ids[film]
			switch {
			case !ok:
				return nil, fmt.Errorf("line %d: question %s expects %q, which is not in the catalogue", q.Line, q.ID, film)
			case id == several:
				return nil, fmt.Errorf("line %d: question %s expects %q, which are several films: name the id", q.Line, q.ID, film)
			case !slices.Contains(q.Expected, id):
				q.Expected = append(q.Expected, id)
			}
		}
	}
	return resolved, nil
}
