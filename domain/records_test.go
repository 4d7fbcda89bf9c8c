package domain_test

import (
	"strings"
	"testing"

	"kassa/domain"
)

var (
	aDigest  = strings.Repeat("0a", 32)
	attested = domain.ViewsAttested{Program: "v1", Views: []domain.AttestedView{
		{View: "balances_v2", Position: 7, State: aDigest}, {View: "trial_v2", Position: 9, State: aDigest}}}
	recorded = domain.CatalogueRecorded{Catalogue: "0123456789ab", Revision: 7, Films: 608, Vectors: 1216, Root: aDigest}
	verified = domain.LedgerVerified{By: "olga", Program: "v1", Position: 9, Root: aDigest}
	faulty   = domain.LedgerVerified{By: "olga", Program: "v1", Position: 9, Root: aDigest, Faults: 2, First: "view_differs"}

	samplesOfRecords = []domain.Event{attested, recorded, verified, faulty}
)

// What the house records at position 10.
func TestRecords(t *testing.T) {
	for name, err := range map[string]error{
		"views": attested.Check(10), "a catalogue": recorded.Check(), "a verification": verified.Check(10), "a verification with faults": faulty.Check(10),
		"an empty catalogue": domain.CatalogueRecorded{Root: aDigest}.Check(),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if attested.Upto() != 9 {
		t.Errorf("the views are attested up to %d", attested.Upto())
	}
	views := func(change func(*domain.ViewsAttested)) error {
		e := domain.ViewsAttested{Program: "v1", Views: append([]domain.AttestedView{}, attested.Views...)}
		change(&e)
		return e.Check(10)
	}
	verification := func(change func(*domain.LedgerVerified)) error {
		e := faulty
		change(&e)
		return e.Check(10)
	}
	for name, err := range map[string]error{
		"no view":                      views(func(e *domain.ViewsAttested) { e.Views = nil }),
		"a view twice":                 views(func(e *domain.ViewsAttested) { e.Views[1].View = "balances_v2" }),
		"views out of order":           views(func(e *domain.ViewsAttested) { e.Views[1].View = "a" }),
		"a view without a name":        views(func(e *domain.ViewsAttested) { e.Views[0].View = "" }),
		"a view of the entry itself":   views(func(e *domain.ViewsAttested) { e.Views[0].Position = 10 }),
		"a view of nothing":            views(func(e *domain.ViewsAttested) { e.Views[0].Position = 0 }),
		"a state that is none":         views(func(e *domain.ViewsAttested) { e.Views[0].State = strings.Repeat("0A", 32) }),
		"fewer films than none":        domain.CatalogueRecorded{Films: -1, Root: aDigest}.Check(),
		"fewer vectors than none":      domain.CatalogueRecorded{Vectors: -1, Root: aDigest}.Check(),
		"fewer changes than none":      domain.CatalogueRecorded{Revision: -1, Root: aDigest}.Check(),
		"no root of the catalogue":     domain.CatalogueRecorded{}.Check(),
		"nobody verified":              verification(func(e *domain.LedgerVerified) { e.By = "" }),
		"a long name":                  verification(func(e *domain.LedgerVerified) { e.By = strings.Repeat("o", domain.MaxOperatorName+1) }),
		"up to the entry itself":       verification(func(e *domain.LedgerVerified) { e.Position = 10 }),
		"nothing verified":             verification(func(e *domain.LedgerVerified) { e.Position = 0 }),
		"a root that is none":          verification(func(e *domain.LedgerVerified) { e.Root = "00" }),
		"a fault without a count":      verification(func(e *domain.LedgerVerified) { e.Faults = 0 }),
		"a count without a fault":      verification(func(e *domain.LedgerVerified) { e.First = "" }),
		"a count below zero, a fault":  verification(func(e *domain.LedgerVerified) { e.Faults = -1 }),
		"a count below zero, no fault": verification(func(e *domain.LedgerVerified) { e.Faults, e.First = -1, "" }),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
