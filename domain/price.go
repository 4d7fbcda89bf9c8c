package domain

// MaxCreditPrice bounds the price of a credit, in minor units, so that what all credits
// of a wallet cost is far from the edge of int64.
const MaxCreditPrice = 1_000_000

// SetPrice changes the prices. Nothing is decided where they are so already. The zero
// value is a log without prices.
func (p PriceSet) SetPrice(to PriceSet) ([]Event, error) {
	if err := to.check(); err != nil {
		return nil, err
	}
	if p == to {
		return nil, nil
	}
	return []Event{to}, nil
}

// Apply folds the next fact of the prices. An error wraps ErrBroken.
func (p *PriceSet) Apply(e PriceSet) error {
	if err := e.check(); err != nil {
		return broken("a price that cannot be: %s", err)
	}
	*p = e
	return nil
}

func (p PriceSet) check() error {
	switch {
	case p.Price < 1 || p.Price > MaxAmount:
		return Reject(InvalidAmount, "an answer costs from 1 to %d credits", MaxAmount)
	case (p.Currency == "") != (p.CreditPrice == 0):
		return Reject(InvalidAmount, "the price of a credit and its currency are stated together")
	case p.CreditPrice < 0 || p.CreditPrice > MaxCreditPrice:
		return Reject(InvalidAmount, "a credit costs from 1 to %d minor units", MaxCreditPrice)
	case p.Currency != "" && !isCurrency(p.Currency):
		return Reject(InvalidAmount, "a currency is named by its code of ISO 4217, such as RUB")
	}
	return nil
}

// isCurrency reports whether the text has the form of a code of ISO 4217.
func isCurrency(code string) bool {
	for _, c := range code {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(code) == 3
}
