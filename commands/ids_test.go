package commands_test

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
)

// What is made without a client's key begins with the time, in the form that the contract
// has: people, questions, and the streams and commands of the log. A key gives the ids
// that it always gave.
func TestIDsBeginWithTheTime(t *testing.T) {
	w := newFixture(t)
	var users, questions []string
	for _, name := range []string{"ada", "bob", "cy", "di"} {
		w.now = w.now.Add(time.Millisecond)
		u := w.person(name)
		_, err := w.Deposit(t.Context(), commands.Move{User: u, Amount: 5})
		must(t, err)
		asked, err := w.Predict(t.Context(), commands.Predict{User: u, Text: "a film with a whale"})
		must(t, err)
		users, questions = append(users, string(u)), append(questions, string(asked.Prediction))
	}
	var ids, payments []string
	for _, rec := range w.env.Log() {
		if e, ok := rec.Event.(domain.Deposited); ok && e.Provider != "test" {
			c, _ := rec.Cause.Command()
			ids, payments = append(ids, c.ID), append(payments, e.Payment)
		}
	}
	for form, list := range map[string][]string{`^u_[a-z2-7]{20}$`: users, `^p_[a-z2-7]{26}$`: questions,
		`^[a-z2-7]{26}$`: ids, `^pay_[a-z2-7]{26}$`: payments} {
		if len(list) != 4 || !slices.IsSorted(list) || !regexp.MustCompile(form).MatchString(list[0]) {
			t.Errorf("not in the order of their times, or not %s: %q", form, list)
		}
	}

	asked, err := w.Predict(t.Context(), commands.Predict{User: domain.UserID(users[0]), Text: "a whale", Key: "mine"})
	must(t, err)
	sum := sha256.Sum256([]byte("user:" + users[0] + "\x00mine"))
	if want := "p_" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:16])[:26]); string(asked.Prediction) != want {
		t.Errorf("a key gave %s; clients that retry after an update expect %s", asked.Prediction, want)
	}
}
