package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/schema/schematest"
)

// Two API processes, two workers and two backends, under load, while at random one of
// them is killed or frozen, the database cuts sessions or is closed for a while, and
// the broker cuts connections, loses queues or delivers nothing. After all of it no
// acknowledged command is lost and none is done twice, every hold has ended, every
// balance is what the journals give, the views are what a replay gives, and verify
// finds the ledger whole.
//
// KASSA_FAULTS is how many faults, KASSA_SEED which, KASSA_FAULTS_OF of which kind
// alone, by a part of its name. With KASSA_FAULTS_SERVER
// set the servers are the test's own, and are killed too.
func TestFleetUnderFaults(t *testing.T) {
	seed, began := drawSeed(t), time.Now()
	faults, people, own := 8, 16, os.Getenv("KASSA_FAULTS_SERVER") != ""
	if s := os.Getenv("KASSA_FAULTS"); s != "" {
		var err error
		if faults, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		people = 64
	}
	kinds := slices.Clone(faultsOfOurOwn)
	if own {
		ownServers(t)
		kinds = append(kinds, faultsOfServers...)
	}
	if only := os.Getenv("KASSA_FAULTS_OF"); only != "" {
		kinds = slices.DeleteFunc(kinds, func(k fault) bool { return !strings.Contains(k.name, only) })
	}
	f := newFleet(t)
	f.add("api", 2)
	f.add("backend", 2)
	f.add("worker", 2)
	f.begin()
	actors := f.people("actor", people)
	stop := f.load(actors, seed)
	canary := f.people("canary", 1)[0]
	done := f.disturb(kinds, faults, canary, rand.New(rand.NewPCG(seed, 0)))
	stop()
	f.http.CloseIdleConnections()
	f.awaitReady()
	actors = append(actors, canary)
	v := f.prove(actors)
	f.stop()
	t.Log(f.table(done, actors, v, time.Since(began)))
}

// fault is something that happens, and is over when do returns.
type fault struct {
	name string
	do   func(ctx context.Context, f *fleet, random *rand.Rand) error
}

// faultsOfOurOwn reach the fleet alone, and no other user of the servers.
var faultsOfOurOwn = []fault{
	{"kill -9 an API process", kill("api")},
	{"kill -9 a backend", kill("backend")},
	{"kill -9 a worker", kill("worker")},
	{"freeze an API process", freeze("api")},
	{"freeze a backend", freeze("backend")},
	{"freeze a worker", freeze("worker")},
	{"database cuts all sessions", func(ctx context.Context, f *fleet, _ *rand.Rand) error {
		return f.onDatabase(ctx, cutSessions)
	}},
	{"database is closed", func(ctx context.Context, f *fleet, random *rand.Rand) error {
		name := databaseName(f.database)
		if err := f.onDatabase(ctx, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false", cutSessions); err != nil {
			return err
		}
		lasts(random, 4*time.Second)
		return f.onDatabase(ctx, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true")
	}},
	{"broker cuts all connections", func(_ context.Context, f *fleet, _ *rand.Rand) error { return f.broker.CutConnections() }},
	{"broker loses a queue", func(_ context.Context, f *fleet, random *rand.Rand) error {
		queues := []string{"work", "answers", "dead", "kept"}
		installation, _, _ := strings.Cut(brokerKey, " ")
		return f.broker.DeleteQueue("kassa." + installation + "." + queues[random.IntN(len(queues))])
	}},
	{"broker loses everything", func(_ context.Context, f *fleet, _ *rand.Rand) error { return f.broker.LoseEverything() }},
	{"broker delivers nothing", func(_ context.Context, f *fleet, random *rand.Rand) error {
		if err := f.broker.MayRead(false); err != nil {
			return err
		}
		if err := f.broker.CutConnections(); err != nil {
			return err
		}
		lasts(random, 4*time.Second)
		return f.broker.MayRead(true)
	}},
}

// faultsOfServers reach all users of them.
var faultsOfServers = []fault{
	{"kill -9 PostgreSQL", killServer("postgres")},
	{"kill -9 RabbitMQ", killServer("rabbitmq")},
	{"memory alarm of RabbitMQ", func(_ context.Context, f *fleet, random *rand.Rand) error {
		services(f.t, "rabbitmqctl", "set_vm_memory_high_watermark", "0.0001")
		lasts(random, 15*time.Second) // longer than publishing waits
		services(f.t, "rabbitmqctl", "set_vm_memory_high_watermark", "absolute", "512MiB")
		return nil
	}},
}

// happened counts how often a fault happened, and how long it took at most until a
// question was answered again.
type happened struct {
	times   int
	slowest time.Duration
}

// disturb lets so many faults happen, and waits after each until the service has
// recovered. Each kind comes before any comes again.
func (f *fleet) disturb(kinds []fault, n int, canary *actor, random *rand.Rand) map[string]happened {
	f.t.Helper()
	done := map[string]happened{}
	var order []int
	for range n {
		lasts(random, 1500*time.Millisecond)
		if len(order) == 0 {
			order = random.Perm(len(kinds))
		}
		next := kinds[order[0]]
		order = order[1:]
		if err := next.do(f.t.Context(), f, random); err != nil {
			f.t.Fatalf("%s: %v", next.name, err)
		}
		took := f.recover(canary, random)
		f.t.Logf("%s: recovered after %s", next.name, took.Round(time.Millisecond))
		so := done[next.name]
		done[next.name] = happened{so.times + 1, max(so.slowest, took)}
		if f.t.Failed() {
			f.t.FailNow()
		}
	}
	return done
}

// lasts waits for a random while: the time between faults, and that of one.
func lasts(random *rand.Rand, most time.Duration) {
	<-time.After(most/5 + time.Duration(random.Int64N(int64(most*4/5))))
}

func kill(kind string) func(context.Context, *fleet, *rand.Rand) error {
	return func(_ context.Context, f *fleet, random *rand.Rand) error {
		f.any(kind, random).signal(syscall.SIGKILL)
		return nil
	}
}

func freeze(kind string) func(context.Context, *fleet, *rand.Rand) error {
	return func(_ context.Context, f *fleet, random *rand.Rand) error {
		frozen := f.any(kind, random)
		frozen.signal(syscall.SIGSTOP)
		lasts(random, 5*time.Second)
		frozen.signal(syscall.SIGCONT)
		return nil
	}
}

func (f *fleet) any(kind string, random *rand.Rand) *member {
	list := f.of(kind)
	return list[random.IntN(len(list))]
}

// cutSessions ends every session of the database $1 but those of others' roles, as
// the server's own.
const cutSessions = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = current_user`

// onDatabase runs statements about the fleet's database from beside it.
func (f *fleet) onDatabase(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, schematest.Server(f.t))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, statement := range statements {
		var args []any
		if statement == cutSessions {
			args = []any{databaseName(f.database)}
		}
		if _, err := conn.Exec(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

func databaseName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // schematest made it
	}
	return strings.TrimPrefix(u.Path, "/")
}

// ownServers brings up a PostgreSQL and a RabbitMQ of the test's own.
func ownServers(t *testing.T) { own(t, "KASSA_") }

// ownDatabase brings up a PostgreSQL of the test's own.
func ownDatabase(t *testing.T) { own(t, "KASSA_DATABASE", "postgres") }

// own brings up servers of the test's own, and sets the variables with this prefix to their addresses.
func own(t *testing.T, variables string, servers ...string) {
	t.Helper()
	t.Setenv("KASSA_SERVICES_DIR", t.TempDir())
	t.Cleanup(func() { services(t, "wipe") })
	for _, line := range strings.Fields(services(t, append([]string{"up"}, servers...)...)) {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, variables) {
			t.Setenv(name, value)
		}
	}
}

func killServer(name string) func(context.Context, *fleet, *rand.Rand) error {
	return func(_ context.Context, f *fleet, random *rand.Rand) error {
		services(f.t, "kill", name)
		lasts(random, 3*time.Second)
		services(f.t, "start", name)
		return nil
	}
}

// table prints what was done, and the outcome.
func (f *fleet) table(done map[string]happened, actors []*actor, v verdict, wall time.Duration) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(what string, n any) { fmt.Fprintf(w, "%v\t  %s\n", n, what) }
	fmt.Fprintln(w)
	for _, name := range slices.Sorted(maps.Keys(done)) {
		row(fmt.Sprintf("%s; recovered in %s at most", name, done[name].slowest.Round(10*time.Millisecond)), done[name].times)
	}
	entered, acknowledged, starts := 0, 0, 0
	for _, a := range actors {
		entered += len(a.journal)
		for _, e := range a.journal {
			if e.answer.status < 300 {
				acknowledged++
			}
		}
	}
	for _, m := range f.members {
		starts += m.starts
	}
	row("starts of processes", starts)
	row("clients", len(actors))
	row("commands", entered)
	row("  acknowledged, each in the log once", acknowledged)
	row("requests", f.asked.Load())
	row("  without a definite answer", f.unknown.Load())
	row("  answered by a replay", f.replayed.Load())
	row("predictions completed", v.Events[domain.PredictionCompleted{}.Type()])
	row("  expired", v.Events[domain.PredictionExpired{}.Type()])
	row("  failed", v.Events[domain.PredictionFailed{}.Type()])
	row("entries of the log", v.Size)
	row("wall time", wall.Round(time.Second))
	_ = w.Flush() // into memory
	return out.String()
}
