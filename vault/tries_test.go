package vault_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kassa/schema/schematest"
	"kassa/vault"
)

// Two processes count together: of a burst each name has so many and no more, and one
// again each time that long has passed.
func TestTries(t *testing.T) {
	p := tables{schematest.Pool(t, 8)}
	open := func() *vault.Tries {
		tries, err := vault.PostgresTries(p.pool, secret)
		must(t, err)
		return tries
	}
	here, there := open(), open()
	take := func(tries *vault.Tries, name string) time.Duration {
		t.Helper()
		wait, err := tries.Take(t.Context(), name, 10, time.Hour)
		must(t, err)
		return wait
	}
	var allowed, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			tries := []*vault.Tries{here, there}[i%2]
			if wait, err := tries.Take(t.Context(), "ada", 10, time.Hour); err != nil {
				t.Error(err)
			} else if wait == 0 {
				allowed.Add(1)
			} else {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if allowed.Load() != 10 || refused.Load() != 30 {
		t.Errorf("of 40 tries %d were allowed and %d refused, want 10", allowed.Load(), refused.Load())
	}
	if wait := take(there, "ada"); wait > time.Hour || wait < 50*time.Minute {
		t.Errorf("the next one in %s, want an hour", wait)
	}
	if wait := take(here, "bob"); wait != 0 {
		t.Errorf("another name waits %s", wait)
	}
	p.exec(t, `UPDATE tries SET full_at = full_at - interval '1 hour'`)
	if wait := take(here, "ada"); wait != 0 {
		t.Errorf("an hour later it waits %s", wait)
	}
	if wait := take(there, "ada"); wait == 0 {
		t.Error("an hour later two are allowed")
	}

	// After any idle time at most a burst is allowed.
	p.exec(t, `UPDATE tries SET full_at = full_at - interval '1 year'`)
	for n := range 10 {
		if wait := take(here, "ada"); wait != 0 {
			t.Errorf("a year later try %d waits %s", n+1, wait)
		}
	}
	if take(there, "ada") == 0 {
		t.Error("a year later more than a burst is allowed")
	}

	// Names of which everything is allowed again are forgotten, and no others.
	must(t, here.Forget(t.Context()))
	if n := p.one(t, `SELECT count(*)::text FROM tries`); n != "1" || take(here, "ada") == 0 {
		t.Errorf("%s names are kept, want ada's", n)
	}
	if n := p.one(t, `SELECT count(*)::text FROM tries WHERE octet_length(name) = 16 AND position('ada'::bytea in name) = 0`); n != "1" {
		t.Errorf("a name is stored as it is")
	}
	left := t.Context()
	p.pool.Close()
	if _, err := here.Take(left, "ada", 10, time.Hour); err == nil || here.Forget(left) == nil {
		t.Error("an uncounted try is reported as counted")
	}
}
