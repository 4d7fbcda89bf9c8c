package audit

import (
	"kassa/domain"
	"kassa/eventstore"
)

// Functions on the past add up what entries say. Nothing has proved these, and a forged one may
// say any number: where a sum does not fit in 64 bits it is a fault, and never another number.

// plus is the sum of two numbers; it sets over where that does not fit.
func plus[T ~int64](a, b T, over *bool) T {
	sum := a + b
	*over = *over || sum < a != (b < 0)
	return sum
}

// minus is a number with the other sign; it sets over where that does not fit.
func minus[T ~int64](a T, over *bool) T {
	*over = *over || a != 0 && a == -a
	return -a
}

// times is the product of two numbers, neither of them the least one; it sets over where that
// does not fit.
func times(a, b int64, over *bool) int64 {
	product := a * b
	*over = *over || a != 0 && product/a != b
	return product
}

// moved gives the postings of an entry, to be added up. It is a fault where one of them, or a
// balance that the entry states, is more than a wallet can have: so what is computed of one
// entry alone fits.
func moved(rec eventstore.Recorded) ([]domain.Posting, error) {
	m, ok := rec.Event.(domain.MoneyEvent)
	if !ok {
		return nil, nil
	}
	w := m.Money()
	amounts := []domain.Credits{w.Available, w.Held, w.Given, w.GivenHeld}
	if e, adjusts := rec.Event.(domain.BalanceAdjusted); adjusts {
		amounts = append(amounts, e.Amount, e.GivenAmount)
	}
	for _, p := range w.Postings {
		amounts = append(amounts, p.Amount)
	}
	for _, amount := range amounts {
		if amount < -domain.MaxBalance || amount > domain.MaxBalance {
			return nil, inStream(fault(FactBroken, rec.Position, "%s of more credits than there can be", rec.Type), rec.Stream)
		}
	}
	return w.Postings, nil
}

// counted is nil, or the fault of an entry with which a sum does not fit.
func counted(rec eventstore.Recorded, over bool) error {
	if !over {
		return nil
	}
	return inStream(fault(FactBroken, rec.Position, "all amounts up to here come to more than can be counted"), rec.Stream)
}
