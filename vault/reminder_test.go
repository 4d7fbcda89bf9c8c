package vault_test

import (
	"slices"
	"testing"
	"time"

	"kassa/domain"
)

// A reminder that was moved since is kept, when the one before is dropped.
func testReminders(t *testing.T, p place) {
	v, other := opened(t, p), opened(t, p)
	due := func(by time.Time, want ...domain.UserID) {
		t.Helper()
		if got, err := other.ErasuresDue(t.Context(), by, 10); err != nil || !slices.Equal(got, want) {
			t.Errorf("by %v are due %v, %v, want %v", by, got, err, want)
		}
	}
	must(t, v.RemindErasure(t.Context(), "u_ada", noon))
	must(t, v.RemindErasure(t.Context(), "u_bob", noon))
	due(noon.Add(-time.Second))
	must(t, other.RemindErasure(t.Context(), "u_ada", noon.Add(time.Hour)))
	due(noon, "u_bob")
	for _, u := range []domain.UserID{"u_ada", "u_bob"} {
		must(t, v.DropReminder(t.Context(), u, noon))
	}
	due(noon.Add(time.Hour), "u_ada")
	must(t, v.DropReminder(t.Context(), "u_ada", noon.Add(time.Hour)))
	due(noon.Add(time.Hour))
}
