package audit_test

import (
	"testing"

	"kassa/audit"
	"kassa/domain"
)

func TestMoney(t *testing.T) {
	for _, tt := range []struct {
		amount, code string
		minor        int64
		shown        string // "": refused
	}{
		{"1.50", "RUB", 150, "1.50 RUB"},
		{"1.5", "RUB", 150, "1.50 RUB"},
		{"-0.05", "EUR", -5, "-0.05 EUR"},
		{"+7", "USD", 700, "7.00 USD"},
		{"1.5000", "RUB", 150, "1.50 RUB"},
		{"12", "JPY", 12, "12 JPY"},
		{"12.00", "JPY", 12, "12 JPY"},
		{"1.234", "KWD", 1234, "1.234 KWD"},
		{"0", "RUB", 0, "0.00 RUB"},
		{"1.505", "RUB", 0, ""},
		{"1.2", "JPY", 0, ""},
		{"1,5", "RUB", 0, ""},
		{"1 000", "RUB", 0, ""},
		{"", "RUB", 0, ""},
		{"-", "RUB", 0, ""},
		{".5", "RUB", 0, ""},
		{"1.", "RUB", 0, ""},
		{"--1", "RUB", 0, ""},
		{"1.-5", "RUB", 0, ""},
		{"1e3", "RUB", 0, ""},
		{"99999999999999999999", "RUB", 0, ""},
		{"1", "rub", 0, ""},
		{"1", "RUBLE", 0, ""},
		{"1", "", 0, ""},
	} {
		m, err := audit.ParseMoney(tt.amount, tt.code)
		if (err != nil) != (tt.shown == "") || m.Minor != tt.minor || err == nil && m.String() != tt.shown {
			t.Errorf("%q %s is %+v (%s), %v", tt.amount, tt.code, m, m, err)
		}
	}
	if m, ok := audit.Worth(-40, domain.PriceSet{Price: 5, Currency: "RUB", CreditPrice: 150}); !ok || m.String() != "-60.00 RUB" {
		t.Errorf("40 credits are %s", m)
	}
	if _, ok := audit.Worth(40, domain.PriceSet{Price: 5}); ok {
		t.Error("credits without a price are worth something")
	}
}
