package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kassa/domain"
	"kassa/eventstore"
)

// ErrNotErased: the log does not say that this account was erased.
var ErrNotErased = errors.New("audit: the account was not erased")

// Certificate says what the erasure of a person has made unreadable. It names nobody: the
// account's id is not personal data without its key.
type Certificate struct {
	User        domain.UserID       `json:"user_id"`
	RequestedAt time.Time           `json:"requested_at"`
	Request     eventstore.Position `json:"request"` // of the request's entry
	ErasedAt    time.Time           `json:"erased_at"`
	Erasure     eventstore.Position `json:"erasure"` // of the last entry of the account
	Leaf        eventstore.Hash     `json:"leaf_hash"`
	Head        TreeHead            `json:"head"` // of the log up to that entry: verify --kept SIZE:ROOT proves it
	PaidOut     domain.Credits      `json:"paid_out"`
	Forfeited   domain.Credits      `json:"forfeited"`
	// Unreadable are the entries with something sealed for the person.
	Unreadable []eventstore.Position `json:"unreadable"`
	// Archived: entries up to there may be in archives; those of the account are not listed,
	// and as unreadable.
	Archived eventstore.Position `json:"archived_upto,omitempty"`
}

// certifyPage is how many entries of an account are read at a time.
const certifyPage = 64

// Certify reads the certificate of an erasure from the log. Errors: ErrNotErased.
func Certify(ctx context.Context, store *eventstore.Store, u domain.UserID) (Certificate, error) {
	loaded, err := store.Refresh(ctx, u)
	if err != nil {
		return Certificate{}, err
	}
	if !loaded.Account.Erased {
		return Certificate{}, ErrNotErased
	}
	c := Certificate{User: u, Unreadable: []eventstore.Position{}}
	page := eventstore.Version(certifyPage)
	for upTo := loaded.Version; upTo > 0; {
		from := max(0, upTo-page)
		list, err := store.Stream(ctx, eventstore.AccountStream(u), from, int(upTo-from))
		if errors.Is(err, eventstore.ErrArchived) {
			if page == 1 {
				c.Archived, err = store.Archived(ctx)
				if err != nil {
					return Certificate{}, err
				}
				break
			}
			page = 1
			continue
		}
		if err != nil {
			return Certificate{}, err
		}
		for _, rec := range slices.Backward(list) {
			c.add(rec)
		}
		upTo = from
	}
	slices.Reverse(c.Unreadable)
	root, err := tlog.TreeHash(int64(c.Erasure), store.Nodes(ctx))
	c.Head = TreeHead{c.Erasure, eventstore.Hash(root)}
	return c, err
}

// add takes an entry of the account, from its last to its first.
func (c *Certificate) add(rec eventstore.Recorded) {
	kind, _ := authorOf(rec.Actor)
	switch e := rec.Event.(type) {
	case domain.PersonalDataErased:
		c.Erasure, c.ErasedAt, c.Leaf = rec.Position, rec.Time, eventstore.LeafHash(rec.Entry)
	case domain.CreditsForfeited:
		c.Forfeited += e.Amount
	case domain.Withdrawn:
		if kind == system {
			c.PaidOut += e.Amount
		}
	case domain.ErasureRequested:
		if c.Request == 0 {
			c.Request, c.RequestedAt = rec.Position, rec.Time
		}
	case domain.SignedUp, domain.PredictionRequested:
		c.Unreadable = append(c.Unreadable, rec.Position)
	}
}

// Keys gives which of the users have a key.
type Keys func(ctx context.Context, users []domain.UserID) ([]domain.UserID, error)

// ErrKeysHidden: whether erased accounts have keys could not be seen, for lack of a right.
var ErrKeysHidden = errors.New("audit: the login may not see whose keys are there")

// deletedWithin is how long after its entry an erasure's key is deleted, in the worst case.
const deletedWithin = 3 * time.Second

// keys proves that nobody who was erased has a key: it would open what the log keeps of
// them. A key is deleted a moment after the entry, so one that is there is looked at again.
func (l Ledger) keys(ctx context.Context, r *Report, found *Faults) error {
	if l.Keys == nil || l.Alone || len(r.Erased) == 0 {
		return nil
	}
	users := slices.Sorted(maps.Keys(r.Erased))
	kept, err := l.Keys(ctx, users)
	if err == nil && len(kept) > 0 {
		select {
		case <-time.After(deletedWithin):
			kept, err = l.Keys(ctx, kept)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if errors.Is(err, ErrKeysHidden) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for keys of people who were erased: %w", err)
	}
	r.KeysSeen = true
	for _, u := range kept {
		f := fault(KeyKept, r.Erased[u], "%q was erased, and their key is there: what is sealed for them can be read", u)
		f.Stream = eventstore.AccountStream(u)
		found.add(f)
	}
	return nil
}
