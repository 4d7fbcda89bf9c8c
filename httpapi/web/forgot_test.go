package web_test

import (
	"strings"
	"testing"
	"time"

	"kassa/internal/mail"
	"kassa/internal/mail/mailtest"
)

// mailing is a fixture that sends mails through a server.
func mailing(t *testing.T, server *mailtest.Server) *fixture {
	t.Helper()
	sender, err := mail.New(server.URL, "Kassa <no-reply@kassa.example>", "https://kassa.example")
	if err != nil {
		t.Fatal(err)
	}
	return newFixture(t, options{bonus: bonus, mail: sender})
}

// sent sends what is due and gives how many mails that were.
func (h *fixture) sent() int {
	h.t.Helper()
	n, err := h.env.SendMails(h.t.Context())
	if err != nil {
		h.t.Error(err)
	}
	return n
}

// A forgotten password, from the page of the sign-in over a mail to a new session, in which
// all others have ended. Who has no account gets the same page and no mail.
func TestForgottenPasswordByMail(t *testing.T) {
	server := mailtest.New(t)
	h := mailing(t, server)
	elsewhere := h.member("en", "anna@example.org")
	ask := func(language, email string) *document {
		t.Helper()
		return h.client(language).open("/web/signin").follow(map[string]string{"en": "Forgot your password?", "ru": "Забыли пароль?"}[language]).at("/web/forgot").fill("/web/forgot", "email", email)
	}
	customer, stranger := ask("ru", " Anna@example.org "), ask("ru", "nobody@example.org")
	if customer.text != stranger.text || customer.address.Path != "/web/signin" || customer.status != stranger.status {
		t.Errorf("the answers differ:\n%s\n%s", customer.text, stranger.text)
	}
	customer.shows("Если у этого адреса есть учётная запись")
	ask("en", "no address").at("/web/forgot").shows("does not look like an e-mail address")
	if n := h.sent(); n != 1 {
		t.Errorf("%d mails were sent", n)
	}
	m := server.Next()
	path, ours := strings.CutPrefix(m.Link(), "https://kassa.example")
	if m.To != "anna@example.org" || m.Subject != "Новый пароль для «Кассы»" || !ours {
		t.Fatalf("to %s: %s\n%s", m.To, m.Subject, m.Text)
	}
	ask("en", "anna@example.org")
	h.sent()
	newest, _ := strings.CutPrefix(server.Next().Link(), "https://kassa.example")
	g := h.client("en")
	g.open(path).at("/web/reset").shows("This link does not work").follow("Send a link").at("/web/forgot")
	g.open(newest).at("/web/reset").fill("/web/reset", "new_password", newPassword).at("/web/signin").shows("Your new password is set.").
		fill("/web/signin", "email", "anna@example.org", "password", newPassword).at("/web")
	elsewhere.open("/web/account").at("/web/signin")
	h.client("en").open(newest).shows("This link does not work")
	if n := h.sent(); n != 0 {
		t.Errorf("%d mails were sent again", n)
	}
	ask("en", "anna@example.org").at("/web/signin")
	ask("en", "anna@example.org").at("/web/forgot").shows("Too many attempts")
	ask("en", "nobody@example.org").at("/web/signin")
	ask("en", "nobody@example.org").at("/web/signin")
	ask("en", "nobody@example.org").at("/web/forgot").shows("Too many attempts")
}

// A mail server that is away loses no mail: what was asked for is sent when it is back, with
// a link that works. What it refuses for good is given up.
func TestMailServerThatIsAway(t *testing.T) {
	server := mailtest.New(t)
	h := mailing(t, server)
	h.member("en", "anna@example.org")
	ask := func() {
		h.client("en").open("/web/forgot").fill("/web/forgot", "email", "anna@example.org").at("/web/signin")
	}
	ask()
	server.Refuse(450)
	if n, err := h.env.SendMails(t.Context()); n != 0 || err == nil || strings.Contains(err.Error(), "anna@") {
		t.Errorf("%d mails were sent, %v", n, err)
	}
	if n := h.sent(); n != 0 {
		t.Errorf("%d mails were tried without a pause", n)
	}
	h.clockAhead.Add(int64(31 * time.Second))
	if n := h.sent(); n != 1 {
		t.Errorf("%d mails were sent after the pause", n)
	}
	path, _ := strings.CutPrefix(server.Next().Link(), "https://kassa.example")
	h.client("en").open(path).at("/web/reset").shows("Set the password")
	ask()
	server.Refuse(550)
	for range 2 {
		if n := h.sent(); n != 0 {
			t.Errorf("%d mails were sent that the server refuses", n)
		}
		h.clockAhead.Add(int64(31 * time.Second))
	}
}
