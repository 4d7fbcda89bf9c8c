package movein

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
)

// Kind is a kind of disorder in the old database. Its name never changes.
type Kind string

// The kinds.
const (
	EmailInvalid Kind = "email_invalid"
	EmailTwice   Kind = "email_twice"
	EmailTaken   Kind = "email_taken"
	EmailDiffers Kind = "email_differs"
	Erased       Kind = "erased"

	WalletMissing   Kind = "wallet_missing"
	WalletOfNobody  Kind = "wallet_of_nobody"
	BalanceUnusable Kind = "balance_unusable"
	BalanceNegative Kind = "balance_negative"
	BalanceFraction Kind = "balance_fraction"
	BalanceDiffers  Kind = "balance_differs"

	TransactionOfNobody Kind = "transaction_of_nobody"
	TransactionUnknown  Kind = "transaction_unknown"
	TransactionUnusable Kind = "transaction_unusable"

	PasswordUnusable  Kind = "password_unusable"
	ChargeUnanswered  Kind = "charge_unanswered"
	QuestionUncharged Kind = "question_uncharged"
	QuestionEmpty     Kind = "question_without_films"
	FilmUnusable      Kind = "film_unusable"
)

// rule is what a kind of disorder concerns, and what is done.
type rule struct {
	table string // where the id of a row is from
	what  string
	out   bool // the person, or the wallet, is not moved by this run
	signs signs
}

// signs is how much of a row is signed off. While the old system goes on, people pay and ask:
// what changes by that cannot be accepted in time.
type signs int

const (
	whole   signs = iota // the row and its amount
	rowOnly              // not the amount, which is a balance
	nothing              // the row changes nothing here
)

// Rules are all kinds, with what is done.
var rules = map[Kind]rule{
	EmailInvalid: {"user", "not an e-mail address by the rules of Kassa; the person is not moved", true, rowOnly},
	EmailTwice:   {"user", "other users have the same e-mail but for case or spelling; none of them is moved", true, rowOnly},
	EmailTaken:   {"user", "the e-mail has an account in Kassa that was opened there; the person is not moved", true, rowOnly},
	EmailDiffers: {"user", "the person moved in before, with another e-mail; the difference is not moved", true, rowOnly},
	Erased:       {"user", "the person moved in before, and their account is erased or being erased; the difference is not moved", true, rowOnly},

	WalletMissing:   {"user", "no wallet; moved with a balance of 0", false, whole},
	WalletOfNobody:  {"wallet", "a wallet of no user, or a second one of a user; its balance is not moved", true, whole},
	BalanceUnusable: {"user", "the balance is no number, or larger than a wallet can hold; the person is not moved", true, whole},
	BalanceNegative: {"user", "the balance is below zero; moved as 0", false, rowOnly},
	BalanceFraction: {"user", "the balance has a fraction of a credit; rounded up to a whole credit", false, rowOnly},
	BalanceDiffers:  {"user", "the balance less the sum of the transactions; the balance counts, and what no transaction shows is given, not bought", false, whole},

	TransactionOfNobody: {"transaction", "a transaction of no user; left out", false, whole},
	TransactionUnknown:  {"transaction", "a type that the old system did not have; counted as an admin's adjustment", false, whole},
	TransactionUnusable: {"transaction", "the amount is no number; counted as 0", false, whole},

	PasswordUnusable:  {"user", "the password's hash is not of bcrypt, or too costly; the person needs a one-time link (kassa admin reset)", false, whole},
	ChargeUnanswered:  {"user", "more charges than paid questions, by so many; nothing is given back", false, nothing},
	QuestionUncharged: {"user", "more paid questions than charges, by so many; nothing is charged", false, nothing},
	QuestionEmpty:     {"user", "so many questions without films; nothing is given back", false, nothing},
	FilmUnusable:      {"movie", "not a film by the rules of the catalogue; left out", false, whole},
}

// Row is one line of the report. Amount is in credits, or how many for kinds that count.
type Row struct {
	Kind   Kind
	ID     int64 // in the old table
	Amount Amount
}

// Report is what must be signed off before anything is written: the disorder of the old
// database, row by row, with what is done about it. It has no e-mails.
type Report struct {
	Rows []Row
	CSV  []byte
	Hash string // SHA-256 of what is signed off of the rows, in hexadecimal
}

// newReport sorts the rows, so that the same disorder has the same hash.
func newReport(rows []Row) (Report, error) {
	rows = slices.SortedFunc(slices.Values(rows), func(a, b Row) int {
		return cmp.Or(cmp.Compare(rules[a.Kind].table, rules[b.Kind].table), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Amount, b.Amount))
	})
	var text bytes.Buffer
	table := csv.NewWriter(&text)
	lines, sum := [][]string{{"table", "id", "kind", "amount", "rule"}}, sha256.New()
	for _, r := range rows {
		rule, id, amount := rules[r.Kind], strconv.FormatInt(r.ID, 10), ""
		if r.Amount != 0 {
			amount = r.Amount.String()
		}
		lines = append(lines, []string{rule.table, id, string(r.Kind), amount, rule.what})
		switch rule.signs {
		case whole:
			fmt.Fprintf(sum, "%s %s %s\n", id, r.Kind, amount)
		case rowOnly:
			fmt.Fprintf(sum, "%s %s\n", id, r.Kind)
		}
	}
	if err := table.WriteAll(lines); err != nil {
		return Report{}, err
	}
	return Report{rows, text.Bytes(), hex.EncodeToString(sum.Sum(nil))}, nil
}

// Rule says what is done about a kind of disorder.
func Rule(k Kind) string { return rules[k].what }
