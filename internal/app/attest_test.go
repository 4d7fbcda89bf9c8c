package app_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/audit"
	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
	"kassa/internal/app/apptest"
)

// clocked is a service with a clock that the test moves.
type clocked struct {
	*apptest.Fixture
	t   *testing.T
	now time.Time // moved only while nothing runs that reads it
}

func newClocked(t *testing.T) *clocked {
	c := &clocked{t: t, now: time.Now()}
	c.Fixture = apptest.New(t, apptest.Options{Folder: t.TempDir(), Now: func() time.Time { return c.now }, Terms: app.Terms{Price: 5, Bonus: 10}, Catalogue: apptest.SeedFilms(t, "inception-2010")})
	return c
}

// after moves the clock, and looks what is due.
func (c *clocked) after(pause time.Duration, a *app.Attestations) {
	c.t.Helper()
	c.now = c.now.Add(pause)
	must(c.t, a.Look(c.t.Context()))
}

// recorded counts the entries of a stream.
func (c *clocked) recorded(stream eventstore.Stream) int {
	c.t.Helper()
	last, err := c.Commands.LastRecord(c.t.Context(), stream)
	must(c.t, err)
	return int(last.Version)
}

func (c *clocked) has(what string, views, catalogues int) {
	c.t.Helper()
	if v, n := c.recorded(eventstore.AttestationsStream), c.recorded(eventstore.CatalogueStream); v != views || n != catalogues {
		c.t.Errorf("%s, the log has %d attestations of views and %d of the catalogue, want %d and %d", what, v, n, views, catalogues)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The first record of a log waits a whole interval, in which older processes are replaced; later
// ones follow the last, whichever process writes them. Films are recorded when they change, and
// those that change silently are not, but reported.
func TestAttestations(t *testing.T) {
	c := newClocked(t)
	c.now = c.now.Add(-24 * time.Hour) // the log is not to be from the future
	a := c.NewAttestations(time.Hour)
	c.after(2*time.Hour, a)
	c.has("in an empty log", 0, 0)

	_, err := c.Commands.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: "a till by the sea"})
	must(t, err)
	head, err := c.Store.Head(t.Context())
	must(t, err)
	must(t, c.Memory.Wait(t.Context(), head.Size))
	a = c.NewAttestations(time.Hour)
	c.after(59*time.Minute, a)
	c.has("before the interval has passed", 0, 0)
	c.after(time.Minute, a)
	c.has("after it", 1, 1)
	c.after(59*time.Minute, c.NewAttestations(time.Hour)) // another process leads
	c.has("soon after the last", 1, 1)
	c.after(time.Minute, c.NewAttestations(time.Hour))
	c.has("an hour after the last", 2, 1)

	all, err := catalog.Shipped()
	must(t, err)
	_, err = c.Catalogue.Import(t.Context(), all[10:12], apptest.BagOfWords{})
	must(t, err)
	c.after(10*time.Minute, a)
	c.has("after an import", 2, 2)
	c.after(10*time.Minute, a)
	c.has("after nothing", 2, 2)
	must(t, c.Catalogue.Weigh(t.Context(), c.Catalogue.Models()[0].Version, 0.5))
	c.after(10*time.Minute, a)
	c.has("after a change of the revision alone", 2, 3)
	report, err := audit.Ledger{Store: c.Store, Catalogue: c.Record}.Verify(t.Context())
	must(t, err)
	if report.Attested.States != 6 || report.Catalogue.Recorded == 0 || report.Catalogue.Changed {
		t.Errorf("compared were %+v and %+v", report.Attested, report.Catalogue)
	}

	_, err = c.File.Write.ExecContext(t.Context(), `UPDATE vectors SET vector = (SELECT vector FROM vectors WHERE movie_id = 'inception-2010')`)
	must(t, err)
	c.after(time.Hour, a)
	c.after(time.Second, a)
	c.has("after the vectors were replaced", 3, 3)
	if failing := c.Failing(); !slices.ContainsFunc(failing, func(what string) bool { return strings.HasPrefix(what, "record the catalogue") }) {
		t.Errorf("failing are %v", failing)
	}
	_, err = audit.Ledger{Store: c.Store, Catalogue: c.Record}.Verify(t.Context())
	if f, ok := errors.AsType[*audit.Fault](err); !ok || f.Code != audit.CatalogueDiffers {
		t.Errorf("found was %v", err)
	}
	_, err = c.Commands.RecordVerification(t.Context(), domain.LedgerVerified{By: "olga", Program: "test", Position: int64(head.Size), Root: head.Root.String()})
	must(t, err)
	if _, err := c.Commands.RecordVerification(t.Context(), domain.LedgerVerified{By: "olga"}); err == nil {
		t.Error("a verification of nothing is recorded")
	}
}

// full is a log whose disk is full.
type full struct {
	commands.Store
	tried map[eventstore.Stream]int
}

var errFull = errors.New("the disk is full")

func (f full) Append(_ context.Context, a eventstore.Append) (eventstore.Receipt, error) {
	f.tried[a.Writes[0].Stream]++
	return eventstore.Receipt{}, errFull
}

// What fails is not read again at each look, and is reported until it was tried again. A record of
// a clock that was ahead keeps nobody from attesting.
func TestAttestationsThatFail(t *testing.T) {
	c := newClocked(t)
	c.now = c.now.Add(-24 * time.Hour)
	_, err := c.Commands.SignUp(t.Context(), commands.SignUp{Email: "ada@example.org", Password: "a till by the sea"})
	must(t, err)
	head, err := c.Store.Head(t.Context())
	must(t, err)
	must(t, c.Memory.Wait(t.Context(), head.Size))
	a, log, disk := c.NewAttestations(time.Hour), c.Commands.Store, full{c.Commands.Store, map[eventstore.Stream]int{}}
	c.Commands.Store = disk
	for look, want := range []int{1, 1, 2} {
		c.after([]time.Duration{time.Hour, 59 * time.Minute, time.Minute}[look], a)
		if tried := disk.tried[eventstore.AttestationsStream]; tried != want {
			t.Errorf("look %d: the views were read %d times, want %d", look+1, tried, want)
		}
		if failing := c.Failing(); !slices.ContainsFunc(failing, func(what string) bool { return strings.HasPrefix(what, "attest the views") }) {
			t.Errorf("look %d: failing are %v", look+1, failing)
		}
	}
	c.Commands.Store = log
	c.after(9*time.Hour, a)
	c.has("on a disk with room", 1, 1)
	c.now = c.now.Add(-8 * time.Hour) // it was ahead
	a = c.NewAttestations(time.Hour)
	c.after(59*time.Minute, a)
	c.has("before the interval has passed", 1, 1)
	c.after(time.Minute, a)
	c.has("after it", 2, 1)
}
