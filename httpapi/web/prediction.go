package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kassa/catalog"
	"kassa/catalog/question"
	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/paths"
	"kassa/projections"
	"kassa/vault"
)

// waitAnswer is how long the page after a question waits for the answer. Most answers
// are there before the browser asks for the page.
const waitAnswer = time.Second

// predictionLine is a prediction in a list and on its own page.
type predictionLine struct {
	*Language
	projections.Prediction
	Question string // "" where it is erased
	Erased   bool
	State    string   // in the page's language
	Titles   string   // of its first films
	Posters  []string // addresses of their pictures
	Cost     string   // what was paid
	// Certainty is the word for how sure the first film is; "" where it is not known, or
	// the answer was rejected.
	Certainty catalog.Certainty

	FollowUps []saidLine // of a question in a list
	FilmFound string     // title of the film that was the one
}

// Waiting: it has not ended.
func (a predictionLine) Waiting() bool { return a.Prediction.State == domain.StateHeld }

// Found: there is an answer, possibly without films.
func (a predictionLine) Found() bool { return a.Prediction.State.Answered() }

// Refunded: the answer was refunded.
func (a predictionLine) Refunded() bool { return a.Prediction.State == domain.StateRefunded }

// Expired: the answer did not come in time.
func (a predictionLine) Expired() bool { return a.Prediction.State == domain.StateExpired }

// Failed: it ended without an answer.
func (a predictionLine) Failed() bool { return a.Prediction.State == domain.StateReleased }

// titlesShown is how many titles a line of the list has.
const titlesShown = 3

func (pc *pageContext) predictionLine(p projections.Prediction) (predictionLine, error) {
	line := predictionLine{Language: pc.Language, Prediction: p, State: pc.T("state." + string(p.State)), Cost: pc.Credits(p.Price)}
	if line.Failed() || line.Expired() || line.Refunded() {
		line.Cost = pc.T("asked.free")
	}
	var err error
	line.Question, line.Erased, err = pc.textOf(p)
	var titles []string
	for _, m := range p.Movies[:min(len(p.Movies), titlesShown)] {
		if film, ok := pc.pages.Films.Movie(m.MovieID); ok {
			titles = append(titles, film.TitleIn(pc.Language.Code))
			line.Posters = append(line.Posters, pc.posterOf(film))
		}
	}
	line.Titles = strings.Join(titles, " · ")
	if len(p.Movies) > 0 && !line.Refunded() {
		if _, ok := pc.pages.Films.Movie(p.Movies[0].MovieID); ok {
			line.Certainty = catalog.CertaintyOf(p.Confidence)
		}
	}
	if p.Confirmed != "" {
		line.FilmFound = pc.titleOf(p.Confirmed)
	}
	return line, err
}

func (pc *pageContext) predictionLines(list []projections.Prediction) ([]predictionLine, error) {
	lines := make([]predictionLine, len(list))
	for i, p := range list {
		var err error
		if lines[i], err = pc.predictionLine(p); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// textOf decrypts a question.
func (pc *pageContext) textOf(p projections.Prediction) (text string, erased bool, err error) {
	text, err = pc.unlessLost(pc.pages.Vault.OpenText(pc.r.Context(), p.User, p.ID, p.Text))
	return text, text == "", err
}

// unlessLost returns "" for text whose key is gone and for damaged text: one user's
// loss must not fail a page that shows many users.
func (pc *pageContext) unlessLost(plain string, err error) (string, error) {
	if !vault.Lost(err) {
		return plain, err
	}
	if errors.Is(err, vault.ErrUnreadable) {
		pc.pages.Problems.Explain(pc.w, pc.r, err) // logs it
	}
	return "", nil
}

type answerPage struct {
	layout
	Q       predictionLine
	Heading string
	Failure string
	Reading reading
	Films   []film
	Elapsed int // seconds since the question, while it is held
	Refund  *refundPart
	Talk    talkPart
	Again   askAgainPart // without corrections or conditions
}

// askAgainPart is what asking again without corrections or conditions costs.
type askAgainPart struct {
	Terms  string
	Errors fieldErrors
}

// refundPart is where the user reports that none of the films is right. It is shown while
// a refund is possible, and where the user would ask why it is not.
type refundPart struct {
	domain.RefundOffer
	Errors fieldErrors
}

// Can reports whether a refund is possible now.
func (r refundPart) Can() bool { return r.No == "" }

// refundPart is nil where nothing about a refund is shown.
func (pc *pageContext) refundPart(p projections.Prediction) (*refundPart, error) {
	part := refundPart{Errors: pc.fieldErrorsOf(pc.takeDraft(refundFields).Code, 0)}
	if p.State != domain.StateCaptured {
		return nil, nil
	}
	var err error
	part.RefundOffer, err = pc.pages.Commands.RefundOffer(pc.r.Context(), p.User, p.ID)
	switch part.No {
	case "", domain.RefundLimit, domain.AccountTooNew:
		return &part, err
	}
	return nil, err
}

// noneOfThese refunds the answer.
func (p *Pages) noneOfThese(pc *pageContext) error {
	id, ok := paths.ID[domain.PredictionID](pc.r)
	if !ok {
		return errNoPage
	}
	done, err := idempotent(pc, func(ctx context.Context, key string) (commands.Refunded, error) {
		return p.Commands.NoneOfThese(ctx, commands.NoneOfThese{User: pc.Person.User, Prediction: id, Key: key})
	})
	if err == nil {
		return pc.redirectAfter(refundFields.page(pc.r), flash{kind: flashRefund, position: done.Position, amount: done.Credits})
	}
	return pc.refused(refundFields, err, func(int, draft) error { return p.prediction(pc) })
}

// asTyped asks the question again without some of its corrections or conditions. The
// credits of this answer come back in the same append, as far as the policy of refunds allows.
func (p *Pages) asTyped(pc *pageContext) error {
	id, ok := paths.ID[domain.PredictionID](pc.r)
	if !ok {
		return errNoPage
	}
	earlier, _, err := p.Views.Prediction(pc.r.Context(), pc.Person.User, id, pc.minPosition)
	if errors.Is(err, projections.ErrNotFound) {
		return errNoPage
	}
	if err != nil {
		return err
	}
	text, erased, err := pc.textOf(earlier)
	if err != nil {
		return err
	}
	pieces := pc.r.PostForm["piece"]
	text, ok = question.AsTyped(text, pieces...)
	if erased || !ok || len(pieces) == 0 {
		return fmt.Errorf("%w: its pieces are not in the question", errMalformed)
	}
	a, err := idempotent(pc, func(ctx context.Context, key string) (commands.Requested, error) {
		return p.Commands.Predict(ctx, commands.Predict{User: pc.Person.User, Text: text, Limit: earlier.Limit, Key: key, InsteadOf: id})
	})
	if err != nil {
		return pc.refused(asTypedFields, err, func(int, draft) error { return p.prediction(pc) })
	}
	return pc.asked(a)
}

// askAgainPart is what is said beside the forms that ask again without corrections or
// conditions.
func (pc *pageContext) askAgainPart(refund *refundPart) askAgainPart {
	terms := "answer.as_typed.costs"
	if refund != nil && refund.Can() {
		terms = "answer.as_typed.returns"
	}
	return askAgainPart{pc.T(terms, pc.Credits(pc.Price)), pc.fieldErrorsOf(pc.takeDraft(asTypedFields).Code, pc.Balance.Available)}
}

// Repeatable reports whether the same question may get an answer later.
func (p answerPage) Repeatable() bool {
	return !p.Q.Erased && (p.Q.Expired() || p.Q.Failed() && p.Q.Prediction.Failure == domain.FailedWorker)
}

// titleMost is how many characters of the question are in the page's title.
const titleMost = 70

// shortened returns the text on one line, cut to most characters.
func shortened(text string, most int) string {
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) <= most {
		return string(line)
	}
	return strings.TrimSpace(string(line[:most])) + "…"
}

// prediction shows a prediction.
func (p *Pages) prediction(pc *pageContext) error {
	id, ok := paths.ID[domain.PredictionID](pc.r)
	if !ok {
		return errNoPage
	}
	found, at, err := p.Views.Prediction(pc.r.Context(), pc.Person.User, id, pc.minPosition)
	if err == nil && !found.State.Ended() && pc.justAsked() {
		ctx, cancel := context.WithTimeout(pc.r.Context(), waitAnswer)
		found, _, err = p.Views.Ended(ctx, found, at)
		cancel()
		if err == nil {
			err = pc.catchUp(found.EndPosition)
		}
	}
	if errors.Is(err, projections.ErrNotFound) {
		return errNoPage
	}
	if err != nil {
		return err
	}
	return pc.showAnswer(found)
}

// justAsked reports that the page follows a question, and is no later request.
func (pc *pageContext) justAsked() bool {
	c, err := pc.r.Cookie(flashCookie)
	return err == nil && strings.HasPrefix(c.Value, string(flashAsked)+".")
}

func (pc *pageContext) showAnswer(p projections.Prediction) error {
	page := answerPage{}
	var err error
	if page.Q, err = pc.predictionLine(p); err != nil {
		return err
	}
	if page.Talk, err = pc.talkPart(page.Q); err != nil {
		return err
	}
	switch p.State {
	case domain.StateHeld:
		page.Heading, page.Elapsed = pc.T("answer.waiting"), max(0, int(time.Since(p.RequestedAt).Seconds()))
	case domain.StateReleased:
		page.Heading, page.Failure = pc.T("answer.failed"), pc.T("failure."+string(p.Failure))
		if p.Failure == domain.FailedNotFound {
			page.Heading, page.Reading = pc.T("answer.none"), pc.reading(page.Q.Question, nil)
		}
	case domain.StateExpired:
		page.Heading = pc.T("answer.expired")
	default:
		if page.Refund, err = pc.refundPart(p); err != nil {
			return err
		}
		page.Films, page.Reading = pc.cards(page.Q.Question, p.Movies), pc.reading(page.Q.Question, p.Movies)
		if page.Q.Certainty != "" {
			page.Films[0].Certainty = pc.T("film.certainty." + string(page.Q.Certainty))
		}
		page.Heading = pc.T("answer.found", pc.N("n.films", len(page.Films)))
		if len(page.Films) == 0 {
			page.Heading = pc.T("answer.none")
		}
		switch {
		case page.Q.Refunded():
			page.Heading = pc.T("refund.done")
		case p.Confirmed != "":
			page.Heading = pc.T("talk.found", page.Q.FilmFound)
		}
		page.Talk.onCards(page.Films, p)
	}
	page.Again = pc.askAgainPart(page.Refund)
	pc.Section, pc.Title = "asked", cmp.Or(shortened(page.Q.Question, titleMost), pc.T("answer.erased"))
	page.layout = pc.layout
	return pc.show(http.StatusOK, "prediction", page)
}

// film is one card of an answer, in the page's language.
type film struct {
	*Language
	Place       int
	Gone        bool   // removed from the catalogue; only Place is known
	To          string // its page
	Poster      string // address of its picture
	Title       string
	Original    string // "" where it equals Title
	Year        int
	Facts       []string // countries, genres, runtime
	Directors   string
	Cast        string
	Description string
	Certainty   string // of the first film, in words
	Why         string // one sentence
	Unrecorded  string // conditions of which the film's record says nothing
	Talk        *filmTalk
}

// First reports whether the film fits best, and so is shown large.
func (f film) First() bool { return f.Place == 1 }

func (pc *pageContext) cards(question string, matches []domain.Match) []film {
	cards, ids := make([]film, len(matches)), make([]string, len(matches))
	for i, match := range matches {
		ids[i] = match.MovieID
	}
	reasons, filters := pc.pages.Films.Reasons(question, ids...), pc.pages.Films.Read(question).Filters
	for i, match := range matches {
		card := film{Language: pc.Language, Place: i + 1}
		if m, ok := pc.pages.Films.Movie(match.MovieID); ok {
			pc.describe(&card, m)
			if question != "" { // not erased
				met, unrecorded := pc.conditionsOf(m, filters)
				card.Why, card.Unrecorded = pc.why(pc.reasons(m, reasons[i]), met), strings.Join(unrecorded, ", ")
			}
		} else {
			card.Gone = true
		}
		cards[i] = card
	}
	return cards
}

// why is the sentence that says why a film is there: what matched, else which conditions it
// meets, else that its meaning does.
func (l *Language) why(reasons, met []string) string {
	switch {
	case len(reasons) > 0:
		sentence := l.T("film.because", strings.Join(reasons, ", "))
		return strings.Replace(sentence, "….", "…", 1) // a reason that was cut ends the sentence
	case len(met) > 0:
		return l.T("film.met", strings.Join(met, ", "))
	}
	return l.T("film.meaning")
}

// describe fills a card with what the film has; imported films may have little.
func (pc *pageContext) describe(card *film, m catalog.Movie) {
	language := pc.Language.Code
	card.To, card.Poster = filmAddress(m.ID), pc.posterOf(m)
	card.Title, card.Year, card.Description = m.TitleIn(language), m.Year, m.DescriptionIn(language)
	if m.OriginalTitle != card.Title {
		card.Original = m.OriginalTitle
	}
	facts := []string{pc.labels(m.Countries, catalog.Country), pc.labels(m.Genres, catalog.Genre)}
	if m.Runtime > 0 {
		facts = append(facts, pc.N("n.minutes", m.Runtime))
	}
	card.Facts = slices.DeleteFunc(facts, func(fact string) bool { return fact == "" })
	card.Directors, card.Cast = pc.names(m.Directors), pc.names(m.Cast)
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
		names[i] = p.In(l.Code)
	}
	return strings.Join(names, ", ")
}
