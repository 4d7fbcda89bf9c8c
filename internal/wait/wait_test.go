package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !For(t.Context(), time.Second) || time.Since(began) != time.Second {
			t.Errorf("it returned after %s", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		if For(ctx, time.Hour) || time.Since(began) != time.Minute {
			t.Errorf("with a context of a minute it returned after %s", time.Since(began))
		}
	})
}

// Pauses grow up to the greatest, and are short again after a success.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const first, most = 100 * time.Millisecond, 3 * time.Second
		r := NewRetry(first, most)
		pause := func() time.Duration {
			began := time.Now()
			r.Pause(t.Context())
			return time.Since(began)
		}
		if p := pause(); p < first/2 || p > first*3/2 {
			t.Errorf("the first pause is %s", p)
		}
		for range 20 {
			pause()
		}
		if p := pause(); p < most/2 || p > most*3/2 {
			t.Errorf("after many tries the pause is %s", p)
		}
		r.Reset()
		if p := pause(); p > first*3/2 {
			t.Errorf("after a success the pause is %s", p)
		}
	})
}

func TestBatch(t *testing.T) {
	lost := errors.New("lost")
	for _, tt := range []struct {
		what             string
		waits            time.Duration
		err              error
		took, most, want time.Duration
	}{
		{"lone", time.Second, nil, time.Second, time.Second, time.Second},
		{"under load", 0, nil, 5 * time.Millisecond, 20 * time.Millisecond, 5 * time.Millisecond},
		{"under load, after a long batch", 0, nil, time.Minute, 20 * time.Millisecond, 20 * time.Millisecond},
		{"with an error", 0, lost, time.Second, time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := Batch(t.Context(), func(ctx context.Context) error { For(ctx, tt.waits); return tt.err }, tt.took, tt.most)
			if !errors.Is(err, tt.err) || time.Since(began) != tt.want {
				t.Errorf("%s: %v after %s, want %s", tt.what, err, time.Since(began), tt.want)
			}
		})
	}
}
