package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/eventstore"
)

// maxBatch is how many entries one transaction takes.
const maxBatch = 5000

// maxTurn bounds how long views that are behind catch up before those that are ahead
// take what came meanwhile.
const maxTurn = 250 * time.Millisecond

// Runner keeps the tables of the views. All that it applies is read from the log: a
// message could be forged. Several processes may have one; each batch is applied once, by
// the first of them.
//
// All views move together, in one transaction a batch. One that is behind, because it is
// built again or is new, first catches up by itself, batch by batch, and then joins them. Views
// that an older program keeps, one after the other, come apart and together again in the
// same way.
type Runner struct {
	events LiveEvents
	pool   *pgxpool.Pool
	logger *slog.Logger
	left   map[string]bool // tables that cannot be filled, which was logged

	applied func(entries []eventstore.Recorded, began time.Time) // nil: there is none

	catching sync.Mutex   // one catch-up at a time
	groups   []*projector // by position, the most advanced first; empty where the tables must be looked at
	looked   time.Time    // at the tables
}

// NewRunner gives a runner for these views. It uses up to three connections of
// their pool at once.
func NewRunner(views *Postgres, events LiveEvents, logger *slog.Logger) *Runner {
	return &Runner{events: events, pool: views.pool, logger: logger, left: map[string]bool{}}
}

// Observe has fn called after each batch that was applied to the views. fn must not wait.
// It is set before Run.
func (r *Runner) Observe(fn func(entries []eventstore.Recorded, began time.Time)) { r.applied = fn }

// Run keeps the views up with the log until ctx ends; see follow.
func (r *Runner) Run(ctx context.Context) error {
	return follow(ctx, r.events, r.logger, r.catchUp)
}

// CatchUp looks at the tables, and applies the rest of the log to all views.
func (r *Runner) CatchUp(ctx context.Context) error {
	r.catching.Lock()
	defer r.catching.Unlock()
	for {
		r.groups = nil
		if _, err := r.round(ctx); err != nil || len(r.groups) == 1 {
			return err
		}
	}
}

func (r *Runner) catchUp(ctx context.Context) (eventstore.Position, error) {
	r.catching.Lock()
	defer r.catching.Unlock()
	return r.round(ctx)
}

// round takes the views that are ahead to the end of the log, and gives each group behind
// them a turn. It gives the position to which all views came.
//
// Views that are together need not be looked at each time: the batch finds out, under its
// lock, whether they are where they were.
func (r *Runner) round(ctx context.Context) (least eventstore.Position, err error) {
	defer func() {
		if err != nil {
			r.groups = nil
		}
	}()
	if len(r.groups) != 1 || time.Since(r.looked) > maxIdle {
		if err := r.look(ctx); err != nil {
			return 0, err
		}
	}
	to, until := eventstore.Position(math.MaxInt64), time.Time{}
	for i, group := range r.groups {
		if i > 0 {
			until = time.Now().Add(maxTurn)
		}
		err = group.catchUp(ctx, r.events, to, until)
		if errors.Is(err, errApart) { // which the next look sees
			r.groups, err = nil, nil
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		to = group.at.position
	}
	return to, nil
}

// look repairs the tables that do not follow the log, and groups those that can be filled
// by their positions.
func (r *Runner) look(ctx context.Context) error {
	states, err := readStates(ctx, r.pool)
	if err == nil {
		states, err = r.repair(ctx, states)
	}
	if err != nil {
		return err
	}
	r.groups, r.looked = nil, time.Now()
	for _, view := range declared {
		if r.left[view.Table()] {
			continue
		}
		state, ok := states[view.Table()]
		if !ok {
			return fmt.Errorf("%w: %s", errNoView, view.Table())
		}
		i, found := slices.BinarySearchFunc(r.groups, state.position, func(g *projector, at eventstore.Position) int { return cmp.Compare(at, g.at.position) })
		if !found {
			r.groups = slices.Insert(r.groups, i, &projector{pool: r.pool, schema: servedSchema, at: state.place, archived: state.archived})
		}
		r.groups[i].views = append(r.groups[i].views, view)
	}
	if len(r.groups) == 0 {
		return fmt.Errorf("%w: no view can be filled without the archive", eventstore.ErrArchived)
	}
	kept := slices.DeleteFunc(slices.Clone(declaredTables), func(table string) bool { return r.left[table] })
	for _, group := range r.groups {
		group.kept, group.applied = kept, r.applied
	}
	return nil
}

// catchUp applies the log up to a position, or until the time is over where one is given.
func (p *projector) catchUp(ctx context.Context, events Events, to eventstore.Position, until time.Time) error {
	from := p.at.position
	if from > p.archived { // the entry there is read again, which shows that this is the log that the tables follow
		from--
	}
	err := inBatches(ctx, events, from, func(batch []eventstore.Recorded) error {
		if over := last(batch) - to; over > 0 {
			batch = batch[:max(0, len(batch)-int(over))]
		}
		if len(batch) == 0 {
			return errEnough
		}
		began, before := time.Now(), p.at.position
		if err := p.apply(ctx, batch); err != nil {
			return err
		}
		if p.applied != nil { // the first was read again, see above
			p.applied(slices.DeleteFunc(batch, func(rec eventstore.Recorded) bool { return rec.Position <= before }), began)
		}
		if p.at.position >= to || !until.IsZero() && time.Now().After(until) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough ends a scan that would go further than it should.
var errEnough = errors.New("enough")

// inBatches scans the log, and gives its entries in batches as large as a
// transaction takes.
func inBatches(ctx context.Context, events Events, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	var batch []eventstore.Recorded
	err := events.Scan(ctx, at, func(page []eventstore.Recorded) error {
		if len(batch)+len(page) > maxBatch {
			full := batch
			batch = nil
			if err := fn(full); err != nil {
				return err
			}
		}
		batch = append(batch, page...)
		return nil
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return fn(batch)
}
