package movein

import (
	"math"
	"os"
	"strings"
	"testing"

	"kassa/domain"
)

// What the transactions show as bought, and what is given.
func TestBalances(t *testing.T) {
	type booked = Transaction
	for _, tt := range []struct {
		name    string
		balance float64
		booked  []booked
		want    domain.MovedCredits
		rows    []Kind
	}{
		{"nothing", 0, nil, domain.MovedCredits{}, nil},
		{"the bonus is given", 50, []booked{{1, "entry_bonus", 50}}, domain.MovedCredits{Given: 50}, nil},
		{"given credits are spent first", 70, []booked{{1, "entry_bonus", 50}, {2, "deposit", 40}, {3, "prediction", -20}}, domain.MovedCredits{Bought: 40, Given: 30}, nil},
		{"and bought ones after them", 20, []booked{{1, "entry_bonus", 50}, {2, "deposit", 40}, {3, "prediction", -70}}, domain.MovedCredits{Bought: 20}, nil},
		{"what was spent before a deposit was given", 40, []booked{{1, "entry_bonus", 50}, {2, "prediction", -50}, {3, "deposit", 40}}, domain.MovedCredits{Bought: 40}, nil},
		{"bought credits are withdrawn first", 60, []booked{{1, "entry_bonus", 50}, {2, "deposit", 40}, {3, "withdrawal", -30}}, domain.MovedCredits{Bought: 10, Given: 50}, nil},
		{"and given ones after them", 20, []booked{{1, "entry_bonus", 50}, {2, "deposit", 40}, {3, "withdrawal", -70}}, domain.MovedCredits{Given: 20}, nil},
		{"an admin gives given ones", 10, []booked{{1, "admin_adjustment", 10}}, domain.MovedCredits{Given: 10}, nil},
		{"and takes them first", 35, []booked{{1, "deposit", 40}, {2, "entry_bonus", 10}, {3, "admin_adjustment", -15}}, domain.MovedCredits{Bought: 35}, nil},
		{"more than the transactions show is given", 90, []booked{{1, "deposit", 40}}, domain.MovedCredits{Bought: 40, Given: 50}, []Kind{BalanceDiffers}},
		{"less than they show", 30, []booked{{1, "deposit", 40}, {2, "entry_bonus", 50}}, domain.MovedCredits{Bought: 30}, []Kind{BalanceDiffers}},
		{"a fraction", 10.01, []booked{{1, "deposit", 10.01}}, domain.MovedCredits{Bought: 11}, []Kind{BalanceFraction}},
		{"fractions of both kinds", 1, []booked{{1, "deposit", 0.5}, {2, "entry_bonus", 0.5}}, domain.MovedCredits{Bought: 1}, nil},
		{"an error of floating point is none", 0.1 + 0.2 - 0.3 + 7, []booked{{1, "deposit", 7}}, domain.MovedCredits{Bought: 7}, nil},
		{"nor below a whole number", 7 - 1e-12, []booked{{1, "deposit", 7}}, domain.MovedCredits{Bought: 7}, nil},
		{"a debt", -0.5, []booked{{1, "prediction", -0.5}}, domain.MovedCredits{}, []Kind{BalanceNegative}},
		{"a debt that was paid", 5, []booked{{1, "prediction", -10}, {2, "deposit", 15}}, domain.MovedCredits{Bought: 5}, nil},
		{"the largest", 1e12, []booked{{1, "deposit", 1e12}}, domain.MovedCredits{Bought: domain.MaxBalance}, nil},
		{"larger", 1e12 + 1, nil, domain.MovedCredits{}, []Kind{BalanceUnusable}},
		{"no number", math.NaN(), nil, domain.MovedCredits{}, []Kind{BalanceUnusable}},
		{"without end", math.Inf(1), nil, domain.MovedCredits{}, []Kind{BalanceUnusable}},
		{"a transaction that is no number", 5, []booked{{1, "deposit", math.Inf(-1)}, {2, "deposit", 5}}, domain.MovedCredits{Bought: 5}, []Kind{TransactionUnusable}},
		{"a type that nobody knows", 5, []booked{{1, "lottery", 5}}, domain.MovedCredits{Given: 5}, []Kind{TransactionUnknown}},
	} {
		var p person
		p.judgeBalance(User{HasWallet: true, Balance: tt.balance, Transactions: tt.booked})
		if p.Has != tt.want || len(p.rows) != len(tt.rows) || len(tt.rows) > 0 && p.rows[0].Kind != tt.rows[0] {
			t.Errorf("%s: %s, %v, want %s, %v", tt.name, p.Has, p.rows, tt.want, tt.rows)
		}
	}
}

// A charge of an admin costs nothing, and a question that nobody charged is named.
func TestQuestions(t *testing.T) {
	for _, tt := range []struct {
		user User
		want []Row
	}{
		{User{Paid: 1, Transactions: []Transaction{{1, "prediction", -10}, {2, "prediction", 0}}}, nil},
		{User{ID: 7, Paid: 3, Transactions: []Transaction{{1, "prediction", -10}}}, []Row{{QuestionUncharged, 7, 2 * credit}}},
		{User{ID: 7, Paid: 1, WithoutFilms: 1, Transactions: []Transaction{{1, "prediction", -10}, {2, "prediction", -10}}},
			[]Row{{ChargeUnanswered, 7, credit}, {QuestionEmpty, 7, credit}}},
	} {
		var p person
		p.judgeQuestions(tt.user)
		if len(p.rows) != len(tt.want) {
			t.Errorf("%+v gives %v", tt.user, p.rows)
			continue
		}
		for i, row := range p.rows {
			if row != tt.want[i] {
				t.Errorf("%+v gives %v, want %v", tt.user, p.rows, tt.want)
			}
		}
	}
}

func TestAmounts(t *testing.T) {
	for a, want := range map[Amount]string{0: "0", 1: "0.000001", -500_000: "-0.5", 12_340_000: "12.34", -7 * credit: "-7", 1_000_000 * credit: "1000000"} {
		if got := a.String(); got != want {
			t.Errorf("%d is written %s, want %s", int64(a), got, want)
		}
		if text, err := a.MarshalJSON(); err != nil || string(text) != want {
			t.Errorf("%d is %s in JSON, %v", int64(a), text, err)
		}
	}
}

// Every rule is in the manual.
func TestRulesAreDocumented(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	for kind, rule := range rules {
		if !strings.Contains(string(manual), "| `"+string(kind)+"` | ") || rule.what == "" || rule.table == "" {
			t.Errorf("docs/operate.md does not name %s, or it has no rule", kind)
		}
	}
}
