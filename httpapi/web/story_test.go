package web_test

import (
	"sync"
	"testing"
	"time"

	"kassa/domain"
)

// A new user in a browser with scripts: an example question, an answer that appears
// without a reload, credits, histories.
func TestStory(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	b := h.browse(t, "ru", true)
	b.signUp("anna@example.org")
	b.press("a[data-fill]")
	b.until("have the box filled in place", `location.search === '' && document.querySelector('#text').value === 'человек один на острове разговаривает с мячом'`)
	b.press("form[action='/web/ask'] button")
	b.until("have films", `document.querySelectorAll('.film').length === 5 && document.querySelector('.film h2').innerText.startsWith('Изгой')`)

	b.open("/web")
	b.typeIn("#text", "поезд "+unansweredWord)
	b.press("form[action='/web/ask'] button")
	b.until("wait", `document.querySelector('[data-waiting]') !== null && document.querySelector('[data-purse]').innerText.includes('в резерве: 5')`)
	b.do("mark the page", evaluate(`window.same = true`))
	h.ended(h.handler.Complete(t.Context(), h.ending(h.env.User("anna@example.org")),
		domain.Answer{Model: "model-1", Movies: []domain.Match{{MovieID: "the-godfather-1972", Score: 0.5}}}))
	b.until("see the answer on the same page", `window.same && document.querySelector('.film h2')?.innerText.startsWith('Крёстный отец')`)
	b.until("see the balance and the announcement", `!document.querySelector('[data-purse]').innerText.includes('резерве') && document.querySelector('#said').innerText === 'Нашлось: 1\u00a0фильм' && document.title.startsWith('поезд')`)

	b.open("/web")
	b.until("see that there are no credits", `document.querySelector('.short') !== null`)
	b.typeIn("#text", "ограбление во сне")
	b.press(".short button")
	b.until("have credits and the question", `document.querySelector('.notice')?.innerText === 'Зачислено: 10\u00a0кредитов.' && document.querySelector('#text').value === 'ограбление во сне'`)
	b.press("form[action='/web/ask'] button")
	b.until("have the film", `document.querySelector('.films')?.innerText.includes('Начало')`)
	b.noComplaints()
}

// Every button is double-clicked.
func TestDoubleClicks(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	b := h.browse(t, "en", true)
	b.signUp("anna@example.org")
	b.open("/web/deposit")
	b.do("press twice", evaluate(`(() => { const b = document.querySelector("form[action='/web/deposit'] button"); b.click(); b.click(); })()`))
	b.until("see the notice", `document.querySelector('.notice') !== null`)
	b.until("have it once", `document.querySelector('.level').innerText.startsWith('60')`)
	b.open("/web")
	b.typeIn("#text", "a train")
	b.do("press twice", evaluate(`(() => { const b = document.querySelector("form[action='/web/ask'] button"); b.click(); b.click(); })()`))
	b.until("have films", `document.querySelectorAll('.film').length === 5`)
	if available, held := h.balance("anna@example.org"); available != 55 || held != 0 {
		t.Errorf("%d available and %d held, want 55 and 0", available, held)
	}
	b.noComplaints()
}

// Without the event stream, the page polls.
func TestAnswerWithoutStream(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.streamsCut.Store(true)
	b := h.browse(t, "en", true)
	b.signUp("anna@example.org")
	b.typeIn("#text", "a train "+unansweredWord)
	b.press("form[action='/web/ask'] button")
	b.until("wait", `document.querySelector('[data-waiting]') !== null`)
	b.do("mark the page", evaluate(`window.same = true`))
	h.ended(h.handler.Fail(t.Context(), h.ending(h.env.User("anna@example.org")), domain.FailedWorker))
	b.until("see the failure on the same page", `window.same && document.querySelector('.returned') !== null`)
}

// The same steps in a browser without scripts.
func TestStoryWithoutScripts(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	b := h.browse(t, "ru", false)
	b.signUp("anna@example.org")
	b.press("a[data-fill]")
	b.until("have the page with the box filled", `location.search === '?example=1' && document.querySelector('#text').value.includes('с мячом')`)
	b.press("form[action='/web/ask'] button")
	b.until("have films", `document.querySelectorAll('.film').length === 5`)

	b.open("/web")
	b.typeIn("#text", "поезд "+unansweredWord)
	b.press("form[action='/web/ask'] button")
	b.until("wait", `document.querySelector('.waiting') !== null`)
	h.clockAhead.Add(int64(3 * time.Minute))
	h.ended(h.handler.Expire(t.Context(), h.ending(h.env.User("anna@example.org"))))
	b.until("see the page reload itself", `document.querySelector('.returned') !== null`)

	b.open("/web/deposit")
	b.typeIn("#own", "7")
	b.press("form[action='/web/deposit'] button")
	b.until("see the notice", `document.querySelector('.notice')?.innerText === 'Зачислено: 7\u00a0кредитов.'`)
	b.press("form[action='/web/lang'] button")
	b.until("read English", `document.documentElement.lang === 'en'`)
	b.press("form[action='/web/signout'] button")
	b.until("be out", `document.querySelector('[data-purse]') === null`)
	b.noComplaints()
}

// By keyboard alone: the first Tab stop leads to the content, and the focus is always
// visible.
func TestKeyboard(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	b := h.browse(t, "en", true)
	b.signUp("anna@example.org")
	b.open("/web")
	var once sync.Once
	for n := range 30 {
		b.key("\t")
		seen := ask[map[string]string](b, focused)
		once.Do(func() {
			if seen["href"] != "#main" {
				t.Errorf("the first stop is %v", seen)
			}
		})
		if seen["tag"] == "BODY" {
			if n < 12 {
				t.Errorf("only %d stops", n)
			}
			return
		}
		if seen["outline"] != "solid" || seen["shown"] != "yes" {
			t.Errorf("stop %d does not show: %v", n+1, seen)
		}
	}
}

const focused = `(() => {
	const e = document.activeElement, box = e.getBoundingClientRect();
	return {tag: e.tagName, href: e.getAttribute('href') ?? '', outline: getComputedStyle(e).outlineStyle,
		shown: box.width > 0 && box.bottom > 0 && box.top < innerHeight ? 'yes' : 'no'};
})()`
