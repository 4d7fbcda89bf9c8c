package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"kassa/domain"
)

// see sets the window's width and media features.
func (b *browser) see(width int64, media string, features ...*emulation.MediaFeature) {
	b.t.Helper()
	b.do("set the window up",
		command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media, Features: features}))
}

// covered lists the controls that another element covers.
const covered = `[...document.querySelectorAll('main input:not([type=hidden]), main button, main textarea, main select')].filter((e) => {
	e.scrollIntoView({ block: 'center' });
	const box = e.getBoundingClientRect();
	return [0.02, 0.5, 0.98].some((x) => {
		const top = document.elementFromPoint(box.left + box.width * x, box.top + box.height / 2);
		return top !== e && !e.contains(top);
	});
}).map((e) => e.outerHTML.slice(0, 90))`

// No control is covered, at any width from a phone's to a laptop's.
func TestNothingIsCovered(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		h := newFixture(t, options{bonus: bonus})
		b := h.browse(t, language, true)
		b.signUp("anna@example.org")
		for _, path := range []string{"/web/deposit", "/web"} {
			b.open(path)
			for width := int64(320); width <= 1280; width += 48 {
				b.see(width, "")
				for _, what := range ask[[]string](b, covered) {
					t.Errorf("%s, %s at %d px: something lies over %s", language, path, width, what)
				}
			}
		}
		b.noComplaints()
	}
}

// The chosen option has a frame in forced colours, which drop backgrounds and shadows.
func TestForcedColours(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	b := h.browse(t, "en", true)
	b.signUp("anna@example.org")
	b.see(1280, "", &emulation.MediaFeature{Name: "forced-colors", Value: "active"})
	for path, chosen := range map[string][2]string{
		"/web/deposit":                             {".presets input:checked + span", ".presets input:not(:checked) + span"},
		"/web/transaction-history?type=deposit":    {".choices a[aria-current]", ".choices a:not([aria-current])"},
		"/web/prediction-history?status=held#none": {".choices a[aria-current]", ".choices a:not([aria-current])"},
	} {
		b.open(path)
		if got := ask[string](b, fmt.Sprintf(`getComputedStyle(document.querySelector(%q)).outlineStyle`, chosen[0])); got != "solid" {
			t.Errorf("%s: what is chosen has the outline %s", path, got)
		}
		if got := ask[string](b, fmt.Sprintf(`getComputedStyle(document.querySelector(%q)).outlineStyle`, chosen[1])); got != "none" {
			t.Errorf("%s: what is not chosen has the outline %s", path, got)
		}
		if ask[bool](b, `getComputedStyle(document.querySelector('.sections a[aria-current]')).borderBottomColor === getComputedStyle(document.querySelector('.sections a:not([aria-current])')).borderBottomColor`) {
			t.Errorf("%s: the section one is in looks like the others", path)
		}
	}
}

// In print there is the content and no controls.
func TestPrint(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	b := h.browse(t, "en", true)
	b.signUp("anna@example.org")
	b.open("/web")
	b.typeIn("#text", "a train")
	b.press("form[action='/web/ask'] button")
	b.until("have films", `document.querySelectorAll('.film').length === 5`)
	b.see(800, "print")
	if left := ask[[]string](b, `[...document.querySelectorAll('nav, button, .button, input, .skip')].filter((e) => e.getClientRects().length > 0).map((e) => e.outerHTML.slice(0, 80))`); len(left) > 0 {
		t.Errorf("printed too: %q", left)
	}
	if !ask[bool](b, `document.querySelector('.film h2').getClientRects().length > 0 && document.querySelector('.receipt').getClientRects().length > 0`) {
		t.Error("the answer is not printed")
	}
}

// After a refusal the focus is on the field to change, and Back leads to the previous
// page without asking to send the form again.
func TestFocusAndBackAfterARefusal(t *testing.T) {
	for _, scripts := range []bool{true, false} {
		h := newFixture(t, options{bonus: bonus})
		b := h.browse(t, "en", scripts)
		b.signUp("anna@example.org")
		h.pay("anna@example.org", 10)
		for _, tt := range []struct{ page, field, typed, button string }{
			{"/web", "#text", "?!", "form[action='/web/ask'] button"},
			{"/web/deposit", "#own", "much", "form[action='/web/deposit'] button"},
			{"/web/deposit", "#withdraw", "9999", "form[action='/web/withdraw'] button"},
		} {
			b.open("/web/transaction-history")
			b.open(tt.page)
			b.typeIn(tt.field, tt.typed)
			b.press(tt.button)
			b.until("be refused", `document.querySelector('.fault') !== null`)
			b.until("be at the field", fmt.Sprintf(`document.activeElement === document.querySelector(%q) && document.activeElement.value === %q`, tt.field, tt.typed))
			b.do("go on and back", chromedp.Navigate(h.url+"/web/prediction-history"), evaluate(`history.back()`))
			b.until("be back", fmt.Sprintf(`document.readyState === 'complete' && location.pathname === %q && document.querySelector(%q) !== null`, tt.page, tt.field))
		}
		b.noComplaints()
	}
}

// Switching the language keeps a question that is being typed.
func TestLanguageInTheBrowser(t *testing.T) {
	for _, scripts := range []bool{true, false} {
		h := newFixture(t, options{bonus: bonus})
		b := h.browse(t, "en", scripts)
		b.open("/web/signup")
		b.typeIn("#email", "anna@example.org")
		b.typeIn("#password", password)
		b.press(".lang button")
		b.until("read Russian", `document.documentElement.lang === 'ru' && document.querySelector('#email').value === 'anna@example.org' && document.querySelector('#password').value === ''`)
		b.typeIn("#password", password)
		b.press("form[action='/web/signup'] button")
		b.until("be signed in", `document.querySelector('[data-purse]') !== null`)
		b.open("/web")
		b.typeIn("#text", "a train in the snow")
		b.press(".lang button")
		b.until("read English", `document.documentElement.lang === 'en' && document.querySelector('#text').value === 'a train in the snow'`)
		b.press("form[action='/web/ask'] button")
		b.until("have films", `document.querySelectorAll('.film').length === 5`)
		b.noComplaints()
	}
}

// Six tabs wait for answers, and a seventh page loads at once: only one tab holds a
// connection for a stream. All of them show their answers.
func TestManyTabsWait(t *testing.T) {
	const tabs = 6
	h := newFixture(t, options{bonus: tabs * price})
	b := h.browse(t, "en", true)
	b.signUp("anna@example.org")
	g := h.client("en")
	g.open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password)
	b.do("keep the tabs", evaluate(`window.tabs = []`))
	for i := range tabs {
		address := g.open("/web").fill("/web/ask", "text", fmt.Sprint(unansweredWord, i)).is(http.StatusOK).address.Path
		b.do("open a tab", evaluate(fmt.Sprintf(`tabs.push(open(%q))`, address)))
	}
	b.until("have all tabs wait", fmt.Sprintf(`tabs.length === %d && tabs.every((tab) => tab.document.querySelector('[data-waiting]') !== null)`, tabs))
	b.do("open the next page", evaluate(`fetch('/web/deposit').then((answer) => { window.next = answer.ok; })`))
	b.until("have the next page", `window.next === true`)
	if n := h.streams.Load(); n > 1 {
		t.Errorf("%d streams are open", n)
	}
	u := h.env.User("anna@example.org")
	for range tabs {
		e := h.endings(u)[0]
		h.ended(h.handler.Complete(t.Context(), e, domain.Answer{Model: "model-1"}))
	}
	b.until("see all answers", `tabs.every((tab) => tab.document.querySelector('[data-waiting]') === null && tab.document.querySelector('.receipt') !== null)`)
	b.noComplaints()
}

// While a question waits, its page shows for how long, and until when.
func TestHowLongItWaits(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	b := h.browse(t, "en", true)
	b.signUp("anna@example.org")
	b.open("/web")
	b.typeIn("#text", unansweredWord+" and a train")
	b.press("form[action='/web/ask'] button")
	b.until("wait", `document.querySelector('[data-elapsed]') !== null && document.title.startsWith('терпение and a train')`)
	first := ask[string](b, `document.querySelector('[data-elapsed]').innerText`)
	b.until("see it count", fmt.Sprintf(`document.querySelector('[data-elapsed]').innerText !== %q`, first))
	if text := ask[string](b, `document.querySelector('.waiting').innerText`); !strings.Contains(text, "You get them back if there is no answer by") {
		t.Errorf("the page shows %q", text)
	}
	h.clockAhead.Add(int64(3 * 60 * 1e9))
	h.ended(h.handler.Expire(t.Context(), h.ending(h.env.User("anna@example.org"))))
	b.until("see the refund", `document.querySelector('.returned') !== null`)
	b.press(".answer form[action='/web/ask'] button") // the same question again, by one button
	b.until("wait again", `document.querySelector('[data-waiting]') !== null && document.querySelector('blockquote').innerText === 'терпение and a train'`)
	b.noComplaints()
}
