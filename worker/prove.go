package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"kassa/worker/modelfile"
)

// ErrUnproven means that a model does not compute what its card has, or not in time:
// another tokenizer, a damaged file, a graph that this build runs wrongly or not at all.
var ErrUnproven = errors.New("model does not prove itself")

// proveWithin is how long a model may take to be loaded and to prove itself. The slowest
// one that was measured, e5-small on one core without vector instructions, takes 15 s.
const proveWithin = time.Minute

// differenceMax is how far the numbers of a unit vector may be from those of the card:
// other processors and other libraries add up in another order.
const differenceMax = 1e-4

// defaultChecks are for a model without check texts of its own: they show that it runs,
// and that a text's vector does not depend on those beside it.
var defaultChecks = []string{"a ship in the ice", "корабль во льдах",
	"An old man remembers the summer when his brother came home from the war and would not speak to anybody. Старик вспоминает лето, когда брат вернулся с войны."}

// prove embeds the check texts, each alone and all together. Those without a known
// vector must have the same one both times. It is also the first call, beside which
// hugot must have no other.
func (m model) prove(checks []modelfile.Check) error {
	texts := make([]string, len(checks))
	for i, c := range checks {
		texts[i] = c.Text
	}
	if len(checks) == 0 {
		texts = slices.Clone(defaultChecks) // what fits is written over them
	}
	known := make([][]float32, len(texts))
	for i, text := range texts {
		fitted, err := m.fit("", text)
		if len(checks) == 0 && errors.Is(err, ErrNoMeaning) { // a model of one language, or of few words
			fitted, err = text, nil
		}
		if err != nil {
			return fmt.Errorf("%w: check text %d: %w", ErrUnproven, i, err)
		}
		texts[i] = fitted
		alone, err := m.infer(texts[i : i+1])
		if err != nil {
			return fmt.Errorf("%w: check text %d: %w", ErrUnproven, i, err)
		}
		known[i] = alone[0]
		if len(checks) > 0 {
			known[i] = checks[i].Vector
			if off := difference(known[i], alone[0]); !(off <= differenceMax) {
				return fmt.Errorf("%w: the vector of check text %d is off by %.2g, at most %.2g is allowed: the tokenizer or the graph is not run as it should be", ErrUnproven, i, off, differenceMax)
			}
		}
	}
	together, err := m.infer(texts)
	if err != nil {
		return fmt.Errorf("%w: the check texts together: %w", ErrUnproven, err)
	}
	for i := range texts {
		if off := difference(known[i], together[i]); !(off <= differenceMax) && (len(checks) > 0 || isUnit(known[i])) {
			return fmt.Errorf("%w: the vector of check text %d is off by %.2g among others: vectors of this model depend on what is embedded beside them", ErrUnproven, i, off)
		}
	}
	return nil
}

// difference is the largest one between two numbers in the same place; NaN where there is
// no saying.
func difference(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	var most float64
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= most) {
			most = d // NaN too, and it stays
		}
	}
	return most
}

// Checks are check texts with the vectors that this program computes: for the card of a
// model that comes without any.
func (e *Embedder) Checks(ctx context.Context) ([]modelfile.Check, error) {
	var checks []modelfile.Check
	for _, text := range defaultChecks { // one by one, as they are checked at a load
		vectors, faults := e.embed(ctx, []input{{text: text}})
		if errors.Is(faults[0], ErrNoMeaning) { // a model of one language
			continue
		}
		if faults[0] != nil {
			return nil, faults[0]
		}
		checks = append(checks, modelfile.Check{Text: text, Vector: vectors[0]})
	}
	return checks, nil
}
