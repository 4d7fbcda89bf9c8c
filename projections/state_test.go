package projections

import (
	"fmt"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// A view's next state costs what has changed since the last one, however much there is: each
// attestation of a log is compared with one.
func TestStatesCostWhatChanged(t *testing.T) {
	const days = 200
	var log []eventstore.Recorded
	for i := range days {
		u, p := domain.UserID(fmt.Sprint("u_", i)), domain.PredictionID(fmt.Sprint("p_", i))
		for _, e := range []domain.Event{domain.SignedUp{User: u}, domain.PredictionRequested{User: u, Prediction: p, FollowUp: &domain.FollowUp{}}} {
			log = append(log, eventstore.Recorded{Envelope: eventstore.Envelope{Position: eventstore.Position(len(log) + 1), Time: time.Unix(0, 0).Add(time.Duration(i) * day)}, Event: e})
		}
	}
	for _, view := range []string{balancesTable, daysTable, trialTable, usersTable} {
		s := StatedBy(view)
		if err := s.Apply(log); err != nil {
			t.Fatal(err)
		}
		s.State()
		last := log[len(log)-1]
		last.Event = domain.SignedUp{User: "u_last"}
		if err := s.Apply([]eventstore.Recorded{last}); err != nil {
			t.Fatal(err)
		}
		hashed := 0
		if named, ok := s.fold.(noting); ok {
			named.changed(func(bool, Row) { hashed++ })
		} else {
			s.fold.rest(func(Row) { hashed++ })
		}
		if hashed == 0 || hashed > 8 {
			t.Errorf("%s: after one entry %d rows are hashed", view, hashed)
		}
	}
}
