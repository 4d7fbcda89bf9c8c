package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/transparency"
)

// A head is signed some seconds after an entry: so long a receipt is waited for.
const (
	receiptWait = 4 * time.Second
	receiptPoll = 200 * time.Millisecond
)

// Receipt returns the proof that the signed log has a movement of a user's credits. The
// error is a refusal where the user has none at the position, or where no signed head covers
// it yet.
func (t *Transparency) Receipt(ctx context.Context, u domain.UserID, at eventstore.Position) ([]byte, error) {
	found, err := t.Log.At(ctx, []eventstore.Position{at})
	if err != nil {
		return nil, err
	}
	entry, there := found[at]
	if _, moves := entry.Event.(domain.MoneyEvent); !there || !moves || entry.Stream != eventstore.AccountStream(u) {
		return nil, domain.Reject(problem.NotFound, "you have no transaction with that number, or it is archived")
	}
	signed, err := t.covering(ctx, at)
	if err != nil {
		return nil, err
	}
	return transparency.Prove(ctx, t.Log, signed, entry)
}

// covering waits for a signed head that covers the position.
func (t *Transparency) covering(ctx context.Context, at eventstore.Position) (transparency.Checkpoint, error) {
	waiting, cancel := context.WithTimeout(ctx, receiptWait)
	defer cancel()
	tick := time.NewTicker(receiptPoll)
	defer tick.Stop()
	for {
		signed, cosigned, err := t.Heads.Published(ctx)
		switch {
		case err == nil && cosigned.Quorum && cosigned.Head.Size >= at:
			return cosigned.Checkpoint, nil // also where a newer one is signed: this one says more
		case err != nil || signed.Head.Size >= at:
			return signed, err
		case signed.Note == nil:
			return signed, domain.Reject(problem.NotFound, "this ledger gives no receipts: its heads are not signed")
		}
		select {
		case <-tick.C:
		case <-waiting.Done():
			return signed, domain.Reject(problem.PositionNotReached, "no signed head covers the entry at position %d yet, try again in some seconds", at)
		}
	}
}

// Gives reports whether there are receipts: whether a head was signed.
func (t *Transparency) Gives(ctx context.Context) (bool, error) {
	signed, err := t.Heads.Last(ctx)
	return signed.Note != nil, err
}

// transactionReceipt answers with the proof of a transaction as a file.
func (s *Server) transactionReceipt(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	plain, err := url.PathUnescape(mux.Vars(r)["id"])
	at, ok := positionOf(plain)
	if err != nil || !ok || s.Transparency == nil {
		return domain.Reject(problem.NotFound, "you have no transaction with that number, or it is archived")
	}
	proof, err := s.Transparency.Receipt(r.Context(), who.User, at)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="kassa-%d.tlog-proof"`, at))
	_, _ = w.Write(proof) // a failed write means that the client has left
	return nil
}

// positionOf reads the position in a transaction's id, which has one form.
func positionOf(id string) (eventstore.Position, bool) {
	n, err := strconv.ParseInt(strings.TrimPrefix(id, "t_"), 10, 64)
	at := eventstore.Position(n)
	return at, err == nil && n > 0 && id == transactionID(at)
}
