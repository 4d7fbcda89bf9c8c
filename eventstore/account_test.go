package eventstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit/audittest"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

// fill appends deposits to one wallet until its stream has that many events.
func fill(t testing.TB, store *eventstore.Store, u domain.UserID, events eventstore.Version) {
	t.Helper()
	ctx := t.Context()
	l, err := store.Account(ctx, u)
	must(t, err)
	for l.Version < events {
		a := eventstore.Append{Time: eventstore.Earliest, Actor: "user:" + string(u),
			Cause: eventstore.Command{ID: fmt.Sprintf("%s-%d", u, l.Version), Content: "fill"}.Cause()}
		write := eventstore.Write{Stream: eventstore.AccountStream(u), Expected: l.Version}
		if l.Version == 0 {
			a.Writes = append(a.Writes, eventstore.Write{Stream: eventstore.EmailStream(string(u)),
				Events: []domain.Event{domain.EmailClaimed{User: u}}})
		}
		for range min(500, events-l.Version) {
			decided, err := l.Account.Deposit(1, "sandbox", fmt.Sprintf("pay-%s-%d", u, l.Version))
			if !l.Account.Exists() {
				decided, err = l.Account.SignUp(u, nil, 0)
			}
			must(t, err)
			must(t, l.Account.Apply(decided[0], a.Time))
			a.Writes = append(a.Writes, eventstoretest.ClaimsOf(decided)...)
			write.Events = append(write.Events, decided...)
			l.Version++
		}
		a.Writes = append(a.Writes, write)
		_, err := store.Append(ctx, a)
		must(t, err)
	}
}

// A long wallet costs its snapshot and the events behind that, a short one its
// few events; once in memory, either costs nothing, or its last event where that is compared.
func TestLongWalletIsReadFromItsSnapshot(t *testing.T) {
	file := newFile(t)
	store := inFile(t, file)()
	const long, short = 20_000, 10
	fill(t, store, "u_long", long)
	fill(t, store, "u_short", short)
	eventstoretest.Eventually(t, "the last snapshot", func() bool {
		var at eventstore.Version
		must(t, store.Snapshots(t.Context(), func(s eventstore.Snapshot) error { at = s.Version; return nil }))
		return at > long-1000
	})
	audittest.CheckLedger(t, store)

	later, counted, err := eventstore.OpenFaults(t.Context(), openFile(t, file))
	must(t, err)
	defer later.Close()
	for _, tt := range []struct {
		user   domain.UserID
		events eventstore.Version
		most   int // rows that a load may read
	}{{"u_long", long, 1000}, {"u_short", short, short}} {
		counted.RowsRead()
		l, err := later.Account(t.Context(), tt.user)
		must(t, err)
		if n := counted.RowsRead(); n > tt.most {
			t.Errorf("%s was loaded by reading %d rows, at most %d were expected", tt.user, n, tt.most)
		}
		if l.Version != tt.events || l.Account.Available != domain.Credits(tt.events-1) {
			t.Errorf("%s is %+v at version %d", tt.user, l.Account, l.Version)
		}
		_, err = later.Account(t.Context(), tt.user)
		must(t, err)
		if n := counted.RowsRead(); n > 0 {
			t.Errorf("%s is in memory, and %d rows were read", tt.user, n)
		}
		_, err = later.Refresh(t.Context(), tt.user)
		must(t, err)
		if n := counted.RowsRead(); n != 1 {
			t.Errorf("%s is in memory, and to compare its last entry %d rows were read", tt.user, n)
		}
		for age, rows := range map[time.Duration]int{time.Hour: 0, 0: 1} {
			l, err := later.AccountWithin(t.Context(), tt.user, age)
			must(t, err)
			if n := counted.RowsRead(); n != rows || l.Fresh != (rows > 0) || l.Version != tt.events {
				t.Errorf("%s, read within %s: version %d, fresh %t, by reading %d rows", tt.user, age, l.Version, l.Fresh, n)
			}
		}
	}
}

// A snapshot is a cache: where it cannot be written, a load reads more.
func TestSnapshotCannotBeWritten(t *testing.T) {
	store, faults, open := withFaults(t)
	faults.Once(eventstore.AtSnapshot, fails)
	const events = 600
	fill(t, store, "u_long", 400)
	eventstoretest.Eventually(t, "the failed snapshot", func() bool { return faults.Fired(eventstore.AtSnapshot) })
	must(t, store.Snapshots(t.Context(), func(s eventstore.Snapshot) error {
		t.Errorf("a snapshot of version %d was written", s.Version)
		return nil
	}))
	fill(t, store, "u_long", events)
	l, err := open().Account(t.Context(), "u_long")
	must(t, err)
	if l.Version != events || l.Account.Available != events-1 {
		t.Errorf("the account is %+v at version %d", l.Account, l.Version)
	}
	audittest.CheckLedger(t, store)
}

// The form of a stored account is a promise to every process that reads it, and kept in a
// golden file for each format: what an older program must not pass over needs a new one.
// An account without that is stored as before. Snapshots of another format are ignored, and
// the account is read from the log.
func TestSnapshotForm(t *testing.T) {
	account := domain.Account{User: "u_ada", Admin: true, Available: 7, Held: 5, Given: 3, GivenHeld: 2,
		Holds: []domain.Hold{{Prediction: "p_1", Price: 5, Given: 2, ExpiresAt: eventstore.Earliest}}, JoinedAt: eventstore.Earliest,
		Captured: []domain.Captured{{Prediction: "p_0", Price: 5, Given: 1, At: eventstore.Earliest, Refunded: true}},
		Refunds:  domain.Refunds{Month: "2020-01", Count: 1}, Free: domain.FreeAttempts{Since: eventstore.Earliest, Count: 1}}
	checkForm(t, account, eventstore.OldestFormat)
	account.Erasure = domain.Erasure{DueAt: eventstore.Earliest, Bought: domain.WithdrawCredits}
	checkForm(t, account, 4)
	account.Erased = true
	checkForm(t, domain.Account{User: "u_ada", JoinedAt: eventstore.Earliest, Erased: true}, 4)
	account.Erased = false
	account.Captured[0].FollowUps = []domain.FollowUpState{{Prediction: "p_2", Answered: true}, {Prediction: "p_3"}}
	account.Holds = append(account.Holds, domain.Hold{Prediction: "p_3", ExpiresAt: eventstore.Earliest, FollowUpOf: "p_0"})
	checkForm(t, account, 5)
	account.Auditor = true
	checkForm(t, account, eventstore.NewestFormat)
	account.Auditor, account.Locked = false, true
	checkForm(t, account, eventstore.NewestFormat)
	account.Auditor = true
	account.Erased, account.Holds[0].FollowUpOf = true, "p_0"
	for i, full := range []reflect.Value{reflect.ValueOf(account), reflect.ValueOf(account.Holds[0]), reflect.ValueOf(account.Captured[0]), reflect.ValueOf(account.Refunds), reflect.ValueOf(account.Free), reflect.ValueOf(account.Erasure)} {
		for n := range full.NumField() {
			if full.Field(n).IsZero() {
				t.Errorf("the sample of type %d leaves out %s", i, full.Type().Field(n).Name)
			}
		}
	}

	store, faults, open := withFaults(t)
	fill(t, store, "u_ada", 3)
	_, err := faults.File().Write.ExecContext(t.Context(), `INSERT INTO snapshots VALUES (?, 3, ?, ?)`,
		string(eventstore.AccountStream("u_ada")), eventstore.OldestFormat-1, []byte(`{"user_id":"u_ada","available":1000000}`))
	must(t, err)
	if l, err := open().Account(t.Context(), "u_ada"); err != nil || l.Version != 3 || l.Account.Available != 2 {
		t.Errorf("an account whose snapshot is of another format is %+v, %v", l, err)
	}
}

// checkForm finds the stored account in the lines of its format's golden file.
func checkForm(t *testing.T, account domain.Account, format int) {
	t.Helper()
	golden, err := os.ReadFile(fmt.Sprintf("testdata/snapshot.v%d.json", format))
	must(t, err)
	got, err := json.Marshal(account)
	must(t, err)
	if eventstore.FormatOf(account) != format || !slices.Contains(strings.Split(string(golden), "\n"), string(got)) {
		t.Errorf("an account is stored in format %d as\n%s, want format %d and one of\n%s", eventstore.FormatOf(account), got, format, golden)
	}
}

// A snapshot that cannot be read is no new account: nobody is to decide on it.
func TestUnreadableSnapshots(t *testing.T) {
	store, faults, open := withFaults(t)
	db := faults.File()
	_, err := db.Write.ExecContext(t.Context(), `INSERT INTO snapshots VALUES (?, 3, ?, ?)`, string(eventstore.AccountStream("u_ada")), eventstore.OldestFormat, []byte(`{"user":`))
	must(t, err)
	if l, err := store.Account(t.Context(), "u_ada"); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("gave %+v, %v", l, err)
	}
	faults.Once(eventstore.AtLoad, fails)
	if l, err := store.Account(t.Context(), "u_bob"); !errors.Is(err, errFault) {
		t.Errorf("a snapshot that the database did not give: %+v, %v", l, err)
	}
	_, err = db.Write.ExecContext(t.Context(), `DELETE FROM snapshots`)
	must(t, err)
	eventstoretest.CheckLog(t, open())
}
