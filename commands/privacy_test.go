package commands_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"kassa/commands"
	"kassa/domain"
)

// No personal data is readable in the files of the database, however SQLite
// lays it out: no e-mail, no text of a question, no password; not in the encodings
// that events use either.
func TestNoPersonalDataInTheFiles(t *testing.T) {
	w := newFixture(t)
	const email, text, word = "zubatka.quagga@vellichor.example", "a xylograph of wombats, верлибр о выхухоли", "zugzwang-petrichor-9"
	up, err := w.SignUp(t.Context(), commands.SignUp{Email: strings.ToUpper(email), Password: word, Key: "key-of-" + email})
	must(t, err)
	_, err = w.SignUp(t.Context(), commands.SignUp{Email: email, Password: word, Key: "second"})
	refused(t, err, domain.EmailTaken)
	for _, key := range []string{"", "key about " + text} {
		asked, err := w.Predict(t.Context(), commands.Predict{User: up.User, Text: text, Key: key})
		must(t, err)
		_, err = w.Complete(t.Context(), endingOf(up.User, asked), answer)
		must(t, err)
	}
	_, err = w.Predict(t.Context(), commands.Predict{User: up.User, Text: text})
	refused(t, err, domain.InsufficientFunds)

	files := w.bytes(t)
	if !bytes.Contains(files, []byte(up.User)) {
		t.Fatal("what is no secret is not found either: the search is blind")
	}
	for _, secret := range []string{email, "zubatka.quagga", "vellichor", text, "wombats", "верлибр", "выхухоли", word, "petrichor"} {
		for name, spelling := range spellings(secret) {
			if at := bytes.Index(bytes.ToLower(files), []byte(strings.ToLower(spelling))); at >= 0 {
				t.Errorf("%q stands in the files, %s, at byte %d", secret, name, at)
			}
		}
	}
}

// spellings are the ways in which a text could lie in a file.
func spellings(s string) map[string]string {
	list := map[string]string{"as it is": s, "in hexadecimal": hex.EncodeToString([]byte(s))}
	for shift := range 3 { // base64 looks different at each place in a group of three
		inner := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + s))
		list["in base64 "+string(rune('0'+shift))] = strings.TrimRight(inner[4:len(inner)-4], "=")
	}
	return list
}

// bytes is all that lies on the disk, the write-ahead log included.
func (w *fixture) bytes(t testing.TB) []byte {
	t.Helper()
	var all []byte
	for _, suffix := range []string{"", "-wal", "-shm"} {
		part, err := os.ReadFile(w.env.Storage.Database() + suffix)
		must(t, err)
		all = append(all, part...)
	}
	return all
}
