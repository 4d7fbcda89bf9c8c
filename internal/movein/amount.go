package movein

import (
	"fmt"
	"math"
	"strings"

	"kassa/domain"
)

// Amount is an amount of the replaced system in millionths of a credit. It had floating
// point, so 0.1 + 0.2 was a little more than 0.3; a millionth is far below what anybody
// typed, and far above such errors.
type Amount int64

const credit Amount = 1_000_000

// amountOf reads an amount; ok is false for one that no wallet can have.
func amountOf(v float64) (a Amount, ok bool) {
	if math.IsNaN(v) || math.Abs(v) > float64(domain.MaxBalance) {
		return 0, false
	}
	return Amount(math.Round(v * float64(credit))), true
}

// plus adds, up to what a wallet can have: sums of absurd amounts do not wrap.
func (a Amount) plus(b Amount) Amount {
	most := inCredits(domain.MaxBalance)
	return min(max(a+b, -most), most)
}

// up gives whole credits, rounded up.
func (a Amount) up() domain.Credits {
	whole := domain.Credits(a / credit)
	if a%credit > 0 {
		whole++
	}
	return whole
}

// inCredits is a whole number of credits as an Amount.
func inCredits(c domain.Credits) Amount { return Amount(c) * credit }

// String is the amount in credits, with as many decimals as it has.
func (a Amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	text := fmt.Sprintf("%s%d.%06d", sign, a/credit, a%credit)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// MarshalJSON writes the amount as a number of credits.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.String()), nil }
