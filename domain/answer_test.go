package domain_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"kassa/domain"
)

// A worker's answer is stored for ever, so it must be within bounds.
func TestAnswersWithinBounds(t *testing.T) {
	account := fold(t, new(book).write(facts(signedUp, deposited(30), requested("p_1", 5))))
	for _, tt := range []struct {
		model   string
		seconds float64
		kept    bool
	}{
		{"m", 0, true},
		{"kassa-static-6b2793674141", 0.25, true},
		{"folder with spaces и кириллица_2.0-ab", domain.MaxProcessingTime, true},
		{strings.Repeat("m", domain.MaxModelBytes), 1, true},
		{strings.Repeat("m", domain.MaxModelBytes+1), 1, false},
		{"", 1, false},
		{"eve@example.com", 1, false},
		{"\x1b[31mpaid", 1, false},
		{"a\u202eb", 1, false},
		{"a\xff", 1, false},
		{"m", -0.1, false},
		{"m", domain.MaxProcessingTime + 1, false},
		{"m", math.NaN(), false},
		{"m", math.Inf(1), false},
	} {
		events, err := account.Complete("p_1", domain.Answer{Model: tt.model, Catalogue: "c", ProcessingTime: tt.seconds})
		if tt.kept != (err == nil && len(events) == 1) || !tt.kept && (!errors.Is(err, domain.ErrAnswer) || strings.Contains(err.Error(), tt.model) && tt.model != "" && tt.model != "m") {
			t.Errorf("%.50q after %v s: %d events, %v", tt.model, tt.seconds, len(events), err)
		}
	}
}

// A confidence is of a first film, and not known where it is 0.
func TestConfidenceWithinBounds(t *testing.T) {
	account := fold(t, new(book).write(facts(signedUp, deposited(30), requested("p_1", 5))))
	film := []domain.Match{{MovieID: "m_1", Score: 0.5}}
	for _, tt := range []struct {
		confidence int
		films      []domain.Match
		kept       bool
	}{{0, film, true}, {1, film, true}, {domain.MaxConfidence, film, true}, {0, nil, true}, {1, nil, false}, {-1, film, false}, {domain.MaxConfidence + 1, film, false}} {
		events, err := account.Complete("p_1", domain.Answer{Movies: tt.films, Model: "m", Catalogue: "c", Confidence: tt.confidence})
		if tt.kept != (err == nil) || !tt.kept && !errors.Is(err, domain.ErrAnswer) {
			t.Errorf("%d with %d films: %v", tt.confidence, len(tt.films), err)
		}
		if tt.kept && events[0].(domain.PredictionCompleted).Confidence != tt.confidence {
			t.Errorf("%d is stored as %+v", tt.confidence, events[0])
		}
	}
}

func TestOnlyKnownReasonsFailAQuestion(t *testing.T) {
	account := fold(t, new(book).write(facts(signedUp, deposited(30), requested("p_1", 5))))
	for _, reason := range constants(t, "FailureReason") {
		if events, err := account.Fail("p_1", domain.FailureReason(reason)); err != nil || len(events) != 1 {
			t.Errorf("%s: %d events, %v", reason, len(events), err)
		}
	}
	for _, reason := range []domain.FailureReason{"", "other", "\x1b[31m", "eve@example.com", "worker_failed "} {
		if events, err := account.Fail("p_1", reason); !errors.Is(err, domain.ErrAnswer) || len(events) != 0 {
			t.Errorf("%q: %d events, %v", reason, len(events), err)
		}
	}
}
