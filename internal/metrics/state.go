package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/internal/bus"
)

// readTime limits what a scrape waits for the database or the broker: less than the
// time that Prometheus gives it.
const readTime = 5 * time.Second

// reading is metrics that are read together at each scrape.
type reading struct {
	m     *Metrics
	part  string // in the count of what failed
	descs []*prometheus.Desc
	read  func(ctx context.Context, out chan<- prometheus.Metric) error
}

// Describe sends what Collect may send.
func (r *reading) Describe(to chan<- *prometheus.Desc) {
	for _, d := range r.descs {
		to <- d
	}
}

// Collect reads. What cannot be read is missing in the answer, and counted.
func (r *reading) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	if r.read(ctx, out) != nil {
		r.m.scrapes.WithLabelValues(r.part).Inc()
	}
}

func (m *Metrics) reading(part string) *reading {
	m.scrapes.WithLabelValues(part)
	return &reading{m: m, part: part}
}

func (r *reading) desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	r.descs = append(r.descs, d)
	return d
}

func gaugeOf[N ~int | ~int64 | ~float64](d *prometheus.Desc, value N, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
}

// WatchService shows the state of the service, part by part: what one part lacks does not
// hide the others.
func (m *Metrics) WatchService(s *app.Service) {
	m.registry.MustRegister(m.readiness(s), m.progress(s), m.holds(s), m.today(s), m.ledger(s), m.sessions(s), m.cosigned(s))
	m.WatchStore(s.Store)
	m.WatchPasswords(s.Vault.Hashing)
	if s.Pool != nil {
		m.WatchPool(s.Pool)
	}
}

func (m *Metrics) readiness(s *app.Service) *reading {
	r := m.reading("ready")
	ready := r.desc("kassa_ready", "1 where the process can do its work, else 0: the database, the broker, the views. It goes on while the process drains.")
	failing := r.desc("kassa_failing_tasks", "Background tasks that fail, and that answers do not depend on.")
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) error {
		is := 1
		if s.Ready(ctx) != nil {
			is = 0
		}
		out <- gaugeOf(ready, is)
		out <- gaugeOf(failing, len(s.Failing()))
		return nil
	}
	return r
}

func (m *Metrics) progress(s *app.Service) *reading {
	r := m.reading("progress")
	size := r.desc("kassa_log_entries", "Entries in the log.")
	relay := r.desc("kassa_relay_lag_entries", "Entries that the relay has not carried to the broker yet, or has within the last second.")
	views := r.desc("kassa_view_lag_entries", "Entries that a view does not show yet.", "view")
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) error {
		p, err := s.Progress(ctx)
		if err != nil {
			return err
		}
		out <- gaugeOf(size, p.Head)
		out <- gaugeOf(relay, max(0, p.Head-p.Relay))
		for view, at := range p.Views {
			out <- gaugeOf(views, max(0, p.Head-at), view)
		}
		return nil
	}
	return r
}

func (m *Metrics) holds(s *app.Service) *reading {
	r := m.reading("holds")
	age := r.desc("kassa_oldest_hold_age_seconds", "Age of the oldest question that is still open; 0 where none is.")
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) error {
		since, err := s.OldestHold(ctx)
		if err != nil {
			return err
		}
		old := 0.0
		if !since.IsZero() {
			old = max(0, s.Commands.Now().Sub(since).Seconds())
		}
		out <- gaugeOf(age, old)
		return nil
	}
	return r
}

func (m *Metrics) today(s *app.Service) *reading {
	r := m.reading("today")
	questions := r.desc("kassa_day_questions", "Questions of this day (UTC), by what was said of them on it: questions, answered, found (a film of the first answer), found_refined, not_found, refunded, failed, expired.", "said")
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) error {
		counted, err := s.Today(ctx)
		for said, n := range counted {
			out <- gaugeOf(questions, n, said)
		}
		return err
	}
	return r
}

func (m *Metrics) ledger(s *app.Service) *reading {
	r := m.reading("ledger")
	credits := r.desc("kassa_ledger_credits", "Credits on the accounts of the house, and of all users together.", "account")
	total := r.desc("kassa_ledger_total_credits", "Sum of all accounts of the ledger. Anything but 0 means that the ledger is broken.")
	users := r.desc("kassa_users", "Users who have signed up.")
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) error {
		trial, err := s.Views.Trial(ctx, 0)
		if err != nil {
			return err
		}
		out <- gaugeOf(credits, trial.Available, "users:available")
		out <- gaugeOf(credits, trial.Held, "users:held")
		for account, c := range trial.Accounts {
			out <- gaugeOf(credits, c, string(account))
		}
		out <- gaugeOf(total, trial.Total())
		out <- gaugeOf(users, trial.Users)
		return nil
	}
	return r
}

func (m *Metrics) sessions(s *app.Service) *reading {
	r := m.reading("sessions")
	sessions := r.desc("kassa_sessions", "Sessions of browsers that have not ended.")
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) error {
		n, err := s.Vault.CountSessions(ctx, s.Commands.Now())
		if err != nil {
			return err
		}
		out <- gaugeOf(sessions, n)
		return nil
	}
	return r
}

func (m *Metrics) cosigned(s *app.Service) *reading {
	r := m.reading("cosigned")
	witnesses := r.desc("kassa_cosigned_witnesses", "Witnesses that have cosigned the newest cosigned head of the log; 0 where none was asked yet.")
	age := r.desc("kassa_cosigned_age_seconds", "Time since witnesses cosigned that head; they are asked again every minute, so that it stays small. 0 where none was asked yet.")
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) error {
		head, err := s.SignedHeads().Cosigned(ctx)
		if err != nil {
			return err
		}
		old := 0.0
		if head.Note != nil {
			old = max(0, time.Since(head.At).Seconds())
		}
		out <- gaugeOf(witnesses, head.Witnesses)
		out <- gaugeOf(age, old)
		return nil
	}
	return r
}

// WatchWitness shows a process that watches a log: state gives the size of the newest head
// that it has seen, and how many contradictions it keeps. The function that is returned
// counts a look at the log by its outcome.
func (m *Metrics) WatchWitness(state func() (size int64, contradictions int), outcomes ...string) (looked func(outcome string)) {
	m.gauge("kassa_witness_log_entries", "Entries in the newest head of the log that the witness has seen.", nil, func() float64 { size, _ := state(); return float64(size) })
	m.gauge("kassa_witness_contradictions", "Contradictions of the log whose evidence is in the folder of the witness. Anything but 0 is an alarm.", nil,
		func() float64 { _, kept := state(); return float64(kept) })
	looks := m.counters("kassa_witness_looks_total", "Looks of the witness at the log, by what came of them.", "outcome", outcomes...)
	return func(outcome string) { looks.WithLabelValues(outcome).Inc() }
}

// WatchStore shows the queue of the sequencer.
func (m *Metrics) WatchStore(s *eventstore.Store) {
	m.gauge("kassa_append_queue", "Appends that wait for the sequencer.", nil, func() float64 { return float64(s.Waiting()) })
}

// WatchPasswords shows the queue of passwords that are hashed; hashing is vault.Vault's.
func (m *Metrics) WatchPasswords(hashing func() (running, waiting int)) {
	m.gauge("kassa_passwords_hashing", "Passwords that are being hashed (argon2id).", nil, func() float64 { n, _ := hashing(); return float64(n) })
	m.gauge("kassa_passwords_waiting", "Passwords that wait to be hashed.", nil, func() float64 { _, n := hashing(); return float64(n) })
}

// WatchPool shows the connections to PostgreSQL.
func (m *Metrics) WatchPool(p *pgxpool.Pool) {
	for state, value := range map[string]func(*pgxpool.Stat) int32{"acquired": (*pgxpool.Stat).AcquiredConns, "idle": (*pgxpool.Stat).IdleConns,
		"constructing": (*pgxpool.Stat).ConstructingConns} {
		m.gauge("kassa_postgres_connections", "Connections of the pool, by what they do.", prometheus.Labels{"state": state}, func() float64 { return float64(value(p.Stat())) })
	}
	m.gauge("kassa_postgres_connections_max", "Connections that the pool may have.", nil, func() float64 { return float64(p.Stat().MaxConns()) })
	m.counter("kassa_postgres_acquires_total", "Connections that were taken from the pool.", func() float64 { return float64(p.Stat().AcquireCount()) })
	m.counter("kassa_postgres_acquire_waits_total", "Connections that had to be waited for.", func() float64 { return float64(p.Stat().EmptyAcquireCount()) })
	m.counter("kassa_postgres_acquire_wait_seconds_total", "Time that connections were waited for.", func() float64 { return p.Stat().EmptyAcquireWaitTime().Seconds() })
}

// WatchBroker shows the queues of the installation, over a connection of its own that is
// made at the first scrape, and again after it was lost.
func (m *Metrics) WatchBroker(b bus.Broker) (stop func()) {
	r := m.reading("broker")
	ready := r.desc("kassa_broker_queue_messages", "Messages that wait in a queue; those of kept are records of dead letters.", "queue")
	consumers := r.desc("kassa_broker_queue_consumers", "Consumers of a queue.", "queue")
	var mu sync.Mutex
	var open *bus.Inspection
	drop := func() {
		if open != nil {
			open.Close()
			open = nil
		}
	}
	r.read = func(ctx context.Context, out chan<- prometheus.Metric) (err error) {
		mu.Lock()
		defer mu.Unlock()
		if open == nil {
			if open, err = b.Inspect(ctx); err != nil {
				drop()
				return err
			}
		}
		depths, err := open.Depths()
		if err != nil {
			drop()
			return err
		}
		for queue, d := range depths {
			out <- gaugeOf(ready, d.Ready, queue)
			out <- gaugeOf(consumers, d.Consumers, queue)
		}
		return nil
	}
	m.registry.MustRegister(r)
	return func() { mu.Lock(); defer mu.Unlock(); drop() }
}
