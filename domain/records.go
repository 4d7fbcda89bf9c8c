package domain

import (
	"errors"
	"fmt"
	"strings"
)

// What the house records of itself: what it serves, which films it answers from, and that
// somebody verified the ledger. Each kind has a stream of its own and is of no person.

// ViewsAttested states what the served views were, each at a position of its own. A replay
// of the log up to there must come to the same state.
type ViewsAttested struct {
	Program string         `json:"program"` // the version of the program that read them
	Views   []AttestedView `json:"views"`   // in the order of their names
}

// AttestedView is one view.
type AttestedView struct {
	View     string `json:"view"` // its name, with the version of its form, such as balances_v2
	Position int64  `json:"position"`
	State    string `json:"state"` // hash of its rows, in hexadecimal; see docs/format.md
}

// CatalogueRecorded states which films, with which vectors, answers are found among from
// here on.
type CatalogueRecorded struct {
	Catalogue string `json:"catalogue_version"` // as answers name it
	Revision  int64  `json:"revision"`          // counts the changes of its tables
	Films     int    `json:"films"`
	Vectors   int    `json:"vectors"`
	Root      string `json:"root"` // hash over all of both, in hexadecimal; see docs/format.md
}

// LedgerVerified is the operator's record that they verified the ledger. It proves no more
// than that they say so.
type LedgerVerified struct {
	By       string `json:"by"`      // the operator's name
	Program  string `json:"program"` // the version of the program that verified it
	Position int64  `json:"position"`
	Root     string `json:"root"` // of the tree up to the position, in hexadecimal
	Faults   int    `json:"faults"`
	First    string `json:"first_fault,omitempty"` // the code of the first fault
}

func (ViewsAttested) Type() EventType     { return TypeViewsAttested }
func (CatalogueRecorded) Type() EventType { return TypeCatalogueRecorded }
func (LedgerVerified) Type() EventType    { return TypeLedgerVerified }

func (ViewsAttested) Subject() UserID     { return "" }
func (CatalogueRecorded) Subject() UserID { return "" }
func (LedgerVerified) Subject() UserID    { return "" }

// Upto is the greatest of the views' positions.
func (e ViewsAttested) Upto() (last int64) {
	for _, v := range e.Views {
		last = max(last, v.Position)
	}
	return last
}

// Check says why this cannot be what an entry at the position states.
func (e ViewsAttested) Check(at int64) error {
	if len(e.Views) == 0 {
		return errors.New("no view is attested")
	}
	before := ""
	for _, v := range e.Views {
		switch {
		case v.View <= before:
			return fmt.Errorf("the view %q is not in the order of names", v.View)
		case v.Position < 1 || v.Position >= at:
			return fmt.Errorf("the view %s is attested at position %d", v.View, v.Position)
		case !isDigest(v.State):
			return fmt.Errorf("the state of the view %s is no hash", v.View)
		}
		before = v.View
	}
	return nil
}

// Check says why this cannot be a catalogue.
func (e CatalogueRecorded) Check() error {
	switch {
	case e.Films < 0 || e.Vectors < 0 || e.Revision < 0:
		return fmt.Errorf("a catalogue of %d films and %d vectors, changed %d times", e.Films, e.Vectors, e.Revision)
	case !isDigest(e.Root):
		return errors.New("the root of the catalogue is no hash")
	}
	return nil
}

// MaxOperatorName bounds the name that an operator gives of themselves, in bytes.
const MaxOperatorName = 100

// Check says why this cannot be what an entry at the position records.
func (e LedgerVerified) Check(at int64) error {
	switch {
	case e.By == "" || len(e.By) > MaxOperatorName:
		return fmt.Errorf("who verified it is named by 1 to %d bytes", MaxOperatorName)
	case e.Position < 1 || e.Position >= at:
		return fmt.Errorf("the log is verified up to position %d", e.Position)
	case !isDigest(e.Root):
		return errors.New("the root is no hash")
	case e.Faults < 0 || (e.Faults > 0) != (e.First != ""):
		return errors.New("faults are counted, and the first is named")
	}
	return nil
}

// isDigest reports whether the text is a SHA-256 in hexadecimal.
func isDigest(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}
