// Package commands is the only way to write to the ledger: load the account, decide,
// append. A command appends and does nothing else; publishing, embedding and the views
// follow the log.
package commands

import (
	"context"
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
	"kassa/internal/wait"
)

// Store is what commands need of the event store.
type Store interface {
	Account(ctx context.Context, u domain.UserID) (eventstore.Loaded, error)
	AccountWithin(ctx context.Context, u domain.UserID, age time.Duration) (eventstore.Loaded, error)
	Refresh(ctx context.Context, u domain.UserID) (eventstore.Loaded, error)
	Append(ctx context.Context, a eventstore.Append) (eventstore.Receipt, error)
	Done(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error)
	Head(ctx context.Context) (eventstore.Head, error)
	Stream(ctx context.Context, s eventstore.Stream, after eventstore.Version, limit int) ([]eventstore.Recorded, error)
}

// Vault is what commands need of the vault.
type Vault interface {
	CheckPassword(password, email string) error
	Enroll(ctx context.Context, u domain.UserID, password string) error
	EnrollMoved(ctx context.Context, u domain.UserID, bcryptHash string) error
	MovedID(oldID string) domain.UserID
	Verify(ctx context.Context, u domain.UserID, password string) (bool, error)
	EmailHash(normalized string) string
	SealEmail(ctx context.Context, u domain.UserID, email string) (domain.Sealed, error)
	SealText(ctx context.Context, u domain.UserID, p domain.PredictionID, text string) (domain.Sealed, error)
	Fingerprint(ctx context.Context, u domain.UserID, content string) (string, error)
	RemindErasure(ctx context.Context, u domain.UserID, due time.Time) error
	DropReminder(ctx context.Context, u domain.UserID, dueBy time.Time) error
	EndAccess(ctx context.Context, u domain.UserID) error
	Erase(ctx context.Context, users ...domain.UserID) (some bool, err error)
}

// Handler carries out commands. All fields but the last group are required; it is
// safe for concurrent use and must not be copied.
type Handler struct {
	Store    Store
	Vault    Vault
	Payments Payments
	Now      func() time.Time

	Price      domain.Credits // of one prediction, as long as the log has no price
	Bonus      domain.Credits // for a new account, 0 for none
	HoldExpiry time.Duration  // from the request of a prediction to its expiry
	Refunds    domain.RefundPolicy
	Refining   domain.RefinePolicy
	// FreePerHour is how many questions of an account may find nothing in an hour, for
	// free; 0 for any number.
	FreePerHour  int
	ErasureDelay time.Duration // from the request of an erasure until it is due
	// Limits are those of what one admin adjusts alone; the zero value is none.
	Limits       domain.AdjustmentLimits
	ProposalLife time.Duration // from a proposal to its expiry

	prices      prices
	records     records
	inFlight    sync.Map // ids of client commands that run in this process
	adjustments folded[loadedAdjustments]
	adjusting   keyedMutex[struct{}] // held by who writes to the stream of adjustments
	accounts    keyedMutex[domain.UserID]
	claims      *lru.Cache[string, domain.UserID] // the account that an e-mail had last, by its hash
	ready       sync.Once
}

// maxClaims bounds the e-mails that are remembered, some two hundred bytes each; claimFor is
// for how long without a look at their accounts, which another process may erase.
const (
	maxClaims = 100_000
	claimFor  = time.Second
)

// prepare makes what the zero value lacks.
func (h *Handler) prepare() {
	var err error
	if h.claims, err = lru.New[string, domain.UserID](maxClaims); err != nil {
		panic(err) // the size is a constant above zero
	}
}

// Result is the answer to a command.
type Result struct {
	Position  eventstore.Position // of its last event; with the leaf hash, the receipt
	Leaf      eventstore.Hash
	Available domain.Credits
	Held      domain.Credits
	Given     domain.Credits    // how many of the available ones are given
	Proposal  domain.ProposalID // of an adjustment that waits for another admin; "" for all else
	Replayed  bool              // the same command was done before, and this is its first answer
}

// result reads the answer from the events alone, so that a replay gives the same.
func result(r eventstore.Receipt) Result {
	out := Result{Position: r.Position(), Leaf: r.Leaf(), Replayed: r.Replayed}
	for _, rec := range r.Events {
		if m, ok := rec.Event.(domain.MoneyEvent); ok {
			out.Available, out.Held, out.Given = m.Money().Available, m.Money().Held, m.Money().Given
		}
		if e, ok := rec.Event.(domain.AdjustmentProposed); ok {
			out.Proposal = e.Proposal
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
	// guard reads, before each decision, the versions of other streams that it rests on;
	// the append fails where one has changed. It may refuse. Events in them are written in the
	// same append; decide may add them. Nil: none.
	guard func(context.Context) ([]eventstore.Write, error)
	// paid reports that money was taken for the command, which is then carried out for a person
	// who was locked meanwhile. Nil: it never is.
	paid func() bool
	// decide gives no events where the command was done already.
	decide func(domain.Account) ([]domain.Event, error)
	// decidedAt gives the time of the decision, where the entry must bear that one. Nil: the
	// time of the append.
	decidedAt func() time.Time
}

// change carries out a command. Where it was done already without an append of its
// own, the receipt is empty.
//
// One command of an account runs at a time in this process: two at once would only
// conflict, and one of them would decide again for nothing.
func (h *Handler) change(ctx context.Context, in intent) (eventstore.Receipt, error) {
	if err := h.accounts.Lock(ctx, in.user); err != nil {
		return eventstore.Receipt{}, fmt.Errorf("wait for the account: %w", err)
	}
	defer h.accounts.Unlock(in.user)
	return untilSettled(ctx, func(fresh bool) outcome { return h.attempt(ctx, in, fresh) })
}

// attempt loads the account, decides, and appends, once.
//
// An account from memory may be behind another process. An approval on it is safe,
// since its append would conflict; a refusal, or that there is nothing left to do, is
// only believed after a fresh read.
func (h *Handler) attempt(ctx context.Context, in intent, fresh bool) outcome {
	loaded, err := h.load(ctx, in.user, fresh)
	if err != nil {
		return outcomeOf(eventstore.Receipt{}, err)
	}
	var events []domain.Event
	guard, err := in.guarded(ctx)
	if err == nil {
		err = in.allowed(&loaded.Account)
	}
	if err == nil {
		events, err = in.decide(loaded.Account)
	}
	refused := domain.RefusalIn(err) != nil
	switch {
	case err != nil && !refused:
		return outcomeOf(eventstore.Receipt{}, err)
	case !loaded.Fresh && (refused || nothing(guard, events)):
		return outcome{verdict: outdated}
	case refused:
		return outcomeOf(h.orDone(ctx, in.cause, err))
	case nothing(guard, events):
		return outcome{verdict: settled}
	}
	return outcomeOf(h.append(ctx, in, slices.Concat(guard, in.claim,
		[]eventstore.Write{loaded.Write(in.user, events...)})))
}

// nothing reports whether neither the account nor another stream gets an event.
func nothing(guard []eventstore.Write, events []domain.Event) bool {
	return len(events) == 0 && !slices.ContainsFunc(guard, func(w eventstore.Write) bool { return len(w.Events) > 0 })
}

func (h *Handler) load(ctx context.Context, u domain.UserID, fresh bool) (eventstore.Loaded, error) {
	read := h.Store.Account
	if fresh {
		read = h.Store.Refresh
	}
	loaded, err := read(ctx, u)
	if err != nil {
		return eventstore.Loaded{}, fmt.Errorf("load account %s: %w", u, err)
	}
	return loaded, nil
}

// allowed refuses a command of a person whose account is locked.
func (in intent) allowed(a *domain.Account) error {
	if in.actor != userActor(in.user) || in.paid != nil && in.paid() {
		return nil
	}
	return a.MayAct()
}

func (in intent) guarded(ctx context.Context) ([]eventstore.Write, error) {
	if in.guard == nil {
		return nil, nil
	}
	writes, err := in.guard(ctx)
	if err != nil {
		return nil, fmt.Errorf("guard the change of account %s: %w", in.user, err)
	}
	return writes, nil
}

func (h *Handler) append(ctx context.Context, in intent, writes []eventstore.Write) (eventstore.Receipt, error) {
	now := h.Now
	if in.decidedAt != nil {
		now = in.decidedAt
	}
	r, err := h.Store.Append(ctx, eventstore.Append{Time: now(), Actor: in.actor, Cause: in.cause, Writes: writes})
	if errors.Is(err, eventstore.ErrKeyReused) {
		return eventstore.Receipt{}, keyReused()
	}
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("append to the account %s: %w", in.user, err)
	}
	return r, nil
}

// orDone turns a refusal into the first answer, where the same command was done
// before: a withdrawal that emptied the wallet must not be refused on its retry.
func (h *Handler) orDone(ctx context.Context, cause eventstore.Cause, refusal error) (eventstore.Receipt, error) {
	command, ok := cause.Command()
	if !ok {
		return eventstore.Receipt{}, refusal
	}
	r, done, err := h.Store.Done(ctx, command)
	switch {
	case errors.Is(err, eventstore.ErrKeyReused):
		return eventstore.Receipt{}, keyReused()
	case err != nil:
		return eventstore.Receipt{}, err
	case done:
		return r, nil
	}
	return eventstore.Receipt{}, refusal
}

func keyReused() error {
	return domain.Reject(domain.KeyReused, "this Idempotency-Key was used for another request")
}

// maxKey is the longest Idempotency-Key, in bytes.
const maxKey = 200

// begin gives a client's command its id: from the actor and the key that the client
// sent, or a new one where it sent none. The same key twice at once is refused; end
// must be called when the command is done.
func (h *Handler) begin(actor, key, content string) (c eventstore.Command, end func(), err error) {
	if key == "" {
		return eventstore.Command{ID: newID(h.Now()), Content: content}, func() {}, nil
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

// beginFor begins a command of a user. What is stored of its content is a fingerprint under
// the user's key, from which it cannot be read.
func (h *Handler) beginFor(ctx context.Context, u domain.UserID, key, content string) (eventstore.Command, func(), error) {
	mark, err := h.Vault.Fingerprint(ctx, u, content)
	if err != nil {
		return eventstore.Command{}, nil, fmt.Errorf("fingerprint a request: %w", err)
	}
	return h.begin(userActor(u), key, mark)
}

// userActor names a user as the writer of an entry.
func userActor(u domain.UserID) string { return "user:" + string(u) }

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// maxAttempts bounds how often a command is decided again, because another writer was
// faster or because the outcome of an append was unknown.
const maxAttempts = 10

// verdict is what one attempt at a command proves about the log.
type verdict int

const (
	// failed: this attempt appended nothing.
	failed verdict = iota
	// settled: the command was done by this attempt or an earlier one, there is nothing
	// left to do, or it was refused on a fresh read, after which the log does not have it.
	settled
	// outdated: nothing was appended, since the account was read before another write.
	outdated
	// unknown: the command may have been done.
	unknown
)

// outcome is the end of one attempt.
type outcome struct {
	receipt eventstore.Receipt
	verdict verdict
	err     error
}

// outcomeOf judges an attempt by its error.
func outcomeOf(r eventstore.Receipt, err error) outcome {
	switch {
	case err == nil, domain.RefusalIn(err) != nil:
		return outcome{r, settled, err}
	case errors.Is(err, eventstore.ErrConflict):
		return outcome{r, outdated, err}
	case errors.Is(err, eventstore.ErrUnknown):
		return outcome{r, unknown, err}
	}
	return outcome{r, failed, err}
}

// untilSettled attempts a command until its outcome is known; fresh asks an
// attempt to read the account from the database.
//
// After an unknown outcome only a settled one is an answer, since it was read from the
// log. A later failure proves nothing about the earlier attempt: the command is tried
// again, and in the end the error wraps eventstore.ErrUnknown. So no caller can take it
// for a refusal, give a payment back, or let a client without a key send it again.
//
// A refusal ends the doubt because an append that is still on its way must fail: the
// same decision was an approval on the versions which that append expects. Now it is a
// refusal, so those versions have moved on.
func untilSettled(ctx context.Context, attempt func(fresh bool) outcome) (eventstore.Receipt, error) {
	var doubt, later error // the error of the last unknown outcome, and of what failed after it
	for tries := range maxAttempts {
		o := attempt(tries > 0)
		switch o.verdict {
		case settled:
			return o.receipt, o.err
		case outdated:
			continue
		case unknown:
			doubt, later = o.err, nil
		case failed:
			if doubt == nil {
				return eventstore.Receipt{}, o.err
			}
			later = o.err
		}
		if permanent(o.err) || !pause(ctx, tries) {
			break
		}
	}
	if doubt != nil {
		return eventstore.Receipt{}, errors.Join(doubt, later)
	}
	return eventstore.Receipt{}, domain.Reject(domain.Busy, "the account is busy, try again")
}

// permanent reports whether an error stays as it is, however often it is tried.
func permanent(err error) bool {
	return errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, domain.ErrBroken)
}

// The pauses between tries of unknown outcome: none after the first, and in all about
// as long as a database takes to restart or to fail over.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 2 * time.Second
)

// pause waits before the next try; it is false where ctx has ended.
func pause(ctx context.Context, tries int) bool {
	if ctx.Err() != nil || tries == 0 {
		return ctx.Err() == nil
	}
	return wait.For(ctx, min(firstPause<<(tries-1), maxPause))
}
