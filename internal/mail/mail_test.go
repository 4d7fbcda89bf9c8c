package mail_test

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"kassa/internal/mail"
	"kassa/internal/mail/mailtest"
)

const (
	from  = "Kassa <no-reply@kassa.example>"
	site  = "https://kassa.example/"
	token = "k3v7wq2m5xbnayrzt4hd6ecfguk3v7wq2m5xbnayrzt"
)

func sender(t *testing.T, server string) *mail.Sender {
	t.Helper()
	s, err := mail.New(server, from, site)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A mail is readable in both languages, and its link is whole.
func TestResetMails(t *testing.T) {
	server := mailtest.New(t)
	s := sender(t, server.URL)
	for language, want := range map[string][]string{"ru": {"Новый пароль для «Кассы»", "Здравствуйте!"}, "en": {"A new password for Kassa", "Hello,"}, "fr": {"A new password for Kassa", "Hello,"}} {
		if err := s.SendReset(t.Context(), "ada@пример.example", language, token); err != nil {
			t.Fatal(err)
		}
		m := server.Next()
		if m.Subject != want[0] || !strings.HasPrefix(m.Text, want[1]) || m.Link() != "https://kassa.example/web/reset?token="+token {
			t.Errorf("in %s: %q, %s", language, m.Subject, m.Text)
		}
		if m.To != "ada@xn--e1afmkfd.example" || m.From != "no-reply@kassa.example" || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Message-Id") == "" || m.Header.Get("Date") == "" ||
			!strings.HasPrefix(m.Header.Get("Content-Type"), "text/plain; charset=UTF-8") {
			t.Errorf("in %s: from %s to %s, %v", language, m.From, m.To, m.Header)
		}
		for line := range strings.Lines(m.Text) {
			if len([]rune(line)) > 79 && strings.TrimSpace(line) != m.Link() {
				t.Errorf("a line has %d characters: %s", len([]rune(line)), line)
			}
		}
	}
}

// With a password, nothing is sent without encryption, or to a server that is another. No
// error has a password, an address or a token in it.
func TestMailIsEncrypted(t *testing.T) {
	server, ca := mailtest.NewTLS(t)
	user := url.UserPassword(mailtest.User, mailtest.Password).String()
	with := "?ca=" + url.QueryEscape(ca)
	if err := sender(t, "smtp://"+user+"@"+server.Addr+with).SendReset(t.Context(), "ada@example.org", "en", token); err != nil {
		t.Fatal(err)
	}
	server.Next()
	plain := mailtest.New(t)
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused.Close()
	for name, address := range map[string]string{
		"without STARTTLS":        "smtp://" + plain.Addr,
		"of an unknown authority": "smtp://" + user + "@" + server.Addr,
		"with a wrong password":   "smtp://" + url.UserPassword(mailtest.User, "guessed").String() + "@" + server.Addr + with,
		"without a user":          "smtp://" + server.Addr + with,
		"that is away":            "smtp://" + user + "@" + unused.Addr().String() + with,
		"in plain text by smtps":  "smtps://" + user + "@" + plain.Addr,
	} {
		err := sender(t, address).SendReset(t.Context(), "ada@example.org", "en", token)
		if err == nil {
			t.Errorf("a server %s takes a mail", name)
			continue
		}
		for _, secret := range []string{"ada@", token, "password", "guessed"} {
			if strings.Contains(err.Error(), secret) && !strings.Contains(err.Error(), "the password") {
				t.Errorf("a server %s: %v", name, err)
			}
		}
	}
	if n := len(server.Arrived) + len(plain.Arrived); n > 0 {
		t.Errorf("%d mails arrived", n)
	}
}

// What a server refuses for good is told apart from what may work later.
func TestRefusedMails(t *testing.T) {
	server := mailtest.New(t)
	s := sender(t, server.URL)
	for _, status := range []int{450, 550} {
		server.Refuse(status)
		err := s.SendReset(t.Context(), "ada@example.org", "en", token)
		if err == nil || errors.Is(err, mail.ErrRefused) != (status == 550) || strings.Contains(err.Error(), "ada@") {
			t.Errorf("%d is %v", status, err)
		}
	}
	if err := s.SendReset(t.Context(), "no address", "en", token); !errors.Is(err, mail.ErrRefused) {
		t.Errorf("no address: %v", err)
	}
	if err := s.SendReset(t.Context(), "ada@example.org\r\nBcc: eve@example.org", "en", token); !errors.Is(err, mail.ErrRefused) {
		t.Errorf("two addresses: %v", err)
	}
}
