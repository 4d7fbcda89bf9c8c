package statement

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// Each person has one statement made at a time: another one waits for it a moment, and is refused
// then.
func TestOneStatementAtATime(t *testing.T) {
	b := &Books{}
	end, err := b.begin(t.Context(), "u_ada")
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = b.Of(gone, "u_ada", Period{})
	if refusal := domain.RefusalIn(err); refusal == nil || refusal.Code != problem.Unavailable {
		t.Errorf("beside another one: %v", err)
	}
	endOther, err := b.begin(gone, "u_bob")
	if err != nil {
		t.Fatalf("beside one of another person: %v", err)
	}
	endOther()
	end()
	if len(b.making) != 0 {
		t.Errorf("%d are being made", len(b.making))
	}

	var all sync.WaitGroup
	var making, made atomic.Int32
	for range 20 {
		all.Go(func() {
			end, err := b.begin(t.Context(), "u_ada")
			if err != nil {
				t.Error(err)
				return
			}
			if making.Add(1) != 1 {
				t.Error("two are made at once")
			}
			made.Add(1)
			making.Add(-1)
			end()
		})
	}
	if all.Wait(); made.Load() != 20 {
		t.Errorf("%d of 20 are made", made.Load())
	}
}
