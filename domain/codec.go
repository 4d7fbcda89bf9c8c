package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
)

// readers has, for each type of event, a reader of every version of its payload, from
// version 1 to the one that Encode writes. When a payload changes its shape, its type
// gets another reader, the one before learns to upcast, and schema/events and the
// golden log get both.
var readers = map[EventType][]func(payload []byte) (Event, error){
	TypeEmailClaimed:        {decode[EmailClaimed]},
	TypePaymentClaimed:      {decode[PaymentClaimed]},
	TypeSignedUp:            {decode[SignedUp]},
	TypeBonusGranted:        {undivided[BonusGranted], decode[BonusGranted]},
	TypeDeposited:           {undivided[Deposited], decode[Deposited]},
	TypeWithdrawn:           {undivided[Withdrawn], decode[Withdrawn]},
	TypePredictionRequested: {undivided[PredictionRequested], decode[PredictionRequested]},
	TypePredictionCompleted: {undivided[PredictionCompleted], decode[PredictionCompleted]},
	TypePredictionFailed:    {undivided[PredictionFailed], decode[PredictionFailed]},
	TypePredictionExpired:   {undivided[PredictionExpired], decode[PredictionExpired]},
	TypeBalanceAdjusted:     {undivided[BalanceAdjusted], decode[BalanceAdjusted]},
	TypeAdminGranted:        {decode[AdminGranted]},
	TypeAdminRevoked:        {decode[AdminRevoked]},
}

// EventTypes are all kinds of events that this program knows, sorted.
func EventTypes() []EventType { return slices.Sorted(maps.Keys(readers)) }

// Version is that of the payload which Encode writes, 1 for a type that is not known
// to this program.
func (t EventType) Version() int { return max(1, len(readers[t])) }

// ErrUnknownEvent: the type, or the version of its payload, is not known to this
// program. A newer one has written it, unless somebody has forged it.
var ErrUnknownEvent = errors.New("event is not known to this program")

// Encode gives the payload of an event: JSON, as schema/events describes it.
func Encode(e Event) ([]byte, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type(), err)
	}
	return payload, nil
}

// Decode reads a stored payload back, and upcasts old versions. A type or a
// version that this program does not know is ErrUnknownEvent: a reader that skipped
// a fact would show a wrong balance.
func Decode(t EventType, version int, payload []byte) (Event, error) {
	known := readers[t]
	switch {
	case known == nil:
		return nil, fmt.Errorf("%w: type %q", ErrUnknownEvent, t)
	case version < 1 || version > len(known):
		return nil, fmt.Errorf("%w: %s of schema version %d", ErrUnknownEvent, t, version)
	}
	return known[version-1](payload)
}

// undivided reads version 1 of an event that moves money: there was one book then.
func undivided[E Event, P interface {
	*E
	markUndivided()
}](payload []byte) (Event, error) {
	read, err := decode[E](payload)
	if err != nil {
		return nil, err
	}
	e := read.(E)
	P(&e).markUndivided()
	return e, nil
}

func decode[E Event](payload []byte) (Event, error) {
	var e E
	// The second version of encoding/json, ahead of its release: a fifth of the time,
	// which is most of a replay, and it refuses double and miscased names.
	if err := jsonv2.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Type(), err)
	}
	return e, nil
}
