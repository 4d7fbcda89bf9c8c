package audit_test

import (
	"strings"
	"testing"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
)

// The journals state what a credit costs in money, from the date on from which it does; one
// that begins later states it at its beginning.
func TestJournalsStateThePriceOfACredit(t *testing.T) {
	c := validLog()
	c.by("operator", domain.PriceSet{Price: 1, Currency: "RUB", CreditPrice: 150})
	c.deposit(ada, 5, "pay-2")
	c.by("operator", domain.PriceSet{Price: 2})
	c.deposit(ada, 5, "pay-3")
	log := audit.FullLog{Store: forge(t, c.log).read(t)}
	for format, line := range map[audit.Format]string{audit.Hledger: "P 2026-03-01 CREDIT 1.50 RUB\n", audit.Beancount: "2026-03-01 price CREDIT 1.50 RUB\n"} {
		for from, want := range map[eventstore.Position]int{1: 1, 12: 1, 14: 0} {
			if text, _ := exported(t, audit.Export{Log: log, Format: format, From: from}); strings.Count(string(text), line) != want {
				t.Errorf("%s from %d has the price not %d times:\n%s", format, from, want, text)
			}
		}
	}
}
