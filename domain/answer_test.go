package domain_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"kassa/domain"
)

// What a worker says of itself is kept for ever, so only what is within bounds is.
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
