package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kassa/domain"
	"kassa/eventstore"
)

// The archived part of the log in a replay. With the archives, their entries replace
// the missing rows, and everything is proved as usual. Without them, the kept leaves
// are put into the tree, so that the head is proved to cover them, and the replay
// continues from the recorded accounts: see Ledger.Archives.

// archivedPart is the archived part of the log, as a replay needs it.
type archivedPart struct {
	records []archived
	files   *Archives // nil without the archives
	kept    map[eventstore.Stream]eventstore.Version
	// continued: the current append began in entries that were not read.
	continued bool
}

func partOf(ctx context.Context, store *eventstore.Store, files *Archives) (archivedPart, error) {
	if files != nil {
		return archivedPart{records: files.list, files: files}, nil
	}
	records, err := readRecords(ctx, store)
	return archivedPart{records: records}, err
}

// upTo is the last archived position, 0 for none.
func (p *archivedPart) upTo() eventstore.Position {
	if len(p.records) == 0 {
		return 0
	}
	return p.records[len(p.records)-1].UpTo
}

// inPart proves that exactly those rows are archived that are recorded as archived.
func (r *replay) inPart(ctx context.Context, row *eventstore.Stored) error {
	if row.Position != r.at+1 || row.Archived == (row.Position <= r.part.upTo()) {
		return nil
	}
	switch now, err := r.store.Archived(ctx); {
	case err != nil:
		return err
	case row.Archived && now >= row.Position:
		return fmt.Errorf("the log was archived up to position %d meanwhile: look again", now)
	case row.Archived:
		return fault(EntryUnexpected, row.Position, "the entry is archived, and no archive of it is recorded")
	}
	return fault(EntryUnexpected, row.Position, "the entry is recorded as archived, and is still in the log")
}

// pass adds an archived row to the tree without its entry.
func (r *replay) pass(row *eventstore.Stored) error {
	if row.Recorded.Entry == nil { // otherwise it is kept, and compared with its columns
		if row.Stream == "" && row.Err == nil && row.Position == r.at+1 {
			return fault(ColumnDiffers, row.Position, "the index does not have the archived entry")
		}
		row.Recorded.Envelope = eventstore.Envelope{Position: row.Position, Stream: row.Stream, Version: row.Version}
	}
	if err := r.place(row); err != nil {
		return err
	}
	return r.grow(row)
}

// restore puts the archived entry into its row.
func (r *replay) restore(row *eventstore.Stored) error {
	if row.Position != r.at+1 { // place reports it
		return nil
	}
	line, err := r.part.files.next(row.Position)
	if err != nil {
		return err
	}
	if row.Recorded.Entry != nil && !bytes.Equal(row.Recorded.Entry, line.Entry) {
		return fault(EntryChanged, row.Position, "the entry that is kept beside the archive is not the archived one")
	}
	rec, bad := eventstore.Decode(line.Entry)
	row.Recorded, row.Leaf = rec, line.Leaf
	if row.Err == nil {
		row.Err = bad
	}
	return nil
}

// endOfArchive handles the last row of an archive: it proves what was recorded of the
// accounts there, or takes them as the start.
func (r *replay) endOfArchive(ctx context.Context, at eventstore.Position) error {
	i := slices.IndexFunc(r.part.records, func(a archived) bool { return a.UpTo == at })
	if i < 0 {
		return nil
	}
	record, last := r.part.records[i], i == len(r.part.records)-1
	if err := r.edge(record.manifest); err != nil {
		return err
	}
	if r.part.files != nil {
		if err := r.compareArchived(record); err != nil {
			return err
		}
		if !last {
			return nil
		}
		if err := r.part.files.end(); err != nil {
			return err
		}
	}
	if !last {
		return nil
	}
	return r.recordedAccounts(ctx, record)
}

// edge compares the tree with the recorded one.
func (r *replay) edge(m Manifest) error {
	edge, err := edgeOf(r.tree)
	if err != nil {
		return err
	}
	if edge.TreeHead != m.After.TreeHead || !slices.Equal(edge.Peaks, m.After.Peaks) {
		return fault(RootDiffers, m.UpTo, "the tree over the kept leaves is not that of the archive").between(m.After.Root, edge.Root)
	}
	return nil
}

// compareArchived compares the archive's accounts with the replay's.
func (r *replay) compareArchived(record archived) error {
	sum, m := sha256.New(), record.manifest
	for _, a := range r.states() {
		line, err := json.Marshal(a)
		if err != nil {
			return err
		}
		sum.Write(append(line, '\n'))
	}
	if have := eventstore.Hash(sum.Sum(nil)); have != m.Files[accountsFile].SHA256 {
		return fault(ArchiveDiffers, record.UpTo, "the accounts of the archive are not the fold of its entries").between(have, m.Files[accountsFile].SHA256)
	}
	if err := compareFile(record.folder, accountsFile, m); err != nil {
		return err
	}
	have, err := json.Marshal(r.summary())
	if err != nil {
		return err
	}
	want, err := json.Marshal(m.Sum)
	if err == nil && !bytes.Equal(have, want) {
		err = fault(ArchiveDiffers, record.UpTo, "the archive's summary is not that of its entries").between(string(have), string(want))
	}
	return err
}

// states are the current accounts, in the order of their streams.
func (r *replay) states() []eventstore.ArchivedAccount {
	list := make([]eventstore.ArchivedAccount, 0, len(r.accounts))
	for _, user := range slices.Sorted(maps.Keys(r.accounts)) {
		a := r.accounts[user]
		state, err := json.Marshal(a.Account)
		if err != nil {
			panic(err) // an account always encodes
		}
		asked := a.asked
		if asked == nil { // in the archive it is {}
			asked = map[domain.PredictionID]eventstore.Position{}
		}
		list = append(list, eventstore.ArchivedAccount{Stream: eventstore.AccountStream(user), Version: a.version,
			Format: eventstore.FormatOf(a.Account), State: state, Asked: asked})
	}
	return list
}

// summary is the totals of the entries, without the accounts.
func (r *replay) summary() Summary {
	sum := Summary{Accounts: len(r.accounts), House: r.report.House, Events: r.report.Events,
		Latest: r.latest, Time: r.last.Time, Actor: r.last.Actor, Cause: r.last.Cause}
	if r.moveIn.Version > 0 {
		moved := r.moveIn
		sum.MoveIn = &moved
	}
	if r.prices.Version > 0 {
		sum.Prices = &r.prices
	}
	if r.periods.Version > 0 {
		sum.Periods = &r.periods
	}
	return sum
}

// recordedAccounts reads the accounts that the database keeps of its last archive,
// proves that they are the recorded ones, and starts from them if nothing was replayed
// before.
func (r *replay) recordedAccounts(ctx context.Context, record archived) error {
	sum, n := sha256.New(), 0
	err := r.store.ArchivedAccounts(ctx, record.UpTo, func(a eventstore.ArchivedAccount) error {
		line, err := json.Marshal(a)
		if err != nil {
			return err
		}
		sum.Write(append(line, '\n'))
		n++
		r.part.kept[a.Stream] = a.Version
		if r.part.files != nil {
			return nil
		}
		return r.begin(a, record.UpTo)
	})
	switch have, want := eventstore.Hash(sum.Sum(nil)), record.manifest.Files[accountsFile].SHA256; {
	case errors.Is(err, eventstore.ErrCorrupt):
		return fault(RecordDiffers, record.UpTo, "%s", err)
	case err != nil:
		return err
	case have != want || n != record.manifest.Sum.Accounts:
		return fault(RecordDiffers, record.UpTo, "the %d accounts that are kept are not those of the archive", n).between(want, have)
	}
	if r.part.files == nil {
		r.goOn(record.manifest.Sum, record.UpTo)
		r.part.continued = true
		return r.readAdjustments(ctx, record.UpTo)
	}
	return nil
}

// goOn begins behind a position, up to which the entries came to the sum.
func (r *replay) goOn(sum Summary, at eventstore.Position) {
	maps.Copy(r.report.House, sum.House)
	maps.Copy(r.report.Events, sum.Events)
	r.latest = sum.Latest
	if sum.MoveIn != nil {
		r.moveIn = *sum.MoveIn
	}
	if sum.Prices != nil {
		r.prices = *sum.Prices
	}
	if sum.Periods != nil {
		r.periods, r.closedUpTo = *sum.Periods, eventstore.Position(sum.Periods.Position)
	}
	r.last = eventstore.Envelope{Position: at, Time: sum.Time, Actor: sum.Actor, Cause: sum.Cause}
}

// begin starts from an account as it was archived. An older snapshot cannot be
// compared, and is never used.
func (r *replay) begin(a eventstore.ArchivedAccount, at eventstore.Position) error {
	if a.Format > eventstore.ArchivedFormat {
		return fmt.Errorf("%w: an archived account has the format %d", eventstore.ErrNewer, a.Format)
	}
	user, ok := a.Stream.User()
	one := &account{version: a.Version, asked: a.Asked}
	if err := json.Unmarshal(a.State, &one.Account); err != nil || !ok {
		return fault(RecordDiffers, at, "the archived account %s cannot be read", a.Stream)
	}
	r.accounts[user] = one
	if s, there := r.snapshots[a.Stream]; there && s.Version < a.Version {
		delete(r.snapshots, a.Stream)
	}
	return r.snapshot(eventstore.Recorded{Envelope: eventstore.Envelope{Position: at, Stream: a.Stream, Version: a.Version}}, one)
}

// entryAt reads an earlier entry, from the log or an archive.
func (r *replay) entryAt(ctx context.Context, at eventstore.Position) (eventstore.Recorded, error) {
	if at <= r.part.upTo() && r.part.files != nil {
		return r.part.files.entry(at)
	}
	list, err := r.store.After(ctx, at-1, 1)
	if err != nil || len(list) == 0 {
		return eventstore.Recorded{}, err
	}
	return list[0], nil
}
