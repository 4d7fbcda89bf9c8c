package audit

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/currency"

	"kassa/domain"
)

// Money is an amount of a currency, in its minor units: kopecks, cents, or yen.
type Money struct {
	Minor    int64
	Currency string // code of ISO 4217
}

// decimals is how many digits the currency has behind the point.
func decimals(code string) (int, error) {
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return 0, fmt.Errorf("%q is no code of ISO 4217, such as RUB", code)
	}
	digits, _ := currency.Standard.Rounding(unit)
	return digits, nil
}

// ParseMoney reads an amount such as -1234.5 as money of a currency. A digit that the
// currency does not have is an error, and not rounded.
func ParseMoney(amount, code string) (Money, error) {
	digits, err := decimals(code)
	if err != nil {
		return Money{}, err
	}
	whole, fraction, point := strings.Cut(amount, ".")
	bare := strings.TrimLeft(whole, "+-")
	if len(fraction) > digits && strings.Trim(fraction[digits:], "0") == "" {
		fraction = fraction[:digits]
	}
	switch {
	case bare == "" || len(whole)-len(bare) > 1 || point && fraction == "" && digits > 0, strings.Trim(bare+fraction, "0123456789") != "":
		return Money{}, fmt.Errorf("%q is no amount such as 1234.50", amount)
	case len(fraction) > digits:
		return Money{}, fmt.Errorf("%s has %d digits behind the point, and %q has %d", code, digits, amount, len(fraction))
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil {
		return Money{}, fmt.Errorf("the amount %q is too large", amount)
	}
	return Money{minor, code}, nil
}

// Amount is the number with a point, as ParseMoney reads it.
func (m Money) Amount() string {
	digits, err := decimals(m.Currency)
	if err != nil {
		digits = 0 // a currency that came after this program
	}
	text, sign := strconv.FormatInt(m.Minor, 10), ""
	if m.Minor < 0 {
		text, sign = text[1:], "-"
	}
	if digits == 0 {
		return sign + text
	}
	text = strings.Repeat("0", max(0, digits+1-len(text))) + text
	return sign + text[:len(text)-digits] + "." + text[len(text)-digits:]
}

func (m Money) String() string { return m.Amount() + " " + m.Currency }

// Worth is what credits cost by a price, ok false where no price of a credit is stated.
func Worth(c domain.Credits, p domain.PriceSet) (m Money, ok bool) {
	return Money{int64(c) * p.CreditPrice, p.Currency}, p.Currency != ""
}
