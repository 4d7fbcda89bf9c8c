package audit_test

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// attest appends what the views are, as the process that leads does.
func attest(t testing.TB, store *eventstore.Store, version eventstore.Version, views []domain.AttestedView) eventstore.Position {
	t.Helper()
	e := domain.ViewsAttested{Program: "test", Views: views}
	r, err := store.Append(t.Context(), eventstore.Append{Time: time.Now(), Actor: "system:attester", Cause: eventstore.ByPosition(eventstore.Position(e.Upto())),
		Writes: []eventstore.Write{{Stream: eventstore.AttestationsStream, Expected: version, Events: []domain.Event{e}}}})
	must(t, err)
	return r.Position()
}

// What the tables are, what memory is, and what a replay gives has the same state, and a row that
// was changed between two verifications, and put back, is found by the attestation of that time.
func TestAttestedViews(t *testing.T) {
	h := newFixture(t, 40)
	served := func() []domain.AttestedView {
		must(t, h.views.CatchUp(t.Context()))
		views, err := projections.ReadStates(t.Context(), h.pool)
		must(t, err)
		return views
	}
	memory := projections.NewMemory()
	for version := range eventstore.Version(3) {
		views := served()
		must(t, memory.Replay(t.Context(), h.store))
		inMemory := memory.States()
		if len(views) != 7 || len(inMemory) != 3 {
			t.Fatalf("attested are %v, in memory %v", views, inMemory)
		}
		for _, v := range inMemory {
			if !slices.Contains(views, v) {
				t.Errorf("memory has %v, the tables %v", v, views)
			}
		}
		attest(t, h.store, version, views)
		h.run(t, 10)
	}
	report, err := h.verify(t)
	must(t, err)
	if report.Attested.States != 21 || report.Attested.Unknown != nil {
		t.Errorf("compared were %+v", report.Attested)
	}

	must(t, h.views.CatchUp(t.Context()))
	for lies, tt := range [][2]string{{"balances_v2", `held = held + 1`}, {"transactions_v2", `amount = amount + 1`}, {"predictions_v4", `price = price + 1`},
		{"trial_v2", `amount = amount + 1`}, {"days_v1", `amount = amount + 1`}, {"users_v1", `admin = NOT admin`}} {
		view, change := tt[0], tt[1]
		h.exec(t, `UPDATE kassa_views.`+view+` SET `+change)
		at := attest(t, h.store, eventstore.Version(3+lies), served())
		h.exec(t, `UPDATE kassa_views.`+view+` SET `+strings.Replace(change, "+", "-", 1))
		h.run(t, 1)
		must(t, h.views.CatchUp(t.Context()))
		_, err := h.verify(t)
		found, ok := errors.AsType[*audit.Faults](err)
		if !ok {
			t.Fatalf("%s: %v", view, err)
		}
		last := found.List[len(found.List)-1]
		if last.Code != audit.StateDiffers || last.View != view || last.Position != at || !strings.Contains(last.Error(), "as of position") {
			t.Errorf("%s: found was %v", view, found)
		}
		if len(found.List) != lies+1 {
			t.Errorf("%d attestations lie, found were %v", lies+1, found)
		}
	}
}

// While the tables are read, payments are appended, and the views follow the log.
func TestReadingViewsKeepsNoWriterWaiting(t *testing.T) {
	h := newFixture(t, 10)
	before := h.head(t)
	var once sync.Once
	must(t, projections.ReadTables(t.Context(), h.pool, func(at projections.TableAt) func(projections.Row) {
		return func(projections.Row) {
			once.Do(func() {
				h.run(t, 3)
				must(t, h.views.CatchUp(t.Context()))
			})
		}
	}))
	if h.head(t) == before {
		t.Error("nothing was appended")
	}
}

// However a log is cut, the state after an entry is that of a replay up to there.
func TestStatesFollowTheLog(t *testing.T) {
	h := newFixture(t, 30)
	entries, err := h.store.After(t.Context(), 0, 1000)
	must(t, err)
	if len(entries) > 400 {
		entries = entries[:400]
	}
	for _, view := range []string{"balances_v2", "days_v1", "predictions_v4", "transactions_v2", "trial_v2", "users_v1"} {
		step, seen := projections.StatedBy(view), map[string]bool{}
		for i := range entries {
			must(t, step.Apply(entries[i:i+1]))
			state := step.State()
			seen[state] = true
			if i%20 != 0 {
				continue
			}
			whole := projections.StatedBy(view)
			must(t, whole.Apply(entries[:i+1]))
			if whole.State() != state {
				t.Fatalf("%s at position %d has another state step by step", view, i+1)
			}
		}
		if len(seen) < 5 {
			t.Errorf("%s had the states %v", view, slices.Sorted(maps.Keys(seen)))
		}
	}
	if projections.StatedBy("balances_v1") != nil {
		t.Error("a view of before is known")
	}
}

// A state is compared where all of the log is read, and a view of another program is not. One that
// differs says that a view was wrong: the log is proved, and the proof is kept.
func TestForgedAttestations(t *testing.T) {
	c := validLog()
	c.add("system:attester", eventstore.ByPosition(10), attestedAs("balances_v2", 9))
	c.add("system:attester", eventstore.ByPosition(11), attestedAs("seats_v1", 10))
	proved := filepath.Join(t.TempDir(), "proved")
	l := forge(t, c.log)
	verify := func(l ledger) (audit.Report, error) {
		return audit.Ledger{Store: l.read(t), Alone: true, Proved: proved}.Verify(t.Context())
	}
	report, err := verify(l)
	finds(t, err, want{audit.StateDiffers, 11})
	if a := report.Attested; a.States != 1 || !slices.Equal(a.Unknown, []string{"seats_v1"}) {
		t.Errorf("compared were %+v", a)
	}
	report, err = verify(l) // goes on from the first
	must(t, err)
	if report.Resumed != 12 || report.Attested.States != 0 {
		t.Errorf("a run that went on from position %d compared %+v", report.Resumed, report.Attested)
	}
	report, err = l.verify(t) // the log is none the less whole, and can be recovered and imported
	must(t, err)
	if report.Attested.States != 0 {
		t.Errorf("the log by itself was compared with %+v", report.Attested)
	}
}

// recordStreams are those in which the house records what it serves.
var recordStreams = map[domain.EventType]eventstore.Stream{domain.TypeViewsAttested: eventstore.AttestationsStream,
	domain.TypeCatalogueRecorded: eventstore.CatalogueStream, domain.TypeLedgerVerified: eventstore.VerificationsStream}

// attestedAs is an attestation of one view.
func attestedAs(view string, at eventstore.Position) domain.ViewsAttested {
	return domain.ViewsAttested{Program: "p", Views: []domain.AttestedView{{View: view, Position: int64(at), State: february.Digest}}}
}

var (
	films  = domain.CatalogueRecorded{Catalogue: "c", Films: 2, Vectors: 2, Root: strings.Repeat("0c", 32)}
	looked = domain.LedgerVerified{By: "olga", Program: "p", Position: 10, Root: strings.Repeat("0d", 32)}
)

func recordLies() []lie {
	return []lie{
		{"a view attested by the operator", []want{{audit.ActorNotAllowed, 11}}, func(c *logBuilder) { c.by("operator", attestedAs("seats_v1", 10)) }},
		{"a catalogue that was recorded before", []want{{audit.RecordUnchanged, 12}}, func(c *logBuilder) {
			c.add("system:attester", eventstore.ByPosition(10), films)
			c.add("system:attester", eventstore.ByPosition(11), films)
		}},
		{"a catalogue recorded by the operator", []want{{audit.ActorNotAllowed, 11}}, func(c *logBuilder) { c.by("operator", films) }},
		{"a verification of another log", []want{{audit.VerifiedOtherRoot, 11}}, func(c *logBuilder) { c.by("operator", looked) }},
		{"a verification by a part of the service", []want{{audit.ActorNotAllowed, 11}, {audit.VerifiedOtherRoot, 11}}, func(c *logBuilder) {
			c.add("system:attester", eventstore.ByPosition(10), looked)
		}},
	}
}

// Records that contradict the log before them, or their own place.
func TestForgedRecords(t *testing.T) {
	for _, tt := range []struct {
		name    string
		want    audit.Code
		stream  eventstore.Stream
		version eventstore.Version
		event   domain.Event
	}{
		{"an attestation of its own entry", audit.FactBroken, eventstore.AttestationsStream, 1, attestedAs("balances_v2", 11)},
		{"an attestation in another stream", audit.WrongStream, eventstore.PeriodsStream, 1, attestedAs("balances_v2", 10)},
		{"a second attestation without a first", audit.VersionGap, eventstore.AttestationsStream, 2, attestedAs("balances_v2", 10)},
		{"a catalogue without a root", audit.FactBroken, eventstore.CatalogueStream, 1, domain.CatalogueRecorded{}},
		{"a verification by nobody", audit.FactBroken, eventstore.VerificationsStream, 1, domain.LedgerVerified{Position: 10, Root: february.Digest}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := validLog()
			record := forged{tt.stream, tt.version, tt.event, "system:attester", eventstore.ByPosition(10), day, ""}
			if tt.event.Type() == domain.TypeLedgerVerified {
				record.actor, record.cause, record.command = "operator", caused("c11"), "c11"
			}
			c.log = append(c.log, record)
			l := forge(t, c.log)
			_, err := l.verify(t)
			finds(t, err, want{tt.want, 11})
			exportFinds(t, l, err)
		})
	}
}
