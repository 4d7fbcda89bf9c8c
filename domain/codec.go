package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
)

// codecs has the codec of each type of event. When a payload changes its shape, its type
// gets another upcast: a function beside the type whose shape changed, from the version
// before. schema/events and the golden log get the new version too.
var codecs = map[EventType]codec{
	TypeEmailClaimed:        versions[EmailClaimed](),
	TypePaymentClaimed:      versions[PaymentClaimed](),
	TypeSignedUp:            versions[SignedUp](),
	TypeBonusGranted:        versions((*BonusGranted).fromVersion1),
	TypeDeposited:           versions((*Deposited).fromVersion1),
	TypeWithdrawn:           versions((*Withdrawn).fromVersion1),
	TypePredictionRequested: versions((*PredictionRequested).fromVersion1, (*PredictionRequested).fromVersion2),
	TypePredictionCompleted: versions((*PredictionCompleted).fromVersion1, (*PredictionCompleted).fromVersion2, asBefore[PredictionCompleted]),
	TypePredictionFailed:    versions((*PredictionFailed).fromVersion1, asBefore[PredictionFailed]),
	TypePredictionExpired:   versions((*PredictionExpired).fromVersion1, asBefore[PredictionExpired]),
	TypePredictionRefunded:  versions[PredictionRefunded](),
	TypePredictionConfirmed: versions[PredictionConfirmed](),
	TypeBalanceAdjusted:     versions((*BalanceAdjusted).fromVersion1),
	TypeAdminGranted:        versions[AdminGranted](),
	TypeAdminRevoked:        versions[AdminRevoked](),
	TypeRoleGranted:         versions[RoleGranted](),
	TypeRoleRevoked:         versions[RoleRevoked](),
	TypeAccountLocked:       versions[AccountLocked](),
	TypeAccountUnlocked:     versions[AccountUnlocked](),
	TypeErasureRequested:    versions[ErasureRequested](),
	TypeErasureCancelled:    versions(asBefore[ErasureCancelled]),
	TypeCreditsForfeited:    versions[CreditsForfeited](),
	TypePersonalDataErased:  versions[PersonalDataErased](),
	TypeMoveInAccepted:      versions[MoveInAccepted](),
	TypeBalanceMovedIn:      versions[BalanceMovedIn](),
	TypePriceSet:            versions[PriceSet](),
	TypePeriodClosed:        versions[PeriodClosed](),
	TypeAdjustmentLimitsSet: versions[AdjustmentLimitsSet](),
	TypeAdjustmentCounted:   versions[AdjustmentCounted](),
	TypeAdjustmentProposed:  versions[AdjustmentProposed](),
	TypeAdjustmentApproved:  versions[AdjustmentApproved](),
	TypeAdjustmentRejected:  versions[AdjustmentRejected](),
	TypeAdjustmentExpired:   versions[AdjustmentExpired](),
	TypeViewsAttested:       versions[ViewsAttested](),
	TypeCatalogueRecorded:   versions[CatalogueRecorded](),
	TypeLedgerVerified:      versions[LedgerVerified](),
}

// codec reads the payloads of one type of event.
type codec struct {
	version int // the newest
	decode  func(version int, payload []byte) (Event, error)
}

// versions is the codec of a type with one version more than it has upcasts: upcasts[i]
// gives an event of version i+1 the meaning that it has in version i+2.
func versions[E Event](upcasts ...func(*E)) codec {
	return codec{version: len(upcasts) + 1, decode: func(version int, payload []byte) (Event, error) {
		var e E
		// The second version of encoding/json, ahead of its release: a fifth of the time,
		// which is most of a replay, and it refuses double and miscased names.
		if err := jsonv2.Unmarshal(payload, &e); err != nil {
			return nil, fmt.Errorf("decode %s: %w", e.Type(), err)
		}
		for _, upcast := range upcasts[version-1:] {
			upcast(&e)
		}
		return e, nil
	}}
}

// EventTypes are all types of events that this program knows, sorted.
func EventTypes() []EventType { return slices.Sorted(maps.Keys(codecs)) }

// asBefore is an upcast from a version whose payloads mean the same in the next one.
func asBefore[E Event](*E) {}

// Version is the newest of the type's payload, 1 for a type that is not known to this
// program.
func (t EventType) Version() int { return max(1, codecs[t].version) }

// VersionOf is that of the payload which Encode writes: the oldest that has all of the event.
// Only a follow-up needs the newest version of a charge, and only an admin that of the end of
// an erasure, so a log without one is read by programs of before.
func VersionOf(e Event) int {
	newest := e.Type().Version()
	if c, ok := e.(ErasureCancelled); ok && c.Admin == "" {
		return newest - 1
	}
	if c, ok := e.(charge); ok && c.charged() > 0 {
		return newest - 1
	}
	return newest
}

// ErrUnknownEvent: the type, or the version of its payload, is not known to this
// program. A newer one has written it, or it is forged.
var ErrUnknownEvent = errors.New("event is not known to this program")

// Encode gives the payload of an event: JSON, as schema/events describes it.
func Encode(e Event) ([]byte, error) {
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type(), err)
	}
	return payload, nil
}

// Decode reads a stored payload, and upcasts old versions. A type or a version that this
// program does not know is ErrUnknownEvent: a reader that skipped a fact would show a
// wrong balance.
func Decode(t EventType, version int, payload []byte) (Event, error) {
	c, ok := codecs[t]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: type %q", ErrUnknownEvent, t)
	case version < 1 || version > c.version:
		return nil, fmt.Errorf("%w: %s of schema version %d", ErrUnknownEvent, t, version)
	}
	return c.decode(version, payload)
}
