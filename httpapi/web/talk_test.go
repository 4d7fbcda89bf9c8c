package web_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/net/html"

	"kassa/domain"
)

// A conversation without scripts: not this film, say more, that's it; one line in both
// histories, for one payment.
func TestConversation(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	for language, want := range map[string]struct{ left, said, others, newer, found, thanks, history string }{
		"ru": {"Осталось: 3 уточнения", "чёрно-белый", "другие фильмы", "К последнему ответу", "Вы искали этот фильм", "Спасибо!", "Нашли:"},
		"en": {"This is free: 3 more searches", "black and white", "other films", "Go to the latest answer", "This was the film you meant", "Thank you!", "Found:"},
	} {
		email := language + "@example.org"
		g := h.member(language, email)
		answer := g.open("/web").fill("/web/ask", "text", "a train").is(http.StatusOK).shows(want.left)
		first := answer.address.Path
		wrong := attr(find(answer.root, func(n *html.Node) bool { return attr(n, "name") == "not" }), "value")
		if wrong == "" {
			t.Fatal("no film can be left out")
		}
		form := answer.form(first + "/refine")
		form.Set("said", want.said)
		form.Set("not", wrong)
		second := g.send(first+"/refine", form).is(http.StatusOK).shows("a train", want.said)
		if twice := g.send(first+"/refine", form); twice.address.Path != second.address.Path || second.address.Path == first {
			t.Errorf("one form asks at %s and %s", second.address.Path, twice.address.Path)
		}
		if find(second.root, func(n *html.Node) bool { return attr(n, "name") == "not" && attr(n, "value") == wrong }) != nil {
			t.Errorf("%s is still found", wrong)
		}
		if available, held := h.balance(email); available != 95 || held != 0 {
			t.Errorf("%d available and %d held", available, held)
		}
		if old := g.open(first).shows(want.newer); old.offers(first + "/refine") {
			t.Error("an answer that is not the newest is refined")
		}
		path := second.address.Path
		g.send(first+"/refine", url.Values{"idempotency_key": {"late " + language}, "said": {"x"}}).at(first).is(http.StatusOK).shows(want.newer)
		g.send(path+"/refine", url.Values{"idempotency_key": {"none " + language}, "said": {" "}}).at(path).is(http.StatusOK)
		g.send(path+"/refine", url.Values{"idempotency_key": {"other " + language}, "not": {"no-such-film"}}).at(path).is(http.StatusOK)
		g.open(path + "/refine").at(path).is(http.StatusOK)
		g.open(path + "/thats-it").at(path).is(http.StatusOK)
		eve := h.member(language, "eve-"+email)
		eve.send(path+"/refine", url.Values{"idempotency_key": {"eve"}, "said": {"x"}}).is(http.StatusNotFound)
		eve.send(path+"/thats-it", url.Values{"idempotency_key": {"eve"}, "movie": {wrong}}).is(http.StatusNotFound)

		done := g.open(path).fill(path+"/thats-it").at(path).is(http.StatusOK).shows(want.found, want.thanks)
		if done.offers(path+"/refine") || done.offers(path+"/thats-it") || done.offers(first+"/none-of-these") {
			t.Error("the conversation goes on")
		}
		g.open("/web/prediction-history").shows("a train", want.said, want.history)
		if lines := g.open("/web/transaction-history?type=prediction"); lines.offers(path) {
			t.Error("a follow-up is a line of the wallet")
		}
	}
}

// "None of these" of a follow-up gives the payment of the conversation back; what found
// nothing leads back to the answer.
func TestNoneOfAConversation(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	g := h.member("en", "anna@example.org")
	answer := g.open("/web").fill("/web/ask", "text", "a train").is(http.StatusOK)
	first := answer.address.Path
	waiting := answer.fill(first+"/refine", "said", unansweredWord).is(http.StatusOK).shows("This search is free")
	h.ended(h.handler.Fail(t.Context(), h.ending(h.env.User("anna@example.org")), domain.FailedNotFound))
	g.open(waiting.address.Path).shows("Nothing comes close", "Back to the answer").lacks("Credits returned")
	second := g.open(first).shows("2 more searches").fill(first+"/refine", "said", "older").is(http.StatusOK).shows("older than")
	second.shows("get 5 credits back").fill(first + "/none-of-these").at(first).is(http.StatusOK).shows("Returned to your wallet: 5 credits.")
	if available, held := h.balance("anna@example.org"); available != 100 || held != 0 {
		t.Errorf("%d available and %d held", available, held)
	}
	if again := g.open(second.address.Path); again.offers(first+"/none-of-these") || again.offers(second.address.Path+"/refine") {
		t.Error("the conversation goes on after its refund")
	}
	late := g.open("/web").fill("/web/ask", "text", "a train").is(http.StatusOK)
	h.clockAhead.Add(int64(time.Hour + time.Minute))
	if late = g.open(late.address.Path).shows("cannot be refined any more"); late.offers(late.address.Path + "/refine") {
		t.Error("an answer is refined after an hour")
	}
}
