package movein

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"kassa/commands"
	"kassa/domain"
)

// Plan is what a run would do, after all that was moved before.
type Plan struct {
	Report Report
	Trial  Trial
	Films  []Film

	followed map[domain.UserID]bool // whom this run does not leave out
	join     []*person              // of them, who have no account by the move yet
	change   []follow               // who have one, and another balance than was moved
}

// follow is a person whose balance has changed since they moved in.
type follow struct {
	person *person
	before commands.Moved
}

// Trial leads from the balances of the old database to those that people have here by the
// move. All of it adds up, or the plan is an error.
type Trial struct {
	Wallets int               `json:"wallets"` // in the old database
	Old     Amount            `json:"old"`     // what they have
	Out     map[Kind]Excluded `json:"out"`     // what is not moved, by the rule
	Raised  Amount            `json:"raised"`  // balances below zero, moved as 0
	Rounded Amount            `json:"rounded"` // up to whole credits

	People   int                 `json:"people"`   // who are here when the run is done
	Here     domain.MovedCredits `json:"here"`     // what they have by the old balances
	Before   domain.MovedCredits `json:"before"`   // of that, moved by earlier runs
	Joining  int                 `json:"joining"`  // how many this run moves in
	Changing int                 `json:"changing"` // whose balance it changes
}

// Excluded is what one rule leaves out.
type Excluded struct {
	People int    `json:"people"`
	Amount Amount `json:"amount"`
}

// Ledger is what a plan reads of Kassa, and a run writes: commands.Handler.
type Ledger interface {
	MovedBefore(ctx context.Context, oldID string) (commands.Moved, error)
	FindUser(ctx context.Context, email string) (domain.UserID, error)
}

// lookups is how many people are looked up, or moved, at once: appends of several make one
// batch.
const lookups = 8

// NewPlan compares the old database with what was moved before, and writes nothing. The
// films' rows are those of films that the catalogue refuses.
func NewPlan(ctx context.Context, old *Old, ledger Ledger, films []Row) (*Plan, error) {
	people := judge(old.Users)
	before := make([]commands.Moved, len(people))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(lookups)
	for i, p := range people {
		work.Go(func() (err error) {
			before[i], err = p.lookUp(ctx, ledger, old.Users[i])
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, fmt.Errorf("compare with what was moved before: %w", err)
	}
	plan := &Plan{Films: old.Films, Trial: Trial{Out: map[Kind]Excluded{}}, followed: map[domain.UserID]bool{}}
	rows := append(films, old.Strays...)
	for i, p := range people {
		rows = append(rows, p.rows...)
		plan.add(p, before[i], old.Users[i].HasWallet)
	}
	plan.Trial.addStrays(old)
	var err error
	if plan.Report, err = newReport(rows); err != nil {
		return nil, err
	}
	return plan, plan.Trial.check()
}

// lookUp applies the rules that need both systems.
func (p *person) lookUp(ctx context.Context, ledger Ledger, u User) (commands.Moved, error) {
	before, err := ledger.MovedBefore(ctx, p.OldID)
	if err != nil || p.Email == "" {
		return before, err
	}
	holder, err := ledger.FindUser(ctx, p.Email)
	if refusal := domain.RefusalIn(err); err != nil && (refusal == nil || refusal.Code != domain.AccountNotFound) {
		return before, err
	}
	switch a := before.Account; {
	case a.Exists() && (a.Erased || a.Erasure.Pending()):
		p.note(u, Erased, p.balance)
	case a.Exists() && holder != before.User:
		p.note(u, EmailDiffers, p.balance)
	case !a.Exists() && holder != "":
		p.note(u, EmailTaken, p.balance)
	}
	return before, nil
}

// add takes a person into the plan and the sums.
func (plan *Plan) add(p *person, before commands.Moved, wallet bool) {
	t := &plan.Trial
	if wallet {
		t.Wallets++
	}
	t.Old += p.balance
	if p.out != "" {
		t.exclude(p.out, p.balance)
		return
	}
	plan.followed[before.User] = true
	t.Raised += p.raised
	t.Rounded += p.rounded
	t.People++
	t.Here = t.Here.Plus(p.Has)
	t.Before = t.Before.Plus(before.Credits)
	switch {
	case !before.Account.Exists():
		t.Joining++
		plan.join = append(plan.join, p)
	case p.Has != before.Credits:
		t.Changing++
		plan.change = append(plan.change, follow{p, before})
	}
}

func (t *Trial) exclude(kind Kind, amount Amount) {
	out := t.Out[kind]
	t.Out[kind] = Excluded{out.People + 1, out.Amount + amount}
}

// addStrays takes the wallets of nobody into the sums.
func (t *Trial) addStrays(old *Old) {
	for _, r := range old.Strays {
		if r.Kind == WalletOfNobody {
			t.Wallets++
			t.Old += r.Amount
			t.exclude(r.Kind, r.Amount)
		}
	}
}

// check proves that the sums lead from the old balances to the new ones, to the credit.
func (t Trial) check() error {
	left := t.Old + t.Raised + t.Rounded
	for _, out := range t.Out {
		left -= out.Amount
	}
	if here := inCredits(t.Here.Sum()); left != here {
		return fmt.Errorf("the old balances come to %s by the rules, and those that are moved to %s", left, here)
	}
	return nil
}
