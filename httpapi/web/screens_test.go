package web_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kassa/commands"
	"kassa/domain"
	"kassa/vault"
)

// Every page and state in both languages and at both widths: nothing overflows the
// window, all text has contrast, every control can be touched. After a change of style,
// look at the pictures in the folder KASSA_SCREENSHOTS.
func TestScreens(t *testing.T) {
	folder := os.Getenv("KASSA_SCREENSHOTS")
	if folder != "" {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			h := newFixture(t, options{bonus: bonus, adjust: domain.AdjustmentLimits{FourEyesAbove: 500}})
			s := &screens{browser: h.browse(t, language, true), folder: folder, language: language}
			s.outside()
			s.asking()
			s.endings()
			s.wallet()
			s.lists()
			s.account()
			s.poor()
			s.admin()
			s.noComplaints()
		})
	}
}

type screens struct {
	*browser
	folder, language string
}

func (s *screens) capture(name string, schemes ...string) {
	s.t.Helper()
	s.browser.capture(s.folder, s.language+"-"+name, schemes...)
}

func (s *screens) outside() {
	s.open("/web")
	s.capture("01-welcome", "dark")
	s.open("/web/signup")
	s.capture("02-signup")
	s.do("let the server validate", evaluate(`document.querySelectorAll('form').forEach((f) => f.noValidate = true)`))
	s.typeIn("#email", "vera")
	s.typeIn("#password", "short")
	s.press("form[action='/web/signup'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("03-signup-refused", "dark")
	s.open("/web/signin")
	s.capture("04-signin")
	s.typeIn("#email", "nobody@example.org")
	s.typeIn("#password", "not the password")
	s.press("form[action='/web/signin'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("05-signin-refused")
	s.open("/web/reset")
	s.capture("38-reset-without-link")
	s.open("/web/receipt")
	s.capture("06-receipt", "dark")
	s.open("/web/films")
	s.capture("50-films", "dark")
	s.open("/web/films/genre/science-fiction")
	s.press(".shelf summary")
	s.capture("51-films-genre")
	s.open("/web/films/the-godfather-1972")
	s.capture("52-film", "dark")
	s.open("/web/films/the-hound-of-the-baskervilles-1981")
	s.capture("53-film-long-title")
	s.open("/web/people/clint-eastwood")
	s.capture("54-person")
	s.open("/web/no-such-page")
	s.capture("06-not-found", "dark")
	s.signUp("vera@example.org")
	s.capture("07-home-new", "dark")
}

// asked sends a question by the form.
func (s *screens) asked(text string) {
	s.t.Helper()
	s.open("/web")
	s.do("write the question", chromedp.SetValue(chromedp.CSS("#text"), text))
	s.press("form[action='/web/ask'] button")
	s.until("be on the question's page", `document.querySelector('.answer') !== null`)
}

func (s *screens) deposit(amount string) {
	s.t.Helper()
	s.open("/web/deposit")
	s.typeIn("#own", amount)
	s.press("form[action='/web/deposit'] button")
	s.until("see the notice", `document.querySelector('.notice') !== null`)
}

var questions = map[string]string{
	"ru": "человек один на острове разговаривает с мячом",
	"en": "a man alone on an island talks to a ball",
}

// conditions end with a word that no film contains, of any length.
var conditions = map[string]string{
	"ru": "чёрно-белая азиатская комедия 80-х короче двух часов с Томом Хэнксом про остравок, не мультфильм, не про ",
	"en": "black and white asian comedy of the 80s under two hours with Tom Hanks about an ilsand, not animated, not about ",
}

func (s *screens) asking() {
	s.deposit("1250")
	s.capture("08-deposited")
	s.asked(questions[s.language])
	s.until("have films", `document.querySelectorAll('.film').length === 5`)
	s.capture("09-answer", "dark")
	s.see(390, "screen")
	if middle := ask[float64](s.browser, `(() => { const b = document.querySelectorAll('.film')[1].getBoundingClientRect(); return (b.top + b.bottom) / 2 + scrollY; })()`); middle > 844 {
		s.t.Errorf("the middle of the second film is at %.0f px, below the first screen of a phone", middle)
	}
	s.press(".refund button")
	s.until("have the credits back", `document.querySelector('.returned') !== null`)
	s.capture("09-answer-refunded", "dark")
	s.asked(conditions[s.language] + strings.Repeat("щ", 90))
	s.until("see what was read", `document.querySelector('.corrected') !== null && document.querySelectorAll('.conditions li').length > 4`)
	s.capture("09-answer-read", "dark")
	s.asked(questions[s.language] + " " + unansweredWord)
	s.capture("10-waiting", "dark")
	s.open("/web")
	s.capture("11-home-waiting")
}

func (s *screens) endings() {
	h, vera := s.fixture, s.fixture.env.User("vera@example.org")
	h.ended(h.handler.Complete(s.ctx, h.ending(vera), domain.Answer{Model: "test", Catalogue: "test"}))
	s.open("/web/prediction-history")
	s.press(".asked a")
	s.until("see it", `document.querySelector('.answer') !== null`)
	s.capture("12-answer-none")
	s.asked("ъъъъ щщщщ")
	s.until("see the failure", `document.querySelector('.returned') !== null`)
	s.capture("13-failed")
	s.asked(strings.Repeat(questions[s.language]+", ", 8) + unansweredWord)
	h.clockAhead.Add(int64(3 * time.Minute))
	h.ended(h.handler.Expire(s.ctx, h.ending(vera)))
	s.until("see the expiry", `document.querySelector('.returned') !== null`)
	s.capture("14-expired", "dark")
	s.open("/web")
	s.capture("15-home-full", "dark")
}

func (s *screens) wallet() {
	s.open("/web/deposit")
	s.capture("16-wallet", "dark")
	s.typeIn("#withdraw", "999999")
	s.press("form[action='/web/withdraw'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("17-withdraw-refused")
	s.open("/web/deposit")
	s.typeIn("#withdraw", "7")
	s.press("form[action='/web/withdraw'] button")
	s.until("see the check", `document.querySelector('[name=confirm]') !== null`)
	s.capture("18-withdraw-check", "dark")
	s.press("[name=confirm]")
	s.until("see the notice", `document.querySelector('.notice') !== null`)
	s.capture("18-withdrawn")
}

func (s *screens) lists() {
	h := s.fixture
	vera := h.env.User("vera@example.org")
	correction := commands.Adjust{Admin: h.colleague(), User: vera,
		Correction: domain.Correction{Amount: -3, Reason: "Начислено дважды по ошибке в прошлый вторник", Reference: "заявка 118"}}
	h.promote("vera@example.org")
	r, err := h.handler.Adjust(s.ctx, correction)
	h.ended(r.Position, err)
	s.asked(questions[s.language] + " " + unansweredWord)
	s.open("/web/prediction-history")
	s.capture("19-questions", "dark")
	s.open("/web/prediction-history?status=released")
	s.capture("20-questions-filtered")
	s.open("/web/prediction-history")
	s.typeIn("#words", strings.Fields(questions[s.language])[0])
	s.press("form[action='/web/prediction-history/search'] button")
	s.until("see what was found", `document.querySelector('.asked') !== null && location.pathname.endsWith('/search')`)
	s.capture("57-search", "dark")
	h.signs(s.t)
	s.open("/web/transaction-history")
	s.press(".days summary")
	s.do("choose days", evaluate(`document.querySelector('#from').value = '2026-01-01'; document.querySelector('#to').value = '2025-01-01'`))
	s.press("form[action='/web/transaction-history'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("58-transactions-days-refused")
	s.open("/web/transaction-history")
	s.capture("21-transactions", "dark")
	s.open("/web/transaction-history/months")
	s.press(".chart summary")
	s.capture("55-month", "dark")
	s.press("a[href*='/statement?']")
	s.until("see the statement", `document.querySelector('.statement-head') !== null`)
	s.capture("56-statement", "dark")
	s.open("/web/transaction-history?type=admin_adjustment")
	s.capture("22-transactions-filtered")
	for range 20 {
		r, err := h.handler.Deposit(s.ctx, commands.Move{User: vera, Amount: 1})
		h.ended(r.Position, err)
	}
	s.open("/web/transaction-history")
	s.press("a[rel=next]")
	s.until("be on the second page", `location.search.includes('cursor')`)
	s.capture("23-transactions-page-2")
	s.open("/web/admin")
	s.press("form[action='/web/signout'] button")
	s.until("be out", `document.querySelector('[data-purse]') === null`)
	s.capture("24-signed-out")
}

// account is the page of the account, with a second browser of an unknown kind.
func (s *screens) account() {
	s.signIn("vera@example.org")
	if _, _, err := s.fixture.vault.NewSession(s.ctx, s.fixture.env.User("vera@example.org"), password, vault.Origin{}, s.fixture.now().Add(-50*time.Hour)); err != nil {
		s.t.Fatal(err)
	}
	s.open("/web/account")
	s.capture("35-account", "dark")
	s.typeIn("#current", "not the password")
	s.typeIn("#password", newPassword)
	s.press("form[action='/web/account/password'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("36-password-refused")
	s.press("button[value=others]")
	s.until("see the notice", `document.querySelector('.notice') !== null`)
	s.capture("37-sessions-ended")
	s.open("/web/account/tokens")
	s.capture("44-tokens-none")
	s.typeIn("#name", "ночной отчёт")
	s.press("input[name=spend]")
	s.typeIn("#current", password)
	s.press("form[action='/web/account/tokens'] button")
	s.until("see the token", `document.querySelector('#made') !== null`)
	s.capture("45-token-made", "dark")
	s.typeIn("#name", "second")
	s.typeIn("#current", "not the password")
	s.press("form[action='/web/account/tokens'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("46-token-refused", "dark")
	s.open("/web/account/factor")
	s.capture("47-factor-none")
	s.typeIn("#current", password)
	s.press("form[action='/web/account/factor'] button")
	s.until("see the picture", `document.querySelector('.qr') !== null && document.querySelector('.qr').complete`)
	s.capture("48-factor-offered", "dark")
	s.typeIn("#code", s.fixture.nextCode(ask[string](s.browser, `document.querySelector('#secret').value`)))
	s.press("form[action='/web/account/factor/confirm'] button")
	s.until("see the recovery codes", `document.querySelector('.recovery-codes') !== null`)
	s.capture("49-factor-codes", "dark")
	s.typeIn("#current", password)
	s.press("form[action='/web/account/factor/remove'] button")
	s.until("see it off", `document.querySelector('form[action="/web/account/factor"]') !== null`)
	s.open("/web/account/erasure")
	s.capture("40-erasure", "dark")
	s.typeIn("#current", "not the password")
	s.press("form[action='/web/account/erasure'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("41-erasure-refused")
	s.typeIn("#current", password)
	s.press("form[action='/web/account/erasure'] button")
	s.until("see the notice", `document.querySelector('.notice') !== null`)
	s.capture("42-erasure-pending", "dark")
	s.press("form[action='/web/account/erasure/cancel'] button")
	s.until("keep it", `document.querySelector('.notice') !== null && document.querySelector('form[action$="/cancel"]') === null`)
	s.open(s.fixture.resetLink("vera@example.org"))
	s.capture("39-reset", "dark")
	s.open("/web/account")
	s.press("form[action='/web/signout'] button")
	s.until("be out", `document.querySelector('[data-purse]') === null`)
}

const longAddress = "long.address.of.a.person.with.a.long.name@department.example.org"

func (s *screens) poor() {
	s.signUp(longAddress)
	s.open("/web/prediction-history")
	s.capture("25-questions-none")
	s.open("/web/transaction-history?type=deposit")
	s.capture("26-transactions-none")
	s.asked(questions[s.language])
	s.asked(questions[s.language])
	s.open("/web?example=2")
	s.capture("27-out-of-credits", "dark")
	s.press("button[name=amount][value='']")
	s.until("see the wallet", `document.querySelector('.kept') !== null`)
	s.capture("28-deposit-with-question")
	s.open("/web/admin")
	s.capture("29-forbidden")
}

func (s *screens) admin() {
	s.press("form[action='/web/signout'] button")
	s.until("be out", `document.querySelector('[data-purse]') === null`)
	s.signIn("vera@example.org")
	s.open("/web/admin")
	s.capture("30-people", "dark")
	s.typeIn("#who", "nobody@example.org")
	s.press("form[action='/web/admin'] button")
	s.until("find no user", `document.querySelector('.fault') !== null`)
	s.capture("31-not-found")
	s.open("/web/admin/user/" + string(s.fixture.env.User("vera@example.org")))
	s.capture("32-person-own")
	s.open("/web/admin/user/" + string(s.fixture.env.User(longAddress)))
	s.capture("32-person", "dark")
	s.press("a[href$='/erasure']")
	s.until("see the form", `document.querySelector('#current') !== null`)
	s.capture("43-erasure-ordered", "dark")
	s.open("/web/admin/user/" + string(s.fixture.env.User(longAddress)))
	s.typeIn("#amount", "25")
	s.typeIn("#reason", "Goodwill")
	s.typeIn("#reference", "letter 7")
	s.press("form[action$='/adjust'] button")
	s.until("see the preview", `document.querySelector('[name=confirm]') !== null`)
	s.capture("33-confirm", "dark")
	s.press("[name=edit]")
	s.until("be back", `document.querySelector('#amount').value === '25'`)
	s.do("take instead", evaluate(`document.querySelector('[value=take]').checked = true; document.querySelector('#amount').value = '9999'`))
	s.press("form[action$='/adjust'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.capture("34-adjust-refused")
	s.proposals()
}

// proposals are adjustments above the limit: of the admin's own, and of a colleague.
func (s *screens) proposals() {
	user := s.fixture.env.User(longAddress)
	s.open("/web/admin/adjustments")
	s.capture("44-nothing-proposed")
	s.open("/web/admin/user/" + string(user))
	s.typeIn("#amount", "2500")
	s.typeIn("#reason", "Оплата за март зачислена дважды")
	s.press("form[action$='/adjust'] button")
	s.until("see the preview", `document.querySelector('[name=confirm]') !== null`)
	s.capture("45-propose")
	s.press("[name=confirm]")
	s.until("have proposed it", `document.querySelector('[name=reject]') !== null`)
	s.capture("46-proposed")
	r, err := s.fixture.handler.Adjust(s.ctx, commands.Adjust{Admin: s.fixture.env.User("colleague@example.org"), User: user,
		Correction: domain.Correction{Amount: 600, Reason: "A gift for the long wait in March", Reference: "T-118"}})
	s.fixture.ended(r.Position, err)
	s.open("/web/admin/adjustments")
	s.capture("47-proposals", "dark")
	s.open("/web/admin/adjustments/" + string(r.Proposal))
	s.capture("48-proposal", "dark")
	s.typeIn("#reason", "Checked with support")
	s.press("[name=approve]")
	s.until("have approved it", `document.querySelector('[name=approve]') === null`)
	s.capture("49-approved")
}
