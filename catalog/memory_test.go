package catalog

import "testing"

// A catalogue in memory is read-only, and has no database.
func TestInMemoryIsReadOnly(t *testing.T) {
	c, err := InMemory(t.Context(), shipped(t)[:3], small)
	if err != nil || c.Len() != 3 {
		t.Fatalf("%d films, %v", c.Len(), err)
	}
	if _, err := c.Import(t.Context(), shipped(t)[:4], small); err == nil {
		t.Error("a film was added")
	}
	if _, err := c.Remove(t.Context(), shipped(t)[0].ID); err == nil {
		t.Error("a film was removed")
	}
}
