package commands_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// restored is a database that is put back, or fails over, while a process lives.
type restored struct{ commands.Store }

func (r *restored) to(f *fourEyes) { r.Store = f.store }

// What a process has folded of a stream is of the database as it was. Where that has a shorter
// stream now, or another one of the same length or longer, it is folded again.
func TestStreamsOfARestoredDatabase(t *testing.T) {
	const prices, adjustments = eventstore.PricesStream, eventstore.AdjustmentsStream
	was := newFourEyes(t, above50)
	was.propose()
	was.propose()
	_, err := was.SetPrice(t.Context(), domain.PriceSet{Price: 7})
	must(t, err)

	shorter, other, longer, empty := newFourEyes(t, above50), newFourEyes(t, above50), newFourEyes(t, above50), newFourEyes(t, above50)
	shorter.propose()
	for _, f := range []*fourEyes{other, longer} {
		f.now = noon.Add(time.Minute)
		f.propose()
		f.propose()
		_, err := f.SetPrice(t.Context(), domain.PriceSet{Price: 8})
		must(t, err)
	}
	longer.propose()
	for price := range domain.Credits(3) {
		_, err := longer.SetPrice(t.Context(), domain.PriceSet{Price: 9 + price})
		must(t, err)
	}
	for name, now := range map[string]*fourEyes{"shorter": shorter, "another": other, "longer, and another": longer, "empty": empty} {
		t.Run(name, func(t *testing.T) {
			log := &restored{was.store}
			h := was.over(log)
			_, err := h.Proposals(t.Context())
			must(t, err)
			_, _, err = h.Prices(t.Context(), true)
			must(t, err)

			log.to(now)
			for range 2 {
				got, err := h.Proposals(t.Context())
				must(t, err)
				want, err := now.Proposals(t.Context())
				must(t, err)
				if !slices.Equal(got, want) {
					t.Errorf("of %s it has %+v, and stored are %+v", adjustments, got, want)
				}
				set, version, err := h.Prices(t.Context(), true)
				must(t, err)
				stored, at, err := now.Prices(t.Context(), true)
				must(t, err)
				if set != stored || version != at {
					t.Errorf("of %s it has %+v at version %d, and stored are %+v at %d", prices, set, version, stored, at)
				}
			}
		})
	}
}

// archivedUpTo is a database in which the first entries of accounts are archived.
type archivedUpTo struct {
	commands.Store
	version eventstore.Version
}

func (a archivedUpTo) Stream(ctx context.Context, s eventstore.Stream, after eventstore.Version, limit int) ([]eventstore.Recorded, error) {
	if _, account := s.User(); account && after < a.version {
		return nil, eventstore.ErrArchived
	}
	return a.Store.Stream(ctx, s, after, limit)
}

// Where the first entries of an account are archived, an answer behind them is refined and
// confirmed, and the account is erased.
func TestAnAccountWithArchivedEntries(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	w.give(ada, 20)
	loaded, err := w.store.Refresh(t.Context(), ada)
	must(t, err)
	first := w.answered(ada)
	over := w.over(archivedUpTo{w.store, loaded.Version})
	over.Refining = w.Refining
	second, err := over.Refine(t.Context(), refinement(ada, first, "older", ""))
	must(t, err)
	_, err = w.Complete(t.Context(), endingOf(ada, second), answer)
	must(t, err)
	_, err = over.Confirm(t.Context(), commands.Confirm{User: ada, Answer: second.Prediction, Movie: answer.Movies[0].MovieID})
	must(t, err)
	_, err = over.RequestErasure(t.Context(), commands.Erasure{User: ada, Bought: domain.ForfeitCredits})
	must(t, err)
	if gone, err := over.FinishErasure(t.Context(), ada); err != nil {
		t.Errorf("erased: %v, %v", gone, err)
	}
	if a, err := w.Account(t.Context(), ada); err != nil || !a.Erased {
		t.Errorf("the account is %+v, %v", a, err)
	}
}
