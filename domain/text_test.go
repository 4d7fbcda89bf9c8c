package domain_test

import (
	"strings"
	"testing"

	"kassa/domain"
)

func TestCheckText(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		fits       bool
	}{
		{"a question", "a heist in space", true},
		{"a question in Russian", "ограбление в космосе", true},
		{"one letter", "я", true},
		{"one digit", "7", true},
		{"a number that is no digit", "Ⅷ", true},
		{"several lines", "a heist\nin space\t", true},
		{"nothing", "", false},
		{"blank", " \n\t", false},
		{"signs alone", "?! — …", false},
		{"a picture alone", "🎬", false},
		{"fillers, which are letters by their class", "\u3164\u115f\uffa0", false},
		{"a zero byte", "a heist\x00", false},
		{"broken UTF-8", "a heist \xff", false},
		{"a surrogate in UTF-8", "a heist \xed\xa0\x80", false},
		{"2000 characters", strings.Repeat("ж", domain.MaxTextRunes), true},
		{"2001 characters", strings.Repeat("ж", domain.MaxTextRunes+1), false},
		{"2001 characters with one letter, the last", strings.Repeat(" ", domain.MaxTextRunes) + "a", false},
	} {
		t.Run(tt.name, func(t *testing.T) { checkCode(t, domain.CheckText(tt.text), tt.fits, domain.InvalidText) })
	}
}

func TestNormalizeEmail(t *testing.T) {
	longest := strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 93) + "com"
	if len(longest) != domain.MaxEmailBytes {
		t.Fatalf("the longest address has %d bytes, want %d", len(longest), domain.MaxEmailBytes)
	}
	for _, tt := range []struct{ name, email, want string }{ // no want: refused
		{"plain", "ada@example.com", "ada@example.com"},
		{"upper case", "Ada@EXAMPLE.com", "ada@example.com"},
		{"spaces around it", " \tada@example.com\r\n", "ada@example.com"},
		{"a tag and dots", "ada.l+kino@mail.example.com", "ada.l+kino@mail.example.com"},
		{"Russian", "Ада@Пример.рф", "ада@пример.рф"},
		{"the longest", longest, longest},
		{"one byte too long", "a" + longest, ""},
		{"nothing", "", ""},
		{"no at", "ada.example.com", ""},
		{"two ats", "ada@b@example.com", ""},
		{"no name", "@example.com", ""},
		{"no domain", "ada@", ""},
		{"a local domain", "ada@localhost", ""},
		{"a dot only in the name", "ada.l@localhost", ""},
		{"a domain that begins with its dot", "ada@.com", ""},
		{"a domain that ends with its dot", "ada@example.", ""},
		{"two dots", "ada@example..com", ""},
		{"a number for a domain", "ada@[192.0.2.1]", ""},
		{"with a name", "Ada <ada@example.com>", ""},
		{"in angle brackets", "<ada@example.com>", ""},
		{"with a comment", "ada@example.com (Ada)", ""},
		{"quoted", `"ada"@example.com`, ""},
		{"quoted, with a space", `"ada l"@example.com`, ""},
		{"a space", "ada l@example.com", ""},
		{"a hard space", "ada\u00a0l@example.com", ""},
		{"a space of no width", "ada\u200b@example.com", ""},
		{"a mark that turns the writing", "\u202eada@example.com", ""},
		{"a separator of lines", "ada@example\u2028.com", ""},
		{"a second header", "ada@example.com\r\nBcc: eve@example.com", ""},
		{"a zero byte", "ada\x00@example.com", ""},
		{"broken UTF-8", "ada\xff@example.com", ""},
		{"the sign for broken UTF-8", "ada\ufffd@example.com", ""},
		{"a group of one", "all:ada@example.com;", ""},
		{"two addresses", "ada@example.com, eve@example.com", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := domain.NormalizeEmail(tt.email)
			checkCode(t, err, tt.want != "", domain.InvalidEmail)
			if got != tt.want {
				t.Errorf("%q becomes %q, want %q", tt.email, got, tt.want)
			}
		})
	}
}

func checkCode(t *testing.T, err error, fits bool, code domain.Code) {
	t.Helper()
	refusal := domain.RefusalIn(err)
	switch {
	case fits && err != nil:
		t.Errorf("refused with %v", err)
	case !fits && (refusal == nil || refusal.Code != code):
		t.Errorf("gives %v, want the refusal %s", err, code)
	}
}
