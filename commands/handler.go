// Package commands is the one road to the ledger: load the account, decide,
// append. A command appends and does nothing else; what follows from its events
// (publishing, embedding, the views) follows the log.
package commands

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"

	"kassa/domain"
	"kassa/eventstore"
)

// Log is what commands need of the event store.
type Log interface {
	Account(ctx context.Context, u domain.UserID) (eventstore.Loaded, error)
	Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error)
	Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error)
	Done(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error)
	Stream(ctx context.Context, s eventstore.Stream, after eventstore.Version, limit int) ([]eventstore.Recorded, error)
}

// People is what commands need of the vault.
type People interface {
	CheckPassword(password, email string) error
	Enroll(ctx context.Context, u domain.UserID, password string) error
	Verify(ctx context.Context, u domain.UserID, password string) (bool, error)
	EmailHash(normalized string) string
	SealEmail(ctx context.Context, u domain.UserID, email string) (domain.Sealed, error)
	SealText(ctx context.Context, u domain.UserID, p domain.PredictionID, text string) (domain.Sealed, error)
	Fingerprint(ctx context.Context, u domain.UserID, content string) (string, error)
}

// Handler carries out commands. All fields but the last group are required; it is
// safe for concurrent use and must not be copied.
type Handler struct {
	Log      Log
	People   People
	Payments Payments
	Now      func() time.Time

	Price      domain.Credits // of one prediction
	Bonus      domain.Credits // for a new account, 0 for none
	HoldExpiry time.Duration  // from the request of a prediction to its expiry

	inFlight sync.Map // ids of client commands that run in this process
	turns    turns
	claims   *lru.Cache[string, domain.UserID] // whose an e-mail is, by its hash
	ready    sync.Once
}

// claimsKept bounds the e-mails that are remembered, some two hundred bytes each.
const claimsKept = 100_000

// prepare makes what the zero value lacks.
func (h *Handler) prepare() {
	var err error
	if h.claims, err = lru.New[string, domain.UserID](claimsKept); err != nil {
		panic(err) // the size is a constant above zero
	}
}

// Result is what a command came to.
type Result struct {
	Position  eventstore.Position // of its last event; with the leaf hash, the receipt
	Leaf      eventstore.Hash
	Available domain.Credits
	Held      domain.Credits
	Given     domain.Credits // how many of the available ones are given
	Replayed  bool           // the same command was done before, and this is the answer of then
}

// result reads the answer from the events alone, so that a replay gives the same.
func result(r eventstore.Receipt) Result {
	out := Result{Position: r.Position(), Leaf: r.Leaf(), Replayed: r.Replayed}
	for _, rec := range r.Events {
		if m, ok := rec.Event.(domain.Mover); ok {
			out.Available, out.Held, out.Given = m.Moved().Available, m.Moved().Held, m.Moved().Given
		}
	}
	return out
}

// intent is one command on its way.
type intent struct {
	actor string
	cause eventstore.Cause
	user  domain.UserID // whose account changes
	// claim is written in the same append: what can be claimed once only. Nil: nothing.
	claim []eventstore.Write
	// guard reads, before each decision, the versions of other streams that it
	// rests on; the append fails where one has moved. Nil: none.
	guard func(context.Context) ([]eventstore.Write, error)
}

// change loads the account, decides, and appends; again, where another writer was
// faster. A decision of no events gives an empty receipt: it was done already.
//
// An account that came from memory may be behind another process. An approval on
// it is safe, since its append would conflict; a refusal, or that there is nothing
// left to do, is only believed after a fresh read.
func (h *Handler) change(ctx context.Context, in intent, decide func(domain.Account) ([]domain.Event, error)) (eventstore.Receipt, error) {
	leave, err := h.turns.take(ctx, in.user)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	defer leave()
	load := h.Log.Account
	return untilKnown(ctx, func() (eventstore.Receipt, error) {
		l, err := load(ctx, in.user)
		if err != nil {
			return eventstore.Receipt{}, fmt.Errorf("load account %s: %w", in.user, err)
		}
		load = h.Log.Refresh
		var guard []eventstore.Write
		if in.guard != nil {
			if guard, err = in.guard(ctx); err != nil {
				return eventstore.Receipt{}, fmt.Errorf("read what the change of account %s rests on: %w", in.user, err)
			}
		}
		events, err := decide(l.Account)
		switch refused := domain.RefusalIn(err) != nil; {
		case err != nil && !refused:
			return eventstore.Receipt{}, err
		case (refused || len(events) == 0) && !l.Fresh:
			return eventstore.Receipt{}, errStale
		case refused:
			return h.orDone(ctx, in, err)
		case len(events) == 0:
			return eventstore.Receipt{}, nil
		}
		writes := slices.Concat(guard, in.claim,
			[]eventstore.Write{{Stream: eventstore.AccountStream(in.user), Expected: l.Version, Events: events}})
		r, err := h.Log.Append(ctx, eventstore.Append{Time: h.Now(), Actor: in.actor, Cause: in.cause, Writes: writes})
		switch {
		case errors.Is(err, eventstore.ErrKeyReused):
			return eventstore.Receipt{}, reused()
		case err != nil:
			return eventstore.Receipt{}, fmt.Errorf("append to the account %s: %w", in.user, err)
		}
		return r, nil
	})
}

// orDone turns a refusal into the first answer, where the same command was done
// before: a withdrawal that emptied the wallet must not be refused on its retry.
func (h *Handler) orDone(ctx context.Context, in intent, refusal error) (eventstore.Receipt, error) {
	command, ok := in.cause.Command()
	if !ok {
		return eventstore.Receipt{}, refusal
	}
	r, done, err := h.Log.Done(ctx, command)
	switch {
	case errors.Is(err, eventstore.ErrKeyReused):
		return eventstore.Receipt{}, reused()
	case err != nil:
		return eventstore.Receipt{}, err
	case done:
		return r, nil
	}
	return eventstore.Receipt{}, refusal
}

func reused() error {
	return domain.Reject(domain.KeyReused, "this Idempotency-Key was used for another request")
}

// maxKey is the longest Idempotency-Key, in bytes.
const maxKey = 200

// begin names a client's command: by the actor and the key that the client sent,
// or by chance where it sent none. The same key twice at once is refused; end
// must be called when the command is through.
func (h *Handler) begin(actor, key, content string) (c eventstore.Command, end func(), err error) {
	if key == "" {
		return eventstore.Command{ID: strings.ToLower(rand.Text()), Content: content}, func() {}, nil
	}
	if len(key) > maxKey || !utf8.ValidString(key) || strings.TrimSpace(key) == "" {
		return eventstore.Command{}, nil, domain.Reject(domain.InvalidKey, "an Idempotency-Key has 1 to %d bytes of UTF-8, and not spaces alone", maxKey)
	}
	c = eventstore.Command{ID: shortHash(actor + "\x00" + key), Content: content}
	if _, running := h.inFlight.LoadOrStore(c.ID, true); running {
		return eventstore.Command{}, nil, domain.Reject(domain.KeyInProgress, "the first request with this Idempotency-Key still runs")
	}
	return c, func() { h.inFlight.Delete(c.ID) }, nil
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}
