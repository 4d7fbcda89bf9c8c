package web

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"kassa/audit"
	"kassa/domain"
)

// Language is all texts in one language. Sentences are found by key; a plural is one
// text with its forms separated by "|".
type Language struct {
	Code string // "ru" or "en", as in HTML's lang
	Name string // in the language itself

	texts    map[string]string
	form     func(n int64) int // the plural form for n
	thousand string            // separates groups of three digits
	point    string            // separates a fraction
	months   []string          // as in a date
	calendar []string          // as the name of a month
}

var (
	russian = &Language{Code: "ru", Name: "Русский", texts: russianTexts, form: slavicForm, thousand: "\u00a0", point: ",",
		months:   strings.Fields("января февраля марта апреля мая июня июля августа сентября октября ноября декабря"),
		calendar: strings.Fields("Январь Февраль Март Апрель Май Июнь Июль Август Сентябрь Октябрь Ноябрь Декабрь")}
	english = &Language{Code: "en", Name: "English", texts: englishTexts, form: englishForm, thousand: ",", point: ".",
		months:   strings.Fields("January February March April May June July August September October November December"),
		calendar: strings.Fields("January February March April May June July August September October November December")}

	// The first is the default.
	languages = []*Language{english, russian}
	matcher   = language.NewMatcher([]language.Tag{language.English, language.Russian})
)

const languageCookie = "kassa_lang"

// languageParameter names the language in the address of a page, by which search engines
// tell the versions of a page apart.
const languageParameter = "lang"

// withoutLanguage is the address of a page without its language, and whether it has one.
func withoutLanguage(u *url.URL) (address string, had bool) {
	q := u.Query()
	if languageByCode(q.Get(languageParameter)) == nil {
		return u.RequestURI(), false
	}
	q.Del(languageParameter)
	plain := *u
	plain.RawQuery = q.Encode()
	return plain.RequestURI(), true
}

// languageOf is that of the address, or else the user's choice, or else the browser's.
func languageOf(r *http.Request) *Language {
	if l := languageByCode(r.URL.Query().Get(languageParameter)); l != nil {
		return l
	}
	if c, err := r.Cookie(languageCookie); err == nil {
		if l := languageByCode(c.Value); l != nil {
			return l
		}
	}
	_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return languages[i]
}

func languageByCode(code string) *Language {
	for _, l := range languages {
		if l.Code == code {
			return l
		}
	}
	return nil
}

// other is the other language.
func (l *Language) other() *Language {
	if l == russian {
		return english
	}
	return russian
}

// slavicForm: 1 фильм, 2 фильма, 5 фильмов; 11 to 14 are like 5.
func slavicForm(n int64) int {
	n = max(n, -n) % 100
	switch {
	case n%10 == 1 && n != 11:
		return 0
	case n%10 >= 2 && n%10 <= 4 && (n < 12 || n > 14):
		return 1
	}
	return 2
}

func englishForm(n int64) int {
	if n == 1 || n == -1 {
		return 0
	}
	return 1
}

// T is the sentence of a key. A missing key shows as itself, which the tests catch.
func (l *Language) T(key string, args ...any) string {
	text, ok := l.texts[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// N is a number with its noun, such as "5 фильмов".
func (l *Language) N(key string, n int) string { return l.count(key, int64(n)) }

// Credits is an amount with its noun.
func (l *Language) Credits(c domain.Credits) string { return l.count("n.credits", int64(c)) }

func (l *Language) count(key string, n int64) string {
	forms := strings.Split(l.T(key), "|")
	return fmt.Sprintf(forms[min(l.form(n), len(forms)-1)], l.Number(n))
}

// Noun is the noun alone, in the form for an amount of credits.
func (l *Language) Noun(c domain.Credits) string {
	_, noun, _ := strings.Cut(strings.Split(l.T("n.credits"), "|")[l.form(int64(c))], "\u00a0")
	return noun
}

// Number writes an integer in groups of three digits, with a typographic minus.
func (l *Language) Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "−", rest
	}
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && len(digits) > 4 {
			out.WriteString(l.thousand)
		}
		out.WriteRune(d)
	}
	return sign + out.String()
}

// Figure is a balance or a price without its noun.
func (l *Language) Figure(c domain.Credits) string { return l.Number(int64(c)) }

// Signed writes a change with its sign.
func (l *Language) Signed(c domain.Credits) string {
	if c > 0 {
		return "+" + l.Figure(c)
	}
	return l.Figure(c)
}

// symbols of currencies that people know better than their codes.
var symbols = map[string]string{"RUB": "₽", "EUR": "€", "USD": "$", "GBP": "£"}

// Money writes an amount of money.
func (l *Language) Money(m audit.Money) string {
	whole, fraction, split := strings.Cut(m.Amount(), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return m.String()
	}
	amount := l.Number(n)
	if n == 0 && m.Minor < 0 {
		amount = "−" + amount
	}
	if split {
		amount += l.point + fraction
	}
	symbol, known := symbols[m.Currency]
	if l == english && known && m.Currency != "RUB" {
		if rest, negative := strings.CutPrefix(amount, "−"); negative {
			return "−" + symbol + rest
		}
		return symbol + amount
	}
	return amount + "\u00a0" + cmp.Or(symbol, m.Currency)
}

// Time writes a time in UTC. The script rewrites it in the browser's time zone, which
// the server does not know.
func (l *Language) Time(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%d %s %d, %s UTC", t.Day(), l.months[t.Month()-1], t.Year(), t.Format("15:04"))
}

// Month names the month of a date.
func (l *Language) Month(date time.Time) string {
	return fmt.Sprintf("%s %d", l.calendar[date.Month()-1], date.Year())
}

// Day is a date without its year.
func (l *Language) Day(date time.Time) string {
	return fmt.Sprintf("%d %s", date.Day(), l.months[date.Month()-1])
}

// Machine is the same time for the datetime attribute.
func (*Language) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Milliseconds writes a duration given in seconds, at least 1 ms.
func (l *Language) Milliseconds(seconds float64) string {
	return l.T("answer.milliseconds", l.Number(max(1, int64(math.Round(seconds*1000)))))
}
