package httpapi

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/projections"
)

// receipt names the entry of the ledger in which a command ended. With the leaf
// hash a client can later prove that the entry is still there, unchanged.
type receipt struct {
	Position eventstore.Position `json:"position"`
	LeafHash string              `json:"leaf_hash"`
}

// receiptOf also marks an answer that was given before, and lets the person's reads
// that follow show what they have done.
func (s *Server) receiptOf(w http.ResponseWriter, r *http.Request, u domain.UserID, done commands.Result) receipt {
	if done.Replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	sayPosition(w, done.Position)
	s.Identity.SetWrote(w, r, u, done.Position)
	return receipt{Position: done.Position, LeafHash: hex.EncodeToString(done.Leaf[:])}
}

const noAccount = "there is no such account"

func (s *Server) signUp(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	ask := commands.SignUp{Key: key}
	if _, err := readBody(r, fields{"email": &ask.Email, "password": &ask.Password}); err != nil {
		return err
	}
	if err := s.Identity.AllowSignUp(r); err != nil {
		return err
	}
	// Not firm: no payment hangs on it, and a password is not hashed for a client that left.
	up, err := s.Commands.SignUp(r.Context(), ask)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, struct {
		User    domain.UserID  `json:"user_id"`
		Email   string         `json:"email"`
		Balance domain.Credits `json:"balance"`
		receipt
	}{up.User, up.Email, up.Available, s.receiptOf(w, r, up.User, up.Result)})
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	var email, password string
	if _, err := readBody(r, fields{"email": &email, "password": &password}); err != nil {
		return err
	}
	who, err := s.Identity.SignIn(r.Context(), w, r, email, password)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		User  domain.UserID `json:"user_id"`
		Email string        `json:"email"`
		Admin bool          `json:"admin"`
	}{who.User, who.Email, who.Admin})
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.Identity.SignOut(w, r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) balance(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	b, at, err := s.Views.Balance(r.Context(), who.User, least(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	sayPosition(w, at)
	return writeJSON(w, http.StatusOK, balanceOf(b))
}

type balanceJSON struct {
	walletJSON
	Position eventstore.Position `json:"position"` // of the last event that moved it
}

// walletJSON is what a wallet holds, after a command or now.
type walletJSON struct {
	Balance      domain.Credits `json:"balance"` // given credits among them
	Held         domain.Credits `json:"held"`
	Given        domain.Credits `json:"given"` // how many of the balance were given
	Withdrawable domain.Credits `json:"withdrawable"`
}

func balanceOf(b projections.Balance) balanceJSON {
	return balanceJSON{walletJSON{b.Available, b.Held, b.Given, b.Withdrawable()}, b.Position}
}

// adjust is a deposit or a withdrawal of one's own, or an admin's adjustment of
// another's balance.
func (s *Server) adjust(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var amount domain.Credits
	var of, kind, reason, reference string
	given, err := readBody(r, fields{"amount": &amount, "user_id": &of, "kind": &kind, "reason": &reason, "reference": &reference})
	if err != nil {
		return err
	}
	if !given["amount"] {
		return domain.Reject(domain.InvalidAmount, "amount is missing")
	}
	who, _ := identity.From(r.Context())
	// One's own id changes nothing about a deposit or a withdrawal. With a reason it
	// would be a correction of one's own, which domain refuses.
	explained := given["reason"] || given["reference"] || given["kind"]
	own := !given["user_id"] || of == string(who.User) && !explained
	switch {
	case given["kind"] && kind == "": // which the command takes for no kind given
		return domain.Reject(domain.InvalidKind, "the kind of credits is %s or %s", domain.GivenCredits, domain.BoughtCredits)
	case own && given["kind"]:
		return domain.Reject(domain.InvalidKind, "a kind belongs to an adjustment of another's balance")
	case own && given["reason"]:
		return domain.Reject(domain.InvalidReason, "a reason belongs to an adjustment of another's balance")
	case own && given["reference"]:
		return domain.Reject(domain.InvalidReference, "a reference belongs to an adjustment of another's balance")
	}
	ctx, cancel := deadline.Firm(r.Context())
	defer cancel()
	var done commands.Result
	switch move := (commands.Move{User: who.User, Amount: amount, Key: key}); {
	case !own:
		done, err = s.Commands.Adjust(ctx, commands.Adjust{Admin: who.User, User: domain.UserID(of),
			Correction: domain.Correction{Amount: amount, Kind: domain.Kind(kind), Reason: reason, Reference: reference}, Key: key})
	case amount < 0:
		move.Amount = -amount
		done, err = s.Commands.Withdraw(ctx, move)
	default:
		done, err = s.Commands.Deposit(ctx, move)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		walletJSON
		receipt
		Transaction string `json:"transaction_id"`
	}{walletJSON{done.Available, done.Held, done.Given, done.Available - done.Given}, s.receiptOf(w, r, who.User, done), transactionID(done.Position)})
}

// transactionID names a transaction by the entry that made it.
func transactionID(at eventstore.Position) string { return fmt.Sprintf("t_%d", at) }

type transactionJSON struct {
	ID           string                      `json:"transaction_id"`
	Type         projections.TransactionType `json:"type"`
	Status       string                      `json:"status"`
	Amount       domain.Credits              `json:"amount"`
	Given        domain.Credits              `json:"given"` // how much of the amount is of given credits
	BalanceAfter domain.Credits              `json:"balance_after"`
	CreatedAt    time.Time                   `json:"created_at"`
	Position     eventstore.Position         `json:"position"`
	Prediction   domain.PredictionID         `json:"prediction_id,omitempty"`
	Reason       string                      `json:"reason,omitempty"`
	Reference    string                      `json:"reference,omitempty"`
}

func transactionOf(t projections.Transaction) transactionJSON {
	return transactionJSON{ID: transactionID(t.Position), Type: t.Type, Amount: t.Amount, Given: t.Given, BalanceAfter: t.BalanceAfter,
		// A charge's status is its prediction's state, and is called by the same words.
		Status:    projections.Word(domain.PredictionState(t.Status)),
		CreatedAt: t.At.UTC(), Position: t.Position, Prediction: t.Prediction, Reason: t.Reason, Reference: t.Reference}
}

func (s *Server) transactions(w http.ResponseWriter, r *http.Request) error {
	q, err := pageQuery(r)
	if err != nil {
		return err
	}
	kind, err := filter(r, "type", projections.TransactionTypes, func(t projections.TransactionType) string { return string(t) })
	if err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	found, at, err := s.Views.Transactions(r.Context(), who.User, projections.TransactionQuery{PageQuery: q, Type: kind}, least(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	return writePage(w, found, at, func(t projections.Transaction) (transactionJSON, error) { return transactionOf(t), nil })
}

// writePage answers with one page of a list, which shows the log up to the position.
func writePage[A, B any](w http.ResponseWriter, found projections.Page[A], at eventstore.Position, show func(A) (B, error)) error {
	page := struct {
		Items    []B                 `json:"items"`
		Next     string              `json:"next_cursor"` // "" on the last page
		Position eventstore.Position `json:"position"`
	}{make([]B, len(found.Items)), found.Next, at}
	for i, item := range found.Items {
		var err error
		if page.Items[i], err = show(item); err != nil {
			return err
		}
	}
	sayPosition(w, at)
	return writeJSON(w, http.StatusOK, page)
}
