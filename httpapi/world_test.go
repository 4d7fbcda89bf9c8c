package httpapi

import (
	"context"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"kassa/audit/audittest"
	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
	"kassa/schema"
	"kassa/vault"
)

// world is the real stack behind a server, in a folder of its own. Only the worker
// is small: bag knows words and not what they mean.
type world struct {
	t       testing.TB
	clock   *clock
	db      *schema.SQLite
	store   *eventstore.Store
	vault   *vault.Vault
	films   *catalog.Catalogue
	views   *projections.Memory
	server  *Server
	settler settler
	broken  chan error
}

var secret = vault.Secret(strings.Repeat("s", 32))

// cheap makes password hashing a matter of microseconds.
var cheap = vault.Options{Argon2: vault.Argon2{MemoryKiB: 8, Passes: 1}}

func newWorld(t testing.TB, limits identity.Limits) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, views: projections.NewMemory(), broken: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if w.db, err = schema.OpenSQLite(ctx, filepath.Join(t.TempDir(), "kassa.db")); err != nil {
		t.Fatal(err)
	}
	if w.store, err = eventstore.SQLite(ctx, w.db); err != nil {
		t.Fatal(err)
	}
	if w.vault, err = vault.SQLite(w.db, secret, cheap); err != nil {
		t.Fatal(err)
	}
	w.films = shelf(t, w.db)
	w.server = w.newServer(w.vault, limits)
	w.settler = settler{world: w}
	var following sync.WaitGroup
	following.Go(func() { w.follow(ctx) })
	t.Cleanup(func() {
		cancel()
		following.Wait() // a question in hand is settled, while the store is open
		audittest.CheckLedger(t, w.store)
		w.store.Close()
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) newServer(v *vault.Vault, limits identity.Limits) *Server {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	problems := &problem.Writer{Log: log, Broken: func(err error) { w.broken <- err }}
	handler := &commands.Handler{Log: w.store, People: v, Payments: commands.Sandbox{}, Now: w.clock.Now,
		Price: 5, Bonus: 10, HoldExpiry: 2 * time.Minute}
	return &Server{Commands: handler, Views: w.views, Head: w.store.Head, Films: w.films, Vault: v, Problems: problems, Log: log, Version: "test",
		PositionWait: 200 * time.Millisecond,
		Identity:     &identity.Authenticator{People: handler, Vault: v, Accounts: w.store, Views: w.views, Problems: problems, Now: w.clock.Now, Limits: limits}}
}

// forgetful is the vault of a process that has just started: it has no key and no
// password in memory.
func (w *world) forgetful() *vault.Vault {
	w.t.Helper()
	v, err := vault.SQLite(w.db, secret, cheap)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// clock is the world's time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// shelf is a catalogue of a few of the shipped films.
func shelf(t testing.TB, db *schema.SQLite) *catalog.Catalogue {
	t.Helper()
	films, err := catalog.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	all, err := catalog.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	var some []catalog.Movie
	for _, m := range all {
		if m.ID == "inception-2010" || len(some) < 5 {
			some = append(some, m)
		}
	}
	if _, err := films.Import(t.Context(), some, bag{}); err != nil {
		t.Fatal(err)
	}
	return films
}

// bag embeds a text as the set of its words.
type bag struct{}

func (bag) ModelVersion() string { return "bag-1" }

func (bag) EmbedAll(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = make([]float32, 384)
		for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
			h := fnv.New32a()
			h.Write([]byte(word))
			out[i][h.Sum32()%384]++
		}
	}
	return out, nil
}

// follow brings the log to the views, and each question to the settler.
func (w *world) follow(ctx context.Context) {
	var at eventstore.Position
	for {
		err := w.store.Wait(ctx, at)
		if err != nil {
			if ctx.Err() == nil {
				w.t.Errorf("wait for the log: %v", err)
			}
			return
		}
		err = w.store.Scan(ctx, at, func(batch []eventstore.Recorded) error {
			if err := w.views.Apply(batch); err != nil {
				return err
			}
			for _, rec := range batch {
				if e, ok := rec.Event.(domain.PredictionRequested); ok {
					w.settler.ask(context.WithoutCancel(ctx), question{e, rec.Position})
				}
			}
			at = batch[len(batch)-1].Position
			return nil
		})
		if err != nil {
			if ctx.Err() == nil {
				w.t.Errorf("follow the log: %v", err)
			}
			return
		}
	}
}

// settler answers questions as the worker and the matcher do, or keeps them
// while it is told to.
type settler struct {
	world *world
	mu    sync.Mutex
	off   bool
	kept  []question
}

type question struct {
	domain.PredictionRequested
	at eventstore.Position
}

func (s *settler) ask(ctx context.Context, q question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		s.kept = append(s.kept, q)
		return
	}
	if _, err := s.settle(ctx, q); err != nil {
		s.world.t.Errorf("settle %s: %v", q.Prediction, err)
	}
}

func (s *settler) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = true
}

// resume answers what was kept, and returns when the views show it.
func (s *settler) resume() {
	s.mu.Lock()
	kept := s.kept
	s.off, s.kept = false, nil
	s.mu.Unlock()
	for _, q := range kept {
		at, err := s.settle(context.Background(), q)
		if err != nil {
			s.world.t.Errorf("settle %s: %v", q.Prediction, err)
		}
		s.world.see(at)
	}
}

func (s *settler) settle(ctx context.Context, q question) (eventstore.Position, error) {
	w := s.world
	ending := commands.Ending{User: q.User, Prediction: q.Prediction, By: "matcher", Cause: q.at}
	text, err := w.vault.OpenText(ctx, q.User, q.Prediction, q.Text)
	if err != nil {
		return 0, err
	}
	if !strings.ContainsFunc(text, unicode.IsLetter) {
		return w.server.Commands.Fail(ctx, ending, domain.FailedNoMeaning)
	}
	vectors, err := bag{}.EmbedAll(ctx, []string{text})
	if err != nil {
		return 0, err
	}
	found, err := w.films.Nearest(ctx, catalog.Query{Model: bag{}.ModelVersion(), Vector: vectors[0], Text: text, Limit: q.Limit})
	if err != nil {
		return 0, err
	}
	answer := domain.Answer{Model: bag{}.ModelVersion(), Catalogue: w.films.Version(), ProcessingTime: 0.001}
	for _, m := range found {
		answer.Movies = append(answer.Movies, domain.Match{Movie: m.MovieID, Score: m.Score})
	}
	return w.server.Commands.Complete(ctx, ending, answer)
}

// see waits until the views hold the position.
func (w *world) see(at eventstore.Position) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.views.Wait(ctx, at); err != nil {
		w.t.Fatalf("the views do not come to position %d: %v", at, err)
	}
}

// expire ends the holds whose time is up, as the clock process does.
func (w *world) expire() {
	w.t.Helper()
	ctx := context.Background()
	open, err := w.views.OpenHolds(ctx, w.clock.Now(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range open {
		at, err := w.server.Commands.Expire(ctx, commands.Ending{User: p.User, Prediction: p.ID, By: "clock", Cause: p.Position})
		if err != nil {
			w.t.Fatal(err)
		}
		w.see(at)
	}
}

func email(name string) string { return name + "@example.org" }

func password(name string) string { return name + " likes films" }

// setAdmin makes somebody an admin, or ends it.
func (w *world) setAdmin(name string, admin bool) {
	w.t.Helper()
	u, err := w.server.Commands.FindUser(context.Background(), email(name))
	if err != nil {
		w.t.Fatal(err)
	}
	at, err := w.server.Commands.SetAdmin(context.Background(), u, admin)
	if err != nil {
		w.t.Fatal(err)
	}
	w.see(at)
}

// join signs somebody up with the means of the commands, for tests whose matter
// that is not.
func (w *world) join(name string) domain.UserID {
	w.t.Helper()
	up, err := w.server.Commands.SignUp(context.Background(), commands.SignUp{Email: email(name), Password: password(name)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.see(up.Position)
	return up.User
}

func basic(r *http.Request, name string) *http.Request {
	r.SetBasicAuth(email(name), password(name))
	return r
}

// size is how much the ledger holds.
func (w *world) size(t testing.TB) eventstore.Position {
	t.Helper()
	head, err := w.store.Head(context.Background())
	if err != nil {
		t.Fatalf("read the head: %v", err)
	}
	return head.Size
}
