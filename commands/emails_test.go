package commands_test

import (
	"testing"

	"kassa/commands"
	"kassa/domain"
)

// earlier is a vault that names e-mails as the first version did: by one spelling.
type earlier struct {
	commands.Vault
	spelling string
}

func (e earlier) EmailHash(string) string { return e.Vault.EmailHash(e.spelling) }

// Accounts that were opened when another spelling of their e-mail was the unique one
// are found by what their owners type, and no user opens a second one beside them.
func TestAccountsOfEarlierSpellings(t *testing.T) {
	w := newFixture(t)
	for _, tt := range []struct {
		claimed string
		finds   []string
	}{
		{"ada\ufe0f@example.org", []string{"ada\ufe0f@example.org", " ADA\ufe0f@Example.org"}},
		{"andre\u0301@example.org", []string{"andre\u0301@example.org", "andr\u00e9@example.org", "ANDR\u00c9@example.org"}},
		{"ada@xn--e1afmkfd.xn--p1ai", []string{"ada@xn--e1afmkfd.xn--p1ai", "ada@пример.рф", "Ada@ПРИМЕР.рф"}},
	} {
		up, err := w.with(w.store, earlier{w.Vault, tt.claimed}).SignUp(t.Context(), commands.SignUp{Email: "any@example.org", Password: password})
		must(t, err)
		for _, typed := range tt.finds {
			if u, err := w.FindUser(t.Context(), typed); err != nil || u != up.User {
				t.Errorf("%q finds %q, %v, want the account of %q", typed, u, err, tt.claimed)
			}
			_, err := w.SignUp(t.Context(), commands.SignUp{Email: typed, Password: password})
			if refusal := domain.RefusalIn(err); refusal == nil || refusal.Code != domain.EmailTaken && refusal.Code != domain.InvalidEmail {
				t.Errorf("%q opens a second account: %v", typed, err)
			}
		}
	}
}

// One mailbox has one account, however its address is typed.
func TestOneAccountForAllSpellings(t *testing.T) {
	w := newFixture(t)
	up, err := w.SignUp(t.Context(), commands.SignUp{Email: "Andre\u0301@xn--e1afmkfd.xn--p1ai", Password: password})
	must(t, err)
	if up.Email != "andr\u00e9@пример.рф" {
		t.Errorf("signed up as %q", up.Email)
	}
	for _, typed := range []string{"andr\u00e9@пример.рф", "andre\u0301@Пример.рф", "ANDR\u00c9@xn--e1afmkfd.xn--p1ai"} {
		_, err := w.SignUp(t.Context(), commands.SignUp{Email: typed, Password: password})
		refused(t, err, domain.EmailTaken)
		if u, err := w.FindUser(t.Context(), typed); err != nil || u != up.User {
			t.Errorf("%q finds %q, %v", typed, u, err)
		}
	}
	for _, typed := range []string{"", "ada", "a da@example.org"} {
		_, err := w.FindUser(t.Context(), typed)
		refused(t, err, domain.InvalidEmail)
	}
	_, err = w.FindUser(t.Context(), "bob@example.org")
	refused(t, err, domain.AccountNotFound)
}
