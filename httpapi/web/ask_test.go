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
	h := open(t, options{bonus: bonus})
	ru := h.member("ru", "anna@example.org")
	answer := ru.open("/web").says("Спросить за 5 кредитов").
		fill("/web/ask", "text", "человек один на острове разговаривает с мячом", "limit", "3").is(http.StatusOK)
	answer.says("Нашлось: 3 фильма", "человек один на острове разговаривает с мячом", "Изгой 2000", "Cast Away", "США · драма, приключения · 143 минуты",
		"Режиссёр Роберт Земекис", "В ролях Том Хэнкс", "сходство", "слова: мячом", "Списано 5 кредитов", "Запись в журнале", "5 кредитов")
	if !strings.HasPrefix(answer.address.Path, "/web/prediction/p_") {
		t.Errorf("the answer is at %s", answer.address.Path)
	}
	bar := find(answer.root, func(n *node) bool { return attr(n, "class") == "bar-part" })
	if width := attr(bar, "width"); !strings.Contains(answer.text, width+"%") {
		t.Errorf("the bar is %q long, the page says %s", width, answer.text)
	}
	ru.open("/web").says("Последние вопросы", "человек один на острове", "Есть ответ", "Изгой")

	en := ru.open("/web/lang?to=en&back=" + answer.address.Path).is(http.StatusOK)
	en.says("Found: 3 films", "Cast Away 2000", "United States · Drama, Adventure · 143 minutes", "Director Robert Zemeckis", "Tom Hanks", "Charged 5 credits").
		silent("Изгой")
	if available, held := h.balance("anna@example.org"); available != 5 || held != 0 {
		t.Errorf("%d available and %d held after one answer", available, held)
	}
}

// Where no word of the question is in the film, the page says that it is the meaning.
func TestByMeaning(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("en", "anna@example.org")
	h.answerWith(g, "quiet", domain.Answer{Movies: []domain.Match{{Movie: "the-godfather-1972", Score: 1.2}, {Movie: "no-such-film", Score: -0.5}}}).
		says("The Godfather", "100%", "by meaning", "no longer in the catalogue", "0%").silent("words:")
}

// answerWith asks, and answers by hand.
func (h *house) answerWith(g *guest, text string, answer domain.Answer) *sheet {
	h.t.Helper()
	answer.Model = "model-1"
	waiting := g.open("/web").fill("/web/ask", "text", text+" "+patience).is(http.StatusOK)
	u := h.user(find(waiting.root, func(n *node) bool { return attr(n, "class") == "leave" }).FirstChild.NextSibling.FirstChild.Data)
	h.ended(h.handler.Complete(h.t.Context(), h.ending(u), answer))
	return g.open(waiting.address.Path).is(http.StatusOK)
}

func TestNoFilms(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	h.answerWith(g, "ничего", domain.Answer{}).says("Ничего похожего не нашлось", "Попробуйте рассказать иначе", "Списано 5 кредитов")
}

func TestWaiting(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	waiting := g.open("/web").fill("/web/ask", "text", "поезд, "+patience).is(http.StatusOK)
	waiting.says("Ищем фильмы", "Придержано: 5 кредитов. Без ответа они вернутся в кошелёк:", "Ждём уже:", "ждёт: 5")
	refresh := find(waiting.root, func(n *node) bool { return attr(n, "http-equiv") == "refresh" })
	if refresh == nil || refresh.Parent.Data != "noscript" {
		// The parser of a browser with scripts leaves what is in noscript as text.
		script := find(waiting.root, func(n *node) bool { return n.Data == "noscript" })
		if script == nil || !strings.Contains(raw(script), `http-equiv="refresh"`) {
			t.Error("without a script the page does not reload itself")
		}
	}
	g.open("/web").says("5 ждёт ответа")
	g.open("/web/prediction-history").says("Ждёт ответа")
	g.open("/web/transaction-history").says("Придержано, ответ ещё ищем")
}

func TestFailed(t *testing.T) {
	h := open(t, options{bonus: bonus})
	for language, want := range map[string][]string{
		"ru": {"Ответа не получилось", "Ни одного слова из вопроса мы не узнали", "Кредиты вернулись: 5", "Списано 0", "Уточнить вопрос"},
		"en": {"There is no answer", "We did not know a single word", "Credits returned: 5", "Charged 0", "Change the question"},
	} {
		g := h.member(language, language+"@example.org")
		failed := g.open("/web").fill("/web/ask", "text", "ъъъъ щщщщ", "limit", "10").is(http.StatusOK).says(want...)
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
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	waiting := g.open("/web").fill("/web/ask", "text", "поезд, "+patience)
	h.later.Add(int64(3 * time.Minute))
	h.ended(h.handler.Expire(t.Context(), h.ending(h.user("anna@example.org"))))
	g.open(waiting.address.Path).says("Ответ не успел", "Кредиты вернулись: 5.", "Списано 0")
	g.open("/web/lang?to=en&back="+waiting.address.Path).says("The answer came too late", "Credits returned: 5.")
}

func TestAnothersAnswer(t *testing.T) {
	h := open(t, options{bonus: bonus})
	mine := h.member("ru", "anna@example.org").open("/web").fill("/web/ask", "text", "поезд").is(http.StatusOK)
	other := h.member("en", "vera@example.org")
	other.open(mine.address.Path).is(http.StatusNotFound).says("Nothing is showing here")
	if text := other.open("/web?again=" + strings.TrimPrefix(mine.address.Path, "/web/prediction/")).value("text"); text != "" {
		t.Errorf("another's question shows: %q", text)
	}
}

func TestExamples(t *testing.T) {
	h := open(t, options{bonus: bonus})
	for language, want := range map[string]string{"ru": "мультфильм про крысу, которая умеет готовить", "en": "cartoon about a rat who can cook"} {
		g := h.member(language, language+"@example.org")
		home := g.open("/web").follow(want)
		if home.value("text") != want {
			t.Errorf("the example fills the box with %q", home.value("text"))
		}
		home.fill("/web/ask").is(http.StatusOK).says(map[string]string{"ru": "Рататуй", "en": "Ratatouille"}[language])
	}
	g := h.member("en", "vera@example.org")
	for _, n := range []string{"0", "5", "x"} {
		if text := g.open("/web?example=" + n).value("text"); text != "" {
			t.Errorf("example %s is %q", n, text)
		}
	}
}

func TestRefusedQuestions(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	page := g.open("/web").fill("/web/ask", "text", " ?! ", "limit", "20").is(http.StatusOK)
	page.says("Напишите хотя бы слово")
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
	page.fill("/web/ask", "text", "поезд", "limit", "51").is(http.StatusOK).says("Столько фильмов сразу")
	page.fill("/web/ask", "text", strings.Repeat("я", 40_000)).is(http.StatusRequestEntityTooLarge).says("Слишком много текста")
	form := page.form("/web/ask")
	form.Del("idempotency_key")
	g.send("/web/ask", form).is(http.StatusBadRequest).says("Форма пришла повреждённой")
	if available, held := h.balance("anna@example.org"); available != bonus || held != 0 {
		t.Errorf("%d available and %d held after refusals", available, held)
	}
}

func TestTooManyOpen(t *testing.T) {
	h := open(t, options{bonus: 1000})
	g := h.member("en", "anna@example.org")
	u := h.user("anna@example.org")
	for range domain.MaxOpenHolds {
		if _, err := h.handler.Predict(t.Context(), commands.Predict{User: u, Text: patience}); err != nil {
			t.Fatal(err)
		}
	}
	page := g.open("/web").fill("/web/ask", "text", "one more").is(http.StatusOK).says("Too many questions are waiting")
	if page.value("text") != "one more" {
		t.Errorf("the question is lost: %q", page.value("text"))
	}
}

// A reload, a second click and the button "back" send the same form again.
func TestQuestionTwice(t *testing.T) {
	h := open(t, options{bonus: 100})
	g := h.member("ru", "anna@example.org")
	form := g.open("/web").form("/web/ask")
	form.Set("text", "поезд "+patience)
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
	page := g.send("/web/ask", form).is(http.StatusOK).says("Эта форма уже была отправлена с другими данными")
	if page.value("text") != "другой вопрос" || page.value("idempotency_key") == form.Get("idempotency_key") {
		t.Error("the form that comes back cannot be sent")
	}
	page.fill("/web/ask").is(http.StatusOK).says("Нашлось")
}

func TestOutOfCredits(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.member("ru", "anna@example.org")
	stale := g.open("/web")
	h.answerWith(g, "один", domain.Answer{})
	g.open("/web").fill("/web/ask", "text", "ещё "+patience).is(http.StatusOK)
	poor := stale.fill("/web/ask", "text", "поезд в снегу", "limit", "3").is(http.StatusOK)
	poor.says("Кредитов не хватает", "Ответ стоит 5 кредитов, а в кошельке сейчас 0 кредитов", "Ещё 5 кредитов ждёт ответа", "Пополнить на 10 кредитов", "Другая сумма").
		silent("Спросить за")
	if poor.value("text") != "поезд в снегу" {
		t.Errorf("the question is lost: %q", poor.value("text"))
	}

	topUp := poor.form("/web/ask")
	topUp.Set("amount", "10")
	rich := g.send("/web/deposit", topUp).is(http.StatusOK).says("Зачислено: 10 кредитов.", "Спросить за 5 кредитов")
	if form := rich.form("/web/ask"); form.Get("text") != "поезд в снегу" || form.Get("limit") != "3" {
		t.Errorf("the question comes back as %v", form)
	}
	g.send("/web/deposit", topUp).is(http.StatusOK).says("Зачислено: 10 кредитов.")
	if available, _ := h.balance("anna@example.org"); available != 10 {
		t.Errorf("a reload leaves %d credits, want 10", available)
	}
	rich.fill("/web/ask").is(http.StatusOK).says("Нашлось: 3 фильма")
}

// The same by way of the wallet's page, with an amount of one's own.
func TestOutOfCreditsAnotherAmount(t *testing.T) {
	h := open(t, options{})
	g := h.member("en", "anna@example.org")
	poor := g.open("/web?example=3").says("Not enough credits")
	wallet := poor.form("/web/ask")
	wallet.Set("amount", "")
	till := g.send("/web/deposit", wallet).is(http.StatusOK).says("Your question is safe and waits:", "a heist that happens inside a dream")
	till = till.fill("/web/deposit", "own", "a lot").is(http.StatusOK).says("whole number", "a heist that happens inside a dream")
	if till.value("own") != "a lot" {
		t.Errorf("what was typed is lost: %q", till.value("own"))
	}
	back := till.fill("/web/deposit", "own", "7").is(http.StatusOK).says("Added: 7 credits.")
	back.fill("/web/ask").says("Inception")
}
