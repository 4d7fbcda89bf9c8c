package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"kassa/catalog/words"
)

// piece is one entry of the vocabulary before it has a vector.
type piece struct {
	text   string
	stem   string // of the word; "" if the piece is no word
	factor float64
}

// Endings after a known stem. Their vectors are zero, so that a stem with its ending
// has the vector of the stem: the mean over pieces is normalised, and a zero row only
// changes its length.
var endings = []string{
	// Russian, normalised: й is и
	"ов", "ев", "ам", "ям", "ах", "ях", "ами", "ями", "ом", "ем", "ою", "ею", "ои", "еи", "ии", "ия", "ию", "ие",
	"ого", "его", "ому", "ему", "ым", "им", "ых", "их", "ыми", "ими", "ая", "яя", "ую", "юю", "ое", "ее", "ые", "ыи",
	"ал", "ала", "ало", "али", "ял", "яла", "ил", "ила", "ило", "или", "ел", "ела", "ели", "ать", "ять", "ить", "еть",
	"ает", "яет", "ит", "ет", "ют", "ут", "ят", "ат", "ешь", "ишь", "аем", "ают", "яют", "ует", "уют", "ся", "сь",
	"ется", "ются", "ится", "ался", "алась", "ились", "ть", "ти", "ши", "вши", "вшии", "ющии", "ющая", "ущии", "нии", "ния",
	"ние", "нием", "ению", "ения", "ение", "ости", "ость", "остью", "ка", "ки", "ку", "ке", "кои", "ок", "ек", "ик", "ика",
	"ныи", "ная", "ное", "ные", "ного", "нои", "ных", "ским", "ская", "скии", "ские", "ского", "скои", "ец", "ца", "цы",
	// English
	"s", "es", "ed", "er", "ers", "ing", "ings", "ly", "ness", "less", "ful", "ion", "ions", "ation", "ment", "ments", "al",
	"ive", "able", "ous", "est", "ish", "y", "ies", "ied", "d", "n", "t",
}

// vocabulary lists the pieces after the special ones: every letter, so that no word of
// the two languages is unknown; endings; stems; and the words that the longest match
// would not split after their own stem.
func vocabulary(s *space, all []words.Word) []piece {
	v := &pieces{seen: make(map[string]int)}
	for _, r := range "abcdefghijklmnopqrstuvwxyz0123456789абвгдежзиклмнопрстуфхцчшщъыьэюяіїєґ" {
		v.add(piece{text: string(r)})
		v.add(piece{text: "##" + string(r)})
	}
	for _, r := range "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»—–…’“”„" {
		v.add(piece{text: string(r)})
	}
	for _, e := range endings {
		v.add(piece{text: "##" + e})
	}
	faint := make(map[string]bool)     // stems that get no piece
	implied := make(map[string]string) // stems that add nothing to a shorter stem
	for _, stem := range stems(all) {
		if s.faint(stem) {
			faint[stem] = true
			continue
		}
		if shorter := v.cut(stem); shorter != "" && s.implies(shorter, stem) {
			implied[stem] = shorter
			continue
		}
		v.add(piece{text: stem, stem: stem, factor: v.factor(s, stem)})
	}
	for _, w := range forms(all) {
		if faint[w.Stem] {
			continue
		}
		if cut := v.cut(w.Form); cut != w.Stem && (cut == "" || cut != implied[w.Stem]) {
			v.add(piece{text: w.Form, stem: w.Stem, factor: v.factor(s, w.Stem)})
		}
	}
	return v.list
}

type pieces struct {
	list []piece
	seen map[string]int
}

// add appends a piece; one with a stem replaces one without.
func (v *pieces) add(p piece) {
	if i, ok := v.seen[p.text]; ok {
		if v.list[i].stem == "" {
			v.list[i] = p
		}
		return
	}
	v.seen[p.text] = len(v.list)
	v.list = append(v.list, p)
}

func (v *pieces) factor(s *space, stem string) float64 {
	if s.stops[stem] || utf8.RuneCountInString(stem) == 1 {
		return s.stop
	}
	return 1
}

// cut returns the stem of the first piece of a word if the other pieces are endings,
// else "".
func (v *pieces) cut(form string) string {
	ids := split(form, v.seen)
	for k, id := range ids {
		if k > 0 && v.list[id].stem != "" {
			return ""
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return v.list[ids[0]].stem
}

// split tokenises a normalised word as WordPiece does: the longest piece first. It
// returns nothing for a word with a part that is no piece.
func split(form string, vocabulary map[string]int) []int {
	var ids []int
	for start := 0; start < len(form); {
		prefix := ""
		if start > 0 {
			prefix = "##"
		}
		id, end, ok := 0, len(form), false
		for ; end > start; end-- {
			if end < len(form) && !utf8.RuneStart(form[end]) {
				continue
			}
			if id, ok = vocabulary[prefix+form[start:end]]; ok {
				break
			}
		}
		if !ok {
			return nil
		}
		ids = append(ids, id)
		start = end
	}
	return ids
}

// stems lists the stems that are a prefix of one of their forms, the shortest first.
func stems(all []words.Word) []string {
	var out []string
	for _, w := range all {
		if strings.HasPrefix(w.Form, w.Stem) {
			out = append(out, w.Stem)
		}
	}
	slices.SortFunc(out, byLength)
	return slices.Compact(out)
}

func byLength(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// forms lists all words, the shortest first: how a word is split depends on the pieces
// before it.
func forms(all []words.Word) []words.Word {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b words.Word) int {
		return cmp.Or(byLength(a.Form, b.Form), byLength(a.Stem, b.Stem))
	})
	return slices.CompactFunc(out, func(a, b words.Word) bool { return a.Form == b.Form && a.Stem == b.Stem })
}
