package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"kassa/domain"
)

// Language is everything that people read, in one language. Sentences are found
// by key; a plural is one text with its forms parted by "|".
type Language struct {
	Code string // "ru" or "en", as in HTML's lang
	Name string // of itself, as a person looks for it

	texts    map[string]string
	form     func(n int64) int // which form of a plural n takes
	thousand string            // between groups of three digits
	months   []string
}

var (
	russian = &Language{Code: "ru", Name: "Русский", texts: russianTexts, form: slavicForm, thousand: "\u00a0",
		months: strings.Fields("января февраля марта апреля мая июня июля августа сентября октября ноября декабря")}
	english = &Language{Code: "en", Name: "English", texts: englishTexts, form: englishForm, thousand: ",",
		months: strings.Fields("January February March April May June July August September October November December")}

	// The first is for those who ask for neither.
	languages = []*Language{english, russian}
	matcher   = language.NewMatcher([]language.Tag{language.English, language.Russian})
)

const languageCookie = "kassa_lang"

// languageOf is the person's own choice, or else the browser's.
func languageOf(r *http.Request) *Language {
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

// other is the language that the switch leads to.
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

// T is the sentence of a key. A key that is not there shows as itself, which the
// tests do not let through.
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

// Noun is the noun alone in the form that goes with an amount of credits.
func (l *Language) Noun(c domain.Credits) string {
	_, noun, _ := strings.Cut(strings.Split(l.T("n.credits"), "|")[l.form(int64(c))], "\u00a0")
	return noun
}

// Number writes a whole number in groups of three digits, with a real minus.
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

// Signed writes a movement: a plus for what came, a minus for what went.
func (l *Language) Signed(c domain.Credits) string {
	if c > 0 {
		return "+" + l.Figure(c)
	}
	return l.Figure(c)
}

// Time writes a moment in UTC. The script writes it again in the reader's own
// zone, which the server does not know.
func (l *Language) Time(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%d %s %d, %s UTC", t.Day(), l.months[t.Month()-1], t.Year(), t.Format("15:04"))
}

// Machine is the same moment for the datetime attribute.
func (*Language) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Milliseconds writes a duration that is given in seconds, and is never none at all.
func (l *Language) Milliseconds(seconds float64) string {
	return l.T("answer.milliseconds", l.Number(max(1, int64(math.Round(seconds*1000)))))
}
