package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// An erasure goes in these steps. The first two are RequestErasure, the others FinishErasure,
// which the role expirer calls when the reminder is due, and calls again until the reminder
// is gone. So a crash between any two leaves only what the next call goes on with.
//
//  1. the reminder is written: until then nothing happened
//  2. ErasureRequested is appended: until then the reminder is of no erasure, and is dropped
//     a while after its time, as that of an erasure that was cancelled
//  3. each open question fails (text_erased), in an append of its own
//  4. bought credits are paid out, where that was chosen: up to domain.MaxAmount in an append
//  5. what is left is forfeited, and PersonalDataErased appended, in one append: until then
//     the data can be read
//  6. key, password, sessions and the reminder are deleted, in one transaction: until then
//     the log says that the data is erased, and it can be read by the key
//  7. the deleted rows are overwritten in the files

// Erasure asks for the erasure of a person's data.
type Erasure struct {
	User   domain.UserID
	Admin  domain.UserID // who asks, where an admin does; "" for the person, and for the operator
	Reason string        // of an admin, or of the operator
	Bought domain.ErasureCredits
	Now    bool   // without the time in which it can be cancelled; of the operator
	Key    string // Idempotency-Key, may be empty
}

// ErasureDue is an erasure that was requested.
type ErasureDue struct {
	DueAt time.Time
	Result
}

// RequestErasure begins the time after which a person's data is erased; until then they can
// cancel it.
func (h *Handler) RequestErasure(ctx context.Context, e Erasure) (ErasureDue, error) {
	if !e.User.Valid() {
		return ErasureDue{}, domain.Reject(domain.AccountNotFound, "there is no such account")
	}
	by := e.User
	if e.Admin != "" {
		by = e.Admin
	}
	command, end, err := h.beginFor(ctx, by, e.Key, fmt.Sprintf("erase %s %s %q", e.User, e.Bought, e.Reason))
	if err != nil {
		return ErasureDue{}, err
	}
	defer end()
	return h.requestErasure(ctx, userActor(by), command, e)
}

// OrderErasure is RequestErasure at the installation's console.
func (h *Handler) OrderErasure(ctx context.Context, e Erasure) (ErasureDue, error) {
	command, end, err := h.begin(Operator, "", "erase")
	if err != nil {
		return ErasureDue{}, err
	}
	defer end()
	return h.requestErasure(ctx, Operator, command, e)
}

func (h *Handler) requestErasure(ctx context.Context, actor string, command eventstore.Command, e Erasure) (ErasureDue, error) {
	order := domain.ErasureOrder{Reason: e.Reason, Bought: e.Bought, DueAt: h.Now()}
	if !e.Now {
		order.DueAt = order.DueAt.Add(h.ErasureDelay)
	}
	order.DueAt = order.DueAt.UTC().Truncate(time.Microsecond)
	in := intent{actor: actor, cause: command.Cause(), user: e.User,
		decide: func(a domain.Account) ([]domain.Event, error) { return a.RequestErasure(order) }}
	if e.Admin != "" {
		in.guard = h.guardAdmin(e.Admin, &order.Admin)
	}
	if err := h.remindIfAccepted(ctx, in, order.DueAt); err != nil {
		return ErasureDue{}, err
	}
	r, err := h.change(ctx, in)
	if err != nil {
		return ErasureDue{}, err
	}
	out := ErasureDue{Result: result(r)}
	if asked, ok := r.Events[0].Event.(domain.ErasureRequested); ok {
		out.DueAt = asked.DueAt
	}
	return out, nil
}

// remindIfAccepted writes the reminder of an erasure that the log would accept now. Whether
// it does, the append decides.
func (h *Handler) remindIfAccepted(ctx context.Context, in intent, due time.Time) error {
	account, err := h.Account(ctx, in.user)
	if err == nil {
		_, err = in.guarded(ctx)
	}
	if err == nil {
		_, err = in.decide(account)
	}
	switch {
	case domain.RefusalIn(err) != nil:
		return nil
	case err != nil:
		return err
	}
	return h.Vault.RemindErasure(ctx, in.user, due)
}

// guardAdmin reads the admin who asks, for the decision. The append fails where their rights
// change meanwhile.
func (h *Handler) guardAdmin(admin domain.UserID, who **domain.Account) func(context.Context) ([]eventstore.Write, error) {
	return func(ctx context.Context) ([]eventstore.Write, error) {
		loaded, err := h.Store.Refresh(ctx, admin)
		if loaded.Account.User == "" {
			loaded.Account.User = admin
		}
		*who = &loaded.Account
		if err != nil || !loaded.Account.Admin {
			return nil, err // the decision refuses
		}
		return []eventstore.Write{loaded.Write(admin)}, nil
	}
}

// CancelErasure ends an erasure that was requested and is not done.
func (h *Handler) CancelErasure(ctx context.Context, u domain.UserID, key string) (Result, error) {
	command, end, err := h.beginFor(ctx, u, key, "cancel the erasure")
	if err != nil {
		return Result{}, err
	}
	defer end()
	return h.cancelErasure(ctx, command, intent{actor: userActor(u), user: u, decide: domain.Account.CancelErasure})
}

// Keep cancels the erasure of another person, who asked an admin for it.
type Keep struct {
	User   domain.UserID
	Admin  domain.UserID
	Reason string
	Key    string // Idempotency-Key, may be empty
}

// CancelErasureBy is CancelErasure by an admin.
func (h *Handler) CancelErasureBy(ctx context.Context, k Keep) (Result, error) {
	if !k.User.Valid() {
		return Result{}, domain.Reject(domain.AccountNotFound, "there is no such account")
	}
	command, end, err := h.beginFor(ctx, k.Admin, k.Key, fmt.Sprintf("keep %s %q", k.User, k.Reason))
	if err != nil {
		return Result{}, err
	}
	defer end()
	var admin *domain.Account
	return h.cancelErasure(ctx, command, intent{actor: userActor(k.Admin), user: k.User, guard: h.guardAdmin(k.Admin, &admin),
		decide: func(a domain.Account) ([]domain.Event, error) { return a.CancelErasureBy(*admin, k.Reason) }})
}

// KeepPerson is CancelErasure at the installation's console.
func (h *Handler) KeepPerson(ctx context.Context, u domain.UserID) (Result, error) {
	command, end, err := h.begin(Operator, "", "keep")
	if err != nil {
		return Result{}, err
	}
	defer end()
	return h.cancelErasure(ctx, command, intent{actor: Operator, user: u, decide: domain.Account.CancelErasure})
}

func (h *Handler) cancelErasure(ctx context.Context, command eventstore.Command, in intent) (Result, error) {
	in.cause = command.Cause()
	r, err := h.change(ctx, in)
	if err != nil {
		return Result{}, err
	}
	return result(r), nil // the reminder stays: it may be that of the next request by now
}

// unclearFor is how long after its time a reminder of no erasure is kept: its request may be
// on its way to the log.
const unclearFor = time.Minute

// eraser writes the entries of an erasure that is due.
const eraser = "system:eraser"

// FinishErasure goes on with the erasure of a person whose reminder is due, to its end. It
// reports whether keys were deleted. A question that is asked, or credits that come, between
// two steps end it with the refusal account_busy: it is to be called again.
func (h *Handler) FinishErasure(ctx context.Context, u domain.UserID) (erased bool, err error) {
	account, err := h.Account(ctx, u)
	switch {
	case err != nil:
		return false, err
	case account.Erased:
		return h.Vault.Erase(ctx, u)
	case !account.Erasure.Pending():
		return false, h.Vault.DropReminder(ctx, u, h.Now().Add(-unclearFor))
	case !account.Erasure.Due(h.Now()):
		return false, h.Vault.RemindErasure(ctx, u, account.Erasure.DueAt)
	}
	asked, questions, err := h.erasureOf(ctx, u)
	if err != nil {
		return false, err
	}
	for _, q := range questions {
		if _, err := h.Fail(ctx, q, domain.FailedErased); err != nil {
			return false, fmt.Errorf("end the question of a person who is erased: %w", err)
		}
	}
	for {
		switch paid, err := h.payOut(ctx, u, asked); {
		case err != nil:
			return false, err
		case paid:
			continue
		}
		break
	}
	r, err := h.change(ctx, intent{actor: eraser, cause: eventstore.ByPosition(asked), user: u,
		decide: func(a domain.Account) ([]domain.Event, error) { return a.Erase(h.Now()) }})
	if err != nil {
		return false, err
	}
	if len(r.Events) == 0 {
		return false, domain.Reject(domain.Busy, "the account has changed, try again")
	}
	return h.Vault.Erase(ctx, u)
}

// payOut withdraws bought credits of a due erasure, as many as one movement takes.
func (h *Handler) payOut(ctx context.Context, u domain.UserID, asked eventstore.Position) (paid bool, err error) {
	payment := "pay_" + newID(h.Now())
	r, err := h.change(ctx, intent{actor: eraser, cause: eventstore.ByPosition(asked), user: u,
		claim: claimed(eventstore.PayoutStream(h.Payments.Name(), payment), u),
		decide: func(a domain.Account) ([]domain.Event, error) {
			amount := a.ErasurePayout(h.Now())
			if amount == 0 {
				return nil, nil
			}
			return a.Withdraw(amount, h.Payments.Name(), payment)
		}})
	return len(r.Events) > 0, err
}

// erasureOf finds in the log where the pending erasure was requested, and the questions that
// are open. They are read from the end of the account's stream, which is where they are:
// nothing new is asked while an erasure is pending.
func (h *Handler) erasureOf(ctx context.Context, u domain.UserID) (asked eventstore.Position, open []Ending, err error) {
	loaded, err := h.Store.Refresh(ctx, u)
	if err != nil {
		return 0, nil, err
	}
	waiting := map[domain.PredictionID]bool{}
	for _, hold := range loaded.Account.Holds {
		waiting[hold.Prediction] = true
	}
	err = h.lookBack(ctx, u, loaded.Version, func(rec eventstore.Recorded) bool {
		switch e := rec.Event.(type) {
		case domain.ErasureRequested:
			asked = max(asked, rec.Position)
		case domain.PredictionRequested:
			if waiting[e.Prediction] {
				delete(waiting, e.Prediction)
				open = append(open, Ending{User: u, Prediction: e.Prediction, By: "eraser", Cause: rec.Position})
			}
		}
		return asked == 0 || len(waiting) > 0
	})
	if err != nil {
		return 0, nil, fmt.Errorf("look for the erasure of %s: %w", u, err)
	}
	if asked == 0 || len(waiting) > 0 {
		return 0, nil, errors.New("the log does not have what the account of " + string(u) + " says")
	}
	return asked, open, nil
}
