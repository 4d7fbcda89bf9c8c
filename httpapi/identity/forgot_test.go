package identity

import (
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// What is done for a forgotten password does not depend on whether the address has an
// account: no account, password or view is read, two limits count, and one row is written.
// So neither the answer nor its time tells who is a customer.
func TestAskingForALinkLooksForNoAccount(t *testing.T) {
	p := &fakes{}
	a := &Authenticator{Vault: p, Tries: p, Now: time.Now, Mails: true} // a read of Users, Accounts or Views would panic
	r := httptest.NewRequest("POST", "/", nil)
	if err := a.AskReset(r, "ada@example.org", "en"); err != nil || !slices.Equal(p.done, []string{"Take", "Take", "AskReset"}) {
		t.Errorf("done: %v, %v", p.done, err)
	}
	p.done = nil
	if refusal := domain.RefusalIn(a.AskReset(r, "no address", "en")); refusal == nil || refusal.Code != domain.InvalidEmail || len(p.done) > 0 {
		t.Errorf("no address: %v, done: %v", refusal, p.done)
	}
	a.Mails = false
	if refusal := domain.RefusalIn(a.AskReset(r, "ada@example.org", "en")); refusal == nil || refusal.Code != problem.MailOff || len(p.done) > 0 {
		t.Errorf("without mail: %v, done: %v", refusal, p.done)
	}
}
