package identity

import (
	"context"
	"errors"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kassa/domain"
)

// until waits for what others do.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// waiting is how many wait for answers.
func (s *shared) waiting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		n += c.waiting
	}
	return n
}

func TestShared(t *testing.T) {
	var s shared
	var calls atomic.Int32
	proceed, said := make(chan struct{}), errors.New("what it came to")
	check := func(context.Context) error {
		calls.Add(1)
		<-proceed
		return said
	}
	first, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- s.do(first, "ada", check) }()
	until(t, "the first", func() bool { return s.waiting() == 1 })
	answers := make(chan error, 5)
	for range cap(answers) {
		go func() { answers <- s.do(t.Context(), "ada", check) }()
	}
	other := make(chan error, 1)
	go func() { other <- s.do(t.Context(), "bob", check) }()
	until(t, "the others", func() bool { return s.waiting() == 7 })
	leave() // and the others do not notice
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who left hears %v", err)
	}
	close(proceed)
	for range cap(answers) {
		if err := <-answers; !errors.Is(err, said) {
			t.Errorf("one of many hears %v", err)
		}
	}
	if err := <-other; !errors.Is(err, said) || calls.Load() != 2 || len(s.calls) != 0 {
		t.Errorf("another name: %v, after %d calls; %d are kept", err, calls.Load(), len(s.calls))
	}
	if err := s.do(t.Context(), "ada", check); !errors.Is(err, said) || calls.Load() != 3 {
		t.Errorf("who comes later gets an old answer: %v after %d calls", err, calls.Load())
	}
}

// When the last has left, the work ends; who comes then begins it again.
func TestSharedEndsWithTheLast(t *testing.T) {
	var s shared
	ended := make(chan struct{})
	var work sync.WaitGroup
	ctx, leave := context.WithCancel(t.Context())
	for range 3 {
		work.Go(func() {
			err := s.do(ctx, "ada", func(ctx context.Context) error {
				<-ctx.Done()
				<-ended // it takes a while to notice
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("who left hears %v", err)
			}
		})
	}
	until(t, "three", func() bool { return s.waiting() == 3 })
	leave()
	work.Wait()
	again := errors.New("a call of its own")
	if err := s.do(t.Context(), "ada", func(ctx context.Context) error { return errors.Join(again, ctx.Err()) }); err == nil || err.Error() != again.Error() {
		t.Errorf("who comes after shares in what was given up: %v", err)
	}
	close(ended)
}

// slow is a vault that verifies when it is told to, and people of whom ada is the only one.
type slow struct {
	Vault
	proceed chan struct{}
	calls   atomic.Int32
}

func (*slow) Remembered(domain.UserID, string) bool { return false }

func (v *slow) Verify(context.Context, domain.UserID, string) (bool, error) {
	v.calls.Add(1)
	<-v.proceed
	return false, nil
}

func (*slow) FindUser(_ context.Context, email string) (domain.UserID, error) {
	if strings.EqualFold(strings.TrimSpace(email), "ada@example.org") {
		return "u_ada", nil
	}
	return "", domain.Reject(domain.AccountNotFound, "there is no such account")
}

// Many spellings of one e-mail at once are one check of a password, and count as one,
// whether the e-mail has an account or not.
func TestSpellingsTellNothing(t *testing.T) {
	for _, name := range []string{"ada", "nobody"} {
		v := &slow{proceed: make(chan struct{})}
		a := &Authenticator{People: v, Vault: v, Now: time.Now, Limits: Limits{SignInPair: Rate{Burst: 1, Every: time.Hour}}}
		spellings := []string{name + "@example.org", strings.ToUpper(name) + "@example.org", name + "@EXAMPLE.org", " " + name + "@example.ORG\t"}
		answers := make(chan error, len(spellings))
		for _, email := range spellings {
			go func() {
				_, err := a.check(httptest.NewRequest("GET", "/", nil), email, "a guess", nil)
				answers <- err
			}()
		}
		until(t, "all spellings", func() bool { return a.verifying.waiting()+len(answers) == len(spellings) })
		close(v.proceed)
		for range spellings {
			if refusal := domain.RefusalIn(<-answers); refusal == nil || refusal.Code != domain.InvalidCredentials {
				t.Errorf("%s: one spelling is answered %v", name, refusal)
			}
		}
		if calls := v.calls.Load(); calls != 1 {
			t.Errorf("%s: %d passwords were hashed", name, calls)
		}
	}
}
