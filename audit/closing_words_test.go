package audit

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"kassa/domain"
)

// Both languages have the same texts: those that the pages use, and those of each type that
// moves credits between the house and a person.
func TestWordsOfClosings(t *testing.T) {
	want := map[string]bool{}
	for _, file := range []string{"summary.html", "statement.html"} {
		text, err := os.ReadFile(filepath.Join("templates", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range regexp.MustCompile(`\.T "([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			want[use[1]] = true
		}
	}
	for _, book := range (page{Closing: &Closing{}}).Books() {
		want[book.Title] = true
	}
	for _, kind := range domain.EventTypes() {
		e, err := domain.Decode(kind, kind.Version(), []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		_, moves := e.(domain.MoneyEvent)
		held := slices.Contains([]domain.EventType{domain.TypePredictionRequested, domain.TypePredictionFailed, domain.TypePredictionExpired}, kind)
		if moves && !held { // those move within what a person has
			want[string(kind)], want["one "+string(kind)] = true, true
		}
	}
	for language, texts := range words {
		if have, want := slices.Sorted(maps.Keys(texts)), slices.Sorted(maps.Keys(want)); !slices.Equal(have, want) {
			t.Errorf("%s has the texts\n%q, used are\n%q", language, have, want)
		}
	}
}
