package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"kassa/eventstore"
)

// Archives are the archives of a log, one folder each, which a verification or a
// rebuild of a view reads in addition to the database.
type Archives struct {
	list []archived
	open *entryReader // of the archive being read
}

// archived is an archive as recorded in the database.
type archived struct {
	eventstore.Archive
	manifest Manifest
	folder   string
}

// ErrNoArchive: a recorded archive was not found in the folder.
var ErrNoArchive = errors.New("audit: the archive is not there")

// OpenArchives opens all archives in the folder that are recorded in the database. An
// error wraps ErrNoArchive where one is missing, and contains *Faults where one differs
// from its record.
func OpenArchives(ctx context.Context, store *eventstore.Store, folder string) (*Archives, error) {
	records, err := readRecords(ctx, store)
	for i := 0; err == nil && i < len(records); i++ {
		r := &records[i]
		r.folder = filepath.Join(folder, archiveName(r.manifest.From, r.manifest.UpTo))
		err = r.compare()
	}
	if err != nil {
		var found Faults
		return nil, found.with(found.take(err))
	}
	return &Archives{list: records}, nil
}

// readRecords reads the database's records of archives. A record that contradicts
// itself, or the one before, is a *Fault.
func readRecords(ctx context.Context, store *eventstore.Store) ([]archived, error) {
	records, err := store.Archives(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]archived, len(records))
	var at eventstore.Position
	for i, record := range records {
		m, err := parseManifest(record.Manifest)
		switch {
		case errors.Is(err, eventstore.ErrNewer):
			return nil, err
		case err != nil:
			return nil, fault(RecordDiffers, record.UpTo, "%s", err)
		case eventstore.Hash(sha256.Sum256(record.Manifest)) != record.Digest || m.UpTo != record.UpTo || m.From != at+1 || m.UpTo < m.From:
			return nil, fault(RecordDiffers, record.UpTo, "the record of an archive contradicts itself, or does not follow the one before")
		}
		list[i], at = archived{Archive: record, manifest: m}, m.UpTo
	}
	return list, nil
}

// compare compares the archive's manifest with the recorded one.
func (a archived) compare() error {
	_, b, err := readManifest(a.folder)
	switch {
	case b == nil:
		return fmt.Errorf("%w: %w", ErrNoArchive, err)
	case eventstore.Hash(sha256.Sum256(b)) != a.Digest:
		return fault(ArchiveDiffers, a.UpTo, "the manifest in %s is not the recorded one", a.folder).
			between(a.Digest, eventstore.Hash(sha256.Sum256(b)))
	}
	return err
}

// next returns the archived entry at the position. Positions must be read in order.
func (a *Archives) next(at eventstore.Position) (entryLine, error) {
	if a.open == nil || at > a.open.manifest.UpTo {
		if err := a.end(); err != nil {
			return entryLine{}, err
		}
		for _, one := range a.list {
			if at == one.manifest.From {
				opened, err := openEntries(one.folder, one.manifest)
				if err != nil {
					return entryLine{}, fmt.Errorf("%w: %w", ErrNoArchive, err)
				}
				a.open = opened
			}
		}
	}
	if a.open == nil || a.open.at+1 != at {
		return entryLine{}, fmt.Errorf("position %d does not follow in the archives", at)
	}
	return a.open.next()
}

// end closes an archive that was read and compared to its end.
func (a *Archives) end() error {
	if a.open == nil {
		return nil
	}
	_, err := a.open.next()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	err = errors.Join(err, a.open.close())
	a.open = nil
	return err
}

// Close stops reading.
func (a *Archives) Close() error {
	if a == nil || a.open == nil {
		return nil
	}
	err := a.open.close()
	a.open = nil
	return err
}

// entry finds one entry, by reading its archive up to it.
func (a *Archives) entry(at eventstore.Position) (rec eventstore.Recorded, err error) {
	for _, one := range a.list {
		if at < one.manifest.From || at > one.manifest.UpTo {
			continue
		}
		r, err := openEntries(one.folder, one.manifest)
		if err != nil {
			return rec, fmt.Errorf("%w: %w", ErrNoArchive, err)
		}
		defer r.close()
		for {
			line, err := r.next()
			if err != nil {
				return rec, err
			}
			if line.Position == at {
				return eventstore.Decode(line.Entry)
			}
		}
	}
	return rec, fmt.Errorf("position %d is in no archive", at)
}

// FullLog is a log together with its archives, for readers that start from the
// beginning.
type FullLog struct {
	*eventstore.Store
	Archives *Archives // nil: archived entries cannot be read
	Sums     *Sums     // by which the past is found without reading all of the log; nil: none are kept
}

// scanPage is how many archived entries make a page.
const scanPage = 1000

// Scan is Store.Scan, starting in the archives where the position is archived.
func (w FullLog) Scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	if w.Archives != nil {
		var err error
		if at, err = w.Archives.scan(ctx, at, fn); err != nil {
			return err
		}
	}
	return w.Store.Scan(ctx, at, fn)
}

// scan gives fn the archived entries behind a position, and returns the position behind which
// the log goes on.
func (a *Archives) scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) (eventstore.Position, error) {
	for _, one := range a.list {
		if at < one.UpTo {
			if err := one.scan(ctx, at, fn); err != nil {
				return at, err
			}
			at = one.UpTo
		}
	}
	return at, nil
}

// errPage ends a scan whose page is full.
var errPage = errors.New("page is full")

// After is Store.After, including archived entries. It reads an archive up to the
// position.
func (w FullLog) After(ctx context.Context, at eventstore.Position, limit int) ([]eventstore.Recorded, error) {
	list, err := w.Store.After(ctx, at, limit)
	if w.Archives == nil || !errors.Is(err, eventstore.ErrArchived) {
		return list, err
	}
	err = w.Scan(ctx, at, func(page []eventstore.Recorded) error {
		list = append(list, page[:min(len(page), limit-len(list))]...)
		if len(list) == limit {
			return errPage
		}
		return nil
	})
	if errors.Is(err, errPage) {
		err = nil
	}
	return list, err
}

func (a archived) scan(ctx context.Context, at eventstore.Position, fn func([]eventstore.Recorded) error) error {
	r, err := openEntries(a.folder, a.manifest)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoArchive, err)
	}
	defer r.close()
	var page []eventstore.Recorded
	give := func() error {
		full := page
		page = nil
		if len(full) == 0 {
			return nil
		}
		return errors.Join(ctx.Err(), fn(full))
	}
	for {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return give()
		}
		if err != nil {
			return err
		}
		if line.Position <= at {
			continue
		}
		rec, err := eventstore.Decode(line.Entry)
		if err != nil {
			return err
		}
		if page = append(page, rec); len(page) == scanPage {
			if err := give(); err != nil {
				return err
			}
		}
	}
}
