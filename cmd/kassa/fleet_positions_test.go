package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"kassa/eventstore"
)

// PostgreSQL is killed under load, and the API processes live through it. The views are
// committed without waiting for the disk, so they are then at an earlier position than
// reads have shown. Still no read of either process is older than it must be: than
// min_position, or than what its client has written, with the position remembered by
// the process or carried by the cookie. What cannot be shown is refused with 503. All
// writes and reads of one account together are linearizable.
func TestReadsWhilePostgreSQLIsKilled(t *testing.T) {
	random := rand.New(rand.NewPCG(drawSeed(t), 0))
	ownDatabase(t)
	services(t, "psql", "-qc", "ALTER SYSTEM SET wal_writer_delay = '10s'", "-c", "SELECT pg_reload_conf()") // more is lost
	f := newFleet(t)
	f.add("api", 2)
	f.add("backend", 1)
	f.begin()
	_, views := openShared(t, f.database)
	actors := f.people("actor", 3)
	wallets := make([]*sharedWallet, len(actors))
	for i, a := range actors {
		wallets[i] = f.openWallet(a)
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i, w := range wallets {
		for n := range 4 {
			own := rand.New(rand.NewPCG(random.Uint64(), uint64(i*4+n)))
			load.Go(func() { w.session(ctx, f, n%2 == 0, own) })
		}
	}
	fellBack := 0
	for round := 0; round < 2 || fellBack == 0 && round < 8; round++ {
		lasts(random, 2*time.Second)
		services(t, "kill", "postgres")
		f.of("backend")[0].signal(syscall.SIGSTOP) // no process fills the views for a while
		shown := slices.MaxFunc(wallets, func(v, w *sharedWallet) int { return cmp.Compare(v.last(), w.last()) }).last()
		lasts(random, time.Second)
		services(t, "start", "postgres")
		at, err := views.Position(t.Context())
		must(t, err)
		if at < shown {
			fellBack++
		}
		lasts(random, 2*time.Second)
		f.of("backend")[0].signal(syscall.SIGCONT)
		f.awaitReady()
	}
	stop()
	load.Wait()
	f.prove(actors)
	reads, refused := 0, 0
	for _, w := range wallets {
		w.check(t)
		reads += len(w.reads)
		refused += w.refused
	}
	f.stop()
	t.Logf("the views fell back %d times; %d reads, and %d more refused with 503", fellBack, reads, refused)
	if fellBack == 0 {
		t.Error("the views never fell back: nothing was tried")
	}
}

// While the views do not move, a user writes at one API process and reads at both at
// once: at the same one without a word, at the other with the position that the client
// or the browser's cookie carries. Each read waits for the views, and shows the write.
func TestOwnWritesAreReadInBothProcesses(t *testing.T) {
	random := rand.New(rand.NewPCG(drawSeed(t), 0))
	f := newFleet(t)
	f.add("api", 2)
	f.add("backend", 1)
	f.begin()
	actors := f.people("actor", 1)
	w := f.openWallet(actors[0])
	browser := w.browser(t.Context(), f)
	apis, rounds := f.of("api"), 8
	for n := range rounds {
		here, there := apis[n%2].address(), apis[(n+1)%2].address()
		f.of("backend")[0].signal(syscall.SIGSTOP)
		var reads sync.WaitGroup
		for _, c := range []client{w.client, browser} {
			c.url = here
			wrote := w.deposit(t.Context(), f, c, random)
			for _, how := range []func(context.Context, client, string) answered{w.balance, w.history} {
				reads.Go(func() { w.readBy(t.Context(), f, c, how, "", wrote) })
				other, query := c, "" // a copy: the reads run beside this loop
				other.url = there
				if c.email != "" {
					query = fmt.Sprint("min_position=", wrote)
				}
				reads.Go(func() { w.readBy(t.Context(), f, other, how, query, wrote) })
			}
		}
		<-time.After(50 * time.Millisecond) // the reads have come
		f.of("backend")[0].signal(syscall.SIGCONT)
		reads.Wait()
	}
	f.prove(actors)
	w.check(t)
	f.stop()
	if len(w.reads) != rounds*8 || w.refused > 0 {
		t.Errorf("%d reads were answered, and %d requests refused", len(w.reads), w.refused)
	}
}

// sharedWallet is an account that several clients use at once, with all that they saw.
type sharedWallet struct {
	*actor
	opened shown

	mu      sync.Mutex
	seen    eventstore.Position // the newest that an answer has shown or written
	writes  []*write
	reads   []read
	refused int
}

// write is a deposit; seen is the greatest position that any client had seen when it was first sent.
type write struct {
	*entered
	seen eventstore.Position
}

// read is what an answer has shown of an account: the newest moves up to a position.
type read struct {
	what  string
	at    eventstore.Position
	moves []shown
	page  int // how many moves it shows, if there are so many
}

// shown is one move of a wallet, and what was in it then.
type shown struct {
	at      eventstore.Position
	balance int64
}

func (f *fleet) openWallet(a *actor) *sharedWallet {
	f.t.Helper()
	w := &sharedWallet{actor: a}
	signedUp := w.history(f.t.Context(), a.client, "")
	if len(signedUp.moves) != 1 {
		f.t.Fatalf("the wallet begins with %+v", signedUp)
	}
	w.opened = signedUp.moves[0]
	return w
}

func (w *sharedWallet) last() eventstore.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// see notes the position of an answer.
func (w *sharedWallet) see(at eventstore.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = max(w.seen, at)
}

// session is one client at work. A browser's cookies go to both processes, as they do
// where both have one name; a client with a password stays at one process.
func (w *sharedWallet) session(ctx context.Context, f *fleet, browser bool, random *rand.Rand) {
	c := w.client
	c.url = f.anyAPI(random)
	if browser {
		c = w.browser(ctx, f)
	}
	var own eventstore.Position // the newest write of this client
	for n := 0; ctx.Err() == nil; n++ {
		if browser {
			c.url = f.anyAPI(random)
		}
		switch random.IntN(4) {
		case 0:
			own = max(own, w.deposit(ctx, f, c, random))
		case 1:
			at, seen := c, w.last()
			at.url = f.anyAPI(random)
			w.read(ctx, f, at, fmt.Sprint("min_position=", seen), seen, random)
		default:
			w.read(ctx, f, c, "", own, random)
		}
		<-time.After(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
	}
}

// browser is a client that has signed in, and carries cookies.
func (w *sharedWallet) browser(ctx context.Context, f *fleet) client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it never is
	}
	c := client{url: w.url, http: &http.Client{Transport: f.http.Transport, Jar: jar}}
	if a := c.do(ctx, "POST", "/api/users/signin", "", credentials{w.email, password}); a.status != http.StatusOK {
		f.t.Errorf("sign in: %d %v", a.status, a.body)
	}
	return c
}

// deposit asks until the outcome is known, or leaves it for later. It gives the
// position, 0 for none.
func (w *sharedWallet) deposit(ctx context.Context, f *fleet, c client, random *rand.Rand) eventstore.Position {
	d := &write{&entered{key: strconv.FormatUint(random.Uint64(), 36), path: "/api/users/balance/adjust", body: adjustment{Amount: 1 + random.Int64N(9)}}, w.last()}
	w.enter(d.entered)
	w.mu.Lock()
	w.writes = append(w.writes, d)
	w.mu.Unlock()
	for range 4 {
		said := c.do(ctx, "POST", d.path, d.key, d.body)
		switch {
		case said.status == http.StatusOK:
			d.answer = said
			at := eventstore.Position(said.number("position"))
			w.see(at)
			return at
		case ctx.Err() != nil:
			return 0
		case said.status != http.StatusConflict:
			w.mustRefuse(f, "a deposit", said)
		}
	}
	return 0
}

// read reads the balance or the history, which must show the log up to least.
func (w *sharedWallet) read(ctx context.Context, f *fleet, c client, query string, least eventstore.Position, random *rand.Rand) {
	how := w.balance
	if random.IntN(2) == 0 {
		how = w.history
	}
	w.readBy(ctx, f, c, how, query, least)
}

func (w *sharedWallet) readBy(ctx context.Context, f *fleet, c client, how func(context.Context, client, string) answered, query string, least eventstore.Position) {
	got := how(ctx, c, query)
	switch {
	case ctx.Err() != nil:
	case got.answer.status != http.StatusOK:
		w.mustRefuse(f, got.what, got.answer)
	case got.at < least:
		f.t.Errorf("%s shows the log up to %d only, and not to %d", got.what, got.at, least)
	default:
		w.see(got.at)
		w.mu.Lock()
		w.reads = append(w.reads, got.read)
		w.mu.Unlock()
	}
}

// mustRefuse: an answer that shows nothing gives the reason, and when to ask again.
func (w *sharedWallet) mustRefuse(f *fleet, what string, said answer) {
	if said.status != http.StatusServiceUnavailable || said.text("code") == "" || said.header.Get("Retry-After") == "" {
		f.t.Errorf("%s is answered %d %v %v", what, said.status, said.body, said.err)
	}
	w.mu.Lock()
	w.refused++
	w.mu.Unlock()
	<-time.After(thinks)
}

type answered struct {
	read
	answer answer
}

func (w *sharedWallet) balance(ctx context.Context, c client, query string) answered {
	path := "/api/users/balance?" + query
	a := c.do(ctx, "GET", path, "", nil)
	return answered{read{path, shownUpTo(a), []shown{{eventstore.Position(a.number("position")), a.number("balance")}}, 1}, a}
}

func (w *sharedWallet) history(ctx context.Context, c client, query string) answered {
	const page = 20
	path := fmt.Sprintf("/api/users/transaction/history?limit=%d&%s", page, query)
	a := c.do(ctx, "GET", path, "", nil)
	r := read{what: path, at: shownUpTo(a), page: page}
	items, _ := a.body["items"].([]any)
	for _, item := range items {
		line := answer{body: item.(map[string]any)}
		r.moves = append(r.moves, shown{eventstore.Position(line.number("position")), line.number("balance_after")})
	}
	return answered{r, a}
}

func shownUpTo(a answer) eventstore.Position {
	at, _ := strconv.ParseInt(a.header.Get("Kassa-Position"), 10, 64) // of a refusal there is none
	return eventstore.Position(at)
}

// check: in the order of their positions, each write is behind all that was seen before
// it was sent, and each read shows exactly the writes up to its position. That reads
// with min_position show what was seen before was checked when they came. So the order
// of the positions is one in which all of it could have happened at once.
func (w *sharedWallet) check(t *testing.T) {
	t.Helper()
	slices.SortFunc(w.writes, func(v, w *write) int { return cmp.Compare(v.answer.number("position"), w.answer.number("position")) })
	moves := []shown{w.opened}
	for _, d := range w.writes {
		next := shown{eventstore.Position(d.answer.number("position")), moves[len(moves)-1].balance + d.body.(adjustment).Amount}
		moves = append(moves, next)
		if next.at <= d.seen {
			t.Errorf("a deposit is at %d, and was sent when %d had been seen", next.at, d.seen)
		}
		if said := d.answer.number("balance"); said != next.balance {
			t.Errorf("the deposit at %d says that the balance is %d, and not %d", next.at, said, next.balance)
		}
	}
	for _, r := range w.reads {
		n, _ := slices.BinarySearchFunc(moves, r.at+1, func(m shown, at eventstore.Position) int { return cmp.Compare(m.at, at) })
		want := slices.Clone(moves[max(0, n-r.page):n])
		slices.Reverse(want)
		if !slices.Equal(r.moves, want) {
			t.Errorf("%s up to %d shows %v, want %v", r.what, r.at, r.moves, want)
		}
	}
}
