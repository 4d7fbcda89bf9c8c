package catalog

import (
	"cmp"
	"slices"
)

// partsMax is how many films of one series are in an answer to a question that does not
// name them.
const partsMax = 2

// spare is how many more films than requested are candidates, to replace films of one
// series by others.
func spare(limit int) int { return min(limit, 30) }

// matches returns the best films of a search, best first. Of a series that the question
// does not name it contains only partsMax, as long as there are others.
func (r *ranking) matches(limit int) []Match {
	slices.SortFunc(r.best.list, bestFirst)
	parts := make(map[string]int)
	var chosen, later []candidate
	for _, c := range r.best.list {
		series := r.seriesOf(c.film)
		if series != "" && !r.series && parts[series] >= partsMax && !r.namedByQuestion(c.film) {
			later = append(later, c)
			continue
		}
		parts[series]++
		chosen = append(chosen, c)
	}
	if missing := limit - len(chosen); missing > 0 {
		chosen = append(chosen, later[:min(missing, len(later))]...)
		slices.SortFunc(chosen, bestFirst)
	}
	chosen = chosen[:min(limit, len(chosen))]
	out := make([]Match, len(chosen))
	for i, c := range chosen {
		out[i] = Match{r.movies[c.film].ID, c.score}
	}
	return out
}

// seriesOf is the series of a film, or "".
func (r *ranking) seriesOf(film int) string {
	if s := r.movies[film].Series; s != nil {
		return cmp.Or(s.Name, s.NameRU)
	}
	return ""
}

// namedByQuestion reports whether names of the film make up at least half of the
// question.
func (r *ranking) namedByQuestion(film int) bool {
	if r.lexical[film].naming >= 0.5 {
		return true
	}
	share, _ := r.index.share(r.asked, nil, int32(film))
	return share >= 0.5
}
