package transparency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kassa/eventstore"
)

var (
	// ErrNotExtended means that the log does not begin with all entries of a head that was
	// signed: it was restored from an old backup, or rewritten. Nothing was signed.
	ErrNotExtended = errors.New("the log does not continue a head that was signed")
	// ErrForeign means that a kept head was not signed by any of the keys. Nothing was
	// signed.
	ErrForeign = errors.New("the head that was kept is not signed by these keys")
	// errRaced: another process has signed meanwhile.
	errRaced = errors.New("another process has signed a head meanwhile")
)

// Signer signs heads of a log, each an extension of the one before.
type Signer struct {
	Log   *eventstore.Store
	Heads Heads
	Keys  Keys
	File  string // outside the database, for the last signed head too; "" for none
}

// Sign signs the head of the log if it has grown, and returns the last signed head; its
// Note is nil for an empty log.
//
// What is returned can be published: it is in the database, and before that it was in the
// file. So after a crash between the two the file is ahead of the database, and the log
// still continues both. Errors wrap ErrNotExtended, ErrForeign or ErrOneIsGone where signing
// must stop until a person has looked.
func (s *Signer) Sign(ctx context.Context) (Checkpoint, error) {
	last, current, err := s.last(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	outside, err := s.outside()
	if err != nil {
		return Checkpoint{}, err
	}
	if err := s.oneIsGone(last, outside); err != nil {
		return Checkpoint{}, err
	}
	head, err := s.Log.Head(ctx) // after the signed ones, which it must continue
	if err != nil {
		return Checkpoint{}, err
	}
	for _, kept := range []Checkpoint{last, outside} {
		if err := s.extends(ctx, head, kept); err != nil {
			return Checkpoint{}, err
		}
	}
	if head.Size == 0 {
		return Checkpoint{}, nil
	}
	next := last
	if last.Head != head || current < len(s.Keys.signers) {
		if next, err = s.Keys.sign(Checkpoint{Origin: s.Keys.Name(), Head: head}); err != nil {
			return Checkpoint{}, err
		}
	}
	return next, s.keep(ctx, last, outside, next)
}

// Continues checks that the log begins with all entries of the last signed head, in the
// database and in the file. It signs nothing. The error wraps ErrNotExtended or ErrForeign
// where a log was restored from an older backup, or is another one.
func (s *Signer) Continues(ctx context.Context) error {
	last, _, err := s.last(ctx)
	if err != nil {
		return err
	}
	outside, err := s.outside()
	if err != nil {
		return err
	}
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.extends(ctx, head, last), s.extends(ctx, head, outside))
}

// last reads the signed head of the database, and how many signatures of current keys it
// has.
func (s *Signer) last(ctx context.Context) (c Checkpoint, current int, err error) {
	c, err = s.Heads.Last(ctx)
	if err != nil || c.Note == nil {
		return Checkpoint{}, 0, err
	}
	if c, current, err = s.Keys.open(c.Note); err != nil {
		return Checkpoint{}, 0, fmt.Errorf("%w: in the database (%w)", ErrForeign, err)
	}
	return c, current, nil
}

// outside reads the signed head of the file; its Note is nil where there is none.
func (s *Signer) outside() (Checkpoint, error) {
	if s.File == "" {
		return Checkpoint{}, nil
	}
	signed, err := os.ReadFile(s.File)
	if errors.Is(err, os.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read the signed head that is kept outside the database: %w", err)
	}
	c, _, err := s.Keys.open(signed)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: in %s (%w)", ErrForeign, s.File, err)
	}
	return c, nil
}

func (s *Signer) extends(ctx context.Context, head eventstore.Head, kept Checkpoint) error {
	if kept.Note == nil {
		return nil
	}
	switch err := s.Log.Extends(ctx, head, kept.Head); {
	case errors.Is(err, eventstore.ErrDiverged):
		return fmt.Errorf("%w: the head %d:%s was signed, and the log has %d:%s. It was restored from an older backup, or rewritten; nothing more is signed until that is explained",
			ErrNotExtended, kept.Head.Size, kept.Head.Root, head.Size, head.Root)
	case err != nil:
		return fmt.Errorf("prove that the log continues the head that was signed: %w", err)
	}
	return nil
}

// keep writes the file first, then the database, from which it is published.
func (s *Signer) keep(ctx context.Context, last, outside, next Checkpoint) error {
	if s.File != "" && !bytes.Equal(outside.Note, next.Note) {
		if err := WriteWhole(s.File, next.Note); err != nil {
			return fmt.Errorf("keep the signed head outside the database: %w", err)
		}
	}
	if bytes.Equal(last.Note, next.Note) {
		return nil
	}
	ok, err := s.Heads.table.replace(ctx, last.Note, next)
	if err == nil && !ok {
		err = errRaced
	}
	if err != nil {
		return fmt.Errorf("keep the signed head of size %d: %w", next.Head.Size, err)
	}
	return nil
}

// WriteWhole replaces a file, whole or not at all; after it has returned, a crash of the
// machine does not bring the old text back. A new file is for its owner only.
func WriteWhole(path string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path)) // the rename is in the folder
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
