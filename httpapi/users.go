package httpapi

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/conditional"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/projections"
	"kassa/vault"
)

// receipt names the ledger entry that a command wrote. With the leaf hash a client can
// prove later that the entry is still there, unchanged.
type receipt struct {
	Position eventstore.Position `json:"position"`
	LeafHash string              `json:"leaf_hash"`
}

// receiptOf also marks a replayed answer, and makes the user's later reads show the
// write.
func (s *Server) receiptOf(w http.ResponseWriter, r *http.Request, u domain.UserID, done commands.Result) receipt {
	if done.Replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	setPosition(w, done.Position)
	s.Identity.SetLastWrite(w, r, u, done.Position)
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
	// Not detached: no payment depends on it, and no password is hashed for a client
	// that has left.
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

// maxCode is the length in characters that a code of a second factor may have, with room for
// the spaces and lines that people type.
const maxCode = 40

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	var email, password, code string
	if _, err := readBody(r, fields{"email": &email, "password": &password, "code": &code}); err != nil {
		return err
	}
	if utf8.RuneCountInString(code) > maxCode { // also of a person without a factor, whose code nobody looks at
		return domain.Reject(problem.WrongCode, "a code has at most %d characters", maxCode)
	}
	who, err := s.Identity.SignIn(r.Context(), w, r, email, password, code)
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
	b, at, err := s.Views.Balance(r.Context(), who.User, minPosition(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	setPosition(w, at)
	body, err := encode(balanceOf(b))
	if err != nil {
		return err
	}
	conditional.Write(w, r, "application/json", body)
	return nil
}

type balanceJSON struct {
	walletJSON
	Position eventstore.Position `json:"position"` // of the last event that changed it
}

// walletJSON is the content of a wallet, after a command or now.
type walletJSON struct {
	Balance      domain.Credits `json:"balance"` // includes given credits
	Held         domain.Credits `json:"held"`
	Given        domain.Credits `json:"given"` // the given part of the balance
	Withdrawable domain.Credits `json:"withdrawable"`
}

func balanceOf(b projections.Balance) balanceJSON {
	return balanceJSON{walletJSON{b.Available, b.Held, b.Given, b.Withdrawable()}, b.Position}
}

// adjust is the user's own deposit or withdrawal, or an admin's adjustment of another
// user's balance.
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
	// The user's own id changes nothing about a deposit or a withdrawal. With a reason
	// it would be an adjustment of the admin's own balance, which domain refuses.
	explained := given["reason"] || given["reference"] || given["kind"]
	own := !given["user_id"] || of == string(who.User) && !explained
	switch {
	case given["kind"] && kind == "": // the command would read it as no kind
		return domain.Reject(domain.InvalidKind, "the kind of credits is %s or %s", domain.GivenCredits, domain.BoughtCredits)
	case own && given["kind"]:
		return domain.Reject(domain.InvalidKind, "a kind belongs to an adjustment of another's balance")
	case own && given["reason"]:
		return domain.Reject(domain.InvalidReason, "a reason belongs to an adjustment of another's balance")
	case own && given["reference"]:
		return domain.Reject(domain.InvalidReference, "a reference belongs to an adjustment of another's balance")
	}
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	var done commands.Result
	switch move := (commands.Move{User: who.User, Amount: amount, Key: key}); {
	case !own:
		if err := s.mayAdjust(r, who); err != nil {
			return err
		}
		line := requestlog.Of(r.Context())
		line.Admin, line.Subject = true, domain.UserID(of) // a user who is none is refused with 403
		done, err = s.Commands.AdjustAlone(ctx, commands.Adjust{Admin: who.User, User: domain.UserID(of),
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
	return writeJSON(w, http.StatusOK, movedOf(done, s.receiptOf(w, r, who.User, done)))
}

// movedJSON is the wallet after a movement.
type movedJSON struct {
	walletJSON
	receipt
	Transaction string `json:"transaction_id"`
}

func movedOf(done commands.Result, of receipt) movedJSON {
	return movedJSON{walletJSON{done.Available, done.Held, done.Given, done.Available - done.Given}, of, transactionID(done.Position)}
}

// mayAdjust refuses another's balance to a token without the scope admin, which is needed as
// well as that of the route, and to an admin whose second factor is missing or due. Whether
// they are one is decided by the command.
func (s *Server) mayAdjust(r *http.Request, who identity.Person) error {
	if err := who.Require(vault.ScopeAdmin); err != nil {
		return err
	}
	if err := who.Fresh(); err != nil {
		return err
	}
	return s.Identity.RequireFactor(r.Context(), who)
}

// transactionID derives the id of a transaction from the position of its entry.
func transactionID(at eventstore.Position) string { return fmt.Sprintf("t_%d", at) }

type transactionJSON struct {
	ID           string                      `json:"transaction_id"`
	Type         projections.TransactionType `json:"type"`
	Status       string                      `json:"status"`
	Amount       domain.Credits              `json:"amount"`
	Given        domain.Credits              `json:"given"` // the given part of the amount
	BalanceAfter domain.Credits              `json:"balance_after"`
	CreatedAt    time.Time                   `json:"created_at"`
	Position     eventstore.Position         `json:"position"`
	Prediction   domain.PredictionID         `json:"prediction_id,omitempty"`
	Reason       string                      `json:"reason,omitempty"`
	Reference    string                      `json:"reference,omitempty"`
}

func transactionOf(t projections.Transaction) transactionJSON {
	return transactionJSON{ID: transactionID(t.Position), Type: t.Type, Amount: t.Amount, Given: t.Given, BalanceAfter: t.BalanceAfter,
		// A charge has the status of its prediction, in the same words.
		Status:    projections.APIStatus(domain.PredictionState(t.Status)),
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
	ask := projections.TransactionQuery{PageQuery: q, Type: kind}
	if values := r.URL.Query(); values.Has("from") || values.Has("to") {
		period, err := s.Statements.Days(values.Get("from"), values.Get("to"))
		if err != nil {
			return err
		}
		if ask.Since, ask.UpTo, err = s.Statements.Between(r.Context(), who.User, period); err != nil {
			return err
		}
	}
	found, at, err := s.Views.Transactions(r.Context(), who.User, ask, minPosition(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	return writePage(w, r, found, at, func(t projections.Transaction) (transactionJSON, error) { return transactionOf(t), nil })
}
