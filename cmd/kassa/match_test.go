package main

import (
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// A question whose time is up is not carried, and not even opened: after a stall
// there may be thousands of them before the first that can still be answered.
func TestExpiredQuestionsAreNotCarried(t *testing.T) {
	carry := (&matcher{}).carry(nil) // no vault, no bus: whatever touches them panics
	asked := domain.PredictionRequested{User: "u_1", Prediction: "p_1", ExpiresAt: time.Now()}
	if err := carry(t.Context(), eventstore.Recorded{Event: asked}); err != nil {
		t.Error(err)
	}
	asked.ExpiresAt = time.Now().Add(time.Minute)
	defer func() {
		if recover() == nil {
			t.Error("a question that can be answered was not carried")
		}
	}()
	_ = carry(t.Context(), eventstore.Recorded{Event: asked})
}
