package catalog

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Titles in all scripts, people and characters are found first, and with one slip of
// the hand nearly always. Every twelfth is asked for, others each time that the
// catalogue changes; KASSA_ALL_NAMES=1 asks for all.
func TestNamesAreFoundFirst(t *testing.T) {
	c := given(t, shipped(t), small)
	every := 12
	if testing.Short() {
		every = 60
	}
	if os.Getenv("KASSA_ALL_NAMES") != "" {
		every = 1
	}
	r := rand.New(rand.NewPCG(3, 4))
	exact, slipped := newHits(), newHits()
	for i, name := range slices.Collect(c.Vocabulary().Names()) {
		if i%every != 0 || name.Field == FieldSeries {
			continue
		}
		exact.ask(t, c, name, name.Text)
		if typed, ok := slip(r, name.Text); ok {
			slipped.ask(t, c, name, typed)
		}
	}
	exact.check(t, "as they are", 0.99)
	slipped.check(t, "with one slip", 0.95)
}

// hits counts, by field, names whose first film has them.
type hits struct {
	asked, first map[Field]int
	missed       []string
}

func newHits() *hits { return &hits{make(map[Field]int), make(map[Field]int), nil} }

func (h *hits) ask(t *testing.T, c *Catalogue, name Name, typed string) {
	t.Helper()
	read := c.Read(typed)
	found, err := c.Nearest(t.Context(), Query{Text: read.Text, Conditions: read.Filters, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	h.asked[name.Field]++
	movie, _ := c.Movie(found[0].MovieID)
	if slices.ContainsFunc(movie.names(), func(n Name) bool { return strings.EqualFold(n.Text, name.Text) }) {
		h.first[name.Field]++
		return
	}
	h.missed = append(h.missed, fmt.Sprintf("%s %q of %s, typed %q and read as %q, finds %s", name.Field, name.Text, name.MovieID, typed, read.Text, movie.ID))
}

func (h *hits) check(t *testing.T, how string, least float64) {
	t.Helper()
	asked, first := 0, 0
	for field, n := range h.asked {
		t.Logf("%s %s: %d of %d first", field, how, h.first[field], n)
		asked, first = asked+n, first+h.first[field]
	}
	if share := float64(first) / float64(asked); share < least {
		t.Errorf("%.4f of names %s are found first, want %.2f:\n%s", share, how, least, strings.Join(h.missed, "\n"))
	}
}

// slip changes one letter of a text as hands do: it is left out, doubled, swapped with
// the next or replaced. Of names of few letters no reader could say what was meant.
func slip(r *rand.Rand, text string) (string, bool) {
	const lettersMin = 5
	letters := []rune(text)
	if n := len(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })); n == 0 || len(letters) < lettersMin {
		return "", false
	}
	alphabet := []rune("abcdefghijklmnopqrstuvwxyz")
	if isCyrillic(text) {
		alphabet = []rune("абвгдежзиклмнопрстуфхцчшыьэюя")
	} else if !strings.ContainsFunc(text, isLatin) {
		return "", false // nobody slips by a letter in Chinese
	}
	for range 100 {
		i := 1 + r.IntN(len(letters)-2)
		if !unicode.IsLetter(letters[i]) || !unicode.IsLetter(letters[i-1]) || !unicode.IsLetter(letters[i+1]) {
			continue
		}
		typed := slices.Clone(letters)
		switch r.IntN(4) {
		case 0:
			typed = slices.Delete(typed, i, i+1)
		case 1:
			typed = slices.Insert(typed, i, typed[i])
		case 2:
			typed[i], typed[i+1] = typed[i+1], typed[i]
		default:
			typed[i] = alphabet[r.IntN(len(alphabet))]
		}
		if !slices.Equal(typed, letters) {
			return string(typed), true
		}
	}
	return "", false
}

// A name is written with one apostrophe, the one that people type, so that it is one name
// in all films. A person or a character of a series has one Russian name.
func TestNamesAreWrittenInOneWay(t *testing.T) {
	russian := make(map[string]string)
	same := func(film, key, name string) {
		if before, ok := russian[key]; ok && before != name {
			t.Errorf("%s: %s is %q, and %q elsewhere", film, key, name, before)
		}
		russian[key] = name
	}
	for _, m := range shipped(t) {
		names := m.titles()
		for _, p := range m.people() {
			same(m.ID, p.Name, p.NameRU)
			names = append(names, p.Name, p.NameRU)
		}
		for _, c := range m.Characters {
			names = append(names, c.Name, c.NameRU)
			if m.Series != nil {
				same(m.ID, m.Series.Name+": "+c.Name, c.NameRU)
			}
		}
		for _, name := range names {
			if strings.ContainsAny(name, "’ʼ‘`") {
				t.Errorf("%s: %q has another apostrophe", m.ID, name)
			}
		}
	}
}
