package httpapi

import (
	"fmt"
	"slices"

	"kassa/catalog/question"
	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/problem"
)

// takenBack is what a question does without of its reading.
type takenBack struct {
	asTyped   []string          // pieces in which nothing is corrected
	filters   []question.Filter // the conditions that stay
	chosen    bool              // filters are given; else all stay
	insteadOf string            // the earlier prediction
}

// takenBackMax bounds the pieces and the conditions that are named.
const takenBackMax = 100

// takeBack is the question with corrections and conditions taken back, and the earlier one
// that it is asked instead of.
func (s *Server) takeBack(ask commands.Predict, back takenBack) (commands.Predict, error) {
	if len(back.asTyped) > takenBackMax || len(back.filters) > takenBackMax {
		return ask, domain.Reject(problem.InvalidField, "as_typed and filters have at most %d members each", takenBackMax)
	}
	if len(back.asTyped) > 0 || back.chosen {
		if err := domain.CheckText(ask.Text); err != nil {
			return ask, err
		}
		sent := fmt.Sprintf("%q as typed %q with %+v", ask.Text, back.asTyped, back.filters)
		text, ok := question.AsTyped(ask.Text, back.asTyped...)
		if !ok {
			return ask, domain.Reject(domain.InvalidText, "as_typed has words that are not in the text")
		}
		ask.Text = text
		if back.chosen {
			ask.Sent = sent
			if text, ok = s.withFilters(text, back.filters); ok {
				ask.Text = text
			} else {
				ask.Refused = domain.Reject(problem.ConditionNotRead, "filters has a condition that is not read out of the text: write it in the text")
			}
		}
	}
	ask.InsteadOf = domain.PredictionID(back.insteadOf)
	if back.insteadOf != "" && !ask.InsteadOf.Valid() {
		return ask, domain.Reject(problem.InvalidField, "instead_of must be the id of a prediction")
	}
	return ask, nil
}

// withFilters is a text with all conditions taken back but some. It returns false where it
// has not all of these.
func (s *Server) withFilters(text string, filters []question.Filter) (string, bool) {
	read := s.Films.Read(text).Filters
	for _, f := range filters {
		if !slices.ContainsFunc(read, f.Same) {
			return "", false
		}
	}
	var pieces []string
	for _, f := range read {
		if !slices.ContainsFunc(filters, f.Same) {
			pieces = append(pieces, f.Piece)
		}
	}
	return question.AsTyped(text, pieces...)
}
