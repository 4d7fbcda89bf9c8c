package eval

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"kassa/catalog"
	"kassa/catalog/judged"
)

// A HardCondition makes a measurement harder, as imported catalogues and real questions
// are. Weights fitted only where every system finds everything would mean little there.
type HardCondition struct {
	Name string
	Film func(catalog.Movie) catalog.Movie
	Text func(string) string
}

// HardConditions are the conditions under which weights are fitted.
func HardConditions() []HardCondition {
	same := func(text string) string { return text }
	return []HardCondition{
		{"as they are", func(m catalog.Movie) catalog.Movie { return m }, same},
		{"half of the words", func(m catalog.Movie) catalog.Movie { return m }, everySecondWord},
		{"no keywords", withoutKeywords, same},
		{"no keywords, half of the words", withoutKeywords, everySecondWord},
		{"English texts only", func(m catalog.Movie) catalog.Movie { return inOneLanguage(m, false) }, same},
		{"Russian texts only", func(m catalog.Movie) catalog.Movie { return inOneLanguage(m, true) }, same},
		{"English only, no keywords", func(m catalog.Movie) catalog.Movie { return inOneLanguage(withoutKeywords(m), false) }, same},
		{"Russian only, no keywords", func(m catalog.Movie) catalog.Movie { return inOneLanguage(withoutKeywords(m), true) }, same},
	}
}

func everySecondWord(text string) string {
	var kept []string
	for i, word := range strings.Fields(text) {
		if i%2 == 0 {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

func withoutKeywords(m catalog.Movie) catalog.Movie {
	m.Keywords, m.KeywordsRU = []string{}, []string{}
	return m
}

// inOneLanguage removes the texts of the other language from a film. Its codes stay,
// and their labels are in both languages.
func inOneLanguage(m catalog.Movie, russian bool) catalog.Movie {
	keep := func(english, inRussian *string) {
		if russian && *inRussian != "" {
			*english = ""
		} else if !russian && *english != "" {
			*inRussian = ""
		}
	}
	keep(&m.Title, &m.TitleRU)
	keep(&m.Description, &m.DescriptionRU)
	m.Directors, m.Cast, m.Characters = slices.Clone(m.Directors), slices.Clone(m.Cast), slices.Clone(m.Characters)
	m.Lines, m.Settings = slices.Clone(m.Lines), slices.Clone(m.Settings)
	for _, people := range [][]catalog.Person{m.Directors, m.Cast} {
		for i := range people {
			keep(&people[i].Name, &people[i].NameRU)
		}
	}
	for i := range m.Characters {
		keep(&m.Characters[i].Name, &m.Characters[i].NameRU)
	}
	for i := range m.Lines {
		keep(&m.Lines[i].Text, &m.Lines[i].TextRU)
	}
	for i := range m.Settings {
		keep(&m.Settings[i].Name, &m.Settings[i].NameRU)
	}
	if m.Series != nil {
		series := *m.Series
		keep(&series.Name, &series.NameRU)
		m.Series = &series
	}
	if russian {
		m.Keywords = []string{}
	} else {
		m.KeywordsRU = []string{}
	}
	return m
}

// Condition is the result of all systems under a hard condition.
type Condition struct {
	Name    string `json:"name"`
	Systems []Gain `json:"systems"`
}

// Gain is a system's mean reciprocal rank, and its difference from the previous system:
// it is significant if its interval does not contain 0.
type Gain struct {
	System string  `json:"system"`
	MRR    Figure  `json:"mrr"`
	Gain   *Figure `json:"gain,omitempty"` // nil for the first system
}

// Conditions are the results under all hard conditions.
type Conditions []Condition

// MeasureHard measures systems under each hard condition, with the questions that have
// an answer. systems makes the systems for the films of a condition.
func MeasureHard(ctx context.Context, questions []judged.Question, movies []catalog.Movie, systems func([]catalog.Movie) ([]System, error)) (Conditions, error) {
	questions, err := byID(questions, movies) // before a condition removes titles
	if err != nil {
		return nil, err
	}
	questions = slices.DeleteFunc(questions, func(q judged.Question) bool { return len(q.Expected) == 0 })
	var all Conditions
	for _, h := range HardConditions() {
		changed := make([]catalog.Movie, len(movies))
		for i, m := range movies {
			changed[i] = h.Film(m)
		}
		asked := slices.Clone(questions)
		for i := range asked {
			asked[i].Text = h.Text(asked[i].Text)
		}
		list, err := systems(changed)
		if err != nil {
			return nil, fmt.Errorf("measure with %s: %w", h.Name, err)
		}
		gains, err := measureGains(ctx, asked, list)
		if err != nil {
			return nil, fmt.Errorf("measure with %s: %w", h.Name, err)
		}
		all = append(all, Condition{h.Name, gains})
	}
	return all, nil
}

func measureGains(ctx context.Context, questions []judged.Question, systems []System) ([]Gain, error) {
	var gains []Gain
	var before []result
	for _, s := range systems {
		results, err := s.ask(ctx, questions)
		if err != nil {
			return nil, err
		}
		g := Gain{System: s.Name, MRR: figureOf(results, reciprocalRank)}
		if before != nil {
			differences := make([]float64, len(results))
			for i, r := range results {
				differences[i] = reciprocalRank(r) - reciprocalRank(before[i])
			}
			gain := figure(differences)
			g.Gain = &gain
		}
		gains, before = append(gains, g), results
	}
	return gains, nil
}

// Write writes a table.
func (c Conditions) Write(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, condition := range c {
		if i == 0 {
			fmt.Fprint(table, "\t")
			for _, s := range condition.Systems {
				fmt.Fprintf(table, "%s\t\t", s.System)
			}
			fmt.Fprintln(table)
		}
		fmt.Fprintf(table, "%s\t", condition.Name)
		for _, s := range condition.Systems {
			fmt.Fprintf(table, "%.3f\t", s.MRR.Value)
			if s.Gain != nil {
				fmt.Fprintf(table, "%+.3f to %+.3f", s.Gain.Low, s.Gain.High)
			}
			fmt.Fprint(table, "\t")
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
