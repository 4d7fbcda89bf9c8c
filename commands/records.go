package commands

import (
	"context"
	"fmt"
	"math"

	"kassa/domain"
	"kassa/eventstore"
)

// records are the last entries of the streams in which the house records what it serves.
type records struct {
	attested, catalogue, verified folded[eventstore.Recorded]
}

func (r *records) of(stream eventstore.Stream) *folded[eventstore.Recorded] {
	switch stream {
	case eventstore.AttestationsStream:
		return &r.attested
	case eventstore.CatalogueStream:
		return &r.catalogue
	case eventstore.VerificationsStream:
		return &r.verified
	}
	panic(string(stream) + " is no stream of records")
}

// LastRecord gives the last entry of such a stream, as the log has it; its version is 0 where
// there is none.
func (h *Handler) LastRecord(ctx context.Context, stream eventstore.Stream) (last eventstore.Recorded, err error) {
	err = h.records.of(stream).read(ctx, h.Store, stream, func(last *eventstore.Recorded, rec eventstore.Recorded) error {
		*last = rec
		return nil
	}, func(rec eventstore.Recorded, _ eventstore.Version) { last = rec })
	if err != nil {
		return last, fmt.Errorf("read the last record: %w", err)
	}
	return last, nil
}

// Attester writes what the service records of itself.
const Attester = "system:attester"

// AttestViews records what the served views were, as the next version behind the last record
// that was seen before they were read. ErrConflict: another process recorded meanwhile.
func (h *Handler) AttestViews(ctx context.Context, seen eventstore.Version, e domain.ViewsAttested) (eventstore.Position, error) {
	head, err := h.Store.Head(ctx)
	if err == nil {
		err = e.Check(int64(head.Size) + 1)
	}
	if err != nil {
		return 0, fmt.Errorf("attest the views: %w", err)
	}
	return h.record(ctx, eventstore.AttestationsStream, seen, eventstore.Position(e.Upto()), e)
}

// RecordCatalogue records the films, behind the newest entry that was there when they were read,
// and otherwise as AttestViews does.
func (h *Handler) RecordCatalogue(ctx context.Context, seen eventstore.Version, behind eventstore.Position, e domain.CatalogueRecorded) (eventstore.Position, error) {
	if err := e.Check(); err != nil {
		return 0, fmt.Errorf("record the catalogue: %w", err)
	}
	return h.record(ctx, eventstore.CatalogueStream, seen, behind, e)
}

// RecordVerification records that the operator verified the ledger.
func (h *Handler) RecordVerification(ctx context.Context, e domain.LedgerVerified) (eventstore.Position, error) {
	if err := e.Check(math.MaxInt64); err != nil {
		return 0, err
	}
	command, end, err := h.begin(Operator, "", "verified")
	if err != nil {
		return 0, err
	}
	defer end()
	r, err := untilSettled(ctx, func(bool) outcome {
		last, err := h.LastRecord(ctx, eventstore.VerificationsStream)
		if err != nil {
			return outcomeOf(eventstore.Receipt{}, err)
		}
		r, err := h.Store.Append(ctx, eventstore.Append{Time: h.Now(), Actor: Operator, Cause: command.Cause(),
			Writes: []eventstore.Write{{Stream: eventstore.VerificationsStream, Expected: last.Version, Events: []domain.Event{e}}}})
		return outcomeOf(r, err)
	})
	return r.Position(), err
}

// record is one try: the process that leads comes back to it. One that no longer leads does not
// write behind the record of its successor.
func (h *Handler) record(ctx context.Context, stream eventstore.Stream, seen eventstore.Version, cause eventstore.Position, e domain.Event) (eventstore.Position, error) {
	r, err := h.Store.Append(ctx, eventstore.Append{Time: h.Now(), Actor: Attester, Cause: eventstore.ByPosition(cause),
		Writes: []eventstore.Write{{Stream: stream, Expected: seen, Events: []domain.Event{e}}}})
	if err != nil {
		return 0, fmt.Errorf("record %s: %w", e.Type(), err)
	}
	return r.Position(), nil
}
