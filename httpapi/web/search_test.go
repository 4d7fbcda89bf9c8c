package web

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strconv"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/projections"
)

// manyQuestions are views of a person with many questions, and their vault.
type manyQuestions struct {
	Views
	Vault
	all, opened int
}

func (m *manyQuestions) Predictions(_ context.Context, u domain.UserID, q projections.PredictionQuery, _ eventstore.Position) (page projections.Page[projections.Prediction], at eventstore.Position, err error) {
	from, _ := strconv.Atoi(q.Cursor)
	for n := from; n < min(from+q.Limit, m.all); n++ {
		page.Items = append(page.Items, projections.Prediction{ID: domain.PredictionID(fmt.Sprint("p_", n)), User: u})
	}
	if from+q.Limit < m.all {
		page.Next = strconv.Itoa(from + q.Limit)
	}
	return page, 0, nil
}

func (m *manyQuestions) OpenText(_ context.Context, _ domain.UserID, p domain.PredictionID, _ domain.Sealed) (string, error) {
	m.opened++
	return "question " + string(p), nil
}

// A search opens so many texts and no more, however many questions there are.
func TestSearchIsBounded(t *testing.T) {
	for _, tt := range []struct {
		all, searched int
		whole         bool
	}{{0, 0, true}, {99, 99, true}, {searchedMost, searchedMost, true}, {searchedMost + 1, searchedMost, false}, {10_000, searchedMost, false}} {
		m := &manyQuestions{all: tt.all}
		pc := &pageContext{pages: &Pages{Views: m, Vault: m}, r: httptest.NewRequestWithContext(t.Context(), "GET", searchPath, nil), layout: layout{Person: &identity.Person{User: "u_1"}}}
		var page searchPage
		list, err := pc.questionsWith([]string{"question"}, &page)
		if err != nil || len(list) != tt.searched || page.Searched != tt.searched || m.opened != tt.searched || page.All != tt.whole {
			t.Errorf("of %d questions %d are opened, %d found, %+v, %v", tt.all, m.opened, len(list), page.Searched, err)
		}
	}
}
