package identity

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/domain"
	"kassa/eventstore"
)

// writersKept bounds the people whose last position this process remembers, some
// hundred bytes each.
const writersKept = 100_000

// positionLife is how long a browser carries a position: longer than a process that
// is ready is behind.
const positionLife = 10 * time.Minute

// writers are the people who wrote through this process, and where.
type writers struct {
	once sync.Once
	last *lru.Cache[domain.UserID, eventstore.Position]
}

func (p *writers) positions() *lru.Cache[domain.UserID, eventstore.Position] {
	p.once.Do(func() {
		var err error
		if p.last, err = lru.New[domain.UserID, eventstore.Position](writersKept); err != nil {
			panic(err) // the size is a constant above zero
		}
	})
	return p.last
}

type leastKey struct{}

// WithLeast says up to which position the reads of a request must show the log.
func WithLeast(ctx context.Context, at eventstore.Position) context.Context {
	return context.WithValue(ctx, leastKey{}, at)
}

// Least is what WithLeast said, 0 where it said nothing.
func Least(ctx context.Context) eventstore.Position {
	at, _ := ctx.Value(leastKey{}).(eventstore.Position)
	return at
}

// SetWrote remembers the position of what the person has just written, so that each
// later read of theirs shows it: in this process by itself, in others by a cookie,
// which browsers carry back. A client with Basic credentials carries the position
// itself, as min_position.
func (a *Authenticator) SetWrote(w http.ResponseWriter, r *http.Request, u domain.UserID, at eventstore.Position) {
	last := a.writers.positions()
	if before, ok := last.Get(u); u != "" && (!ok || before < at) {
		last.Add(u, at)
	}
	if who, _ := From(r.Context()); who.Session && a.carried(r) < at {
		a.setPosition(w, strconv.FormatInt(int64(at), 10), int(positionLife.Seconds()))
	}
}

// Wrote is the position that the person is known to have written, 0 for none.
func (a *Authenticator) Wrote(r *http.Request, u domain.UserID) eventstore.Position {
	last, _ := a.writers.positions().Get(u)
	return max(last, a.carried(r))
}

// Unwritten forgets what the person has written: the log ends before it, since an
// older one was put back.
func (a *Authenticator) Unwritten(w http.ResponseWriter, r *http.Request, u domain.UserID) {
	a.writers.positions().Remove(u)
	if a.carried(r) > 0 {
		a.setPosition(w, "", -1)
	}
}

// carried is the position in the request's cookie, 0 where it has none.
func (a *Authenticator) carried(r *http.Request) eventstore.Position {
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

func (a *Authenticator) setPosition(w http.ResponseWriter, at string, age int) {
	http.SetCookie(w, &http.Cookie{Name: a.positionCookie(), Value: at, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteLaxMode})
}
