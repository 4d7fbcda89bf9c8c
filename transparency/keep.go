package transparency

import (
	"context"
	"errors"
	"fmt"
)

// ErrOneIsGone means that a signed head is kept in the database and not in the file, or the
// other way round. Nothing was signed: the log may be an older one.
var ErrOneIsGone = errors.New("the last signed head is kept in one of two places only: see kassa head keep")

// oneIsGone reports whether one of two places lost its head. In the first moment of a log
// both have none.
func (s *Signer) oneIsGone(last, outside Checkpoint) error {
	switch {
	case s.File == "" || (last.Note == nil) == (outside.Note == nil):
		return nil
	case outside.Note == nil:
		return fmt.Errorf("%w: the database has one of size %d, and %s is not there", ErrOneIsGone, last.Head.Size, s.File)
	default:
		return fmt.Errorf("%w: %s has one of size %d, and the database has none", ErrOneIsGone, s.File, outside.Head.Size)
	}
}

// Keep writes the last signed head to the one of the two places that has none, the file or
// the database: an operator has looked, and says that this is right. The log must continue
// it. Errors are those of Sign.
func (s *Signer) Keep(ctx context.Context) (Checkpoint, error) {
	last, _, err := s.last(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	outside, err := s.outside()
	if err != nil {
		return Checkpoint{}, err
	}
	newest := last
	if outside.Head.Size > last.Head.Size {
		newest = outside
	}
	if newest.Note == nil {
		return Checkpoint{}, errors.New("no head of this log was signed yet: there is none to keep")
	}
	head, err := s.Log.Head(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, kept := range []Checkpoint{last, outside} {
		if err := s.extends(ctx, head, kept); err != nil {
			return Checkpoint{}, err
		}
	}
	return newest, s.keep(ctx, last, outside, newest)
}
