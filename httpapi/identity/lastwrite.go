package identity

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/domain"
	"kassa/eventstore"
)

// lastWritesKept is how many users' last positions this process remembers, some hundred
// bytes each.
const lastWritesKept = 100_000

// positionLife is the age of the position cookie: longer than a ready process may be
// behind.
const positionLife = 10 * time.Minute

// lastWrites are the users who wrote through this process, and their last positions.
type lastWrites struct {
	once sync.Once
	last *lru.Cache[domain.UserID, eventstore.Position]
	mu   sync.Mutex // between reading a position and setting a later one
}

func (p *lastWrites) positions() *lru.Cache[domain.UserID, eventstore.Position] {
	p.once.Do(func() {
		var err error
		if p.last, err = lru.New[domain.UserID, eventstore.Position](lastWritesKept); err != nil {
			panic(err) // the size is a constant above zero
		}
	})
	return p.last
}

// advance sets a later position; two writes of one user may end at the same moment.
func (p *lastWrites) advance(u domain.UserID, at eventstore.Position) {
	last := p.positions()
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, ok := last.Get(u); !ok || before < at {
		last.Add(u, at)
	}
}

type minPositionKey struct{}

// WithMinPosition sets the position that the request's reads must reach.
func WithMinPosition(ctx context.Context, at eventstore.Position) context.Context {
	return context.WithValue(ctx, minPositionKey{}, at)
}

// MinPosition is the position set by WithMinPosition, else 0.
func MinPosition(ctx context.Context) eventstore.Position {
	at, _ := ctx.Value(minPositionKey{}).(eventstore.Position)
	return at
}

// SetLastWrite remembers the position that the user has just written, so that all later
// reads of the user show it: in this process from memory, in others from a cookie. A
// client with Basic credentials sends the position itself, as min_position.
func (a *Authenticator) SetLastWrite(w http.ResponseWriter, r *http.Request, u domain.UserID, at eventstore.Position) {
	if u != "" {
		a.lastWrites.advance(u, at)
	}
	if who, _ := From(r.Context()); who.Session != "" && a.cookiePosition(r) < at {
		a.setPositionCookie(w, strconv.FormatInt(int64(at), 10), int(positionLife.Seconds()))
	}
}

// LastWrite is the last known position that the user has written, 0 for none.
func (a *Authenticator) LastWrite(r *http.Request, u domain.UserID) eventstore.Position {
	last, _ := a.lastWrites.positions().Get(u)
	return max(last, a.cookiePosition(r))
}

// ClearLastWrite removes that position: the log ends before it, because it was restored
// from an older copy.
func (a *Authenticator) ClearLastWrite(w http.ResponseWriter, r *http.Request, u domain.UserID) {
	a.lastWrites.positions().Remove(u)
	if a.cookiePosition(r) > 0 {
		a.setPositionCookie(w, "", -1)
	}
}

// cookiePosition is the position in the request's cookie, 0 where it has none.
func (a *Authenticator) cookiePosition(r *http.Request) eventstore.Position {
	c, err := r.Cookie(a.positionCookie())
	if err != nil || r.Header.Get("Authorization") != "" {
		return 0
	}
	at, err := strconv.ParseInt(c.Value, 10, 64)
	if err != nil {
		return 0
	}
	return eventstore.Position(at)
}

func (a *Authenticator) positionCookie() string {
	if a.Secure {
		return "__Host-kassa_position"
	}
	return "kassa_position"
}

// setPositionCookie replaces a position that was set for the same response.
func (a *Authenticator) setPositionCookie(w http.ResponseWriter, at string, age int) {
	w.Header()["Set-Cookie"] = slices.DeleteFunc(w.Header()["Set-Cookie"], func(c string) bool { return strings.HasPrefix(c, a.positionCookie()+"=") })
	http.SetCookie(w, &http.Cookie{Name: a.positionCookie(), Value: at, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteLaxMode})
}
