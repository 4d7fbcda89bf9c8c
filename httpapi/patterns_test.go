package httpapi

import (
	"fmt"
	"testing"

	"kassa/domain"
)

// The contract's pattern of an e-mail accepts the same ASCII characters, at each place,
// as the server. For other scripts a pattern cannot.
func TestPatternOfEmailsIsTheServers(t *testing.T) {
	pattern := theContract(t).doc.Components.Schemas["Email"].Value
	for c := range rune(0x80) {
		for _, form := range []string{"%ca@example.org", "a%cb@example.org", "a%c@example.org", "a@%cexample.org", "a@exa%cmple.org", "a@example%c.org",
			"a@example.%corg", "a@example.o%crg", "a@example.org%c"} {
			email := fmt.Sprintf(form, c)
			_, err := domain.NormalizeEmail(email)
			if promised := pattern.VisitJSON(email) == nil; promised != (err == nil) {
				t.Errorf("%q: by the contract %v, by the server %v", email, promised, err == nil)
			}
		}
	}
}
