package eventstore_test

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
)

//go:embed testdata/golden.txt
var goldenText string

// golden gives the entries of the golden log.
func golden(t testing.TB) (entries [][]byte) {
	t.Helper()
	for line := range strings.Lines(goldenText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		entry, err := hex.DecodeString(strings.TrimSpace(line))
		must(t, err)
		entries = append(entries, entry)
	}
	return entries
}

// The golden log was written when each kind of event was first shipped. Today's
// binary reads the same facts in the same bytes, and comes to the same account
// and the same root.
func TestGoldenLog(t *testing.T) {
	var tree eventstore.Tree
	accounts := map[domain.UserID]*domain.Account{}
	var adjustments domain.Adjustments
	type form struct {
		kind    domain.EventType
		version int
	}
	shipped := map[form]bool{}
	for i, entry := range golden(t) {
		env, payload, err := eventstore.DecodeEntry(entry)
		must(t, err)
		if env.Position != eventstore.Position(i+1) {
			t.Fatalf("entry %d of the golden log says position %d", i+1, env.Position)
		}
		event, err := domain.Decode(env.Type, env.Schema, payload)
		must(t, err)
		if u, ok := env.Stream.User(); ok {
			if accounts[u] == nil {
				accounts[u] = &domain.Account{}
			}
			must(t, accounts[u].Apply(event, env.Time))
		}
		if env.Stream == eventstore.AdjustmentsStream {
			must(t, adjustments.Apply(event, env.Time))
		}
		if env.Schema == domain.VersionOf(event) { // what is written today
			again, err := domain.Encode(event)
			must(t, err)
			if !bytes.Equal(again, payload) {
				t.Errorf("%s is written as %s today, in the golden log as %s", env.Type, again, payload)
			}
		}
		shipped[form{env.Type, env.Schema}] = true
		_, err = tree.Grow(eventstore.LeafHash(entry))
		must(t, err)
	}
	for _, kind := range eventTypes(t) {
		for version := 1; version <= kind.Version(); version++ {
			if !shipped[form{kind, version}] {
				t.Errorf("the golden log has no %s of version %d: add an entry that was really written", kind, version)
			}
		}
	}
	for u, want := range map[domain.UserID]domain.Account{
		"u_ada": {User: "u_ada", Available: 93, Holds: []domain.Hold{},
			JoinedAt: time.Date(2026, 11, 24, 18, 0, 1, 234567000, time.UTC), Refunds: domain.Refunds{Month: "2026-11", Count: 1},
			Free: domain.FreeAttempts{Since: time.Date(2026, 11, 28, 20, 30, 12, 123456000, time.UTC), Count: 1}},
		"u_cleo": {User: "u_cleo", Auditor: true, Available: 40, JoinedAt: time.Date(2026, 11, 29, 19, 30, 3, 123456000, time.UTC)},
		"u_eve":  {User: "u_eve", Admin: true, Locked: true, JoinedAt: time.Date(2026, 11, 29, 20, 30, 4, 123456000, time.UTC)},
		"u_bob":  {User: "u_bob", Erased: true, JoinedAt: time.Date(2026, 11, 28, 20, 30, 20, 623456000, time.UTC)},
	} {
		if got := accounts[u]; got == nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("the golden log folds to %+v, want %+v", got, want)
		}
	}
	var ends []domain.ProposalState
	for _, p := range adjustments.Proposals {
		ends = append(ends, p.State)
	}
	if !slices.Equal(ends, []domain.ProposalState{"approved", "rejected", "expired"}) || adjustments.Limits != (domain.AdjustmentLimits{FourEyesAbove: 50, DailyLimit: 400}) {
		t.Errorf("the golden log folds to the adjustments %+v", adjustments)
	}
	head, err := tree.Head()
	must(t, err)
	if root := head.Root.String(); root != "19067e3d8c0284e88c667b126782f9d7deb8f4faf38069185c41200b9bd85437" {
		t.Errorf("the root over the golden log is %s", root)
	}
}

// eventTypes reads the kinds of events out of the rule book's source, so that a
// new one cannot be forgotten here.
func eventTypes(t *testing.T) (types []domain.EventType) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../domain/event.go", nil, 0)
	must(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "EventType" {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			must(t, err)
			types = append(types, domain.EventType(name))
		}
		return true
	})
	if len(types) < 12 {
		t.Fatalf("only %d kinds of events were found", len(types))
	}
	return types
}

func TestDecodeEntryRefuses(t *testing.T) {
	env := eventstore.Envelope{Position: 300, Stream: "s", Version: 1, Type: "T", Schema: 1,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Actor: "a", Cause: "c"}
	fair := eventstore.EncodeEntry(env, []byte("payload"))
	if got, payload, err := eventstore.DecodeEntry(fair); err != nil || got != env || string(payload) != "payload" {
		t.Fatalf("a fair entry gave %+v, %q, %v", got, payload, err)
	}
	for name, entry := range map[string][]byte{
		"nothing":               nil,
		"no format":             append([]byte{0}, fair[1:]...),
		"a byte too few":        fair[:len(fair)-1],
		"a byte too many":       append(bytes.Clone(fair), 0),
		"a padded number":       append([]byte{fair[0], 0xac, 0x82, 0x00}, fair[3:]...), // 300 in three bytes
		"position 0":            eventstore.EncodeEntry(eventstore.Envelope{Version: 1, Time: env.Time}, nil),
		"version 0":             eventstore.EncodeEntry(eventstore.Envelope{Position: 1, Time: env.Time}, nil),
		"a time before 1970":    eventstore.EncodeEntry(eventstore.Envelope{Position: 1, Version: 1}, nil),
		"a length without end":  append(bytes.Clone(fair[:12]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"more than the largest": eventstore.EncodeEntry(env, make([]byte, eventstore.MaxEntry)),
	} {
		if got, _, err := eventstore.DecodeEntry(entry); !errors.Is(err, eventstore.ErrBadEntry) || errors.Is(err, eventstore.ErrNewer) {
			t.Errorf("%s gave %+v, %v", name, got, err)
		}
	}
}

// An entry of a newer program is no damage: it has an error of its own, on every way
// of reading it.
func TestEntriesOfANewerProgram(t *testing.T) {
	env := eventstore.Envelope{Position: 1, Stream: "s", Version: 1, Type: domain.TypeAdminGranted, Schema: 1,
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Actor: "a", Cause: "c"}
	fair := eventstore.EncodeEntry(env, []byte(`{"user_id":"u_ada"}`))
	if _, err := eventstore.Decode(fair); err != nil {
		t.Fatal(err)
	}
	laterSchema, laterType := env, env
	laterSchema.Schema++
	laterType.Type = "FilmLent"
	for name, entry := range map[string][]byte{
		"a later format":            append([]byte{2}, fair[1:]...),
		"a later version of a type": eventstore.EncodeEntry(laterSchema, nil),
		"a later type":              eventstore.EncodeEntry(laterType, nil),
	} {
		if got, err := eventstore.Decode(entry); !errors.Is(err, eventstore.ErrNewer) || errors.Is(err, eventstore.ErrBadEntry) {
			t.Errorf("%s gave %+v, %v", name, got, err)
		}
	}
	if _, err := eventstore.Decode(eventstore.EncodeEntry(env, []byte(`{`))); err == nil || errors.Is(err, eventstore.ErrNewer) {
		t.Errorf("a damaged payload gave %v", err)
	}

	store, _, open := withFaults(t)
	_, err := store.Append(t.Context(), eventstore.Append{Time: env.Time, Actor: "operator", Cause: "c",
		Writes: []eventstore.Write{{Stream: eventstore.AccountStream("u_ada"), Events: []domain.Event{eventstoretest.FromNewer{User: "u_ada"}}}}})
	must(t, err)
	older, ctx := open(), t.Context()
	for name, read := range map[string]func() error{
		"After":   func() error { _, err := older.After(ctx, 0, 10); return err },
		"Stream":  func() error { _, err := older.Stream(ctx, eventstore.AccountStream("u_ada"), 0, 10); return err },
		"Scan":    func() error { return older.Scan(ctx, 0, func([]eventstore.Recorded) error { return nil }) },
		"Account": func() error { _, err := older.Account(ctx, "u_ada"); return err },
	} {
		if err := read(); !errors.Is(err, eventstore.ErrNewer) {
			t.Errorf("%s gave %v", name, err)
		}
	}
	must(t, older.Rows(ctx, 0, func(rows []eventstore.Stored) error {
		if len(rows) != 1 || !errors.Is(rows[0].Err, eventstore.ErrNewer) || rows[0].Nodes[0] != rows[0].Leaf {
			t.Errorf("Rows gave %+v", rows)
		}
		return nil
	}))
}

func TestCauses(t *testing.T) {
	for cause, want := range map[eventstore.Cause]eventstore.Command{
		"command:id:content":       {ID: "id", Content: "content"},
		"command:id:a:b":           {ID: "id", Content: "a:b"},
		"command:id:":              {ID: "id"},
		"command::content":         {},
		"command:id":               {},
		"":                         {},
		eventstore.ByPosition(12):  {},
		"operator:command:id:text": {},
	} {
		got, ok := cause.Command()
		if ok != (want.ID != "") || ok && (got != want || got.Cause() != cause) {
			t.Errorf("cause %q is the command %+v, %t", cause, got, ok)
		}
	}
	if u, ok := eventstore.AccountStream("u_1").User(); u != "u_1" || !ok {
		t.Errorf("an account's stream is that of %q, %t", u, ok)
	}
	email := eventstore.EmailStream("account-u_1")
	if _, ok := email.User(); ok || !email.OfEmail() || eventstore.AccountStream("email-1").OfEmail() {
		t.Error("streams of e-mails and of accounts are mistaken for each other")
	}
}

// Any bytes are either refused or the one spelling of what they say; and what
// was encoded comes back.
func FuzzDecodeEntry(f *testing.F) {
	for _, entry := range golden(f) {
		f.Add(entry)
		f.Add(entry[:len(entry)/2])
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		env, payload, err := eventstore.DecodeEntry(entry)
		if err != nil {
			want := eventstore.ErrBadEntry
			if len(entry) > 0 && len(entry) <= eventstore.MaxEntry && entry[0] > 1 {
				want = eventstore.ErrNewer
			}
			if !errors.Is(err, want) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if !bytes.Equal(eventstore.EncodeEntry(env, payload), entry) {
			t.Fatalf("%x has a second spelling", entry)
		}
		if env.Position < 1 || env.Version < 1 || env.Time.Location() != time.UTC {
			t.Fatalf("%x says %+v", entry, env)
		}
		// The decoder of payloads is given whatever stands in a sound entry.
		if event, err := domain.Decode(env.Type, env.Schema, payload); err == nil && event.Type() != env.Type {
			t.Fatalf("%s was decoded as %s", env.Type, event.Type())
		}
	})
}
