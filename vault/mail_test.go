package vault_test

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"time"

	"kassa/vault"
)

// A mail that was asked for is taken by one process, again after a pause that grows, until it
// is dropped or half an hour has passed.
func testMails(t *testing.T, p place) {
	here, there := opened(t, p), opened(t, p)
	take := func(at time.Duration, want string) (id string) {
		t.Helper()
		m, ok, err := there.NextMail(t.Context(), noon.Add(at))
		if err != nil || m.Email != want || ok != (want != "") {
			t.Fatalf("after %s: the mail to %q, %t, %v", at, m.Email, ok, err)
		}
		return m.ID
	}
	take(0, "")
	must(t, here.AskReset(t.Context(), "Ada@example.org", "ru", noon))
	for _, at := range []time.Duration{0, 30 * time.Second, 150 * time.Second, 630 * time.Second} {
		if at > 0 {
			take(at-time.Second, "")
		}
		take(at, "Ada@example.org")
	}
	take(2549*time.Second, "") // the next would be then, and the time is over before
	must(t, here.AskReset(t.Context(), "bob@example.org", "en", noon.Add(time.Hour)))
	id := take(time.Hour, "bob@example.org")
	must(t, here.DropMail(t.Context(), id))
	must(t, here.DropMail(t.Context(), id))
	take(time.Hour+time.Minute, "")
	must(t, here.DropExpired(t.Context(), noon.Add(29*time.Minute)))
	if n := p.one(t, `SELECT cast(count(*) AS text) FROM reset_mails`); n != "1" {
		t.Errorf("%s mails are kept within their time", n)
	}
	must(t, here.DropExpired(t.Context(), noon.Add(30*time.Minute)))
	if n := p.one(t, `SELECT cast(count(*) AS text) FROM reset_mails`); n != "0" {
		t.Errorf("%s mails are kept that are over", n)
	}

	const asked = 12
	for range asked {
		must(t, here.AskReset(t.Context(), "ada@example.org", "ru", noon))
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	taken := map[string]int{}
	for i := range 6 {
		all.Go(func() {
			for {
				m, ok, err := []*vault.Vault{here, there}[i%2].NextMail(t.Context(), noon)
				if err != nil || !ok {
					if err != nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				taken[m.ID]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for id, times := range taken {
		if times > 1 {
			t.Errorf("the mail %s was taken %d times", id, times)
		}
	}
	if len(taken) != asked {
		t.Errorf("%d mails of %d were taken", len(taken), asked)
	}
}

// The files have no address of those who asked.
func TestMailsAreSealed(t *testing.T) {
	f := newFile(t)
	v := opened(t, f)
	must(t, v.AskReset(t.Context(), "ada.of.the.mails@example.org", "ru", noon))
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		must(t, err)
		if bytes.Contains(content, []byte("ada.of.the.mails")) {
			t.Errorf("kassa.db%s holds the address", suffix)
		}
	}
	other, err := f.open(t, vault.Secret("another secret of this test, 32 b"), cheap)
	must(t, err)
	if m, ok, err := other.NextMail(t.Context(), noon); err == nil || ok {
		t.Errorf("under another secret it is %+v, %t", m, ok)
	}
}
