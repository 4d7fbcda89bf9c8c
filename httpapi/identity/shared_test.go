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

// waitUntil waits for a condition that other goroutines fulfil.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// waiting is how many callers wait for results.
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
	waitUntil(t, "the first", func() bool { return s.waiting() == 1 })
	answers := make(chan error, 5)
	for range cap(answers) {
		go func() { answers <- s.do(t.Context(), "ada", check) }()
	}
	other := make(chan error, 1)
	go func() { other <- s.do(t.Context(), "bob", check) }()
	waitUntil(t, "the others", func() bool { return s.waiting() == 7 })
	leave() // the others are not affected
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that left got %v", err)
	}
	close(proceed)
	for range cap(answers) {
		if err := <-answers; !errors.Is(err, said) {
			t.Errorf("a caller got %v", err)
		}
	}
	if err := <-other; !errors.Is(err, said) || calls.Load() != 2 || len(s.calls) != 0 {
		t.Errorf("another name: %v, after %d calls; %d are kept", err, calls.Load(), len(s.calls))
	}
	if err := s.do(t.Context(), "ada", check); !errors.Is(err, said) || calls.Load() != 3 {
		t.Errorf("who comes later gets an old answer: %v after %d calls", err, calls.Load())
	}
}

// When the last caller has left, the call is cancelled; the next caller starts a new
// one.
func TestSharedEndsWithTheLast(t *testing.T) {
	var s shared
	ended := make(chan struct{})
	var work sync.WaitGroup
	ctx, leave := context.WithCancel(t.Context())
	for range 3 {
		work.Go(func() {
			err := s.do(ctx, "ada", func(ctx context.Context) error {
				<-ctx.Done()
				<-ended // cancellation takes a moment
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the caller that left got %v", err)
			}
		})
	}
	waitUntil(t, "three", func() bool { return s.waiting() == 3 })
	leave()
	work.Wait()
	again := errors.New("a call of its own")
	if err := s.do(t.Context(), "ada", func(ctx context.Context) error { return errors.Join(again, ctx.Err()) }); err == nil || err.Error() != again.Error() {
		t.Errorf("who comes after shares in what was given up: %v", err)
	}
	close(ended)
}

// slowVault verifies a password when the test allows it, and finds only the user ada.
type slowVault struct {
	Vault
	proceed chan struct{}
	calls   atomic.Int32
}

func (*slowVault) Remembered(context.Context, domain.UserID, string) (bool, error) { return false, nil }

func (v *slowVault) Verify(context.Context, domain.UserID, string) (bool, error) {
	v.calls.Add(1)
	<-v.proceed
	return false, nil
}

func (*slowVault) FindUser(_ context.Context, email string) (domain.UserID, error) {
	if strings.EqualFold(strings.TrimSpace(email), "ada@example.org") {
		return "u_ada", nil
	}
	return "", domain.Reject(domain.AccountNotFound, "there is no such account")
}

// Concurrent attempts with many spellings of one e-mail cause one password check and
// count as one, whether or not the e-mail has an account.
func TestSpellingsOfAnEmailCountTogether(t *testing.T) {
	for _, name := range []string{"ada", "unknown"} {
		v := &slowVault{proceed: make(chan struct{})}
		a := &Authenticator{Users: v, Vault: v, Now: time.Now, Limits: Limits{SignInPair: Rate{Burst: 1, Every: time.Hour}}}
		spellings := []string{name + "@example.org", strings.ToUpper(name) + "@example.org", name + "@EXAMPLE.org", " " + name + "@example.ORG\t"}
		answers := make(chan error, len(spellings))
		for _, email := range spellings {
			go func() {
				_, err := a.check(httptest.NewRequest("GET", "/", nil), credentials{email, "a guess", "", byBasic}, nil)
				answers <- err
			}()
		}
		waitUntil(t, "all spellings", func() bool { return a.verifying.waiting()+len(answers) == len(spellings) })
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
