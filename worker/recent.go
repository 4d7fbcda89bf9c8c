package worker

import (
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How much is remembered, in memory only: the same question again, or one that the
// broker delivers twice, costs no inference. 4,096 vectors are 6 MB.
const (
	recentMax   = 4096
	recentFor   = 10 * time.Minute
	recentBytes = 4096 // of a text that is remembered
)

// remembered is a text's vector, and when it was made.
type remembered struct {
	vector []float32
	at     time.Time
}

func newRecent() *lru.Cache[string, remembered] {
	c, err := lru.New[string, remembered](recentMax)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return c
}

// recall gives a vector of its own for a text that was embedded a short while ago.
func (e *Embedder) recall(text string, now time.Time) ([]float32, bool) {
	select {
	case <-e.closing:
		return nil, false // a closed embedder returns ErrClosed, whatever it remembers
	default:
	}
	r, ok := e.recent.Get(text)
	if !ok || now.Sub(r.at) > recentFor {
		return nil, false
	}
	return slices.Clone(r.vector), true
}

// remember keeps a vector, unless its text is so long that it would weigh more.
func (e *Embedder) remember(text string, vector []float32, now time.Time) {
	if len(text) <= recentBytes {
		e.recent.Add(text, remembered{slices.Clone(vector), now})
	}
}
