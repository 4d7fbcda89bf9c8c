package web

import (
	"net/http"
	"strings"

	"kassa/projections"
)

const searchPath = "/web/prediction-history/search"

// Bounds of a search. Texts are sealed, and no index of them is kept: each is opened and read.
const (
	searchedMost = 500 // questions, the newest
	foundMost    = 50  // that are shown
)

type searchPage struct {
	layout
	Words    string // that were searched for
	Lines    []predictionLine
	Found    int
	Searched int
	All      bool // of the person's questions were searched
}

// SearchWords is what was searched for.
func (p searchPage) SearchWords() string { return p.Words }

// SearchWords is nothing yet, on the list of all questions.
func (predictionsPage) SearchWords() string { return "" }

// search leads to what is found. The words are in a cookie for that page, and not in an address,
// where logs and other people's eyes would have them.
func (p *Pages) search(pc *pageContext) error {
	return pc.back(searchFields, pc.draftOf(searchFields), http.StatusOK, pc.showFound)
}

// found shows the questions that have all words of the search.
func (p *Pages) found(pc *pageContext) error {
	return pc.showFound(http.StatusOK, pc.readDraft(searchFields))
}

func (pc *pageContext) showFound(status int, d draft) error {
	words := strings.Fields(folded(d.get("words")))
	if len(words) == 0 {
		return pc.redirect("/web/prediction-history")
	}
	page := searchPage{Words: d.get("words")}
	list, err := pc.questionsWith(words, &page)
	if err != nil {
		return err
	}
	page.Found = len(list)
	if page.Lines, err = pc.conversationLines(list[:min(len(list), foundMost)]); err != nil {
		return err
	}
	pc.Title, pc.Section = pc.T("search.title"), "asked"
	page.layout = pc.layout
	return pc.show(status, "search", page)
}

// questionsWith gives the person's questions that have all the words, the newest first.
func (pc *pageContext) questionsWith(words []string, page *searchPage) (list []projections.Prediction, err error) {
	q := projections.PredictionQuery{PageQuery: projections.PageQuery{Limit: projections.MaxPage}}
	for page.Searched < searchedMost && !page.All {
		questions, _, err := pc.pages.Views.Predictions(pc.r.Context(), pc.Person.User, q, pc.minPosition)
		if err != nil {
			return nil, err
		}
		for _, p := range questions.Items {
			text, _, err := pc.textOf(p)
			if err != nil {
				return nil, err
			}
			if hasAll(folded(text), words) {
				list = append(list, p)
			}
		}
		page.Searched += len(questions.Items)
		q.Cursor, page.All = questions.Next, questions.Next == ""
	}
	return list, nil
}

// folded is text by which it is compared: without capitals, and with one way to write a letter.
func folded(text string) string { return strings.ReplaceAll(strings.ToLower(text), "ё", "е") }

func hasAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
