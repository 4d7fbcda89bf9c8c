package vault

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/domain"
	"kassa/schema"
)

// busy gives a vault of which every slot for hashing is taken. Ada's password was
// verified before.
func busy(t *testing.T) *Vault {
	t.Helper()
	db, err := schema.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "kassa.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	v, err := SQLite(db, Secret(strings.Repeat("s", secretBytes)), Options{Argon2: Argon2{MemoryKiB: 8, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Enroll(t.Context(), "u_ada", "a long walk home"); err != nil {
		t.Fatal(err)
	}
	if ok, err := v.Verify(t.Context(), "u_ada", "a long walk home"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	for range cap(v.hashing.slots) {
		v.hashing.slots <- struct{}{}
		v.hashing.queue <- struct{}{}
	}
	return v
}

// Also when every slot is taken, it cannot be seen whether an account exists: the
// password of an unknown user waits as that of a known one; only a cached verification
// does not wait.
func TestWhoHashes(t *testing.T) {
	v := busy(t)
	if running, waiting := v.Hashing(); running != cap(v.hashing.slots) || waiting != 0 {
		t.Errorf("%d passwords are being hashed, and %d wait", running, waiting)
	}
	left, release := context.WithCancel(t.Context())
	release()
	for _, u := range []domain.UserID{"u_ada", "u_nobody", ""} {
		ok, err := v.Verify(left, u, "another password")
		if ok || !errors.Is(err, context.Canceled) {
			t.Errorf("%q did not wait for a slot: %t, %v", u, ok, err)
		}
		if ok, err := v.Verify(left, u, strings.Repeat("x", maxPasswordBytes+1)); ok || err != nil {
			t.Errorf("an impossible password, of %q: %t, %v", u, ok, err)
		}
	}
	if ok, err := v.Verify(t.Context(), "u_ada", "a long walk home"); !ok || err != nil {
		t.Errorf("a remembered yes: %t, %v", ok, err)
	}
	for password, want := range map[string]bool{"a long walk home": true, "another password": false} {
		if ok, err := v.Remembered(t.Context(), "u_ada", password); err != nil || ok != want {
			t.Errorf("%s is remembered: %t, %v", password, ok, err)
		}
	}
}

// A yes that is a second old is no word any more until the stored hash was looked at:
// the same one needs no slot, another one does.
func TestAnOldYes(t *testing.T) {
	v := busy(t)
	const password = "a long walk home"
	name := v.credential("u_ada", password)
	age := func(change string) {
		cached, _ := v.verified.Get(name)
		v.verified.Add(name, verified{cached.hash + change, time.Now().Add(-checkedFor)})
	}
	for _, check := range []func(context.Context, domain.UserID, string) (bool, error){v.Remembered, v.Verify} {
		age("")
		if ok, err := check(t.Context(), "u_ada", password); !ok || err != nil {
			t.Errorf("an old yes of the same hash: %t, %v", ok, err)
		}
		if cached, _ := v.verified.Get(name); !cached.fresh() {
			t.Error("the stored hash was not looked at")
		}
	}
	age(" that was")
	if ok, err := v.Remembered(t.Context(), "u_ada", password); ok || err != nil {
		t.Errorf("an old yes of another hash: %t, %v", ok, err)
	}
	if ok, err := v.Remembered(t.Context(), "u_ada", password); ok || err != nil {
		t.Errorf("a yes that was dropped: %t, %v", ok, err)
	}
	age(" that was")
	left, release := context.WithCancel(t.Context())
	release()
	if ok, err := v.Verify(left, "u_ada", password); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("an old yes of another hash did not wait for a slot: %t, %v", ok, err)
	}
}

// counted is a database of which reads of one person are counted.
type counted struct {
	database
	reads int
}

func (c *counted) key(ctx context.Context, u domain.UserID) ([]byte, error) {
	c.reads++
	return c.database.key(ctx, u)
}

func (c *counted) password(ctx context.Context, u domain.UserID) (string, error) {
	c.reads++
	return c.database.password(ctx, u)
}

func (c *counted) access(ctx context.Context, u domain.UserID) (access, error) {
	c.reads++
	return c.database.access(ctx, u)
}

func (c *counted) factor(ctx context.Context, u domain.UserID) (storedFactor, error) {
	c.reads++
	return c.database.factor(ctx, u)
}

// A request with a password that was verified before costs one query of the vault, with the
// sealing of what it brings.
func TestARequestReadsThePersonOnce(t *testing.T) {
	v := busy(t)
	const password = "a long walk home"
	rows := &counted{database: v.db}
	v.db = rows
	name := v.credential("u_ada", password)
	cached, _ := v.verified.Get(name)
	v.verified.Add(name, verified{cached.hash, time.Now().Add(-checkedFor)})
	v.keys.Purge()
	if ok, err := v.Remembered(t.Context(), "u_ada", password); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if has, err := v.HasFactor(t.Context(), "u_ada"); has || err != nil {
		t.Error(has, err)
	}
	if _, err := v.SealText(t.Context(), "u_ada", "p_1", "a whale"); err != nil {
		t.Error(err)
	}
	if rows.reads != 1 {
		t.Errorf("she was read %d times", rows.reads)
	}
}

// A flood of sign-ins queues for as many slots as there are cores, and all of it that
// the queue takes is answered. What it does not take is refused at once.
func TestHashingIsBounded(t *testing.T) {
	v := busy(t)
	cores := runtime.GOMAXPROCS(0)
	if n := cap(v.hashing.slots); n != cores {
		t.Fatalf("%d slots on %d cores", n, cores)
	}
	waiting := cores * 50
	answers := make(chan error, waiting)
	var work sync.WaitGroup
	for range waiting {
		work.Go(func() {
			ok, err := v.Verify(t.Context(), "u_ada", "another password")
			if ok {
				err = errors.New("a wrong password was right")
			}
			answers <- err
		})
	}
	full(t, v.hashing.queue)
	if ok, err := v.Verify(t.Context(), "u_ada", "another password"); ok || !errors.Is(err, ErrBusy) {
		t.Errorf("behind a full queue: %t, %v", ok, err)
	}
	if err := v.Enroll(t.Context(), "u_bob", "a long walk home"); !errors.Is(err, ErrBusy) {
		t.Errorf("a sign-up behind a full queue: %v", err)
	}
	if ok, err := v.Verify(t.Context(), "u_ada", "a long walk home"); !ok || err != nil {
		t.Errorf("a remembered yes, which needs no place: %t, %v", ok, err)
	}
	if len(answers) > 0 {
		t.Fatal("a request was answered without a slot")
	}
	<-v.hashing.slots // one place is enough for all, one after the other
	<-v.hashing.queue
	work.Wait()
	close(answers)
	for err := range answers {
		if err != nil {
			t.Error(err)
		}
	}
	if slots, queue := len(v.hashing.slots), len(v.hashing.queue); slots != cores-1 || queue != cores-1 {
		t.Errorf("%d slots and %d places are taken after all have left, want %d", slots, queue, cores-1)
	}
}

// full waits until the channel takes no more.
func full(t *testing.T, c chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(c) < cap(c); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d have come", len(c), cap(c))
		}
	}
}

// Who has left is not hashed for, even where a slot is free, and holds no place.
func TestNobodyHashesForWhoLeft(t *testing.T) {
	h := newHashing(Argon2{MemoryKiB: 8, Passes: 1})
	left, release := context.WithCancel(t.Context())
	release()
	for range 200 { // of a free slot and a context that ended either may be seen first
		if _, err := h.hash(left, "a long walk home"); !errors.Is(err, context.Canceled) {
			t.Fatalf("hashed for who left: %v", err)
		}
		if ok, err := h.verify(left, h.dummy, "a long walk home"); ok || !errors.Is(err, context.Canceled) {
			t.Fatalf("verified for who left: %t, %v", ok, err)
		}
	}
	if len(h.slots)+len(h.queue) > 0 {
		t.Errorf("%d slots and %d places are taken", len(h.slots), len(h.queue))
	}
}

// The dummy that unknown people are verified against costs what a real hash does.
func TestTheDummyCostsTheSame(t *testing.T) {
	for _, cost := range []Argon2{{}, {MemoryKiB: 16, Passes: 3}} {
		h := newHashing(cost)
		real, err := h.hash(t.Context(), "a long walk home")
		if err != nil {
			t.Fatal(err)
		}
		if a, b := strings.Split(h.dummy, "$"), strings.Split(real, "$"); a[2] != b[2] || a[3] != b[3] || len(h.dummy) != len(real) {
			t.Errorf("the dummy is %s, a hash %s", h.dummy, real)
		}
		if cost == (Argon2{}) && h.cost != DefaultArgon2 {
			t.Errorf("the cost is %+v", h.cost)
		}
	}
}

// A key of a wrong length seals and opens nothing.
func TestKeysOfAWrongLength(t *testing.T) {
	sealed, err := sealWith(make([]byte, 32), nil, []byte("a whale"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 31, 33} {
		if got, err := sealWith(make([]byte, n), nil, []byte("a whale")); err == nil {
			t.Errorf("%d bytes seal %x", n, got)
		}
		if got, err := openWith(make([]byte, n), nil, sealed); err == nil {
			t.Errorf("%d bytes open %q", n, got)
		}
	}
}
