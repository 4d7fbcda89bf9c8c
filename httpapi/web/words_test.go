package web

import (
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/projections"
)

// dynamic are the keys that the pages put together, by what they end with.
func dynamic() []string {
	var keys []string
	for _, s := range states {
		keys = append(keys, "state."+string(s), "charge."+string(s))
	}
	for _, s := range []domain.PredictionState{domain.StateReleased, domain.StateExpired} {
		keys = append(keys, "charge.back."+string(s))
	}
	for _, f := range []domain.FailureReason{domain.FailedNoMeaning, domain.FailedWorker, domain.FailedErased} {
		keys = append(keys, "failure."+string(f))
	}
	for _, t := range projections.TransactionTypes {
		keys = append(keys, "type."+string(t))
	}
	for _, c := range told {
		keys = append(keys, "refusal."+string(c))
	}
	for _, status := range []string{"400", "403", "404", "405", "413", "429", "500", "503"} {
		keys = append(keys, "error."+status, "error."+status+".text")
	}
	return append(keys, "signup.title", "signin.title")
}

// told are the refusals that a form can meet.
var told = []domain.Code{domain.InvalidAmount, domain.InvalidEmail, domain.InvalidText, domain.InvalidLimit,
	domain.InvalidReason, domain.InvalidReference, domain.WeakPassword, domain.EmailTaken, domain.AccountNotFound,
	domain.InsufficientFunds, domain.BalanceLimit, domain.TooManyOpen, domain.NotAdmin, domain.PaymentDeclined,
	domain.KeyReused, domain.Busy, domain.InvalidCredentials, "rate_limited"}

var key = regexp.MustCompile(`"([a-z]+(?:\.[a-z_0-9]+)*)"`)

// used are the keys that stand in templates and in the code.
func used(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, k := range dynamic() {
		found[k] = true
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		ours := filepath.Ext(path) == ".html" || filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go")
		if err != nil || !ours || path == "ru.go" || path == "en.go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range key.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLanguagesHaveTheSameKeys(t *testing.T) {
	ru, en := slices.Sorted(maps.Keys(russianTexts)), slices.Sorted(maps.Keys(englishTexts))
	for _, k := range ru {
		if _, ok := englishTexts[k]; !ok {
			t.Errorf("%q has no English", k)
		}
	}
	for _, k := range en {
		if _, ok := russianTexts[k]; !ok {
			t.Errorf("%q has no Russian", k)
		}
	}
}

func TestEveryKeyIsUsed(t *testing.T) {
	found := used(t)
	for k := range englishTexts {
		if !found[k] {
			t.Errorf("nothing uses %q", k)
		}
	}
	for _, k := range dynamic() {
		if _, ok := englishTexts[k]; !ok {
			t.Errorf("there are no words for %q", k)
		}
	}
	call := regexp.MustCompile(`\.(?:T|N) "([^"]+)"`)
	for name := range templates {
		for _, m := range call.FindAllStringSubmatch(sources(t, name), -1) {
			if _, ok := englishTexts[m[1]]; !ok {
				t.Errorf("%s asks for %q, which is not there", name, m[1])
			}
		}
	}
}

func sources(t *testing.T, name string) string {
	t.Helper()
	var all string
	for _, path := range []string{"templates/" + name + ".html", "templates/parts/parts.html", "templates/parts/layout.html"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	return all
}

// A sentence takes as many arguments in one language as in the other, and a plural
// has all its forms.
func TestSentencesTakeTheSame(t *testing.T) {
	for k, ru := range russianTexts {
		en := englishTexts[k]
		forms, formsEn := strings.Split(ru, "|"), strings.Split(en, "|")
		if strings.HasPrefix(k, "n.") {
			if len(forms) != 3 || len(formsEn) != 2 {
				t.Errorf("%q has %d forms in Russian and %d in English", k, len(forms), len(formsEn))
			}
		} else if len(forms) != 1 || len(formsEn) != 1 {
			t.Errorf("%q has forms, and is no plural", k)
		}
		for _, f := range append(forms, formsEn...) {
			if strings.Count(f, "%s") != strings.Count(forms[0], "%s") {
				t.Errorf("%q takes different arguments: %q, %q", k, forms[0], f)
			}
			if strings.TrimSpace(f) == "" {
				t.Errorf("%q says nothing", k)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		l    *Language
		n    domain.Credits
		want string
	}{
		{russian, 0, "0 кредитов"}, {russian, 1, "1 кредит"}, {russian, 2, "2 кредита"}, {russian, 4, "4 кредита"},
		{russian, 5, "5 кредитов"}, {russian, 11, "11 кредитов"}, {russian, 12, "12 кредитов"}, {russian, 14, "14 кредитов"},
		{russian, 21, "21 кредит"}, {russian, 22, "22 кредита"}, {russian, 111, "111 кредитов"}, {russian, 1001, "1001 кредит"},
		{russian, 1_000_000, "1 000 000 кредитов"}, {russian, -1, "−1 кредит"},
		{english, 0, "0 credits"}, {english, 1, "1 credit"}, {english, 2, "2 credits"}, {english, 1_000_000, "1,000,000 credits"},
		{english, -12_345, "−12,345 credits"},
	} {
		if got := strings.ReplaceAll(tt.l.Credits(tt.n), "\u00a0", " "); got != tt.want {
			t.Errorf("%d is %q in %s, want %q", tt.n, got, tt.l.Code, tt.want)
		}
	}
	if got := russian.Noun(21) + " " + russian.Noun(3) + " " + english.Noun(1); got != "кредит кредита credit" {
		t.Errorf("nouns alone are %q", got)
	}
	if got := english.Signed(5) + " " + russian.Signed(-1500) + " " + english.Signed(0); got != "+5 −1500 0" {
		t.Errorf("signed amounts are %q", got)
	}
}

func TestLanguageOf(t *testing.T) {
	for _, tt := range []struct{ header, cookie, want string }{
		{"", "", "en"}, {"ru", "", "ru"}, {"ru-RU,ru;q=0.9,en;q=0.8", "", "ru"}, {"en-GB,ru;q=0.5", "", "en"},
		{"fr", "", "en"}, {"fr,ru;q=0.4", "", "ru"}, {"en", "ru", "ru"}, {"ru", "en", "en"}, {"ru", "xx", "ru"}, {"=;=", "", "en"},
	} {
		r := &http.Request{Header: http.Header{"Accept-Language": {tt.header}}}
		if tt.cookie != "" {
			r.AddCookie(&http.Cookie{Name: languageCookie, Value: tt.cookie})
		}
		if got := languageOf(r).Code; got != tt.want {
			t.Errorf("Accept-Language %q and cookie %q give %s, want %s", tt.header, tt.cookie, got, tt.want)
		}
	}
}

// The switch and the sign-in come back to pages of ours only.
func TestLocal(t *testing.T) {
	for _, tt := range []struct{ to, want string }{
		{"/web", "/web"}, {"/web/deposit", "/web/deposit"}, {"/web/prediction-history?status=held&cursor=cDU", "/web/prediction-history?status=held&cursor=cDU"},
		{"", "/web"}, {"/", "/web"}, {"/api/", "/web"}, {"/website", "/web"}, {"//evil.example/web", "/web"}, {"https://evil.example/web", "/web"},
		{`/\evil.example/web`, "/web"}, {`/web\..\..`, "/web"}, {"/web/../api/", "/web"}, {"/web//evil.example", "/web//evil.example"},
		{"javascript:alert(1)", "/web"}, {"/web\r\nSet-Cookie: a=b", "/web"}, {"%zz", "/web"},
	} {
		if got := local(tt.to); got != tt.want {
			t.Errorf("%q leads to %q, want %q", tt.to, got, tt.want)
		}
	}
}

// What a page writes in a language can be typed there, and means the same.
func TestAmount(t *testing.T) {
	for typed, want := range map[string]domain.Credits{
		"50": 50, " 1 000 ": 1000, "1\u00a0000": 1000, "+5": 5, "": 0, "-5": 0, "−5": 0, "5.5": 0, "5,0": 0, "ten": 0, "0x10": 0, "99999999999999999999": 0,
		"1,00": 0, "1,0000": 0, ",100": 0, "1,,000": 0, "-1,000": 0, "1.000": 0,
	} {
		for _, l := range languages {
			if got := l.amount(typed); got != want {
				t.Errorf("%s: %q is %d, want %d", l.Code, typed, got, want)
			}
		}
	}
	for _, n := range []int64{1, 999, 1000, 10_000, 123_456, 1_000_000, 1_234_567_890} {
		for _, l := range languages {
			if got := l.amount(l.Number(n)); got != domain.Credits(n) {
				t.Errorf("%s writes %q and reads %d", l.Code, l.Number(n), got)
			}
		}
	}
	if got := english.amount("1,000"); got != 1000 {
		t.Errorf("English 1,000 is %d", got)
	}
	if got := russian.amount("1,000"); got != 0 {
		t.Errorf("Russian 1,000 is %d: there a comma begins a fraction", got)
	}
}
