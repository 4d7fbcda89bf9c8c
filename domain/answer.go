package domain

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of an answer's metadata.
const (
	MaxModelBytes     = 200
	MaxProcessingTime = 24 * 60 * 60 // seconds, as long as a question can be open
	MaxConfidence     = 1000         // per mille
)

// ErrAnswer means that the ledger does not store this answer of a worker. It is no
// refusal: no person asked for it.
var ErrAnswer = errors.New("not an answer that the ledger keeps")

// Known reports whether the reason is one of those above. A reason comes from a worker,
// and the log keeps it for ever.
func (r FailureReason) Known() bool {
	return slices.Contains([]FailureReason{FailedNoMeaning, FailedWorker, FailedErased, FailedNotFound}, r)
}

// ofText reports whether the question's own words are the reason, and no fault of the service.
func (r FailureReason) ofText() bool { return r == FailedNotFound || r == FailedNoMeaning }

// check refuses what is out of bounds. Its error does not quote the answer.
func (a Answer) check() error {
	if !isModelName(a.Model) {
		return fmt.Errorf("%w: a model's name has 1 to %d bytes of letters, digits, spaces and . _ -", ErrAnswer, MaxModelBytes)
	}
	if !(a.ProcessingTime >= 0 && a.ProcessingTime <= MaxProcessingTime) { // false for NaN too
		return fmt.Errorf("%w: the processing time must be from 0 to %d seconds", ErrAnswer, MaxProcessingTime)
	}
	if a.Confidence < 0 || a.Confidence > MaxConfidence || a.Confidence > 0 && len(a.Movies) == 0 {
		return fmt.Errorf("%w: the confidence must be from 0 to %d per mille, and 0 without a film", ErrAnswer, MaxConfidence)
	}
	return nil
}

// isModelName allows what a folder of a model can be called: letters and digits of any
// language, spaces, and . _ -
func isModelName(name string) bool {
	return name != "" && len(name) <= MaxModelBytes && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._- ", r)
		})
}
