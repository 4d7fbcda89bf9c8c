package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/transparency"
)

// money is the position of the first movement of a user's credits.
func (p published) money(u domain.UserID) eventstore.Position {
	p.t.Helper()
	log, err := p.store.After(p.t.Context(), 0, 1000)
	must(p.t, err)
	for _, rec := range log {
		if _, moves := rec.Event.(domain.MoneyEvent); moves && rec.Stream == eventstore.AccountStream(u) {
			return rec.Position
		}
	}
	p.t.Fatalf("%s has no money", u)
	return 0
}

// A person gets the receipt of a movement of their own credits, and of nothing else. It
// proves the entry offline, also after the log has grown.
func TestReceipts(t *testing.T) {
	p := newPublished(t)
	ada := p.addUser("ada")
	p.addUser("bob")
	at := p.money(ada)
	receipt := fmt.Sprintf("/api/users/transaction/t_%d/receipt", at)
	if answer := p.get(receipt, "ada"); answer.Code != http.StatusNotFound || !strings.Contains(answer.Body.String(), "gives no receipts") {
		t.Errorf("of a log whose heads are not signed: %d %s", answer.Code, answer.Body)
	}
	p.sign()
	keys, err := transparency.ParsePublicKeys(p.public)
	must(t, err)
	for _, later := range []string{"carl", "dora"} {
		answer := p.get(receipt, "ada")
		proved, err := keys.Check(answer.Body.Bytes())
		if err != nil || answer.Code != http.StatusOK || proved.Entry.Position != at || proved.Entry.Event.Subject() != ada {
			t.Fatalf("the receipt: %d %v\n%s", answer.Code, err, answer.Body)
		}
		if name := answer.Header().Get("Content-Disposition"); name != fmt.Sprintf(`attachment; filename="kassa-%d.tlog-proof"`, at) {
			t.Errorf("the file is called %s", name)
		}
		p.addUser(later)
		p.sign()
	}
	size := p.entries()
	for path, as := range map[string]string{
		receipt: "bob", // another's
		fmt.Sprintf("/api/users/transaction/t_%d/receipt", size+1): "ada",
		"/api/users/transaction/t_0/receipt":                       "ada", "/api/users/transaction/t_-1/receipt": "ada",
		"/api/users/transaction/1/receipt": "ada", "/api/users/transaction/t_01/receipt": "ada", "/api/users/transaction/t_%31x/receipt": "ada",
	} {
		if answer := p.get(path, as); answer.Code != http.StatusNotFound || !strings.Contains(answer.Body.String(), "you have no transaction") {
			t.Errorf("%s as %s: %d %s", path, as, answer.Code, answer.Body)
		}
	}
	for at := eventstore.Position(1); at <= size; at++ { // what moves no credits has no receipt
		answer := p.get(fmt.Sprintf("/api/users/transaction/t_%d/receipt", at), "ada")
		if own := answer.Code == http.StatusOK; own != (at == p.money(ada)) {
			t.Errorf("position %d: %d", at, answer.Code)
		}
	}
}

// entries is how many the log has.
func (p published) entries() eventstore.Position {
	p.t.Helper()
	head, err := p.store.Head(p.t.Context())
	must(p.t, err)
	return head.Size
}

// Of an entry that was just written the receipt waits for the next signed head; where none
// comes it is refused, to be asked for again.
func TestAReceiptWaitsForItsHead(t *testing.T) {
	p := newPublished(t)
	p.addUser("ada")
	p.sign()
	bob := p.addUser("bob")
	receipt := fmt.Sprintf("/api/users/transaction/t_%d/receipt", p.money(bob))
	if answer := p.get(receipt, "bob"); answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), "no signed head covers") || answer.Header().Get("Retry-After") == "" {
		t.Errorf("before a head is signed: %d %s", answer.Code, answer.Body)
	}
	answered := make(chan int, 1)
	go func() { answered <- p.get(receipt, "bob").Code }()
	p.sign()
	if status := <-answered; status != http.StatusOK {
		t.Errorf("when a head is signed meanwhile: %d", status)
	}
}
