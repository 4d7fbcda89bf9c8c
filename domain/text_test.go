package domain_test

import (
	"slices"
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
		{"composed", "andr\u00e9@example.com", "andr\u00e9@example.com"},
		{"decomposed", "andre\u0301@example.com", "andr\u00e9@example.com"},
		{"shouted and decomposed", "ANDRE\u0301@EXAMPLE.com", "andr\u00e9@example.com"},
		{"a Russian letter of two parts", "ии\u0306@пример.рф", "ий@пример.рф"},
		{"a domain in Punycode", "ada@xn--e1afmkfd.xn--p1ai", "ada@пример.рф"},
		{"in Punycode, shouted", "ada@XN--E1AFMKFD.XN--P1AI", "ada@пример.рф"},
		{"broken Punycode", "ada@xn--0.com", ""},
		{"a domain in wide letters", "ada@\uff45xample\u3002com", "ada@example.com"},
		{"a sharp s", "ada@straße.example", "ada@straße.example"},
		{"underscores and hyphens", "ada@a_b.r3---sn-x.example.com", "ada@a_b.r3---sn-x.example.com"},
		{"a picture", "👍@example.com", "👍@example.com"},
		{"a variation selector", "ada\ufe0f@example.com", ""},
		{"a joiner that joins nothing", "a\u034fda@example.com", ""},
		{"a Hangul filler", "ada\u3164@example.com", ""},
		{"a narrow Hangul filler", "ada\uffa0@example.com", ""},
		{"a blank of Braille", "ada\u2800@example.com", ""},
		{"a soft hyphen", "a\u00adda@example.com", ""},
		{"a joiner of no width", "a\u200dda@example.com", ""},
		{"an invisible vowel of Khmer", "ada\u17b4@example.com", ""},
		{"a note without a head", "ada\U0001d159@example.com", ""},
		{"a filler of Khitan", "ada\U00016fe4@example.com", ""},
		{"nothing in the domain", "ada@exam\u200bple.com", ""},
		{"a selector in the domain", "ada@example\ufe0f.com", ""},
		{"a heap of marks", "a" + strings.Repeat("\u0335", 5) + "@example.com", ""},
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

// Accounts that were opened when an e-mail was unique by its letters alone are found by
// what their owners type, and their e-mail is taken for others.
func TestEmailSpellings(t *testing.T) {
	for _, tt := range []struct {
		typed string
		want  []string
	}{
		{" Ada@Example.com ", []string{"ada@example.com"}},
		{"ada\ufe0f@example.com", []string{"ada\ufe0f@example.com"}},
		{"andre\u0301@example.com", []string{"andre\u0301@example.com", "andr\u00e9@example.com"}},
		{"andr\u00e9@example.com", []string{"andr\u00e9@example.com", "andre\u0301@example.com"}},
		{"ada@xn--e1afmkfd.xn--p1ai", []string{"ada@xn--e1afmkfd.xn--p1ai", "ada@пример.рф"}},
		{"ada@пример.рф", []string{"ada@пример.рф", "ada@xn--e1afmkfd.xn--p1ai"}},
		{"ada@\uff45xample.com", []string{"ada@\uff45xample.com", "ada@example.com"}},
		{"ada", nil},
		{"a da@example.com", nil},
	} {
		if got := domain.EmailSpellings(tt.typed); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.typed, got, tt.want)
		}
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
