package identity

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"kassa/domain"
	"kassa/httpapi/problem"
)

// Rate allows Burst at once, and one more each time Every has passed.
type Rate struct {
	Burst int
	Every time.Duration
}

// Limits bound how often things may be tried. A zero Rate stands for its default.
// Passwords and sign-ups are counted by Authenticator.Tries, commands by each process.
type Limits struct {
	Off bool // for load tests only

	SignInIP    Rate // password checks of one address: 30, then one every 2 s
	SignInPair  Rate // password checks of one e-mail from one address: 10, then one every 6 s
	SignInEmail Rate // password checks of one e-mail, whoever asks: 60, then one every 2 s
	SignUpIP    Rate // sign-ups of one address: 10, then one every 30 s
	Command     Rate // commands of one person: 60, then one every 100 ms
}

// Tries counts for all processes together.
type Tries interface {
	// Take gives 0 and one permission by the name, or how long to wait for the next:
	// burst at once, and one more each time every has passed.
	Take(ctx context.Context, name string, burst int, every time.Duration) (wait time.Duration, err error)
}

// limitersKept bounds what each limit remembers in memory. A name that was forgotten
// starts with a full burst, so a flood from many addresses can only loosen limits, not
// fill memory.
const limitersKept = 20_000

type limiters struct {
	once                 sync.Once
	signInIP, signInPair *limiter
	signInEmail          *limiter
	signUp, people       *limiter
}

// limiter is one Rate for many names.
type limiter struct {
	kind  string
	rate  Rate
	tries Tries // nil: this process counts by itself, in seen
	seen  *lru.Cache[string, *rate.Limiter]
}

func newLimiter(kind string, r, standard Rate, tries Tries) *limiter {
	seen, err := lru.New[string, *rate.Limiter](limitersKept)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return &limiter{kind, Rate{Burst: cmp.Or(r.Burst, standard.Burst), Every: cmp.Or(r.Every, standard.Every)}, tries, seen}
}

// take gives 0 and one permission, or how long to wait for the next.
func (l *limiter) take(ctx context.Context, name string, now time.Time) (time.Duration, error) {
	if l.tries != nil {
		return l.tries.Take(ctx, l.kind+" "+name, l.rate.Burst, l.rate.Every)
	}
	fresh := rate.NewLimiter(rate.Every(l.rate.Every), l.rate.Burst)
	one, had, _ := l.seen.PeekOrAdd(name, fresh)
	if had {
		l.seen.Get(name) // it was used: others are forgotten first
	} else {
		one = fresh
	}
	if one.AllowN(now, 1) {
		return 0, nil
	}
	missing := 1 - one.TokensAt(now)
	// Rounded, or a sum of fractions says two seconds where it is one.
	return max(time.Millisecond, time.Duration(missing*float64(l.rate.Every)).Round(time.Millisecond)), nil
}

func (a *Authenticator) limits() *limiters {
	l := &a.limiters
	l.once.Do(func() {
		l.signInIP = newLimiter("passwords of", a.Limits.SignInIP, Rate{30, 2 * time.Second}, a.Tries)
		l.signInPair = newLimiter("passwords of", a.Limits.SignInPair, Rate{10, 6 * time.Second}, a.Tries)
		l.signInEmail = newLimiter("passwords for", a.Limits.SignInEmail, Rate{60, 2 * time.Second}, a.Tries)
		l.signUp = newLimiter("sign-ups of", a.Limits.SignUpIP, Rate{10, 30 * time.Second}, a.Tries)
		// By each process: a command is far cheaper than a password, and counting it in
		// the database would cost as much again.
		l.people = newLimiter("commands of", a.Limits.Command, Rate{60, 100 * time.Millisecond}, nil)
	})
	return l
}

func (a *Authenticator) allow(ctx context.Context, l *limiter, name string) error {
	if a.Limits.Off {
		return nil
	}
	wait, err := l.take(ctx, name, a.Now())
	if err == nil && wait > 0 {
		err = &problem.TooMany{After: wait}
	}
	return err
}

// allowSignIn counts a password check, the narrow limits first: one that is over its
// limit must not use up what the owner of the e-mail may try from elsewhere. A
// single stranger's guesses are fewer than what the e-mail's own limit gives back;
// only many together can slow a new sign-in of its owner.
func (a *Authenticator) allowSignIn(r *http.Request, email string) error {
	ctx, all, network, account := r.Context(), a.limits(), a.network(r), emailKey(email)
	if err := a.allow(ctx, all.signInIP, network); err != nil {
		return err
	}
	if err := a.allow(ctx, all.signInPair, network+" for "+account); err != nil {
		return err
	}
	return a.allow(ctx, all.signInEmail, account)
}

// AllowSignUp counts a sign-up of the request's address; the refusal is a
// *problem.TooMany.
func (a *Authenticator) AllowSignUp(r *http.Request) error {
	return a.allow(r.Context(), a.limits().signUp, a.network(r))
}

// AllowCommand counts a command of the person; the refusal is a *problem.TooMany.
func (a *Authenticator) AllowCommand(u domain.UserID) error {
	return a.allow(context.Background(), a.limits().people, string(u)) // in memory
}

// network names whom an address belongs to: itself for IPv4, its /64 for IPv6,
// within which one host has all addresses.
func (a *Authenticator) network(r *http.Request) string {
	ip := a.ClientIP(r)
	if ip.Is6() {
		p, err := ip.WithZone("").Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// ClientIP is the address that the request comes from: the connection's, or
// behind believed proxies the last one in X-Forwarded-For that is not a believed
// proxy itself. The zero Addr where there is none, as on a Unix socket.
func (a *Authenticator) ClientIP(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip := from.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && a.believed(ip); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = hop.Unmap()
	}
	return ip
}

func (a *Authenticator) believed(ip netip.Addr) bool {
	for _, p := range a.Proxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
