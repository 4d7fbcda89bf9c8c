package commands_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// fourEyes is a ledger in which another admin approves what is above 50 credits.
type fourEyes struct {
	*fixture
	root, eve, ada domain.UserID
}

func newFourEyes(t testing.TB, limits domain.AdjustmentLimits) *fourEyes {
	w := newFixture(t)
	w.Limits, w.ProposalLife = limits, time.Hour
	return &fourEyes{w, w.admin("root"), w.admin("eve"), w.person("ada")}
}

var above50 = domain.AdjustmentLimits{FourEyesAbove: 50}

func (f *fourEyes) adjust(h *commands.Handler, by domain.UserID, amount domain.Credits, key string) (commands.Result, error) {
	return h.Adjust(context.Background(), commands.Adjust{Admin: by, User: f.ada, Key: key,
		Correction: domain.Correction{Amount: amount, Reason: "paid twice", Reference: "T-1"}})
}

func (f *fourEyes) propose() domain.ProposalID {
	f.t.Helper()
	r, err := f.adjust(f.Handler, f.root, 70, "")
	must(f.t, err)
	if r.Proposal == "" {
		f.t.Fatalf("the adjustment gave %+v", r)
	}
	return r.Proposal
}

func (f *fourEyes) decision(by domain.UserID, id domain.ProposalID, key string) commands.Decide {
	return commands.Decide{Admin: by, Proposal: id, Reason: "checked", Key: key}
}

func (f *fourEyes) state(id domain.ProposalID) domain.ProposalState {
	f.t.Helper()
	p, err := f.env.Process().Proposal(context.Background(), id)
	must(f.t, err)
	return p.State
}

// An adjustment above the limit waits for another admin. The approval and the movement are
// one append, by the approving admin.
func TestAnAdjustmentAboveTheLimit(t *testing.T) {
	f := newFourEyes(t, above50)
	r, err := f.adjust(f.Handler, f.root, 50, "")
	must(t, err)
	if r.Proposal != "" || r.Available != 60 {
		t.Errorf("at the limit it gave %+v", r)
	}
	id := f.propose()
	f.wants(f.ada, 60, 0)
	list, err := f.env.Process().Proposals(t.Context())
	must(t, err)
	want := domain.Proposal{ID: id, User: f.ada, ProposedBy: f.root, State: domain.ProposalOpen, ProposedAt: noon, ExpiresAt: noon.Add(time.Hour),
		Correction: domain.Correction{Amount: 70, Reason: "paid twice", Reference: "T-1"}}
	if len(list) != 1 || list[0] != want {
		t.Errorf("proposed are %+v, want %+v", list, want)
	}
	_, err = f.Approve(t.Context(), f.decision(f.root, id, ""))
	refused(t, err, domain.OwnProposal)
	_, err = f.Approve(t.Context(), f.decision(f.ada, id, ""))
	refused(t, err, domain.NotAdmin)
	_, err = f.GrantRole(t.Context(), domain.AdminRole, commands.Order{User: f.ada, By: "olga"})
	must(t, err)
	_, err = f.Approve(t.Context(), f.decision(f.ada, id, ""))
	refused(t, err, domain.OwnAdjustment)
	_, err = f.Approve(t.Context(), commands.Decide{Admin: f.eve, Proposal: "adj_none", Reason: "r"})
	refused(t, err, domain.ProposalNotFound)
	f.wants(f.ada, 60, 0)

	done, err := f.Approve(t.Context(), f.decision(f.eve, id, ""))
	must(t, err)
	log := f.env.Log()
	approved, moved := log[done.Position-2], log[done.Position-1]
	e, ok := moved.Event.(domain.BalanceAdjusted)
	if !ok || e.Admin != f.eve || e.Amount != 70 || e.Reason != "paid twice" || e.Reference != "T-1" || done.Available != 130 ||
		approved.Event != (domain.AdjustmentApproved{User: f.ada, Proposal: id, Admin: f.eve, Reason: "checked"}) || approved.Cause != moved.Cause {
		t.Errorf("approved by %+v and %+v", approved, moved)
	}
	_, err = f.Reject(t.Context(), f.decision(f.root, id, ""))
	refused(t, err, domain.ProposalEnded)
	if list, err = f.Proposals(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("still proposed are %+v, %v", list, err)
	}
}

func TestARejectedProposal(t *testing.T) {
	f := newFourEyes(t, above50)
	id := f.propose()
	_, err := f.Reject(t.Context(), commands.Decide{Admin: f.eve, Proposal: id})
	refused(t, err, domain.InvalidReason)
	_, err = f.Reject(t.Context(), f.decision(f.eve, id, ""))
	must(t, err)
	_, err = f.Approve(t.Context(), f.decision(f.eve, id, ""))
	refused(t, err, domain.ProposalEnded)
	f.wants(f.ada, 10, 0)
	if f.state(id) != domain.ProposalRejected {
		t.Errorf("it is %s", f.state(id))
	}
}

// A proposal whose time is up is approved no more, whether or not the clock process has come;
// that ends it once, by an entry of its own.
func TestAProposalExpires(t *testing.T) {
	f := newFourEyes(t, above50)
	id := f.propose()
	must(t, f.ExpireProposals(t.Context()))
	f.now = noon.Add(time.Hour)
	_, err := f.Approve(t.Context(), f.decision(f.eve, id, ""))
	refused(t, err, domain.ProposalEnded)
	if f.state(id) != domain.ProposalOpen {
		t.Errorf("before the clock process it is %s", f.state(id))
	}
	must(t, f.ExpireProposals(t.Context()))
	must(t, f.env.Process().ExpireProposals(t.Context()))
	size := f.env.Size()
	last := f.env.Log()[size-1]
	if last.Event != (domain.AdjustmentExpired{User: f.ada, Proposal: id}) || last.Actor != "system:expirer" || f.state(id) != domain.ProposalExpired {
		t.Errorf("it ended by %+v", last)
	}
	if asked, ok := last.Cause.Position(); !ok || f.env.Log()[asked-1].Type != domain.TypeAdjustmentProposed {
		t.Errorf("its cause is %s", last.Cause)
	}
	f.wants(f.ada, 10, 0)
}

// Of two admins who decide at once, in two processes, one decides.
func TestTwoAdminsDecideAtOnce(t *testing.T) {
	for _, second := range []string{"approve", "reject"} {
		t.Run("approve and "+second, func(t *testing.T) {
			f := newFourEyes(t, above50)
			_, err := f.GrantRole(t.Context(), domain.AdminRole, commands.Order{User: f.person("zoe"), By: "olga"})
			must(t, err)
			there, zoe := f.env.Process(), f.env.User("zoe@example.org")
			for range 5 {
				id := f.propose()
				before, _ := f.balance(f.ada)
				var errs [2]error
				var both sync.WaitGroup
				both.Go(func() { _, errs[0] = f.Approve(context.Background(), f.decision(f.eve, id, "")) })
				both.Go(func() {
					decide := there.Approve
					if second == "reject" {
						decide = there.Reject
					}
					_, errs[1] = decide(context.Background(), f.decision(zoe, id, ""))
				})
				both.Wait()
				if (errs[0] == nil) == (errs[1] == nil) {
					t.Fatalf("the two gave %v and %v", errs[0], errs[1])
				}
				refused(t, errors.Join(errs[0], errs[1]), domain.ProposalEnded)
				want := before + 70
				if second == "reject" && errs[1] == nil {
					want = before
				}
				f.wants(f.ada, want, 0)
			}
		})
	}
}

// A right that is revoked between the decision and the append does not count.
func TestAnApprovingAdminIsRevoked(t *testing.T) {
	f := newFourEyes(t, above50)
	id, other := f.propose(), f.env.Process()
	log := &before{Store: f.store}
	log.once = func() error {
		_, err := other.RevokeRole(t.Context(), domain.AdminRole, commands.Order{User: f.eve, By: "olga"})
		return err
	}
	_, err := f.over(log).Approve(t.Context(), f.decision(f.eve, id, ""))
	refused(t, err, domain.NotAdmin)
	f.wants(f.ada, 10, 0)
}

// The daily limit holds for all processes together, to the credit.
func TestTheDailyLimitOfAnAdmin(t *testing.T) {
	f := newFourEyes(t, domain.AdjustmentLimits{DailyLimit: 55})
	handlers := []*commands.Handler{f.Handler, f.env.Process()}
	handlers[1].Limits = f.Limits
	var mu sync.Mutex
	var done, over int
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for {
				_, err := f.adjust(handlers[n%2], f.root, 10, fmt.Sprint(n))
				refusal := domain.RefusalIn(err)
				if refusal != nil && refusal.Code == domain.Busy {
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done++
				case refusal != nil && refusal.Code == domain.AdminDailyLimit && refusal.RetryAfter == 12*time.Hour:
					over++
				default:
					t.Errorf("the adjustment gave %v", err)
				}
				return
			}
		})
	}
	all.Wait()
	if done != 5 || over != 11 {
		t.Errorf("%d were done and %d were over the limit", done, over)
	}
	f.wants(f.ada, 60, 0)
	_, err := f.adjust(f.Handler, f.root, -6, "")
	refused(t, err, domain.AdminDailyLimit)
	_, err = f.adjust(f.Handler, f.root, -5, "")
	must(t, err)
	_, err = f.adjust(f.Handler, f.eve, -50, "")
	must(t, err)
	_, err = f.Approve(t.Context(), f.decision(f.eve, f.proposeBy(f.root, t), ""))
	refused(t, err, domain.AdminDailyLimit)
	f.now = f.now.Add(12 * time.Hour)
	_, err = f.adjust(f.Handler, f.root, 45, "")
	must(t, err)
	f.wants(f.ada, 50, 0)
}

// proposeBy proposes by way of a process without limits.
func (f *fourEyes) proposeBy(by domain.UserID, t testing.TB) domain.ProposalID {
	limits := f.Limits
	f.Limits = domain.AdjustmentLimits{}
	r, err := f.Propose(context.Background(), commands.Adjust{Admin: by, User: f.ada, Correction: domain.Correction{Amount: 20, Reason: "r"}})
	must(t, err)
	f.Limits = limits
	return r.Proposal
}

// The limits are in the log before what is decided by them; processes that have others state
// theirs. Where none were ever set, nothing is written.
func TestLimitsAreStated(t *testing.T) {
	f := newFourEyes(t, domain.AdjustmentLimits{})
	_, err := f.adjust(f.Handler, f.root, 70, "")
	must(t, err)
	stated := func() (list []domain.AdjustmentLimits) {
		for _, rec := range f.env.Log() {
			if e, ok := rec.Event.(domain.AdjustmentLimitsSet); ok {
				list = append(list, e.AdjustmentLimits)
				if rec.Actor != "operator" || rec.Stream != eventstore.AdjustmentsStream {
					t.Errorf("the limits are stated by %+v", rec)
				}
			}
		}
		return list
	}
	if got := stated(); len(got) != 0 {
		t.Errorf("stated are %+v", got)
	}
	there := f.env.Process()
	there.Limits, there.ProposalLife = above50, time.Hour
	if r, err := f.adjust(there, f.root, 70, ""); err != nil || r.Proposal == "" {
		t.Errorf("by the other process: %+v, %v", r, err)
	}
	_, err = f.adjust(there, f.ada, 70, "") // no admin states nothing
	refused(t, err, domain.NotAdmin)
	_, err = f.adjust(f.Handler, f.root, 70, "")
	must(t, err)
	if got := stated(); len(got) != 2 || got[0] != above50 || got[1] != (domain.AdjustmentLimits{}) {
		t.Errorf("stated are %+v", got)
	}
}

// Between the statement of a process's limits and its decision another process may state others:
// each decides by its own.
func TestLimitsThatAreReplacedBeforeTheDecision(t *testing.T) {
	f := newFourEyes(t, above50)
	there := f.env.Process() // without limits
	log := &afterLimits{Store: f.store}
	bob := f.person("bob")
	log.once = func() error {
		_, err := there.Adjust(t.Context(), commands.Adjust{Admin: f.eve, User: bob, Correction: domain.Correction{Amount: 60, Reason: "r"}})
		return err
	}
	r, err := f.adjust(f.over(log), f.root, 70, "")
	must(t, err)
	if r.Proposal == "" || log.once != nil {
		t.Errorf("above the limit of its process it gave %+v", r)
	}
	f.wants(f.ada, 10, 0)
	f.wants(bob, 70, 0) // by the other process
}

// afterLimits is the log, with something that is done once after limits were stated.
type afterLimits struct {
	commands.Store
	once func() error
}

func (l *afterLimits) Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	r, err := l.Store.Append(ctx, a)
	if once := l.once; err == nil && once != nil && a.Writes[0].Events != nil && a.Writes[0].Events[0].Type() == domain.TypeAdjustmentLimitsSet {
		l.once = nil
		err = once()
	}
	return r, err
}

// Each command about a proposal, twice with its key: the first answer again, in every process;
// and beside appends that fail, and that work and say that they failed.
func TestDecisionsAreDoneOnce(t *testing.T) {
	type send = func(*fourEyes, *commands.Handler, domain.ProposalID) (commands.Result, error)
	for name, run := range map[string]send{
		"propose": func(f *fourEyes, h *commands.Handler, _ domain.ProposalID) (commands.Result, error) {
			return f.adjust(h, f.root, 60, "k")
		},
		"approve": func(f *fourEyes, h *commands.Handler, id domain.ProposalID) (commands.Result, error) {
			return h.Approve(context.Background(), f.decision(f.eve, id, "k"))
		},
		"reject": func(f *fourEyes, h *commands.Handler, id domain.ProposalID) (commands.Result, error) {
			return h.Reject(context.Background(), f.decision(f.eve, id, "k"))
		},
	} {
		for _, fault := range []string{"none", "fails", "unknown"} {
			t.Run(name+" "+fault, func(t *testing.T) {
				f := newFourEyes(t, domain.AdjustmentLimits{FourEyesAbove: 50, DailyLimit: 1000})
				id := f.propose()
				before := f.env.Size()
				h := f.Handler
				switch fault {
				case "fails":
					h = f.over(eventstoretest.Failing{Store: f.store, Fails: eventstoretest.NewPattern(1, 1)})
				case "unknown":
					h = f.over(eventstoretest.Lossy{Store: f.store, Fails: eventstoretest.NewPattern(1, 1)})
				}
				first, err := run(f, h, id)
				if fault == "fails" {
					if !errors.Is(err, eventstoretest.ErrInjected) || domain.RefusalIn(err) != nil || f.env.Size() != before {
						t.Fatalf("it gave %+v, %v", first, err)
					}
					first, err = run(f, f.Handler, id)
				}
				if fault == "unknown" && err != nil {
					if !errors.Is(err, eventstore.ErrUnknown) || domain.RefusalIn(err) != nil {
						t.Fatalf("it gave %+v, %v", first, err)
					}
					first, err = run(f, f.Handler, id)
				}
				must(t, err)
				size := f.env.Size()
				for _, h := range []*commands.Handler{f.Handler, f.over(f.env.Process().Store)} {
					again, err := run(f, h, id)
					if first.Replayed = true; err != nil || again != first {
						t.Errorf("again it gave %+v, %v; want %+v", again, err, first)
					}
				}
				if f.env.Size() != size {
					t.Errorf("the log grew from %d to %d", size, f.env.Size())
				}
			})
		}
	}
}
