package identity

import (
	"context"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/domain"
)

// userCacheSize is how many users this process remembers, some hundred bytes each.
const userCacheSize = 100_000

// After a crash of the database server the views may be up to a second older than
// before. So a user who is new in the cache is read again from the views, once per
// recheck, until the views have had the user for the time settled.
const (
	settled = 5 * time.Second
	recheck = time.Second
)

// userCache holds the users who were found in the views.
type userCache struct {
	once  sync.Once
	views *lru.Cache[domain.UserID, seen]
}

// seen is when a user was found in the views, for the first and for the last time.
type seen struct{ first, last time.Time }

func (k *userCache) seenAt() *lru.Cache[domain.UserID, seen] {
	k.once.Do(func() {
		var err error
		if k.views, err = lru.New[domain.UserID, seen](userCacheSize); err != nil {
			panic(err) // the size is a constant above zero
		}
	})
	return k.views
}

// unlocked refuses a user whose account is locked. A lock by another process is known as soon
// as this one has followed the log so far, and within recheck at the latest. That there is one
// is only believed of the log as it is now.
func (a *Authenticator) unlocked(ctx context.Context, u domain.UserID) error {
	loaded, err := a.Accounts.AccountWithin(ctx, u, recheck)
	switch {
	case err != nil:
		return lockUnread(u, err)
	case !loaded.Fresh && loaded.Account.MayAct() != nil:
		return a.unlockedNow(ctx, u)
	}
	return loaded.Account.MayAct()
}

// unlockedNow refuses a user whose account is locked in the log as it is now.
func (a *Authenticator) unlockedNow(ctx context.Context, u domain.UserID) error {
	loaded, err := a.Accounts.Refresh(ctx, u)
	if err != nil {
		return lockUnread(u, err)
	}
	return loaded.Account.MayAct()
}

func lockUnread(u domain.UserID, err error) error {
	return fmt.Errorf("read whether %s is locked: %w", u, err)
}

// userOnly is person for UserOnly. Commands are decided on the log.
func (a *Authenticator) userOnly(ctx context.Context, u domain.UserID) (Person, error) {
	people, now := a.users.seenAt(), a.Now()
	seen, ok := people.Get(u)
	if ok && (seen.last.Sub(seen.first) >= settled || now.Sub(seen.last) < recheck) {
		if err := a.unlocked(ctx, u); err != nil {
			return Person{}, err
		}
		return Person{User: u}, nil
	}
	if _, err := a.person(ctx, u); err != nil {
		return Person{}, err
	}
	if !ok {
		seen.first = now
	}
	seen.last = now
	people.Add(u, seen)
	return Person{User: u}, nil
}
