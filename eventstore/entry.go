package eventstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"kassa/domain"
)

// MaxEntry is the size limit of one stored entry, in bytes.
const MaxEntry = 32 << 10

// Earliest is a time before which nothing can have happened: such a time comes
// from a missing field or a broken clock.
var Earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Position is the place of an entry in the whole log, from 1.
type Position int64

// Version is the place of an entry in its stream, from 1. Zero is an empty stream.
type Version int64

// Stream names a sequence of entries that are decided upon together.
type Stream string

// AccountStream is the stream of a person's account.
func AccountStream(u domain.UserID) Stream { return Stream(accountPrefix + string(u)) }

// EmailStream is the stream of an e-mail's keyed hash; its first version belongs
// to the account of that e-mail.
func EmailStream(hash string) Stream { return Stream(emailPrefix + hash) }

// PaymentStream is the stream of a provider's payment that came in, PayoutStream of one
// that went out, which the provider may call the same. Its first version belongs to the
// append that books it.
func PaymentStream(provider, payment string) Stream {
	return Stream(paymentPrefix + provider + "/" + payment)
}

// PayoutStream: see PaymentStream.
func PayoutStream(provider, payment string) Stream {
	return Stream(payoutPrefix + provider + "/" + payment)
}

// MoveInStream is the house's stream of what was accepted to be moved in.
const MoveInStream Stream = housePrefix + "move-in"

// PricesStream is the house's stream of prices.
const PricesStream Stream = housePrefix + "prices"

// PeriodsStream is the house's stream of closed periods.
const PeriodsStream Stream = housePrefix + "periods"

// AttestationsStream is the house's stream of what its views were.
const AttestationsStream Stream = housePrefix + "attestations"

// CatalogueStream is the house's stream of the catalogues that answers were found in.
const CatalogueStream Stream = housePrefix + "catalogue"

// VerificationsStream is the house's stream of when the operator verified the ledger.
const VerificationsStream Stream = housePrefix + "verifications"

// AdjustmentsStream is the house's stream in which admins' adjustments are limited, proposed and decided, if they
// are limited: one stream, so that of two decisions at once one is decided again.
const AdjustmentsStream Stream = housePrefix + "adjustments"

const (
	accountPrefix = "account-"
	emailPrefix   = "email-"
	paymentPrefix = "payment-"
	payoutPrefix  = "payout-"
	housePrefix   = "house-" // of streams of no person; their entries are few, and stay in the database
)

// User gives the person whose account stream this is.
func (s Stream) User() (domain.UserID, bool) {
	id, ok := strings.CutPrefix(string(s), accountPrefix)
	return domain.UserID(id), ok
}

// OfEmail reports whether this is the stream of an e-mail's hash.
func (s Stream) OfEmail() bool { return strings.HasPrefix(string(s), emailPrefix) }

// OfPayment reports whether this is the stream of a payment, in or out.
func (s Stream) OfPayment() bool {
	return strings.HasPrefix(string(s), paymentPrefix) || strings.HasPrefix(string(s), payoutPrefix)
}

// Cause is why an entry was appended: by a client's command or by an earlier
// entry.
type Cause string

// ByPosition is the cause of an entry that follows from another.
func ByPosition(p Position) Cause { return Cause("position:" + strconv.FormatInt(int64(p), 10)) }

// Command identifies a request. ID is derived from the actor and their
// Idempotency-Key (or random, where there is none), Content from the request.
// Neither may hold a colon.
type Command struct{ ID, Content string }

// Cause gives the command as a cause.
func (c Command) Cause() Cause { return Cause("command:" + c.ID + ":" + c.Content) }

// Command gives the command back, ok false where the cause is another.
func (c Cause) Command() (Command, bool) {
	rest, ok := strings.CutPrefix(string(c), "command:")
	if !ok {
		return Command{}, false
	}
	id, content, ok := strings.Cut(rest, ":")
	return Command{id, content}, ok && id != ""
}

// Position gives the entry that the cause names, ok false where it is another. A
// position has one spelling.
func (c Cause) Position() (at Position, ok bool) {
	digits, ok := strings.CutPrefix(string(c), "position:")
	n, err := strconv.ParseInt(digits, 10, 64)
	at = Position(n)
	return at, ok && err == nil && at >= 1 && ByPosition(at) == c
}

// Envelope is everything in an entry but its event's payload.
type Envelope struct {
	Position Position
	Stream   Stream
	Version  Version
	Type     domain.EventType
	Schema   int       // version of the payload's shape
	Time     time.Time // UTC, whole microseconds
	Actor    string    // "user:<id>", "operator", "system:<part>"
	Cause    Cause
}

// Continues reports whether the entry may have been appended together with the one before
// it: what all entries of an append have in common is equal.
func (e Envelope) Continues(before Envelope) bool {
	return before.Position > 0 && before.Cause == e.Cause && before.Actor == e.Actor && before.Time.Equal(e.Time)
}

// Recorded is a stored entry, read back.
type Recorded struct {
	Envelope
	Event domain.Event
	Entry []byte // the bytes as stored and hashed
}

// entryFormat is the first byte of every entry.
const entryFormat = 1

// ErrBadEntry wraps every finding of DecodeEntry: these bytes were not written
// by EncodeEntry.
var ErrBadEntry = errors.New("eventstore: malformed entry")

// EncodeEntry gives the bytes of an entry: the format byte, then position,
// version, schema and time (microseconds of the Unix epoch) as unsigned
// varints, then stream, type, actor, cause and payload, each behind its length.
// The bytes of an entry have one meaning, and a meaning has one spelling.
func EncodeEntry(e Envelope, payload []byte) []byte {
	b := make([]byte, 0, 40+len(e.Stream)+len(e.Type)+len(e.Actor)+len(e.Cause)+len(payload))
	b = append(b, entryFormat)
	b = binary.AppendUvarint(b, uint64(e.Position))
	b = binary.AppendUvarint(b, uint64(e.Version))
	b = binary.AppendUvarint(b, uint64(e.Schema))
	b = binary.AppendUvarint(b, uint64(e.Time.UnixMicro()))
	for _, s := range [...]string{string(e.Stream), string(e.Type), e.Actor, string(e.Cause)} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(len(payload)))
	return append(b, payload...)
}

// DecodeEntry takes an entry apart. The payload shares the entry's memory.
// Errors wrap ErrBadEntry, or ErrNewer for a format that came after this program.
func DecodeEntry(entry []byte) (Envelope, []byte, error) {
	if len(entry) > MaxEntry {
		return Envelope{}, nil, fmt.Errorf("%w: %d bytes", ErrBadEntry, len(entry))
	}
	if len(entry) > 0 && entry[0] > entryFormat {
		return Envelope{}, nil, fmt.Errorf("%w: an entry has the format %d", ErrNewer, entry[0])
	}
	if len(entry) == 0 || entry[0] != entryFormat {
		return Envelope{}, nil, fmt.Errorf("%w: unknown format", ErrBadEntry)
	}
	r := entryReader{rest: entry[1:]}
	e := Envelope{
		Position: Position(r.number()),
		Version:  Version(r.number()),
		Schema:   int(r.number()),
		Time:     time.UnixMicro(int64(r.number())).UTC(),
		Stream:   Stream(r.bytes()),
		Type:     domain.EventType(r.bytes()),
		Actor:    string(r.bytes()),
		Cause:    Cause(r.bytes()),
	}
	payload := r.bytes()
	if r.bad || len(r.rest) > 0 || e.Position < 1 || e.Version < 1 {
		return Envelope{}, nil, fmt.Errorf("%w: cut short, too long or out of range", ErrBadEntry)
	}
	// Varints can be padded with zeros; one spelling only keeps the hash honest.
	if !bytes.Equal(EncodeEntry(e, payload), entry) {
		return Envelope{}, nil, fmt.Errorf("%w: not in its one spelling", ErrBadEntry)
	}
	return e, payload, nil
}

type entryReader struct {
	rest []byte
	bad  bool
}

func (r *entryReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt64 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *entryReader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// Decode reads an entry with its event. Errors wrap ErrBadEntry, or ErrNewer where
// this program does not know the event's type or version.
func Decode(entry []byte) (Recorded, error) {
	env, payload, err := DecodeEntry(entry)
	if err != nil {
		return Recorded{}, err
	}
	event, err := domain.Decode(env.Type, env.Schema, payload)
	if errors.Is(err, domain.ErrUnknownEvent) {
		return Recorded{}, fmt.Errorf("%w: entry at position %d: %w", ErrNewer, env.Position, err)
	}
	if err != nil {
		return Recorded{}, fmt.Errorf("entry at position %d: %w", env.Position, err)
	}
	return Recorded{Envelope: env, Event: event, Entry: entry}, nil
}
