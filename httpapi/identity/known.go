package identity

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/domain"
)

// knownKept bounds the people whom this process remembers, some hundred bytes each.
const knownKept = 100_000

// settled is how long the views must have known somebody before they are not asked
// any more: a database server that crashed may set them back by less.
const settled = 5 * time.Second

// known are the people whom the views were seen to know, and since when.
type known struct {
	once  sync.Once
	since *lru.Cache[domain.UserID, time.Time]
}

func (k *known) people() *lru.Cache[domain.UserID, time.Time] {
	k.once.Do(func() {
		var err error
		if k.since, err = lru.New[domain.UserID, time.Time](knownKept); err != nil {
			panic(err) // the size is a constant above zero
		}
	})
	return k.since
}

// userOnly is person for UserOnly.
func (a *Authenticator) userOnly(ctx context.Context, u domain.UserID) (Person, error) {
	people := a.known.people()
	since, seen := people.Get(u)
	if !seen || a.Now().Sub(since) < settled {
		if _, err := a.person(ctx, u); err != nil {
			return Person{}, err
		}
		if !seen {
			people.Add(u, a.Now())
		}
	}
	return Person{User: u}, nil
}
