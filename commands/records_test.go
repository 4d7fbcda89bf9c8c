package commands_test

import (
	"errors"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/eventstore"
)

// A process that no longer leads does not record behind its successor, and nothing is recorded
// at which verify would end.
func TestRecords(t *testing.T) {
	w := newFixture(t)
	w.person("ada")
	head, err := w.store.Head(t.Context())
	must(t, err)
	must(t, w.env.Memory.Wait(t.Context(), head.Size))
	views := domain.ViewsAttested{Program: "test", Views: w.env.Memory.States()}
	films := domain.CatalogueRecorded{Catalogue: "0123456789ab", Root: strings.Repeat("0c", 32)}

	ahead := domain.ViewsAttested{Program: "test", Views: []domain.AttestedView{{View: "balances_v2", Position: int64(head.Size) + 1, State: films.Root}}}
	for _, e := range []domain.ViewsAttested{ahead, {Program: "test"}} {
		if at, err := w.AttestViews(t.Context(), 0, e); err == nil {
			t.Errorf("%+v is recorded at position %d", e, at)
		}
	}
	if at, err := w.RecordCatalogue(t.Context(), 0, head.Size, domain.CatalogueRecorded{}); err == nil {
		t.Errorf("films without a root are recorded at position %d", at)
	}

	_, err = w.AttestViews(t.Context(), 0, views)
	must(t, err)
	if _, err := w.AttestViews(t.Context(), 0, views); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("views that were read before the last attestation gave %v", err)
	}
	_, err = w.RecordCatalogue(t.Context(), 0, head.Size, films)
	must(t, err)
	films.Revision++
	if _, err := w.RecordCatalogue(t.Context(), 0, head.Size, films); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("films that were read before the last record gave %v", err)
	}
	_, err = w.RecordCatalogue(t.Context(), 1, head.Size, films)
	must(t, err)
}
