package domain

// PredictionState is where a question stands. The table:
//
//	            PredictionCompleted   PredictionFailed   PredictionExpired
//	Held    →   Captured              Released           Expired
//	the other three are ends: nothing leads out of them
type PredictionState string

// The states of a prediction.
const (
	StateHeld     PredictionState = "held"
	StateCaptured PredictionState = "captured"
	StateReleased PredictionState = "released"
	StateExpired  PredictionState = "expired"
)

// Ended says whether the state is an end.
func (s PredictionState) Ended() bool { return s != StateHeld }

// Next gives the state after an ending event; ok is false where the table has
// no such step.
func (s PredictionState) Next(t EventType) (next PredictionState, ok bool) {
	if s.Ended() {
		return s, false
	}
	switch t {
	case TypePredictionCompleted:
		return StateCaptured, true
	case TypePredictionFailed:
		return StateReleased, true
	case TypePredictionExpired:
		return StateExpired, true
	}
	return s, false
}
