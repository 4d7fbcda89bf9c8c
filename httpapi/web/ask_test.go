package web_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
)

func TestAnswer(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	ru := h.member("ru", "anna@example.org")
	answer := ru.open("/web").shows("Спросить за 5 кредитов").
		fill("/web/ask", "text", "человек один на острове разговаривает с мячом", "limit", "3").is(http.StatusOK)
	answer.shows("Нашлось: 3 фильма", "человек один на острове разговаривает с мячом", "Изгой 2000", "Cast Away", "США · приключения, драма · 143 минуты",
		"Режиссёр Роберт Земекис", "В ролях Том Хэнкс", "Совпало: ", "мяч", "Списано 5 кредитов", "Запись в журнале", "5 кредитов")
	if !strings.HasPrefix(answer.address.Path, "/web/prediction/p_") {
		t.Errorf("the answer is at %s", answer.address.Path)
	}
	answer.lacks("%", "Условия из вопроса", "вместо")
	ru.open("/web").shows("Последние вопросы", "человек один на острове", "Есть ответ", "Изгой")

	en := ru.open("/web/lang?to=en&back=" + answer.address.Path).is(http.StatusOK)
	en.shows("Found: 3 films", "Cast Away 2000", "Matched: ", "United States · Adventure, Drama · 143 minutes", "Director Robert Zemeckis", "Tom Hanks", "Charged 5 credits").
		lacks("Изгой")
	if available, held := h.balance("anna@example.org"); available != 5 || held != 0 {
		t.Errorf("%d available and %d held after one answer", available, held)
	}
}

// Where nothing in the film matches the question, the page gives its meaning as the
// reason.
func TestByMeaning(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	h.answerWith(g, "qwrtp", domain.Answer{Movies: []domain.Match{{MovieID: "the-godfather-1972", Score: 1.2}, {MovieID: "no-such-film", Score: -0.5}}}).
		shows("The Godfather", "Matched by overall meaning", "no longer in the catalogue").lacks("%", "Matched:")
}

// How the question was understood is shown above its films, in the page's language,
// whatever the language of the question.
func TestReading(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	g := h.member("ru", "anna@example.org")
	films := domain.Answer{Movies: []domain.Match{{MovieID: "cast-away-2000", Score: 0.6}}}
	for _, tt := range []struct {
		text   string
		ru, en []string
	}{
		{"matritsa", []string{"Искали «Матрица» вместо «matritsa»"}, []string{"Searched for “Матрица” instead of “matritsa”"}},
		{"french comedy of the 80s, not animated", []string{"Условия из вопроса Франция × комедия × 1980–1989 × не мультфильм ×"},
			[]string{"Conditions in your question France × comedy × 1980–1989 × not animation ×"}},
		{"комедия 1994 года короче двух часов с Томом Хэнксом про остров", []string{"комедия × 1994 × до 120 мин × в ролях: Том Хэнкс ×", "Совпало:", "остров", "Том Хэнкс"},
			[]string{"comedy × 1994 × up to 120 min × with Tom Hanks ×", "Matched:", "Tom Hanks"}},
		{"drama longer than 90 minutes directed by Zemeckis", []string{"драма × не короче 90 мин × режиссёр: Роберт Земекис ×"}, []string{"drama × at least 90 min × directed by Robert Zemeckis ×"}},
		{"чёрно-белый фильм до 1950 года не про войну", []string{"чёрно-белый × не позже 1949 года × не про войну ×"}, []string{"black and white × 1949 or earlier × не про войну ×"}},
		{"film in french after 2005", []string{"язык: французский × с 2006 года ×"}, []string{"in French × from 2006 on ×"}},
		{"like Alien but funny, without Tom Hanks", []string{"похоже на «Чужой»", "не Том Хэнкс"}, []string{"like “Alien”", "not Tom Hanks"}},
		{"оскароносный фильм о войне", []string{"оскароносный"}, []string{"оскароносный"}},
	} {
		page := h.answerWith(g, tt.text+".", films).shows(tt.ru...)
		g.open("/web/lang?to=en&back=" + page.address.Path).shows(tt.en...)
		g.open("/web/lang?to=ru&back=" + page.address.Path)
	}
}

// A page never gives words of the other language as a reason: what a film has only in that
// is shown by the words of the question.
func TestReasonsInTheReadersLanguage(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	g := h.member("en", "anna@example.org")
	castAway := domain.Answer{Movies: []domain.Match{{MovieID: "cast-away-2000", Score: 0.6}}}
	why := func(page *document) string {
		t.Helper()
		return words(find(page.root, func(n *node) bool { return attr(n, "class") == "why" }))
	}
	page := h.answerWith(g, "разговаривает с мячом", castAway)
	if got := why(page); got != "Matched: “разговаривает мячом”." {
		t.Errorf("in English: %s", got)
	}
	page = g.open("/web/lang?to=ru&back=" + page.address.Path)
	if got := why(page); !strings.HasPrefix(got, "Совпало: ") || !strings.Contains(got, "мяч") {
		t.Errorf("in Russian: %s", got)
	}
	page = h.answerWith(g, "he opens coconuts and talks to a ball", castAway)
	if got := strings.ToLower(why(page)); strings.ContainsAny(strings.NewReplacer("coconuts", "", "opens", "", "talks", "", "ball", "").Replace(got), "abcdefghijklmnopqrstuvwxyz") {
		t.Errorf("on a Russian page: %s", got)
	}
}

// A film that fits by the conditions of a question alone is there for these.
func TestConditionsAsReasons(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	g := h.member("en", "anna@example.org")
	godfather := domain.Answer{Movies: []domain.Match{{MovieID: "the-godfather-1972", Score: 0.2}}}
	for text, want := range map[string]string{
		"film of the seventies": "Meets your conditions: 1970–1979.",
	} {
		page := h.answerWith(g, text, godfather)
		if got := words(find(page.root, func(n *node) bool { return attr(n, "class") == "why" })); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// answerWith asks a question and settles it with the given answer.
func (h *fixture) answerWith(g *client, text string, answer domain.Answer) *document {
	h.t.Helper()
	answer.Model = "model-1"
	waiting := g.open("/web").fill("/web/ask", "text", text+" "+unansweredWord).is(http.StatusOK)
	u := h.env.User(find(waiting.root, func(n *node) bool { return attr(n, "class") == "leave" }).FirstChild.NextSibling.FirstChild.Data)
	h.ended(h.handler.Complete(h.t.Context(), h.ending(u), answer))
	return g.open(waiting.address.Path).is(http.StatusOK)
}

func TestNoFilms(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	h.answerWith(g, "ничего", domain.Answer{}).shows("Ничего похожего не нашлось", "Попробуйте рассказать иначе", "Списано 5 кредитов")
}

func TestWaiting(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	waiting := g.open("/web").fill("/web/ask", "text", "поезд, "+unansweredWord).is(http.StatusOK)
	waiting.shows("Ищем фильмы", "В резерве: 5 кредитов. Вернутся в кошелёк, если ответа не будет до", "Ждём уже:", "в резерве: 5")
	refresh := find(waiting.root, func(n *node) bool { return attr(n, "http-equiv") == "refresh" })
	if refresh == nil || refresh.Parent.Data != "noscript" {
		// With scripts enabled, a parser keeps the content of noscript as text.
		script := find(waiting.root, func(n *node) bool { return n.Data == "noscript" })
		if script == nil || !strings.Contains(raw(script), `http-equiv="refresh"`) {
			t.Error("without a script the page does not reload itself")
		}
	}
	g.open("/web").shows("5 в резерве")
	g.open("/web/prediction-history").shows("Ждёт ответа")
	g.open("/web/transaction-history").shows("В резерве, ищем ответ")
}

func TestFailed(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	for language, want := range map[string][]string{
		"ru": {"Ответа нет", "Мы не узнали ни одного слова в вопросе", "Кредиты вернулись: 5", "Списано 0", "Уточнить вопрос"},
		"en": {"No answer", "We did not recognise any word", "Credits returned: 5", "Charged 0", "Edit the question"},
	} {
		g := h.member(language, language+"@example.org")
		failed := g.open("/web").fill("/web/ask", "text", "ъъъъ щщщщ", "limit", "10").is(http.StatusOK).shows(want...)
		if available, held := h.balance(language + "@example.org"); available != bonus || held != 0 {
			t.Errorf("%d available and %d held", available, held)
		}
		again := failed.follow(want[len(want)-1]).at("/web")
		if form := again.form("/web/ask"); form.Get("text") != "ъъъъ щщщщ" || form.Get("limit") != "10" {
			t.Errorf("the question comes back as %q, for %s films", form.Get("text"), form.Get("limit"))
		}
	}
}

func TestExpired(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	waiting := g.open("/web").fill("/web/ask", "text", "поезд, "+unansweredWord)
	h.clockAhead.Add(int64(3 * time.Minute))
	h.ended(h.handler.Expire(t.Context(), h.ending(h.env.User("anna@example.org"))))
	g.open(waiting.address.Path).shows("Ответ не найден вовремя", "Кредиты вернулись: 5.", "Списано 0")
	g.open("/web/lang?to=en&back="+waiting.address.Path).shows("No answer in time", "Credits returned: 5.")
}

func TestAnothersAnswer(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	mine := h.member("ru", "anna@example.org").open("/web").fill("/web/ask", "text", "поезд").is(http.StatusOK)
	other := h.member("en", "vera@example.org")
	other.open(mine.address.Path).is(http.StatusNotFound).shows("Nothing is showing here")
	if text := other.open("/web?again=" + strings.TrimPrefix(mine.address.Path, "/web/prediction/")).value("text"); text != "" {
		t.Errorf("another's question shows: %q", text)
	}
}

func TestExamples(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	for language, want := range map[string]string{"ru": "мультфильм про крысу, которая умеет готовить", "en": "cartoon about a rat who can cook"} {
		g := h.member(language, language+"@example.org")
		home := g.open("/web").follow(want)
		if home.value("text") != want {
			t.Errorf("the example fills the box with %q", home.value("text"))
		}
		home.fill("/web/ask").is(http.StatusOK).shows(map[string]string{"ru": "Рататуй", "en": "Ratatouille"}[language])
	}
	g := h.member("en", "vera@example.org")
	for _, n := range []string{"0", "5", "x"} {
		if text := g.open("/web?example=" + n).value("text"); text != "" {
			t.Errorf("example %s is %q", n, text)
		}
	}
}

func TestRefusedQuestions(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	page := g.open("/web").fill("/web/ask", "text", " ?! ", "limit", "20").is(http.StatusOK)
	page.shows("Напишите хотя бы слово")
	if by := attr(find(page.root, func(n *node) bool { return attr(n, "name") == "text" }), "aria-describedby"); !strings.Contains(by, "text-fault") {
		t.Errorf("the box does not point to its fault: %q", by)
	}
	if form := page.form("/web/ask"); form.Get("text") != " ?! " || form.Get("limit") != "20" {
		t.Errorf("the form comes back as %v", form)
	}
	long := strings.Repeat("я", domain.MaxTextRunes+1)
	if page = page.fill("/web/ask", "text", long).is(http.StatusOK); page.value("text") != long {
		t.Error("the long text is lost")
	}
	page.fill("/web/ask", "text", "поезд", "limit", "51").is(http.StatusOK).shows("Столько фильмов сразу")
	page.fill("/web/ask", "text", strings.Repeat("я", 40_000)).is(http.StatusRequestEntityTooLarge).shows("Слишком много текста")
	form := page.form("/web/ask")
	form.Del("idempotency_key")
	g.send("/web/ask", form).is(http.StatusBadRequest).shows("Форма пришла повреждённой")
	if available, held := h.balance("anna@example.org"); available != bonus || held != 0 {
		t.Errorf("%d available and %d held after refusals", available, held)
	}
}

func TestTooManyOpen(t *testing.T) {
	h := newFixture(t, options{bonus: 1000})
	g := h.member("en", "anna@example.org")
	u := h.env.User("anna@example.org")
	for range domain.MaxOpenHolds {
		if _, err := h.handler.Predict(t.Context(), commands.Predict{User: u, Text: unansweredWord}); err != nil {
			t.Fatal(err)
		}
	}
	page := g.open("/web").fill("/web/ask", "text", "one more").is(http.StatusOK).shows("Too many of your questions are waiting")
	if page.value("text") != "one more" {
		t.Errorf("the question is lost: %q", page.value("text"))
	}
}

// A reload, a double click and Back send the same form again.
func TestQuestionTwice(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	g := h.member("ru", "anna@example.org")
	form := g.open("/web").form("/web/ask")
	form.Set("text", "поезд "+unansweredWord)
	var mu sync.Mutex
	places := map[string]int{}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			s := g.send("/web/ask", form).is(http.StatusOK)
			mu.Lock()
			places[s.address.Path]++
			mu.Unlock()
		})
	}
	all.Wait()
	if len(places) != 1 {
		t.Errorf("one form asks at %v", places)
	}
	if available, held := h.balance("anna@example.org"); available != 95 || held != 5 {
		t.Errorf("%d available and %d held after one form", available, held)
	}
	form.Set("text", "другой вопрос")
	page := g.send("/web/ask", form).is(http.StatusOK).shows("Эта форма уже была отправлена с другими данными")
	if page.value("text") != "другой вопрос" || page.value("idempotency_key") == form.Get("idempotency_key") {
		t.Error("the form that comes back cannot be sent")
	}
	page.fill("/web/ask").is(http.StatusOK).shows("Нашлось")
}

func TestOutOfCredits(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	stale := g.open("/web")
	h.answerWith(g, "один", domain.Answer{})
	g.open("/web").fill("/web/ask", "text", "ещё "+unansweredWord).is(http.StatusOK)
	poor := stale.fill("/web/ask", "text", "поезд в снегу", "limit", "3").is(http.StatusOK)
	poor.shows("Не хватает кредитов", "Ответ стоит 5 кредитов, а в кошельке сейчас 0 кредитов", "В резерве для прежних вопросов: 5 кредитов", "Пополнить на 10 кредитов", "Другая сумма").
		lacks("Спросить за")
	if poor.value("text") != "поезд в снегу" {
		t.Errorf("the question is lost: %q", poor.value("text"))
	}

	topUp := poor.form("/web/ask")
	topUp.Set("amount", "10")
	rich := g.send("/web/deposit", topUp).is(http.StatusOK).shows("Зачислено: 10 кредитов.", "Спросить за 5 кредитов")
	if form := rich.form("/web/ask"); form.Get("text") != "поезд в снегу" || form.Get("limit") != "3" {
		t.Errorf("the question comes back as %v", form)
	}
	g.send("/web/deposit", topUp).is(http.StatusOK).shows("Зачислено: 10 кредитов.")
	if available, _ := h.balance("anna@example.org"); available != 10 {
		t.Errorf("a reload leaves %d credits, want 10", available)
	}
	rich.fill("/web/ask").is(http.StatusOK).shows("Нашлось: 3 фильма")
}

// The same on the wallet's page, with a typed amount.
func TestOutOfCreditsAnotherAmount(t *testing.T) {
	h := newFixture(t, options{})
	g := h.member("en", "anna@example.org")
	poor := g.open("/web?example=3").shows("Not enough credits")
	wallet := poor.form("/web/ask")
	wallet.Set("amount", "")
	form := g.send("/web/deposit", wallet).is(http.StatusOK).shows("Your question is saved:", "a heist that happens inside a dream")
	form = form.fill("/web/deposit", "own", "a lot").is(http.StatusOK).shows("whole number", "a heist that happens inside a dream")
	if form.value("own") != "a lot" {
		t.Errorf("what was typed is lost: %q", form.value("own"))
	}
	back := form.fill("/web/deposit", "own", "7").is(http.StatusOK).shows("Added: 7 credits.")
	back.fill("/web/ask").shows("Inception")
}
