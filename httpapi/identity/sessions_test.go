package identity

import (
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestDeviceOf(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                  "Firefox, Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0":               "Edge, Windows",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36":                   "Chrome, Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15":                      "Safari, macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1": "Safari, iOS",
		"curl/8.5.0":         "curl",
		"":                   "",
		"\x00\x1b[31m\u202e": "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", agent)
		if got := deviceOf(r); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}

// A client may send anything as its User-Agent: what is stored is short and can be shown.
func FuzzDeviceOf(f *testing.F) {
	for _, seed := range []string{"Mozilla/5.0 (X11; Linux x86_64) Firefox/1", "(((", strings.Repeat("a/", 400), "(;", "\xff/\xff", "Mozilla/5.0 (Linux; Android", strings.Repeat("ы", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, agent string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", agent)
		got := deviceOf(r)
		if utf8.RuneCountInString(got) > maxDevice || !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("%q is stored as %q", agent, got)
		}
	})
}
