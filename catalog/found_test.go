package catalog

import "testing"

func TestConfidence(t *testing.T) {
	c := given(t, shipped(t), hashing{model: "wide-1", dims: 512})
	for text, want := range map[string]func(float64) bool{
		"Inception": func(sure float64) bool { return sure > 0.8 && sure < 1 },
		"a dream":   func(sure float64) bool { return sure > NotFoundBelow && sure < 1 },
		"ъъъ":       func(sure float64) bool { return sure < NotFoundBelow },
	} {
		found, err := c.Find(t.Context(), Query{Text: text})
		for _, m := range found.Matches[min(1, len(found.Matches)):] {
			if m.Score == 0 {
				t.Errorf("%q finds %s, for which nothing speaks", text, m.MovieID)
			}
		}
		if err != nil || len(found.Matches) == 0 || !want(found.Confidence) {
			t.Errorf("%q is found with a confidence of %v, %v, %v", text, found.Confidence, found.Matches, err)
		}
	}
}
