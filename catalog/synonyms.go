package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"kassa/catalog/lexicon"
	"kassa/catalog/words"
)

// Synonyms is an operator's own group of synonyms, in both languages. It is used like a
// group of the lexicon.
type Synonyms struct {
	ID    string // eight hexadecimal digits, a hash of the words
	Words []string
}

// Limits of a group.
const (
	synonymsWordsMax   = 50
	synonymLettersMax  = 100
	synonymInWordsMost = 5 // words of one phrase
)

// ErrSynonyms means that the words are no valid group.
var ErrSynonyms = errors.New("these words make no group of synonyms")

// NewSynonyms makes a group of words or phrases, in any order.
func NewSynonyms(list ...string) (Synonyms, error) {
	var group Synonyms
	stems := make(map[string]bool)
	for _, phrase := range list {
		phrase = strings.ToLower(norm.NFC.String(strings.Join(strings.Fields(phrase), " ")))
		key, err := checkSynonym(phrase)
		if err != nil {
			return Synonyms{}, err
		}
		if !slices.Contains(group.Words, phrase) {
			group.Words = append(group.Words, phrase)
			stems[key] = true
		}
	}
	switch {
	case len(stems) < 2:
		return Synonyms{}, fmt.Errorf("%w: a group has two different words or more", ErrSynonyms)
	case len(group.Words) > synonymsWordsMax:
		return Synonyms{}, fmt.Errorf("%w: there are %d, and at most %d may be in a group", ErrSynonyms, len(group.Words), synonymsWordsMax)
	}
	slices.Sort(group.Words)
	sum := sha256.Sum256([]byte(group.stored()))
	group.ID = hex.EncodeToString(sum[:4])
	return group, nil
}

// checkSynonym returns the stems of a phrase, which identify it.
func checkSynonym(phrase string) (string, error) {
	list := words.Split(phrase)
	switch {
	case strings.ContainsFunc(phrase, func(r rune) bool { return r == ',' || r == utf8.RuneError || unicode.IsControl(r) }):
		return "", fmt.Errorf("%w: %q holds a comma or a control character", ErrSynonyms, Abridge(phrase))
	case utf8.RuneCountInString(phrase) > synonymLettersMax || len(list) > synonymInWordsMost:
		return "", fmt.Errorf("%w: %q is too long, at most %d words and %d letters are allowed", ErrSynonyms, Abridge(phrase), synonymInWordsMost, synonymLettersMax)
	case !slices.ContainsFunc(list, func(w words.Word) bool { return !words.IsStop(w.Form) }):
		return "", fmt.Errorf("%w: %q has no word that films are searched by", ErrSynonyms, phrase)
	}
	return joinedStems(list), nil
}

func (s Synonyms) stored() string { return strings.Join(s.Words, ",") }

func storedSynonyms(id, list string) Synonyms { return Synonyms{id, strings.Split(list, ",")} }

// with returns the synonyms together with an operator's groups.
func (s *synonyms) with(own []Synonyms) *synonyms {
	if len(own) == 0 {
		return s
	}
	groups := make([]lexicon.Group, len(own))
	for i, g := range own {
		groups[i] = lexicon.Group{ID: g.ID, Phrases: g.Words}
	}
	more := newSynonyms(groups)
	all := &synonyms{groups: slices.Concat(s.groups, more.groups), links: maps.Clone(s.links), words: slices.Clone(s.words)}
	for stem, links := range more.links {
		both := slices.Clone(s.links[stem])
		for _, l := range links {
			both = append(both, link{l.group + len(s.groups), l.part})
		}
		all.links[stem] = both
	}
	known := make(map[string]bool, len(s.words))
	for _, w := range s.words {
		known[w.Form] = true
	}
	for _, w := range more.words {
		if !known[w.Form] {
			all.words = append(all.words, w)
		}
	}
	return all
}

// WithSynonyms is a copy of the catalogue with another group, to see what it would
// change. The copy does not follow the database.
func (c *Catalogue) WithSynonyms(group Synonyms) *Catalogue {
	all := c.now.Load().stored
	all.synonyms = append(slices.Clone(all.synonyms), group)
	with := &Catalogue{store: c.store}
	with.now.Store(newView(all))
	return with
}

// Synonyms lists the operator's groups of words as they are stored, by id.
func (c *Catalogue) Synonyms(ctx context.Context) ([]Synonyms, error) { return c.store.synonyms(ctx) }

// AddSynonyms adds a group of words, and reports whether it is new, whatever the error is.
func (c *Catalogue) AddSynonyms(ctx context.Context, group Synonyms) (bool, error) {
	n, err := c.store.addSynonyms(ctx, []Synonyms{group}, time.Now())
	return c.synonymsChanged(ctx, group.ID, true, n, err)
}

// RemoveSynonyms deletes a group by its id, and reports whether it was there, whatever the
// error is.
func (c *Catalogue) RemoveSynonyms(ctx context.Context, id string) (bool, error) {
	n, err := c.store.removeSynonyms(ctx, []string{id})
	return c.synonymsChanged(ctx, id, false, n, err)
}

// synonymsChanged is how a change of a group ended, after which it is to be there or not. Where
// the outcome of the commit is unknown, the group is looked for.
func (c *Catalogue) synonymsChanged(ctx context.Context, id string, there bool, n int, err error) (bool, error) {
	if errors.Is(err, ErrUnknown) && n > 0 {
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookAfter)
		defer cancel()
		list, failed := c.store.synonyms(look)
		is := slices.ContainsFunc(list, func(g Synonyms) bool { return g.ID == id })
		if failed == nil && is == there {
			err = nil
		}
	}
	if err != nil {
		return false, err
	}
	return n > 0, c.refresh(ctx)
}
