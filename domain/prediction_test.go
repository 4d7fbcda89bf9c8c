package domain_test

import (
	"slices"
	"testing"

	"kassa/domain"
)

// The state machine a second time, as the list of all its steps; everything that
// is not in it must be impossible.
func TestPredictionSteps(t *testing.T) {
	type step struct {
		from domain.PredictionState
		by   domain.EventType
		to   domain.PredictionState
	}
	steps := []step{
		{domain.StateHeld, domain.TypePredictionCompleted, domain.StateCaptured},
		{domain.StateHeld, domain.TypePredictionFailed, domain.StateReleased},
		{domain.StateHeld, domain.TypePredictionExpired, domain.StateExpired},
		{domain.StateCaptured, domain.TypePredictionRefunded, domain.StateRefunded},
		{domain.StateCaptured, domain.TypePredictionConfirmed, domain.StateCaptured},
	}
	states := append(slices.Clone(domain.PredictionStates), "", "other")
	for _, from := range states {
		for _, by := range append(eventTypes(t), "", "Other") {
			i := slices.IndexFunc(steps, func(s step) bool { return s.from == from && s.by == by })
			next, ok := from.Next(by)
			if ok != (i >= 0) {
				t.Errorf("%q by %q: a step is %v", from, by, ok)
			}
			if want := from; !ok && next != want {
				t.Errorf("%q by %q goes to %q without a step", from, by, next)
			}
			if ok && i >= 0 && next != steps[i].to {
				t.Errorf("%q by %q goes to %q, want %q", from, by, next, steps[i].to)
			}
		}
	}
}

func TestPredictionEnds(t *testing.T) {
	for state, ended := range map[domain.PredictionState]bool{
		domain.StateHeld: false, domain.StateCaptured: true, domain.StateReleased: true, domain.StateExpired: true,
		domain.StateRefunded: true,
	} {
		if state.Ended() != ended {
			t.Errorf("%s ended: %v", state, state.Ended())
		}
	}
}
