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
	"kassa/internal/security"
)

// Rate allows Burst at once, and one more in each interval of Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// Limits are the rate limits. A zero Rate means its default. Passwords, sign-ups,
// links and exports are counted by Authenticator.Tries, commands by each process.
type Limits struct {
	Off bool // for load tests only

	SignInIP    Rate // password checks of one address: 30, then one every 2 s
	SignInPair  Rate // password checks of one e-mail from one address: 10, then one every 6 s
	SignInEmail Rate // password checks of one e-mail from any address: 60, then one every 2 s
	SignUpIP    Rate // sign-ups of one address: 10, then one every 30 s
	ForgotIP    Rate // links for forgotten passwords asked for by one address: 10, then one a minute
	ForgotEmail Rate // and for one e-mail: 3, then one every 10 minutes
	Code        Rate // codes of one user's second factor: 10, then one every 5 minutes
	Passkey     Rate // challenges for one user's passkeys: 30, then one every 10 s
	Command     Rate // commands of one user: 60, then one every 100 ms
	Export      Rate // exports of one user's data: 5, then one a minute
}

// Tries counts across all processes.
type Tries interface {
	// Take takes one permission and returns 0, or returns how long to wait for the
	// next: burst at once, and one more in each interval of every.
	Take(ctx context.Context, name string, burst int, every time.Duration) (wait time.Duration, err error)
}

// limitersKept is how many names each limit keeps in memory. A name that was evicted
// starts with a full burst, so requests from many addresses can loosen limits but not
// fill the memory.
const limitersKept = 20_000

type limiters struct {
	once                 sync.Once
	signInIP, signInPair *limiter
	signInEmail          *limiter
	signUp, people       *limiter
	exports              *limiter
	codes, passkeys      *limiter
	forgotIP             *limiter
	forgotEmail          *limiter
}

// limiter applies one Rate to many names.
type limiter struct {
	kind  string
	rate  Rate
	tries Tries // nil: this process counts alone, in seen
	seen  *lru.Cache[string, *rate.Limiter]
}

func newLimiter(kind string, r, standard Rate, tries Tries) *limiter {
	seen, err := lru.New[string, *rate.Limiter](limitersKept)
	if err != nil {
		panic(err) // the size is a constant above zero
	}
	return &limiter{kind, Rate{Burst: cmp.Or(r.Burst, standard.Burst), Every: cmp.Or(r.Every, standard.Every)}, tries, seen}
}

// take takes one permission and returns 0, or returns how long to wait for the next.
func (l *limiter) take(ctx context.Context, name string, now time.Time) (time.Duration, error) {
	if l.tries != nil {
		return l.tries.Take(ctx, l.kind+" "+name, l.rate.Burst, l.rate.Every)
	}
	fresh := rate.NewLimiter(rate.Every(l.rate.Every), l.rate.Burst)
	one, had, _ := l.seen.PeekOrAdd(name, fresh)
	if had {
		l.seen.Get(name) // marks it as used: the least recently used are evicted first
	} else {
		one = fresh
	}
	if one.AllowN(now, 1) {
		return 0, nil
	}
	missing := 1 - one.TokensAt(now)
	// Rounded: without it, floating-point error turns one second into two.
	return max(time.Millisecond, time.Duration(missing*float64(l.rate.Every)).Round(time.Millisecond)), nil
}

func (a *Authenticator) limits() *limiters {
	l := &a.limiters
	l.once.Do(func() {
		l.signInIP = newLimiter("passwords of", a.Limits.SignInIP, Rate{30, 2 * time.Second}, a.Tries)
		l.signInPair = newLimiter("passwords of", a.Limits.SignInPair, Rate{10, 6 * time.Second}, a.Tries)
		l.signInEmail = newLimiter("passwords for", a.Limits.SignInEmail, Rate{60, 2 * time.Second}, a.Tries)
		l.signUp = newLimiter("sign-ups of", a.Limits.SignUpIP, Rate{10, 30 * time.Second}, a.Tries)
		l.forgotIP = newLimiter("links asked by", a.Limits.ForgotIP, Rate{10, time.Minute}, a.Tries)
		l.forgotEmail = newLimiter("links asked for", a.Limits.ForgotEmail, Rate{3, 10 * time.Minute}, a.Tries)
		l.exports = newLimiter("exports of", a.Limits.Export, Rate{5, time.Minute}, a.Tries)
		l.codes = newLimiter("codes of", a.Limits.Code, Rate{10, 5 * time.Minute}, a.Tries)
		l.passkeys = newLimiter("challenges of", a.Limits.Passkey, Rate{30, 10 * time.Second}, a.Tries)
		// Counted by each process: a command is far cheaper than a password check, and
		// counting it in the database would double its cost.
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

// allowSignIn counts a password check, narrow limits first: an attempt over its own
// limit must not use up what the owner of the e-mail may try from elsewhere. The
// attempts of one address are fewer than the e-mail's limit refills; only many
// addresses together can delay the owner's sign-in.
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

// AllowSignUp counts a sign-up from the request's address; the refusal is a
// *problem.TooMany.
func (a *Authenticator) AllowSignUp(r *http.Request) error {
	err := a.allow(r.Context(), a.limits().signUp, a.network(r))
	if err != nil {
		a.record(r.Context(), security.Event{Kind: security.SignUp}, err)
	}
	return err
}

// AllowCommand counts a command of the user; the refusal is a *problem.TooMany.
func (a *Authenticator) AllowCommand(u domain.UserID) error {
	return a.allow(context.Background(), a.limits().people, string(u)) // in memory
}

// AllowExport counts an export of the user's data; the refusal is a *problem.TooMany.
func (a *Authenticator) AllowExport(ctx context.Context, u domain.UserID) error {
	return a.allow(ctx, a.limits().exports, string(u))
}

// network is the key of an address: the address itself for IPv4, its /64 for IPv6,
// because one host owns a whole /64.
func (a *Authenticator) network(r *http.Request) string {
	ip := a.ClientIP(r)
	if ip.Is6() {
		return prefixOf(ip, 64)
	}
	return ip.String()
}

// prefixOf is the network of an address; "" where it has none of that length.
func prefixOf(ip netip.Addr, bits int) string {
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// ClientIP is the client's address: that of the connection, or behind trusted proxies
// the last address in X-Forwarded-For that is not a trusted proxy. The zero Addr where
// there is none, as on a Unix socket.
func (a *Authenticator) ClientIP(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip := from.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && a.trusted(ip); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = hop.Unmap()
	}
	return ip
}

func (a *Authenticator) trusted(ip netip.Addr) bool {
	for _, p := range a.Proxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
