package web

import (
	"context"
	"net/http"
	"strconv"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/requestlog"
	"kassa/projections"
)

// exampleKeys are questions offered to new users.
var exampleKeys = []string{"example.1", "example.2", "example.3", "example.4"}

// limits are the numbers of films offered.
var limits = []int{3, commands.DefaultLimit, 10, 20}

// lastShown is how many questions are listed under the form.
const lastShown = 4

type homePage struct {
	layout
	publicLinks
	Films    int // in the catalogue
	Examples []string
	Answered []example // for guests
	Sandbox  bool
	Ask      askForm
	Last     []predictionLine
}

type askForm struct {
	Text   string
	Limit  int
	Limits []int
	Errors fieldErrors
	TopUps []domain.Credits // offered where the balance is less than the price
}

// Short reports whether the balance is less than the price.
func (f askForm) Short() bool { return len(f.TopUps) > 0 }

// Next numbers the examples from one.
func (homePage) Next(i int) int { return i + 1 }

func (p *Pages) home(pc *pageContext) error {
	if pc.Person == nil {
		return pc.showHome(http.StatusOK, draft{}) // after a sign-in, a draft may be there
	}
	d := pc.takeDraft(askFields)
	query := pc.r.URL.Query()
	if n, err := strconv.Atoi(query.Get("example")); err == nil && n >= 1 && n <= len(exampleKeys) {
		d.Fields.Set("text", pc.T(exampleKeys[n-1]))
	}
	if id := domain.PredictionID(query.Get("again")); id.Valid() {
		if earlier, _, err := p.Views.Prediction(pc.r.Context(), pc.Person.User, id, pc.minPosition); err == nil {
			text, _, err := pc.textOf(earlier)
			if err != nil {
				return err
			}
			d.Fields.Set("text", text)
			d.Fields.Set("limit", strconv.Itoa(earlier.Limit))
		}
	}
	return pc.showHome(http.StatusOK, d)
}

func (pc *pageContext) showHome(status int, d draft) error {
	pc.Title, pc.Section = pc.T("home.title"), "ask"
	page := homePage{Films: pc.pages.Films.Len(), Sandbox: pc.pages.Sandbox, Ask: pc.askForm(d)}
	for _, key := range exampleKeys {
		page.Examples = append(page.Examples, pc.T(key))
	}
	name := "welcome"
	if pc.Person == nil {
		var err error
		if page.Answered, err = pc.answered(); err != nil {
			return err
		}
	} else {
		name, pc.Title, pc.Form = "home", pc.T("ask.title"), askFields.name
		page.Ask.complete(pc.Price, pc.Balance.Available)
		last, _, err := pc.pages.Views.Predictions(pc.r.Context(), pc.Person.User,
			projections.PredictionQuery{PageQuery: projections.PageQuery{Limit: lastShown}}, pc.minPosition)
		if err != nil {
			return err
		}
		if page.Last, err = pc.predictionLines(last.Items); err != nil {
			return err
		}
	}
	page.layout, page.publicLinks = pc.layout, pc.publicLinks("/web")
	return pc.show(status, name, page)
}

// complete adds what the form offers: numbers of films, and deposits where the balance
// is less than the price.
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

// withLimit adds a number that the user chose elsewhere, such as in the API.
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

// ask submits the question.
func (p *Pages) ask(pc *pageContext) error {
	form := pc.askForm(pc.draftOf(askFields))
	a, err := idempotent(pc, func(ctx context.Context, key string) (commands.Requested, error) {
		return p.Commands.Predict(ctx, commands.Predict{User: pc.Person.User, Text: form.Text, Limit: form.Limit, Key: key})
	})
	if err == nil {
		return pc.asked(a)
	}
	return pc.refused(askFields, err, pc.showHome)
}

// asked redirects to the page of a question.
func (pc *pageContext) asked(a commands.Requested) error {
	line := requestlog.Of(pc.r.Context())
	line.Prediction, line.Replayed = a.Prediction, a.Replayed
	return pc.redirectAfter("/web/prediction/"+string(a.Prediction), flash{kind: flashAsked, position: a.Position})
}

// askForm is the question as it was typed.
func (pc *pageContext) askForm(d draft) askForm {
	limit, err := strconv.Atoi(d.get("limit"))
	if err != nil {
		limit = commands.DefaultLimit
	}
	form := askForm{Text: d.get("text"), Limit: limit}
	if d.Code != domain.InsufficientFunds { // missing credits are shown elsewhere on the page
		form.Errors = pc.fieldErrorsOf(d.Code, pc.Balance.Available)
	}
	return form
}
