package domain_test

import (
	"strings"
	"testing"

	"kassa/domain"
)

func TestIDs(t *testing.T) {
	for name, valid := range map[string]bool{
		"4hx2k7qpmzyrw3n5tbcd":    true,
		"nobody":                  true,
		strings.Repeat("a", 62):   true,
		strings.Repeat("a", 63):   false,
		"":                        false,
		"a\x00b":                  false,
		"a\xffb":                  false,
		"a b":                     false,
		"A":                       false,
		"é":                       false,
		"../a":                    false,
		"a'; DROP TABLE events--": false,
	} {
		if got := domain.UserID("u_" + name).Valid(); got != valid {
			t.Errorf("u_%q is valid: %v, want %v", name, got, valid)
		}
		if got := domain.PredictionID("p_" + name).Valid(); got != valid {
			t.Errorf("p_%q is valid: %v, want %v", name, got, valid)
		}
	}
	if domain.UserID("p_a").Valid() || domain.PredictionID("u_a").Valid() || domain.UserID("").Valid() {
		t.Error("an id of another kind is valid")
	}
}
