package movein_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/internal/app"
	"kassa/internal/app/apptest"
	"kassa/internal/movein"
	"kassa/internal/movein/moveintest"
)

// mover is a move in a test.
type mover struct {
	t        *testing.T
	old      *moveintest.Database
	f        *apptest.Fixture
	commands *commands.Handler // nil: the fixture's
	missed   []string
}

func newMover(t *testing.T) *mover {
	old := moveintest.Disordered(t)
	return &mover{t: t, old: old, f: apptest.New(t, apptest.Options{Folder: t.TempDir(), Terms: app.Terms{Price: 5, Bonus: 10}})}
}

func (m *mover) handler() *commands.Handler {
	if m.commands != nil {
		return m.commands
	}
	return m.f.Commands
}

// plan reads the old database, and compares.
func (m *mover) plan() *movein.Plan {
	m.t.Helper()
	ctx := context.Background()
	old, err := movein.Read(ctx, m.old.Address)
	must(m.t, err)
	refused, err := movein.WriteFilms(m.t.TempDir(), old.Films)
	must(m.t, err)
	plan, err := movein.NewPlan(ctx, old, m.f.Process(), refused)
	must(m.t, err)
	return plan
}

func (m *mover) run(final bool) (movein.Result, error) {
	m.t.Helper()
	return m.do(m.plan(), final)
}

func (m *mover) do(plan *movein.Plan, final bool) (movein.Result, error) {
	run := movein.Run{Commands: m.handler(), Store: m.f.Store, By: "olga", Final: final, Progress: func(int, int) {},
		Films: func(context.Context) error { return nil }, Joined: func(domain.UserID, bool) {},
		Missed: func(oldID string, _ domain.UserID, why string) { m.missed = append(m.missed, oldID+" "+why) }}
	return run.Do(context.Background(), plan)
}

// has is what the account of an e-mail has: bought, given.
func (m *mover) has(email string) domain.MovedCredits {
	m.t.Helper()
	u, err := m.f.Process().FindUser(context.Background(), email)
	must(m.t, err)
	a, err := m.f.Commands.Account(context.Background(), u)
	must(m.t, err)
	return domain.MovedCredits{Bought: a.Withdrawable(), Given: a.Given}
}

func (m *mover) wantAll(want map[string]domain.MovedCredits) {
	m.t.Helper()
	for email, c := range want {
		if got := m.has(email); got != c {
			m.t.Errorf("%s has %s, want %s", email, got, c)
		}
	}
}

// first is what the people of moveintest.Disordered have after the first run.
var first = map[string]domain.MovedCredits{"olga@example.org": {Given: 50}, "pavel@example.org": {Bought: 1000, Given: 20}, "rita@example.org": {Bought: 15},
	"sergey@example.org": {Bought: 11}, "tanya@example.org": {Bought: 20, Given: 10}, "xenia@example.org": {}, "yan@example.org": {}}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The report names all disorder, in an order of its own, and the trial balance explains all
// of it.
func TestPlan(t *testing.T) {
	m := newMover(t)
	size := m.f.Size()
	plan := m.plan()
	want := `movie,3,film_unusable,
transaction,NNN,transaction_of_nobody,25
user,2,charge_unanswered,1
user,2,question_without_films,1
user,4,balance_fraction,10.75
user,5,balance_differs,10
user,6,email_twice,100
user,7,email_twice,60
user,8,email_invalid,50
user,9,balance_negative,-25
user,9,charge_unanswered,1
user,9,password_unusable,
user,10,wallet_missing,
wallet,99,wallet_of_nobody,25
`
	var got strings.Builder
	lines := strings.Split(strings.TrimSpace(string(plan.Report.CSV)), "\n")
	for _, line := range lines[1:] {
		cells := strings.SplitN(line, ",", 5)
		if cells[0] == "transaction" {
			cells[1] = "NNN"
		}
		got.WriteString(strings.Join(cells[:4], ",") + "\n")
	}
	if got.String() != want {
		t.Errorf("the report has\n%s, want\n%s", got.String(), want)
	}
	if strings.Contains(string(plan.Report.CSV), "example.org") {
		t.Error("the report has e-mails")
	}
	if again := m.plan(); again.Report.Hash != plan.Report.Hash || len(plan.Report.Hash) != 64 {
		t.Errorf("the same disorder has the hashes %s and %s", plan.Report.Hash, again.Report.Hash)
	}
	if m.f.Size() != size {
		t.Error("a plan has written")
	}
	// The old system goes on: also people whose balances are in the report pay and ask.
	for _, user := range []int{4, 6, 8, 9} {
		m.old.Move(user, "DEPOSIT", 5)
	}
	m.old.Move(2, "PREDICTION", -10)
	if later := m.plan(); later.Report.Hash != plan.Report.Hash {
		t.Error("payments and a question have changed what is signed off")
	}
	m.old.Exec(`UPDATE wallet SET balance = balance + 1 WHERE user_id = 5`)
	if later := m.plan(); later.Report.Hash == plan.Report.Hash {
		t.Error("a balance that no transaction explains has not")
	}
	m.old.Exec(`UPDATE wallet SET balance = balance - 1 WHERE user_id = 5`)
	trial := plan.Trial
	if trial.Old.String() != "1335.75" || trial.Raised.String() != "25" || trial.Rounded.String() != "0.25" || trial.Wallets != 10 {
		t.Errorf("the trial balance begins with %+v", trial)
	}
	if trial.Here != (domain.MovedCredits{Bought: 1046, Given: 80}) || trial.People != 7 || trial.Joining != 7 || trial.Changing != 0 {
		t.Errorf("the trial balance ends with %+v", trial)
	}
	if kinds := slices.Sorted(maps.Keys(trial.Out)); !slices.Equal(kinds, []movein.Kind{movein.EmailInvalid, movein.EmailTwice, movein.WalletOfNobody}) {
		t.Errorf("left out are %v", trial.Out)
	}
}

// A first run, repeated ones while the old system goes on, and the last one.
func TestMoveIn(t *testing.T) {
	m, ctx := newMover(t), context.Background()
	result, err := m.run(false)
	must(t, err)
	if result.People != 7 || result.Booked != (domain.MovedCredits{Bought: 1046, Given: 80}) || result.Short != (domain.MovedCredits{}) || result.Missed != 0 {
		t.Errorf("the first run gave %+v", result)
	}
	m.wantAll(first)
	olga := m.f.User("olga@example.org")
	if a, err := m.f.Commands.Account(ctx, olga); err != nil || !a.Admin {
		t.Errorf("the admin is %+v, %v", a, err)
	}
	for password, want := range map[string]bool{moveintest.Password: true, "another password": false} {
		if ok, err := m.f.Vault.Verify(ctx, olga, password); err != nil || ok != want {
			t.Errorf("the password %q: %t, %v", password, ok, err)
		}
	}
	for _, email := range []string{"uma@example.org", "victor@example.org"} {
		if u, err := m.f.Commands.FindUser(ctx, email); domain.RefusalIn(err) == nil {
			t.Errorf("%s has the account %s, %v", email, u, err)
		}
	}

	// Nothing has changed: the second run adds its acceptance and nothing else.
	size := m.f.Size()
	if result, err = m.run(false); err != nil || m.f.Size() != size+1 || result.Booked != (domain.MovedCredits{Bought: 1046, Given: 80}) {
		t.Errorf("again: %+v, %v, %d entries", result, err, m.f.Size()-size)
	}

	// The old system goes on, and one of the twins gets another e-mail there.
	m.old.Move(2, "PREDICTION", -30) // 20 given ones, and 10 bought ones
	m.old.Ask(2, "one more film about a river", 10, 1)
	m.old.Move(3, "DEPOSIT", 100)
	m.old.Move(1, "DEPOSIT", 7)
	m.old.Move(1, "PREDICTION", -10)
	m.old.User(11, "zoya@example.org", moveintest.Hash(t, "zoya's own password"), false, 5, moveintest.Transaction{Type: "DEPOSIT", Amount: 5})
	m.old.Exec(`UPDATE "user" SET email = 'uma2@example.org' WHERE id = 7`)
	plan := m.plan()
	if plan.Trial.Joining != 3 || plan.Trial.Changing != 3 {
		t.Errorf("the plan is %+v", plan.Trial)
	}
	result, err = m.do(plan, false)
	must(t, err)
	m.wantAll(map[string]domain.MovedCredits{"olga@example.org": {Bought: 7, Given: 40}, "pavel@example.org": {Bought: 990}, "rita@example.org": {Bought: 115},
		"zoya@example.org": {Bought: 5}, "uma@example.org": {Given: 100}, "uma2@example.org": {Given: 60}})

	// Spent in both systems: what is gone here cannot be taken.
	u := m.f.User("zoya@example.org")
	_, err = m.f.Commands.Withdraw(ctx, commands.Move{User: u, Amount: 4})
	must(t, err)
	m.old.Move(11, "WITHDRAWAL", -5)
	if result, err = m.run(true); err != nil || result.Short != (domain.MovedCredits{Bought: -4}) {
		t.Errorf("the last run gave %+v, %v", result, err)
	}
	m.wantAll(map[string]domain.MovedCredits{"zoya@example.org": {}})
	if _, err := m.run(false); !errors.Is(err, domain.ErrMoveInOver) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := m.run(true); !errors.Is(err, domain.ErrMoveInOver) {
		t.Errorf("a second end: %v", err)
	}
}

// A person who has signed up here before is left out, and so is what changes of one who was
// erased, or who has another e-mail than they moved in with.
func TestPeopleWhoAreHere(t *testing.T) {
	m, ctx := newMover(t), context.Background()
	own := m.f.AddUser("pavel@example.org", "a password of his own")
	plan := m.plan()
	if out := plan.Trial.Out[movein.EmailTaken]; out.People != 1 || out.Amount.String() != "1020" {
		t.Errorf("left out are %+v", plan.Trial.Out)
	}
	result, err := m.do(plan, false)
	must(t, err)
	if result.People != 6 || m.f.User("pavel@example.org") != own {
		t.Errorf("gave %+v", result)
	}
	m.wantAll(map[string]domain.MovedCredits{"pavel@example.org": {Given: 10}}) // the bonus here

	_, err = m.f.Commands.OrderErasure(ctx, commands.Erasure{User: m.f.User("rita@example.org"), Reason: "letter 7", Bought: domain.ForfeitCredits, Now: true})
	must(t, err)
	_, err = m.f.Commands.FinishErasure(ctx, m.f.User("rita@example.org"))
	must(t, err)
	m.old.Exec(`UPDATE "user" SET email = 'anna@example.org' WHERE id = 5`)
	m.old.Move(5, "DEPOSIT", 8)
	m.old.Move(3, "DEPOSIT", 8)
	plan = m.plan()
	for _, kind := range []movein.Kind{movein.Erased, movein.EmailDiffers, movein.EmailTaken} {
		if plan.Trial.Out[kind].People != 1 {
			t.Errorf("%s leaves out %+v", kind, plan.Trial.Out[kind])
		}
	}
	if result, err = m.do(plan, true); err != nil || result.LeftAsWas != (domain.MovedCredits{Bought: 35, Given: 10}) {
		t.Errorf("gave %+v, %v", result, err)
	}
	m.wantAll(map[string]domain.MovedCredits{"tanya@example.org": {Bought: 20, Given: 10}})
}

// A person who signs up between the plan and the run is missed, and the move is not finished.
func TestMissedPeople(t *testing.T) {
	m := newMover(t)
	plan := m.plan()
	m.f.AddUser("rita@example.org", "a password of her own")
	result, err := m.do(plan, true)
	if !errors.Is(err, movein.ErrMissed) || result.Missed != 1 || !slices.Equal(m.missed, []string{"3 email_taken"}) {
		t.Errorf("gave %+v, %v, %v", result, err, m.missed)
	}
	if _, err := m.run(true); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

// Of two runs the one that was accepted first stops, and together they move everybody once.
func TestTwoRuns(t *testing.T) {
	m, ctx := newMover(t), context.Background()
	plan := m.plan()
	accepted := domain.MoveInAccepted{By: "olga", Report: plan.Report.Hash}
	older, err := m.f.Process().AcceptMoveIn(ctx, accepted)
	must(t, err)
	_, err = older.Open(ctx, commands.Mover{OldID: "2", Email: "pavel@example.org", Has: domain.MovedCredits{Bought: 1000, Given: 20}})
	must(t, err)
	_, err = m.run(false)
	must(t, err)
	if _, err := older.Open(ctx, commands.Mover{OldID: "77", Email: "late@example.org"}); !errors.Is(err, commands.ErrOvertaken) {
		t.Errorf("the older run opens an account: %v", err)
	}
	before, err := m.f.Process().MovedBefore(ctx, "2")
	must(t, err)
	if _, err := older.Move(ctx, before, commands.Mover{OldID: "2"}); !errors.Is(err, commands.ErrOvertaken) {
		t.Errorf("the older run moves a difference: %v", err)
	}
	if _, err := older.Finish(ctx, accepted); !errors.Is(err, commands.ErrOvertaken) {
		t.Errorf("the older run finishes: %v", err)
	}
	m.wantAll(first)
}

func TestReadRefuses(t *testing.T) {
	old := moveintest.New(t)
	old.Exec(`ALTER TABLE wallet DROP COLUMN balance`)
	if _, err := movein.Read(t.Context(), old.Address); !errors.Is(err, movein.ErrNotOld) || !strings.Contains(err.Error(), "wallet") {
		t.Errorf("a table without a column: %v", err)
	}
	old.Exec(`DROP TABLE wallet`)
	if _, err := movein.Read(t.Context(), old.Address); !errors.Is(err, movein.ErrNotOld) {
		t.Errorf("a database without a table: %v", err)
	}
	for _, address := range []string{"postgres://ada:s3cret@127.0.0.1:1/old", "postgres://ada:s3cret@%zz/old"} {
		if _, err := movein.Read(t.Context(), address); err == nil || errors.Is(err, movein.ErrNotOld) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
