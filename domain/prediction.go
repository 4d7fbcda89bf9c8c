package domain

// PredictionState is the state of a prediction. The table:
//
//	             PredictionCompleted   PredictionFailed   PredictionExpired   PredictionRefunded   PredictionConfirmed
//	Held     →   Captured              Released           Expired             -                    -
//	Captured →   -                     -                  -                   Refunded             Captured
//	nothing leads out of the other three
type PredictionState string

// The states of a prediction.
const (
	StateHeld     PredictionState = "held"
	StateCaptured PredictionState = "captured"
	StateReleased PredictionState = "released"
	StateExpired  PredictionState = "expired"
	StateRefunded PredictionState = "refunded"
)

// PredictionStates are all of them.
var PredictionStates = []PredictionState{StateHeld, StateCaptured, StateReleased, StateExpired, StateRefunded}

var steps = map[PredictionState]map[EventType]PredictionState{
	StateHeld: {
		TypePredictionCompleted: StateCaptured,
		TypePredictionFailed:    StateReleased,
		TypePredictionExpired:   StateExpired,
	},
	StateCaptured: {TypePredictionRefunded: StateRefunded, TypePredictionConfirmed: StateCaptured},
}

// Ended reports whether the hold of the question is over.
func (s PredictionState) Ended() bool { return s != StateHeld }

// Answered reports whether the question has an answer, paid for or refunded.
func (s PredictionState) Answered() bool { return s == StateCaptured || s == StateRefunded }

// Next gives the state after an event of the prediction; ok is false where the table
// has no such step.
func (s PredictionState) Next(t EventType) (next PredictionState, ok bool) {
	if next, ok = steps[s][t]; !ok {
		return s, false
	}
	return next, true
}
