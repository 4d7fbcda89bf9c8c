package main

import (
	"math"
	"testing"
)

func TestKeywordIndex(t *testing.T) {
	k := newKeywordIndex([][]string{
		{"prison", "escap", "banker", "prison"},
		{"prison", "guard", "hotel", "winter"},
		{"hotel", "famili", "winter", "snow"},
	})
	one := k.scores([]string{"prison", "banker"})
	if !(one[0] > one[1] && one[1] > one[2]) || one[2] != 0 {
		t.Errorf("scores are %v, want falling to 0", one)
	}
	if more := k.scores([]string{"prison", "banker", "unheard"}); more[0] >= one[0] {
		t.Errorf("an unknown stem raised the score from %g to %g", one[0], more[0])
	}
	for _, query := range [][]string{nil, {"unheard"}} {
		for _, s := range k.scores(query) {
			if s != 0 {
				t.Errorf("score for %v is %g", query, s)
			}
		}
	}
	flood := newKeywordIndex([][]string{{"a", "a", "a", "a", "a", "a", "a", "a"}, {"b"}})
	if s := flood.scores([]string{"a"}); s[0] <= 0 || s[0] >= 1 {
		t.Errorf("score is %g, want inside 0 to 1", s[0])
	}
}

func TestKeywordIndexOfNothing(t *testing.T) {
	for _, docs := range [][][]string{nil, {{}}} {
		for _, s := range newKeywordIndex(docs).scores([]string{"a"}) {
			if s != 0 || math.IsNaN(s) {
				t.Errorf("score is %g", s)
			}
		}
	}
}

func TestHybrid(t *testing.T) {
	if hybrid(0.5, 0) != 0.5 {
		t.Error("without shared stems the cosine is the score")
	}
	if hybrid(0.5, 0.4) <= hybrid(0.5, 0.3) || hybrid(0.6, 0.3) <= hybrid(0.5, 0.3) {
		t.Error("score does not rise with both parts")
	}
}
