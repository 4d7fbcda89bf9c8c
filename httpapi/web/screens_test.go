package web_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kassa/commands"
	"kassa/domain"
)

// Every page and state, in both languages and at both widths: nothing hangs over the
// window's edge, all text can be read, every control can be touched. Whoever changes
// the style looks at the pictures in the folder that KASSA_SCREENSHOTS names.
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
			h := open(t, options{bonus: bonus})
			s := &screens{browser: h.browse(t, language, true), folder: folder, language: language}
			s.outside()
			s.asking()
			s.endings()
			s.wallet()
			s.lists()
			s.poor()
			s.admin()
			s.content()
		})
	}
}

type screens struct {
	*browser
	folder, language string
}

func (s *screens) keep(name string, schemes ...string) {
	s.t.Helper()
	s.browser.keep(s.folder, s.language+"-"+name, schemes...)
}

func (s *screens) outside() {
	s.open("/web")
	s.keep("01-welcome", "dark")
	s.open("/web/signup")
	s.keep("02-signup")
	s.do("let the server validate", evaluate(`document.querySelectorAll('form').forEach((f) => f.noValidate = true)`))
	s.typeIn("#email", "vera")
	s.typeIn("#password", "short")
	s.press("form[action='/web/signup'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.keep("03-signup-refused", "dark")
	s.open("/web/signin")
	s.keep("04-signin")
	s.typeIn("#email", "nobody@example.org")
	s.typeIn("#password", "not the password")
	s.press("form[action='/web/signin'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.keep("05-signin-refused")
	s.open("/web/no-such-page")
	s.keep("06-not-found", "dark")
	s.signUp("vera@example.org")
	s.keep("07-home-new", "dark")
}

// asked sends a question by the box.
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
	s.until("be told", `document.querySelector('.notice') !== null`)
}

var questions = map[string]string{
	"ru": "человек один на острове разговаривает с мячом",
	"en": "a man alone on an island talks to a ball",
}

func (s *screens) asking() {
	s.deposit("1250")
	s.keep("08-deposited")
	s.asked(questions[s.language])
	s.until("have films", `document.querySelectorAll('.film').length === 5`)
	s.keep("09-answer", "dark")
	s.asked(questions[s.language] + " " + patience)
	s.keep("10-waiting", "dark")
	s.open("/web")
	s.keep("11-home-waiting")
}

func (s *screens) endings() {
	h, vera := s.house, s.house.user("vera@example.org")
	h.ended(h.handler.Complete(s.ctx, h.ending(vera), domain.Answer{Model: "test", Catalogue: "test"}))
	s.open("/web/prediction-history")
	s.press(".asked a")
	s.until("see it", `document.querySelector('.answer') !== null`)
	s.keep("12-answer-none")
	s.asked("ъъъъ щщщщ")
	s.until("see the failure", `document.querySelector('.returned') !== null`)
	s.keep("13-failed")
	s.asked(strings.Repeat(questions[s.language]+", ", 8) + patience)
	h.later.Add(int64(3 * time.Minute))
	h.ended(h.handler.Expire(s.ctx, h.ending(vera)))
	s.until("see the expiry", `document.querySelector('.returned') !== null`)
	s.keep("14-expired", "dark")
	s.open("/web")
	s.keep("15-home-full", "dark")
}

func (s *screens) wallet() {
	s.open("/web/deposit")
	s.keep("16-wallet", "dark")
	s.typeIn("#withdraw", "999999")
	s.press("form[action='/web/withdraw'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.keep("17-withdraw-refused")
	s.open("/web/deposit")
	s.typeIn("#withdraw", "7")
	s.press("form[action='/web/withdraw'] button")
	s.until("be told", `document.querySelector('.notice') !== null`)
	s.keep("18-withdrawn")
}

func (s *screens) lists() {
	h := s.house
	vera := h.user("vera@example.org")
	correction := commands.Adjust{Admin: h.colleague(), User: vera,
		Correction: domain.Correction{Amount: -3, Reason: "Начислено дважды по ошибке в прошлый вторник", Reference: "заявка 118"}}
	h.promote("vera@example.org")
	r, err := h.handler.Adjust(s.ctx, correction)
	h.ended(r.Position, err)
	s.asked(questions[s.language] + " " + patience)
	s.open("/web/prediction-history")
	s.keep("19-questions", "dark")
	s.open("/web/prediction-history?status=released")
	s.keep("20-questions-filtered")
	s.open("/web/transaction-history")
	s.keep("21-transactions", "dark")
	s.open("/web/transaction-history?type=admin_adjustment")
	s.keep("22-transactions-filtered")
	for range 20 {
		r, err := h.handler.Deposit(s.ctx, commands.Move{User: vera, Amount: 1})
		h.ended(r.Position, err)
	}
	s.open("/web/transaction-history")
	s.press("a[rel=next]")
	s.until("be on the second page", `location.search.includes('cursor')`)
	s.keep("23-transactions-page-2")
	s.open("/web/admin")
	s.press("form[action='/web/signout'] button")
	s.until("be out", `document.querySelector('[data-purse]') === null`)
	s.keep("24-signed-out")
}

const longAddress = "long.address.of.a.person.with.a.long.name@department.example.org"

func (s *screens) poor() {
	s.signUp(longAddress)
	s.open("/web/prediction-history")
	s.keep("25-questions-none")
	s.open("/web/transaction-history?type=deposit")
	s.keep("26-transactions-none")
	s.asked(questions[s.language])
	s.asked(questions[s.language])
	s.open("/web?example=2")
	s.keep("27-out-of-credits", "dark")
	s.press("button[name=amount][value='']")
	s.until("be at the till", `document.querySelector('.kept') !== null`)
	s.keep("28-deposit-with-question")
	s.open("/web/admin")
	s.keep("29-forbidden")
}

func (s *screens) admin() {
	s.press("form[action='/web/signout'] button")
	s.until("be out", `document.querySelector('[data-purse]') === null`)
	s.signIn("vera@example.org")
	s.open("/web/admin")
	s.keep("30-people", "dark")
	s.typeIn("#who", "nobody@example.org")
	s.press("form[action='/web/admin'] button")
	s.until("find nobody", `document.querySelector('.fault') !== null`)
	s.keep("31-nobody")
	s.open("/web/admin/user/" + string(s.house.user("vera@example.org")))
	s.keep("32-person-own")
	s.open("/web/admin/user/" + string(s.house.user(longAddress)))
	s.keep("32-person", "dark")
	s.typeIn("#amount", "25")
	s.typeIn("#reason", "Goodwill")
	s.typeIn("#reference", "letter 7")
	s.press("form[action$='/adjust'] button")
	s.until("be asked", `document.querySelector('[name=confirm]') !== null`)
	s.keep("33-confirm", "dark")
	s.press("[name=edit]")
	s.until("be back", `document.querySelector('#amount').value === '25'`)
	s.do("take instead", evaluate(`document.querySelector('[value=take]').checked = true; document.querySelector('#amount').value = '9999'`))
	s.press("form[action$='/adjust'] button")
	s.until("be refused", `document.querySelector('.fault') !== null`)
	s.keep("34-adjust-refused")
}
