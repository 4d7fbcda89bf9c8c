package movein

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

// Run carries out a plan. It can be killed at any moment and repeated, with a new plan: what
// was moved is not moved again.
type Run struct {
	Commands *commands.Handler
	Store    *eventstore.Store
	By       string                                          // the operator's name
	Final    bool                                            // the last run: nothing can be moved after it
	Films    func(context.Context) error                     // imports the films
	Joined   func(u domain.UserID, admin bool)               // called after each person, one at a time
	Progress func(done, total int)                           // the same
	Missed   func(oldID string, u domain.UserID, why string) // a person whom this run could not move
}

// Result is what a run has done, proved by the log.
type Result struct {
	Booked    domain.MovedCredits `json:"booked"`      // by the log, altogether
	People    int                 `json:"people"`      // who moved in, by the log
	Short     domain.MovedCredits `json:"short"`       // what could not be taken: it was spent in both systems
	LeftAsWas domain.MovedCredits `json:"left_as_was"` // moved before, of people whom this run leaves out
	Missed    int                 `json:"missed"`      // people whom this run could not move
	Position  eventstore.Position `json:"position"`    // of the last acceptance
}

// ErrMissed means that a final run could not move everybody, so the move is not finished.
var ErrMissed = errors.New("the move is not finished, because some people could not be moved")

// Do carries out the plan, in these steps:
//
//  1. the acceptance: from here on, no earlier run writes
//  2. people who join, each with credits and role in one append
//  3. differences of those who moved in before, each in one append
//  4. films
//  5. the sums of the log are compared with the plan's
//  6. in a final run the last acceptance, with these sums
func (r Run) Do(ctx context.Context, plan *Plan) (Result, error) {
	accepted := domain.MoveInAccepted{By: r.By, Report: plan.Report.Hash, People: plan.Trial.People,
		Bought: plan.Trial.Here.Bought, Given: plan.Trial.Here.Given}
	run, err := r.Commands.AcceptMoveIn(ctx, accepted)
	if err != nil {
		return Result{}, err
	}
	result, err := r.people(ctx, run, plan)
	if err != nil {
		return result, err
	}
	result.Position = run.Position
	if err := r.Films(ctx); err != nil {
		return result, fmt.Errorf("import the films: %w", err)
	}
	if err := result.read(ctx, r.Store, plan); err != nil {
		return result, err
	}
	if err := result.check(plan); err != nil || !r.Final {
		return result, err
	}
	if result.Missed > 0 {
		return result, fmt.Errorf("%w: %d", ErrMissed, result.Missed)
	}
	accepted.People, accepted.Bought, accepted.Given = result.People, result.Booked.Bought, result.Booked.Given
	result.Position, err = run.Finish(ctx, accepted)
	return result, err
}

// people is steps 2 and 3.
func (r Run) people(ctx context.Context, run *commands.MoveIn, plan *Plan) (result Result, err error) {
	var lock sync.Mutex
	done, total := 0, len(plan.join)+len(plan.change)
	settle := func(p *person, before, after commands.Moved, err error) error {
		lock.Lock()
		defer lock.Unlock()
		done++
		r.Progress(done, total)
		if refusal := domain.RefusalIn(err); refusal != nil {
			result.Missed++
			result.Short = result.Short.Plus(p.Has.Minus(before.Credits))
			r.Missed(p.OldID, before.User, string(refusal.Code))
			return nil
		}
		if err != nil {
			return fmt.Errorf("move the user %s: %w", p.OldID, err)
		}
		result.Short = result.Short.Plus(p.Has.Minus(after.Credits))
		if !before.Account.Exists() {
			r.Joined(after.User, p.Admin)
		}
		return nil
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(lookups)
	for _, p := range plan.join {
		work.Go(func() error {
			after, err := run.Open(ctx, p.Mover)
			return settle(p, commands.Moved{}, after, err)
		})
	}
	for _, f := range plan.change {
		work.Go(func() error {
			after, err := run.Move(ctx, f.before, f.person.Mover)
			return settle(f.person, f.before, after, err)
		})
	}
	err = work.Wait() // before result is read
	return result, err
}

// check proves that what this run has moved is what the plan says, to the credit.
func (r Result) check(plan *Plan) error {
	if want := plan.Trial.Here.Plus(r.LeftAsWas).Minus(r.Short); r.Booked != want {
		return fmt.Errorf("the log has %s credits that were moved in, and the old balances come to %s", r.Booked, want)
	}
	return nil
}

// read reads from the log how many people moved in, and with how many credits: by the
// postings of the house, not by what people have.
func (r *Result) read(ctx context.Context, store *eventstore.Store, plan *Plan) error {
	err := store.Scan(ctx, 0, func(page []eventstore.Recorded) error {
		for _, rec := range page {
			switch e := rec.Event.(type) {
			case domain.SignedUp:
				if rec.Actor == commands.Operator {
					r.People++
				}
			case domain.BalanceMovedIn:
				moved := domain.MovedCredits{Bought: -e.Movement.Amount(domain.HouseMovedIn), Given: -e.Movement.Amount(domain.HouseGivenMovedIn)}
				r.Booked = r.Booked.Plus(moved)
				if !plan.followed[e.User] {
					r.LeftAsWas = r.LeftAsWas.Plus(moved)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add up what was moved in: %w", err)
	}
	return nil
}
