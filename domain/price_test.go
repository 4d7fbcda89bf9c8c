package domain_test

import (
	"errors"
	"testing"

	"kassa/domain"
)

func TestSetPrice(t *testing.T) {
	five, rubles := domain.PriceSet{Price: 5}, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150}
	for _, tt := range []struct {
		name    string
		now, to domain.PriceSet
		decides bool
		refused domain.Code
	}{
		{"the first price", domain.PriceSet{}, five, true, ""},
		{"the same again", five, five, false, ""},
		{"a credit gets a price", five, rubles, true, ""},
		{"a credit has none any more", rubles, five, true, ""},
		{"the highest", five, domain.PriceSet{Price: domain.MaxAmount, Currency: "JPY", CreditPrice: domain.MaxCreditPrice}, true, ""},
		{"nothing", five, domain.PriceSet{}, false, domain.InvalidAmount},
		{"too much", five, domain.PriceSet{Price: domain.MaxAmount + 1}, false, domain.InvalidAmount},
		{"a currency alone", five, domain.PriceSet{Price: 5, Currency: "RUB"}, false, domain.InvalidAmount},
		{"a credit's price alone", five, domain.PriceSet{Price: 5, CreditPrice: 150}, false, domain.InvalidAmount},
		{"a credit below zero", five, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: -1}, false, domain.InvalidAmount},
		{"a credit too dear", five, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: domain.MaxCreditPrice + 1}, false, domain.InvalidAmount},
		{"no currency", five, domain.PriceSet{Price: 5, Currency: "rub", CreditPrice: 150}, false, domain.InvalidAmount},
		{"a currency of four letters", five, domain.PriceSet{Price: 5, Currency: "RUBL", CreditPrice: 150}, false, domain.InvalidAmount},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := tt.now.SetPrice(tt.to)
			refusal := domain.RefusalIn(err)
			if tt.decides != (len(events) == 1) || (refusal == nil) != (tt.refused == "") || refusal != nil && refusal.Code != tt.refused {
				t.Fatalf("decided %v, %v", events, err)
			}
			after := tt.now
			broken := after.Apply(tt.to)
			if (tt.refused != "") != errors.Is(broken, domain.ErrBroken) || broken == nil && after != tt.to {
				t.Errorf("folds to %+v, %v", after, broken)
			}
		})
	}
}
