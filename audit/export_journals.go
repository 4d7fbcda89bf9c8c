package audit

import (
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"kassa/domain"
)

// commodity is what a credit is called in journals.
const commodity = "CREDIT"

// plainID is the form of the ids that this program makes.
var plainID = regexp.MustCompile(`^u_[0-9a-z]+$`)

// cutUser takes an account of a person apart; ok is false for another account.
func cutUser(a domain.LedgerAccount) (parts [2]string, ok bool) {
	rest, ok := strings.CutPrefix(string(a), "user:")
	end := strings.LastIndexByte(rest, ':')
	if !ok || end < 1 {
		return parts, false
	}
	return [2]string{rest[:end], rest[end+1:]}, true
}

// hledgerWriter writes a journal that hledger reads, and ledger too. Each posting to a
// person's account asserts the balance that the event states.
type hledgerWriter struct{ journal }

func (w *hledgerWriter) begin(h ExportHead) error {
	w.printf("; The log of Kassa, positions %d to %d. Root of the tree at its end: %s\n\n", h.From, h.UpTo, h.Root)
	for _, a := range houseAccounts {
		w.printf("account %s  ; type: %s\n", a.account, a.nature)
	}
	w.printf("account user  ; type: %s\n", liability)
	return nil
}

// name is that of the log, unless it has what a journal would read as something else.
func (*hledgerWriter) name(a domain.LedgerAccount) string {
	return odd.ReplaceAllStringFunc(string(a), func(s string) string { return "%" + hex.EncodeToString([]byte(s)) })
}

// odd is what cannot stand in the name of an account, or in a tag.
var odd = regexp.MustCompile(`[^0-9A-Za-z_:.\-]`)

func (w *hledgerWriter) write(e exported) error {
	w.opening()
	date := w.dated(e.Time)
	w.price(e.Event)
	postings, err := moved(e.Recorded)
	if err != nil || len(postings) == 0 {
		return err
	}
	w.printf("\n%s (%d) %s  ; time: %s, actor: %s, causation: %s\n", date, e.Position, e.Type, e.Time.Format(time.RFC3339Nano),
		odd.ReplaceAllString(e.Actor, "?"), odd.ReplaceAllString(string(e.Cause), "?"))
	for _, p := range postings {
		w.printf("    %s  %d %s", w.name(p.Account), -p.Amount, commodity)
		if balance, ok := stated(e.Event, p.Account); ok {
			w.printf(" = %d %s", -balance, commodity)
		}
		w.printf("\n")
	}
	return nil
}

// price states what a credit costs from a date on: hledger --value=end reports in money.
func (w *hledgerWriter) price(e domain.Event) {
	if m, ok := worth(e); ok {
		w.printf("\nP %s %s %s\n", w.date, commodity, m)
	}
}

// opening writes what the entries in front of the export came to, once.
func (w *hledgerWriter) opening() {
	w.price(w.priced)
	w.priced = domain.PriceSet{}
	if len(w.opened) == 0 {
		return
	}
	w.printf("\n%s opening balances\n", w.date)
	for _, a := range slices.Sorted(maps.Keys(w.opened)) {
		w.printf("    %s  %d %s\n", w.name(a), -w.opened[a], commodity)
	}
	clear(w.opened)
}

func (w *hledgerWriter) end() error {
	w.opening()
	return nil
}

// beancountWriter writes a ledger for beancount. Its end asserts, on the day after the last
// entry, the balance of each person's account that their last event states.
type beancountWriter struct {
	journal
	declared map[string]bool           // accounts that have their directive
	last     map[string]domain.Credits // balances that the last events state
}

func (w *beancountWriter) begin(h ExportHead) error {
	w.printf(";; The log of Kassa, positions %d to %d. Root of the tree at its end: %s\n\n", h.From, h.UpTo, h.Root)
	w.printf("option \"title\" \"Kassa\"\noption \"operating_currency\" \"%s\"\n", commodity)
	return nil
}

var roots = map[nature]string{asset: "Assets", liability: "Liabilities", equity: "Equity", revenue: "Income", expense: "Expenses"}

// name is an account in beancount's form: each part begins with a capital letter, and has
// letters, digits and hyphens. Different accounts have different names.
func (*beancountWriter) name(a domain.LedgerAccount) string {
	root := roots[natureOf(a)]
	if user, ok := cutUser(a); ok {
		id := "X-" + hex.EncodeToString([]byte(user[0]))
		if plainID.MatchString(user[0]) {
			id = "U-" + strings.TrimPrefix(user[0], "u_")
		}
		return root + ":User:" + id + ":" + capital(user[1])
	}
	if part, ok := strings.CutPrefix(string(a), "house:"); ok {
		return root + ":House:" + capital(part)
	}
	return root + ":X-" + hex.EncodeToString([]byte(a))
}

// capital writes given_held as Given-Held.
func capital(part string) string {
	if odd.MatchString(part) || part == "" {
		return "X-" + hex.EncodeToString([]byte(part))
	}
	words := strings.Split(part, "_")
	for i, word := range words {
		words[i] = strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
	}
	return strings.Join(words, "-")
}

// open writes the directive of an account that is used for the first time.
func (w *beancountWriter) open(account string) {
	if !w.declared[account] {
		w.declared[account] = true
		w.printf("%s open %s %s\n", w.date, account, commodity)
	}
}

func (w *beancountWriter) write(e exported) error {
	w.opening()
	date := w.dated(e.Time)
	w.price(e.Event)
	postings, err := moved(e.Recorded)
	if err != nil {
		return err
	}
	for _, p := range postings {
		w.open(w.name(p.Account))
	}
	if len(postings) == 0 {
		return nil
	}
	w.printf("\n%s * \"%s\"\n  position: %d\n  time: \"%s\"\n  actor: \"%s\"\n  causation: \"%s\"\n", date, e.Type, e.Position,
		e.Time.Format(time.RFC3339Nano), odd.ReplaceAllString(e.Actor, "?"), odd.ReplaceAllString(string(e.Cause), "?"))
	for _, p := range postings {
		account := w.name(p.Account)
		w.printf("  %s  %d %s\n", account, -p.Amount, commodity)
		if balance, ok := stated(e.Event, p.Account); ok {
			w.last[account] = -balance
		}
	}
	return nil
}

// price states what a credit costs from a date on.
func (w *beancountWriter) price(e domain.Event) {
	if m, ok := worth(e); ok {
		w.printf("\n%s price %s %s\n", w.date, commodity, m)
	}
}

func (w *beancountWriter) opening() {
	w.price(w.priced)
	w.priced = domain.PriceSet{}
	if len(w.opened) == 0 {
		return
	}
	accounts := slices.Sorted(maps.Keys(w.opened))
	for _, a := range accounts {
		w.open(w.name(a))
	}
	w.printf("\n%s * \"opening balances\"\n", w.date)
	for _, a := range accounts {
		w.printf("  %s  %d %s\n", w.name(a), -w.opened[a], commodity)
	}
	clear(w.opened)
}

func (w *beancountWriter) end() error {
	w.opening()
	if w.date == "" {
		return nil
	}
	last, err := time.Parse(time.DateOnly, w.date)
	if err != nil {
		return fmt.Errorf("the date of the last entry: %w", err)
	}
	w.printf("\n")
	for _, account := range slices.Sorted(maps.Keys(w.last)) {
		w.printf("%s balance %s  %d %s\n", last.AddDate(0, 0, 1).Format(time.DateOnly), account, w.last[account], commodity)
	}
	return nil
}
