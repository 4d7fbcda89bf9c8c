package audit

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"kassa/eventstore"
)

// Names that are used again are found in all runs of the temporary file and in the buffer,
// and no others.
func TestNamesThatAreUsedAgain(t *testing.T) {
	for _, many := range []int{0, 1, 99, 100, 101, 5000} {
		n := newNames()
		rng := rand.New(rand.NewPCG(1, uint64(many)))
		uses := map[string][]eventstore.Position{}
		for at := range eventstore.Position(many) {
			kind, name := nameKind(rng.IntN(4)), fmt.Sprint(rng.IntN(4000))
			if err := n.add(kind, name, at+1); err != nil {
				t.Fatal(err)
			}
			key := fmt.Sprint(kind, name)
			uses[key] = append(uses[key], at+1)
		}
		want := map[string]bool{}
		for _, at := range uses {
			if len(at) > 1 {
				want[fmt.Sprint(at)] = true
			}
		}
		err := n.repeated(func(group []use) error {
			var at []eventstore.Position
			for _, u := range group {
				at = append(at, u.at)
			}
			if text := fmt.Sprint(at); !want[text] {
				t.Errorf("of %d names, %s use one again and should not", many, text)
			} else {
				delete(want, text)
			}
			return nil
		})
		if err != nil || len(want) > 0 || len(n.runs) != many/usesAtOnce {
			t.Errorf("of %d names in %d runs, %d are not found, %v", many, len(n.runs), len(want), err)
		}
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}
}
