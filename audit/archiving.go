package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"kassa/eventstore"
)

// Archiving takes the oldest partitions of the log out of the database, one after the
// other. For each, in this order:
//
//  1. prove the log up to its end, and write its entries under a temporary name
//  2. write the accounts and the manifest beside them
//  3. make all of it durable, and rename it to its final name
//  4. read it back, and compare it with the database's tree
//  5. record it, keep what is kept, and detach the partition, in one transaction: see
//     eventstore.Detach. FROM HERE THE ENTRIES ARE ARCHIVED
//  6. optionally, drop what was detached
//
// A crash before step 5 leaves files that the next run rewrites, or finds to be equal.
// Nothing is removed from the database before step 4 has succeeded.
type Archiving struct {
	Store *eventstore.Store
	Owner Owner
	// Views returns the positions of the views' tables.
	Views  func(context.Context) (map[string]eventstore.Position, error)
	Folder string              // each archive is a folder in it
	Before eventstore.Position // partitions that end at or after it stay; 0: no limit
	Age    time.Duration       // partitions whose last entry is younger stay
	Drop   bool                // step 6
	Now    func() time.Time

	reached func(step int) error // in tests, ends a run here
}

// Owner is the database with the rights of its tables' owner.
type Owner interface {
	Partitions(ctx context.Context) ([]eventstore.Partition, error)
	Detach(ctx context.Context, a eventstore.Archive, first eventstore.Position, accounts []eventstore.ArchivedAccount) error
	DropDetached(ctx context.Context, partition string) (bool, error)
}

// Partition is a partition that can be archived, or that stays for a reason.
type Partition struct {
	eventstore.Partition
	First eventstore.Position
	Stays string // why; "" if it can be archived
	// Blocked means that the reason does not pass by itself.
	Blocked bool
}

// Archived is a partition that was archived.
type Archived struct {
	Partition
	Folder   string
	Manifest eventstore.Hash // SHA-256
}

// ErrBlocked: a partition that is due cannot be archived now.
var ErrBlocked = errors.New("audit: a partition cannot be archived")

// Plan lists the partitions up to the first that stays. It changes nothing.
func (a Archiving) Plan(ctx context.Context) ([]Partition, error) {
	at, err := a.Store.Archived(ctx)
	if err != nil {
		return nil, err
	}
	followers, err := a.followers(ctx)
	if err != nil {
		return nil, err
	}
	head, err := a.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	parts, err := a.Owner.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	var list []Partition
	for _, part := range parts {
		s := Partition{Partition: part, First: at + 1}
		if err := a.stays(ctx, &s, head, followers); err != nil {
			return nil, err
		}
		if list = append(list, s); s.Stays != "" {
			return list, nil
		}
		at = part.Last
	}
	return list, nil
}

// followers are the positions of all readers that follow the log.
func (a Archiving) followers(ctx context.Context) (map[string]eventstore.Position, error) {
	all := map[string]eventstore.Position{}
	names, err := a.Store.Checkpoints(ctx)
	for name, at := range names {
		all["the follower "+name] = at
	}
	if err != nil {
		return nil, err
	}
	views, err := a.Views(ctx)
	for name, at := range views {
		all["the view "+name] = at
	}
	return all, err
}

// stays determines why a partition must stay.
func (a Archiving) stays(ctx context.Context, s *Partition, head eventstore.Head, followers map[string]eventstore.Position) error {
	switch {
	case s.Last >= head.Size:
		s.Stays = "the log has not grown past it"
		return nil
	case a.Before > 0 && s.Last >= a.Before:
		s.Stays = fmt.Sprintf("it does not end before position %d", a.Before)
		return nil
	}
	last, err := a.Store.After(ctx, s.Last-1, 1)
	if err != nil {
		return err
	}
	if due := last[0].Time.Add(a.Age); a.Now().Before(due) {
		s.Stays = fmt.Sprintf("its last entry is younger than %s, until %s", a.Age, due.Format(time.RFC3339))
		return nil
	}
	for name, at := range followers {
		if at < s.Last {
			s.Stays, s.Blocked = fmt.Sprintf("%s has only come to position %d", name, at), true
		}
	}
	return nil
}

// Run archives what it can, and returns it, also with an error. The error wraps
// ErrBlocked where a partition that is due stays; it contains *Faults where the log is
// broken.
func (a Archiving) Run(ctx context.Context) (done []Archived, err error) {
	if err := a.dropDetached(ctx); err != nil {
		return nil, err
	}
	list, err := a.Plan(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		switch {
		case s.Blocked:
			return done, fmt.Errorf("%w: %s stays: %s", ErrBlocked, s.Name, s.Stays)
		case s.Stays != "":
			return done, nil
		}
		one, err := a.one(ctx, s)
		if err != nil {
			return done, fmt.Errorf("archive %s: %w", s.Name, err)
		}
		done = append(done, one)
	}
	return done, nil
}

// dropDetached is step 6 of a run that was interrupted before it. It drops nothing
// whose archive is missing.
func (a Archiving) dropDetached(ctx context.Context) error {
	if !a.Drop {
		return nil
	}
	records, err := readRecords(ctx, a.Store)
	if err != nil {
		return err
	}
	for _, record := range records {
		record.folder = a.folder(record.manifest)
		err := record.compare()
		if errors.Is(err, ErrNoArchive) {
			continue // it was archived elsewhere: its table is left to the operator
		}
		if err == nil {
			err = readBack(record.folder, record.manifest)
		}
		if err == nil {
			_, err = a.Owner.DropDetached(ctx, record.Partition)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a Archiving) folder(m Manifest) string {
	return filepath.Join(a.Folder, archiveName(m.From, m.UpTo))
}

// step ends a run in a test.
func (a Archiving) step(n int) error {
	if a.reached == nil {
		return nil
	}
	return a.reached(n)
}

// one archives one partition.
func (a Archiving) one(ctx context.Context, s Partition) (Archived, error) {
	w := &archiveWriter{Archiving: a, Partition: s, folder: filepath.Join(a.Folder, archiveName(s.First, s.Last))}
	w.partial = filepath.Join(a.Folder, "."+filepath.Base(w.folder)+".partial")
	for n, step := range []func(context.Context) error{w.writeEntries, w.writeManifest, w.name, w.readBack, w.detach, w.drop} {
		if err := step(ctx); err != nil {
			return Archived{}, err
		}
		if err := a.step(n + 1); err != nil {
			return Archived{}, err
		}
	}
	return Archived{s, w.folder, w.digest()}, nil
}
