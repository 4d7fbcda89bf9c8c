package web

import (
	"context"
	"net/http"
	"strconv"

	"kassa/commands"
	"kassa/domain"
	"kassa/projections"
)

// exampleKeys are the questions that fill the box for those who do not know what
// can be asked.
var exampleKeys = []string{"example.1", "example.2", "example.3", "example.4"}

// limits are the numbers of films that the box offers.
var limits = []int{3, commands.DefaultLimit, 10, 20}

// lastShown is how many questions stand under the box.
const lastShown = 4

type homePage struct {
	frame
	Films    int // in the catalogue
	Examples []string
	Ask      askForm
	Last     []asked
}

type askForm struct {
	Text   string
	Limit  int
	Limits []int
	Faults faults
	TopUps []domain.Credits // offered where the price is more than there is
}

// Short says whether the price is more than there is.
func (f askForm) Short() bool { return len(f.TopUps) > 0 }

// Next numbers the examples from one.
func (homePage) Next(i int) int { return i + 1 }

func (p *Pages) home(v *visit) error {
	if v.Person == nil {
		return v.showHome(http.StatusOK, draft{}) // a draft waits for the sign-in
	}
	d := v.takeDraft(askingForm)
	query := v.r.URL.Query()
	if n, err := strconv.Atoi(query.Get("example")); err == nil && n >= 1 && n <= len(exampleKeys) {
		d.Fields.Set("text", v.T(exampleKeys[n-1]))
	}
	if id := domain.PredictionID(query.Get("again")); id.Valid() {
		if earlier, _, err := p.Views.Prediction(v.r.Context(), v.Person.User, id, v.least); err == nil {
			text, _, err := v.textOf(earlier)
			if err != nil {
				return err
			}
			d.Fields.Set("text", text)
			d.Fields.Set("limit", strconv.Itoa(earlier.Limit))
		}
	}
	return v.showHome(http.StatusOK, d)
}

func (v *visit) showHome(status int, d draft) error {
	v.Title, v.Section = v.T("home.title"), "ask"
	page := homePage{Films: v.pages.Films.Len(), Ask: v.askForm(d)}
	for _, key := range exampleKeys {
		page.Examples = append(page.Examples, v.T(key))
	}
	name := "welcome"
	if v.Person != nil {
		name, v.Title, v.Form = "home", v.T("ask.title"), askingForm.name
		page.Ask.complete(v.Price, v.Balance.Available)
		last, _, err := v.pages.Views.Predictions(v.r.Context(), v.Person.User,
			projections.PredictionQuery{PageQuery: projections.PageQuery{Limit: lastShown}}, v.least)
		if err != nil {
			return err
		}
		if page.Last, err = v.askedLines(last.Items); err != nil {
			return err
		}
	}
	page.frame = v.frame
	return v.show(status, name, page)
}

// complete adds what the form offers: numbers of films, and deposits where the
// price is more than there is.
func (f *askForm) complete(price, available domain.Credits) {
	if f.Limit < 1 || f.Limit > domain.MaxMovies {
		f.Limit = commands.DefaultLimit
	}
	f.Limits = withLimit(f.Limit)
	if missing := price - available; missing > 0 {
		for _, amount := range presets {
			if amount >= missing && len(f.TopUps) < 2 {
				f.TopUps = append(f.TopUps, amount)
			}
		}
		if !f.Short() {
			f.TopUps = []domain.Credits{missing}
		}
	}
}

// withLimit keeps a number that a person chose elsewhere, such as in the API.
func withLimit(n int) []int {
	var list []int
	for _, l := range limits {
		if n < l && (len(list) == 0 || list[len(list)-1] < n) {
			list = append(list, n)
		}
		list = append(list, l)
	}
	if n > list[len(list)-1] {
		list = append(list, n)
	}
	return list
}

// ask sends the question.
func (p *Pages) ask(v *visit) error {
	form := v.askForm(v.draftOf(askingForm))
	a, err := once(v, func(ctx context.Context, key string) (commands.Asked, error) {
		return p.Commands.Predict(ctx, commands.Predict{User: v.Person.User, Text: form.Text, Limit: form.Limit, Key: key})
	})
	if err == nil {
		return v.sendAfter("/web/prediction/"+string(a.Prediction), note{kind: noteAsked, position: a.Position})
	}
	return v.refused(askingForm, err, v.showHome)
}

// askForm is the form of a question as it was typed.
func (v *visit) askForm(d draft) askForm {
	limit, err := strconv.Atoi(d.get("limit"))
	if err != nil {
		limit = commands.DefaultLimit
	}
	form := askForm{Text: d.get("text"), Limit: limit}
	if d.Code != domain.InsufficientFunds { // what is missing has a place of its own on the page
		form.Faults = v.faultsOf(d.Code, v.Balance.Available)
	}
	return form
}
