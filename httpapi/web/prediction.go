package web

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"kassa/catalog"
	"kassa/domain"
	"kassa/httpapi/paths"
	"kassa/projections"
	"kassa/vault"
)

// waitAnswer is how long the page after a question waits for its answer, which
// mostly is there sooner than a browser asks for the page.
const waitAnswer = time.Second

// asked is a question as lists and its own page show it.
type asked struct {
	*Language
	projections.Prediction
	Words  string // the question; "" where it is erased
	Erased bool
	State  string // what to call where it stands
	Titles string // of its first films
	Cost   string // what it came to
}

// Waiting, Found, Failed and Expired say where it stands.
func (a asked) Waiting() bool { return a.Prediction.State == domain.StateHeld }

// Found: there is an answer, which may have no films.
func (a asked) Found() bool { return a.Prediction.State == domain.StateCaptured }

// Expired: the answer did not come in time.
func (a asked) Expired() bool { return a.Prediction.State == domain.StateExpired }

// Failed: there cannot be an answer.
func (a asked) Failed() bool { return a.Prediction.State == domain.StateReleased }

// titlesShown is how many films of an answer stand in a list of questions.
const titlesShown = 3

func (v *visit) askedLine(p projections.Prediction) (asked, error) {
	line := asked{Language: v.Language, Prediction: p, State: v.T("state." + string(p.State)), Cost: v.Credits(p.Price)}
	if line.Failed() || line.Expired() {
		line.Cost = v.T("asked.free")
	}
	var err error
	line.Words, line.Erased, err = v.textOf(p)
	var titles []string
	for _, m := range p.Movies[:min(len(p.Movies), titlesShown)] {
		if film, ok := v.pages.Films.Movie(m.Movie); ok {
			titles = append(titles, v.titleOf(film))
		}
	}
	line.Titles = strings.Join(titles, " · ")
	return line, err
}

func (v *visit) askedLines(list []projections.Prediction) ([]asked, error) {
	lines := make([]asked, len(list))
	for i, p := range list {
		var err error
		if lines[i], err = v.askedLine(p); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// textOf opens a question.
func (v *visit) textOf(p projections.Prediction) (text string, erased bool, err error) {
	text, err = v.unlessLost(v.pages.Vault.OpenText(v.r.Context(), p.User, p.ID, p.Text))
	return text, text == "", err
}

// unlessLost gives "" for what was sealed under a key that is gone, and for what is
// damaged: one person's loss is no fault of a page that shows many.
func (v *visit) unlessLost(plain string, err error) (string, error) {
	if !vault.Lost(err) {
		return plain, err
	}
	if errors.Is(err, vault.ErrUnreadable) {
		v.pages.Problems.Explain(v.w, v.r, err) // to the log
	}
	return "", nil
}

type answerPage struct {
	frame
	Q       asked
	Heading string
	Failure string
	Films   []film
	Elapsed int // seconds since the question, while it waits
}

// Repeatable says whether the same question may be answered at another time.
func (p answerPage) Repeatable() bool {
	return !p.Q.Erased && (p.Q.Expired() || p.Q.Failed() && p.Q.Prediction.Failure == domain.FailedWorker)
}

// titleMost is how many characters of a question the title of its page has.
const titleMost = 70

// titleOfPage shortens a question to what fits on a browser's tab.
func titleOfPage(question string) string {
	line := []rune(strings.Join(strings.Fields(question), " "))
	if len(line) <= titleMost {
		return string(line)
	}
	return strings.TrimSpace(string(line[:titleMost])) + "…"
}

// prediction shows a question and what became of it.
func (p *Pages) prediction(v *visit) error {
	id, ok := paths.ID[domain.PredictionID](v.r)
	if !ok {
		return errNoPage
	}
	found, _, err := p.Views.Prediction(v.r.Context(), v.Person.User, id, v.least)
	if err == nil && !found.State.Ended() && v.justAsked() {
		ctx, cancel := context.WithTimeout(v.r.Context(), waitAnswer)
		found, _, err = p.Views.Ended(ctx, v.Person.User, id, found.Position)
		cancel()
		if err == nil {
			err = v.catchUp(found.EndPosition)
		}
	}
	if errors.Is(err, projections.ErrNotFound) {
		return errNoPage
	}
	if err != nil {
		return err
	}
	return v.showAnswer(found)
}

// justAsked tells the page that follows a question from later visits.
func (v *visit) justAsked() bool {
	c, err := v.r.Cookie(noteCookie)
	return err == nil && strings.HasPrefix(c.Value, string(noteAsked)+".")
}

func (v *visit) showAnswer(p projections.Prediction) error {
	page := answerPage{}
	var err error
	if page.Q, err = v.askedLine(p); err != nil {
		return err
	}
	switch p.State {
	case domain.StateHeld:
		page.Heading, page.Elapsed = v.T("answer.waiting"), max(0, int(time.Since(p.RequestedAt).Seconds()))
	case domain.StateReleased:
		page.Heading, page.Failure = v.T("answer.failed"), v.T("failure."+string(p.Failure))
	case domain.StateExpired:
		page.Heading = v.T("answer.expired")
	default:
		page.Films = v.cards(page.Q.Words, p.Movies)
		page.Heading = v.T("answer.found", v.N("n.films", len(page.Films)))
		if len(page.Films) == 0 {
			page.Heading = v.T("answer.none")
		}
	}
	v.Section, v.Title = "asked", cmp.Or(titleOfPage(page.Q.Words), v.T("answer.erased"))
	page.frame = v.frame
	return v.show(http.StatusOK, "prediction", page)
}

// film is one card of an answer, in the reader's language.
type film struct {
	*Language
	Place       int
	Gone        bool // out of the catalogue; only Place and Percent are known
	Title       string
	Original    string // "" where it is the title
	Year        int
	Facts       []string // countries, genres, runtime
	Directors   string
	Cast        string
	Description string
	Percent     int
	Why         string
}

func (v *visit) cards(question string, matches []domain.Match) []film {
	cards := make([]film, len(matches))
	for i, match := range matches {
		card := film{Language: v.Language, Place: i + 1, Percent: int(math.Round(100 * max(0, min(match.Score, 1))))}
		if m, ok := v.pages.Films.Movie(match.Movie); ok {
			v.describe(&card, m)
		} else {
			card.Gone = true
		}
		card.Why = v.T("film.meaning")
		if words := v.pages.Films.Explain(question, match.Movie); len(words) > 0 {
			card.Why = v.T("film.words", strings.Join(words, ", "))
		}
		cards[i] = card
	}
	return cards
}

func (v *visit) describe(card *film, m catalog.Movie) {
	card.Title, card.Year, card.Description = v.titleOf(m), m.Year, m.Description
	if v.Language == russian {
		card.Description = m.DescriptionRU
	}
	if m.OriginalTitle != card.Title {
		card.Original = m.OriginalTitle
	}
	card.Facts = []string{v.labels(m.Countries, catalog.Country), v.labels(m.Genres, catalog.Genre), v.N("n.minutes", m.Runtime)}
	card.Directors, card.Cast = v.names(m.Directors), v.names(m.Cast)
}

func (l *Language) titleOf(m catalog.Movie) string {
	if l == russian {
		return m.TitleRU
	}
	return m.Title
}

func (l *Language) labels(codes []string, label func(string) (catalog.Label, bool)) string {
	var names []string
	for _, code := range codes {
		if found, ok := label(code); ok {
			names = append(names, found.In(l.Code))
		}
	}
	return strings.Join(names, ", ")
}

func (l *Language) names(people []catalog.Person) string {
	names := make([]string, len(people))
	for i, p := range people {
		names[i] = p.Name
		if l == russian {
			names[i] = p.NameRU
		}
	}
	return strings.Join(names, ", ")
}
