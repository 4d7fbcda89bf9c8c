package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/html"

	"kassa/domain"
)

// A user who rejects all films gets the credits back, with a message and lines in both
// histories; twice a month, as the page shows.
func TestNoneOfThese(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	for language, want := range map[string]struct{ offer, left, used, done, back, receipt, history, line string }{
		"ru": {"Если нужного фильма здесь нет", "осталось: 2 возврата", "в этом месяце возвраты закончились", "Кредиты снова в кошельке: 5 кредитов.", "Ни один фильм не подошёл",
			"Списано 0", "Возвращено", "Ни один фильм не подошёл, кредиты вернулись"},
		"en": {"If none of these is the film you meant", "you have 2 refunds left", "you have used all of this month's refunds", "Returned to your wallet: 5 credits.", "None of these was the right film",
			"Charged 0", "Refunded", "None of the films was right, credits returned"},
	} {
		g := h.member(language, language+"@example.org")
		ask := func() *document { return g.open("/web").fill("/web/ask", "text", "a train").is(http.StatusOK) }
		answer := ask().shows(want.offer, want.left)
		path := answer.address.Path
		done := answer.fill(path+"/none-of-these").at(path).is(http.StatusOK).shows(want.done, want.back, want.receipt)
		if done.offers(path + "/none-of-these") {
			t.Error("a refunded answer offers a refund")
		}
		if available, held := h.balance(language + "@example.org"); available != 100 || held != 0 {
			t.Errorf("%d available and %d held", available, held)
		}
		g.open("/web/prediction-history?status=refunded").shows(want.history)
		g.open("/web/transaction-history").shows(want.line)
		second := ask()
		second.fill(second.address.Path + "/none-of-these").shows(want.done)
		third := ask().shows(want.used)
		if third.offers(third.address.Path + "/none-of-these") {
			t.Error("a third refund is offered")
		}
	}
}

// A form that is sent twice, or too late, changes nothing, and the page gives the
// reason.
func TestNoneOfTheseRefused(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	g := h.member("en", "anna@example.org")
	answer := g.open("/web").fill("/web/ask", "text", "a train").is(http.StatusOK)
	path := answer.address.Path
	form := answer.form(path + "/none-of-these")
	h.clockAhead.Add(int64(24*time.Hour + time.Minute))
	late := g.open(path)
	if late.offers(path + "/none-of-these") {
		t.Error("a refund is offered after a day")
	}
	h.clockAhead.Store(0)
	for range 3 { // the same form
		g.send(path+"/none-of-these", form).at(path).is(http.StatusOK)
	}
	if available, held := h.balance("anna@example.org"); available != 100 || held != 0 {
		t.Errorf("%d available and %d held", available, held)
	}
	g.send(path+"/none-of-these", url.Values{"idempotency_key": {"another"}}).at(path).is(http.StatusOK)
	g.send(path+"/none-of-these", url.Values{}).is(http.StatusBadRequest)
	h.member("en", "eve@example.org").send(path+"/none-of-these", url.Values{"idempotency_key": {"eve"}}).is(http.StatusNotFound)
	g.open(path + "/none-of-these").at(path).is(http.StatusOK)
}

// Corrections are taken back one by one or together, with what it costs said before. The
// credits of the answer come back while the policy allows it.
func TestAsTyped(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	for language, want := range map[string]struct{ one, all, back, costs, done, price string }{
		"ru": {"Искать «matritsa», как написано", "Искать всё, как написано", "Кредиты за этот ответ вернутся", "Каждая такая правка — новый вопрос за 5 кредитов.", "Искали «matritsa» ровно так, как написано", "Списано 0"},
		"en": {"Search for “matritsa” as typed", "Search for everything as typed", "The credits for this answer come back", "Each of these changes asks a new question for 5 credits.", "Searched for “matritsa” exactly as typed", "Charged 0"},
	} {
		email := language + "@example.org"
		g := h.member(language, email)
		for n := range 3 { // two refunds a month
			answer := g.open("/web").fill("/web/ask", "text", "matritsa incepton", "limit", "3").is(http.StatusOK).shows(want.one, want.all)
			terms := want.back
			if n == 2 {
				terms = want.costs
				answer.lacks(want.back)
			}
			path := answer.shows(terms).address.Path
			form := answer.form(path + "/as-typed")
			again := g.send(path+"/as-typed", form).is(http.StatusOK).shows(want.done, "!matritsa incepton").lacks(want.one)
			if twice := g.send(path+"/as-typed", form).is(http.StatusOK); twice.address.Path != again.address.Path || again.address.Path == path {
				t.Errorf("one form asks at %s and %s", again.address.Path, twice.address.Path)
			}
			if left := again.address.Path; n == 0 {
				g.open(path).shows(want.price, want.costs)
				g.open(left + "/as-typed").at(left).is(http.StatusOK)
				g.send(left+"/as-typed", url.Values{"idempotency_key": {"mine"}, "piece": {"matrix"}}).is(http.StatusBadRequest)
				h.member(language, "eve-"+email).send(left+"/as-typed", url.Values{"idempotency_key": {"eve"}, "piece": {"matritsa"}}).is(http.StatusNotFound)
			}
		}
	}
}

// Each condition has a button that asks again without it, at the price of a question and
// with the credits of the answer back, as for corrections.
func TestConditionsAreTakenBack(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	for language, want := range map[string]struct{ text, label, condition, marked, done string }{
		"ru": {"американский фильм про сны, не мультфильм", "Искать без условия «США»", "США", "!американский фильм про сны, не мультфильм", "Искали без условия «США»"},
		"en": {"american film about dreams, not animated", "Search without the condition “United States”", "United States", "!american film about dreams, not animated", "Searched without the condition “United States”"},
	} {
		email := language + "@example.org"
		g := h.member(language, email)
		answer := g.open("/web").fill("/web/ask", "text", want.text, "limit", "3").is(http.StatusOK)
		path := answer.address.Path
		button := find(answer.root, func(n *html.Node) bool { return attr(n, "aria-label") == want.label })
		if button == nil || len(answer.conditions()) != 2 || !slices.Contains(answer.conditions(), want.condition) {
			t.Fatalf("the conditions are %q, with the button %t", answer.conditions(), button != nil)
		}
		form := answer.form(path + "/as-typed") // of the first condition
		again := g.send(path+"/as-typed", form).is(http.StatusOK).shows(want.marked, want.done)
		if left := again.conditions(); len(left) != 1 || slices.Contains(left, want.condition) {
			t.Errorf("the conditions without %s are %q", want.condition, left)
		}
		if twice := g.send(path+"/as-typed", form).is(http.StatusOK); twice.address.Path != again.address.Path || again.address.Path == path {
			t.Errorf("one form asks at %s and %s", again.address.Path, twice.address.Path)
		}
		if available, held := h.balance(email); available != 95 || held != 0 {
			t.Errorf("%d available and %d held", available, held)
		}
		h.member(language, "eve-"+email).send(path+"/as-typed", form).is(http.StatusNotFound)
	}
}

// conditions are the words of the conditions that a page shows.
func (s *document) conditions() (list []string) {
	for n := range s.root.Descendants() {
		if n.Data == "li" && attr(n.Parent, "class") == "conditions" {
			list = append(list, n.FirstChild.FirstChild.Data)
		}
	}
	return list
}

// How sure the first film is, is a word on the answer and in the history, never a number;
// nothing is said where it is not known, of a film that is gone, and of a rejected answer.
func TestCertaintyIsAWord(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	for language, words := range map[string][][2]string{
		"ru": {{"Почти наверняка это он.", "первый фильм: почти наверняка"}, {"Скорее всего, это он.", "первый фильм: скорее всего"}, {"Возможно, это он, но уверенности нет.", "первый фильм: возможно"}},
		"en": {{"This is almost certainly it.", "first film: almost certain"}, {"This is probably it.", "first film: probable"}, {"This could be it, but it is a guess.", "first film: a guess"}},
	} {
		email := language + "@example.org"
		g := h.member(language, email)
		answered := func(confidence int, film string) *document {
			waiting := g.open("/web").fill("/web/ask", "text", "a train "+unansweredWord)
			h.ended(h.handler.Complete(t.Context(), h.ending(h.env.User(email)), domain.Answer{Model: "test", Catalogue: "test", Confidence: confidence,
				Movies: []domain.Match{{MovieID: film, Score: 0.5}, {MovieID: "alien-1979", Score: 0.4}}}))
			return g.open(waiting.address.Path)
		}
		none := func(page *document) {
			for _, w := range words {
				page.lacks(w[0]).lacks(w[1])
			}
		}
		none(answered(0, "inception-2010"))
		none(answered(950, "gone-1999"))
		none(g.open("/web/prediction-history"))
		for i, confidence := range []int{957, 700, 200} {
			page := answered(confidence, "inception-2010").shows(words[i][0]).lacks("957").lacks("95")
			g.open("/web/prediction-history").shows(words[i][1])
			if i == 2 {
				none(page.fill(page.address.Path + "/none-of-these"))
			}
		}
	}
}

// An answer without matches shows no films, is free, and suggests how to ask better.
func TestNotFound(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	for language, want := range map[string][]string{
		"ru": {"Ничего похожего не нашлось", "мы ничего не списали", "Вспомните что-нибудь ещё", "Кредиты вернулись: 5", "Списано 0"},
		"en": {"Nothing comes close", "you were not charged", "Add anything else you remember", "Credits returned: 5", "Charged 0"},
	} {
		email := language + "@example.org"
		g := h.member(language, email)
		waiting := g.open("/web").fill("/web/ask", "text", "a train "+unansweredWord)
		h.ended(h.handler.Fail(t.Context(), h.ending(h.env.User(email)), domain.FailedNotFound))
		page := g.open(waiting.address.Path).shows(want...)
		if find(page.root, func(n *html.Node) bool { return attr(n, "class") == "films" }) != nil {
			t.Error("films are shown")
		}
	}
}

// offers reports whether the page has a form with the action.
func (s *document) offers(action string) bool {
	return find(s.root, func(n *html.Node) bool { return n.Data == "form" && attr(n, "action") == action }) != nil
}
