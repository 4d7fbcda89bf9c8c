// Package eval measures how well films are found: with judged questions, beside
// baselines in the same run. It measures the current catalogue and model, and changes
// nothing.
package eval

import (
	"context"
	"errors"
	"slices"

	"kassa/catalog"
	"kassa/catalog/judged"
)

// Report is the result of a measurement. Charges and calibration are those of the first
// system.
type Report struct {
	Questions     int         `json:"questions"`
	WithFilm      int         `json:"questions_with_film"`
	Films         int         `json:"films"`
	Model         string      `json:"model,omitempty"`
	NotFoundBelow float64     `json:"not_found_below"`
	Systems       []Found     `json:"systems"`
	LeftOut       []LeftOut   `json:"left_out,omitempty"`
	Charges       []Charges   `json:"charges"`
	Certainties   []Certainty `json:"certainties"`
	Calibration   Calibration `json:"calibration"`
}

// Found is how well a system finds the expected films.
type Found struct {
	System string    `json:"system"`
	Groups []Ranking `json:"groups"` // the first is all questions with a film
}

// LeftOut is a system that could not be measured here.
type LeftOut struct {
	System string `json:"system"`
	Why    string `json:"why"`
}

// Group is a subset of the questions.
type Group struct {
	By   string `json:"by"`
	Name string `json:"name,omitempty"` // the language or kind
}

// The properties by which questions are grouped.
const (
	byAll          = "all"
	byLanguage     = "language"
	byKind         = "kind"             // of questions with a film
	byMeant        = "film meant"       // all with a film
	byNotMeant     = "no film meant"    // all without
	byKindNotMeant = "no film, by kind" // of questions without a film
)

// Ranking is how well a system ranks films for the questions of a group that have
// expected films.
type Ranking struct {
	Group
	MRR      Figure `json:"mrr"`       // mean of 1/rank of the first expected film
	Recall1  Figure `json:"recall_1"`  // share with an expected film in the first place
	Recall5  Figure `json:"recall_5"`  // among the first five
	Recall10 Figure `json:"recall_10"` // among the first ten
	NDCG10   Figure `json:"ndcg_10"`   // normalised discounted cumulative gain of the first ten; each expected film gains 1
}

// Charges is what the questions of a group cost. An answer is charged if its confidence
// reaches the threshold.
type Charges struct {
	Group
	Charged Figure `json:"charged"`          // share that is charged
	Free    Figure `json:"free"`             // share that is not
	Right   Figure `json:"right_of_charged"` // share of the charged ones whose first film is right
}

// Certainty is how true a word for the confidence is: over the charged questions of a
// group whose answers bear it.
type Certainty struct {
	Group
	Word  catalog.Certainty `json:"word"`
	Share Figure            `json:"share"` // of the group's charged questions
	Right Figure            `json:"right"` // share of those with the word whose first film is right
}

// Settings are those of the measured service.
type Settings struct {
	Model         string
	NotFoundBelow float64
}

// Measure asks systems all questions. The report is about the first system; the others
// are for comparison.
func Measure(ctx context.Context, questions []judged.Question, movies []catalog.Movie, settings Settings, systems ...System) (Report, error) {
	report := Report{Questions: len(questions), Films: len(movies), Model: settings.Model, NotFoundBelow: settings.NotFoundBelow}
	questions, err := byID(questions, movies)
	if err != nil {
		return report, err
	}
	for i, s := range systems {
		results, err := s.ask(ctx, questions)
		if errors.Is(err, errUnavailable) && i > 0 {
			report.LeftOut = append(report.LeftOut, LeftOut{s.Name, err.Error()})
			continue
		}
		if err != nil {
			return report, err
		}
		if i == 0 {
			report.Charges = charges(results, settings.NotFoundBelow)
			report.Certainties = certainties(results, settings.NotFoundBelow)
			report.Calibration = calibrate(results)
		}
		results = slices.DeleteFunc(results, noFilmMeant)
		report.WithFilm = len(results)
		report.Systems = append(report.Systems, Found{s.Name, rankings(results)})
	}
	return report, nil
}

func noFilmMeant(r result) bool { return len(r.Expected) == 0 }

func rankings(results []result) []Ranking {
	var list []Ranking
	for _, p := range slices.Concat(parts(results, byAll, nil), parts(results, byLanguage, language), parts(results, byKind, kind)) {
		list = append(list, Ranking{p.Group, figureOf(p.results, reciprocalRank), figureOf(p.results, among(1)),
			figureOf(p.results, among(5)), figureOf(p.results, among(10)), figureOf(p.results, func(r result) float64 { return r.ndcg })})
	}
	return list
}

func charges(results []result, threshold float64) []Charges {
	none := slices.DeleteFunc(slices.Clone(results), func(r result) bool { return !noFilmMeant(r) })
	meant := slices.DeleteFunc(slices.Clone(results), noFilmMeant)
	isCharged := func(r result) bool { return r.confidence >= threshold }
	var list []Charges
	for _, p := range slices.Concat(parts(results, byAll, nil), parts(results, byLanguage, language),
		parts(meant, byMeant, nil), parts(meant, byKind, kind), parts(none, byNotMeant, nil), parts(none, byKindNotMeant, kind)) {
		charged := slices.DeleteFunc(slices.Clone(p.results), func(r result) bool { return !isCharged(r) })
		list = append(list, Charges{p.Group, figureOf(p.results, func(r result) float64 { return share(isCharged(r)) }),
			figureOf(p.results, func(r result) float64 { return share(!isCharged(r)) }), figureOf(charged, right)})
	}
	return list
}

// certainties are the words of the charged answers: of all, by language, by kind of the
// questions that mean a film, and of those that mean none.
func certainties(results []result, threshold float64) []Certainty {
	charged := slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.confidence < threshold })
	meant := slices.DeleteFunc(slices.Clone(charged), noFilmMeant)
	none := slices.DeleteFunc(slices.Clone(charged), func(r result) bool { return !noFilmMeant(r) })
	var list []Certainty
	for _, p := range slices.Concat(parts(charged, byAll, nil), parts(charged, byLanguage, language), parts(meant, byKind, kind), parts(none, byNotMeant, nil)) {
		for _, word := range catalog.Certainties {
			said := func(r result) bool { return r.certainty == word }
			with := slices.DeleteFunc(slices.Clone(p.results), func(r result) bool { return !said(r) })
			list = append(list, Certainty{p.Group, word, figureOf(p.results, func(r result) float64 { return share(said(r)) }), figureOf(with, right)})
		}
	}
	return list
}

// part is the results of a group.
type part struct {
	Group
	results []result
}

func language(r result) string { return r.Language }
func kind(r result) string     { return r.Kind }

// parts groups results by a name, in order of first appearance; nil puts all into one
// group. Results without a name are in no group.
func parts(results []result, by string, name func(result) string) []part {
	if name == nil {
		if len(results) == 0 {
			return nil
		}
		return []part{{Group{By: by}, results}}
	}
	var list []part
	for _, r := range results {
		n := name(r)
		if n == "" {
			continue
		}
		i := slices.IndexFunc(list, func(p part) bool { return p.Name == n })
		if i < 0 {
			i = len(list)
			list = append(list, part{Group: Group{by, n}})
		}
		list[i].results = append(list[i].results, r)
	}
	return list
}
