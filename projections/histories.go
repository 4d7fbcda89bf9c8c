package projections

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"kassa/domain"
	"kassa/eventstore"
)

// history is what is in memory of one person, as of a position. What is not behind kept
// is read from the tables and the log.
type history struct {
	saved       *saved
	kept        eventstore.Position
	account     eventstore.Position // of the sign-up
	lines       []Transaction
	predictions []*Prediction
}

// history calls fn with a person's history, which it may read without any lock. Where
// another process has saved the views meanwhile, it takes over what that one has saved.
func (m *Memory) history(ctx context.Context, u domain.UserID, least eventstore.Position, fn func(history) error) (eventstore.Position, error) {
	for {
		h := history{saved: m.saved}
		at, err := m.of(ctx, u, least, func(w *wallet) {
			h.kept, h.account = m.kept, w.user.Position
			h.lines, h.predictions = w.lines[:len(w.lines):len(w.lines)], slices.Clone(w.predictions)
		})
		if err == nil {
			err = fn(h)
		}
		if !errors.Is(err, errMoved) {
			return at, err
		}
		if err := m.reload(ctx, h.kept); err != nil {
			return 0, err
		}
	}
}

// Transactions gives a page of a wallet's lines, the newest first.
func (m *Memory) Transactions(ctx context.Context, u domain.UserID, q TransactionQuery, least eventstore.Position) (found Page[Transaction], at eventstore.Position, err error) {
	s, err := q.stretch()
	if err != nil {
		return found, 0, err
	}
	at, err = m.history(ctx, u, least, func(h history) error {
		list, err := h.transactions(ctx, q, s)
		if err == nil {
			found = pageOf(q.PageQuery, s, list, func(t *Transaction) eventstore.Position { return t.Position })
		}
		return err
	})
	return found, at, err
}

// CountTransactions counts a wallet's lines.
func (m *Memory) CountTransactions(ctx context.Context, u domain.UserID, q TransactionQuery, most int) (n int, err error) {
	q.Cursor = ""
	s, err := q.stretch()
	if err != nil {
		return 0, err
	}
	_, err = m.history(ctx, u, 0, func(h history) error {
		n = len(newest(h.lines, s.before, most, q.finds(s)))
		if n == most || h.kept == 0 {
			return nil
		}
		at, err := h.saved.lines(ctx, h, q.Type, stretch{since: s.since, before: min(s.before, h.kept+1)}, most-n)
		n += len(at)
		return err
	})
	return n, err
}

// finds tells whether a line is one of those that are asked for.
func (q TransactionQuery) finds(s stretch) func(Transaction) (eventstore.Position, bool) {
	return func(t Transaction) (eventstore.Position, bool) {
		return t.Position, t.Position > s.since && (q.Type == "" || t.Type == q.Type)
	}
}

// transactions gives a page, and one line more where there is one. All in memory are
// newer than those in the tables.
func (h history) transactions(ctx context.Context, q TransactionQuery, s stretch) ([]Transaction, error) {
	wanted := q.size() + 1
	inMemory := newest(h.lines, s.before, len(h.lines), q.finds(s))
	saved := wanted
	if !s.oldest {
		inMemory = inMemory[:min(len(inMemory), wanted)]
		saved -= len(inMemory)
	}
	var list []Transaction
	if saved > 0 && h.kept > 0 {
		at, err := h.saved.lines(ctx, h, q.Type, stretch{s.since, min(s.before, h.kept+1), s.oldest}, saved)
		if err != nil {
			return nil, err
		}
		if list, err = h.saved.transactions(ctx, at); err != nil {
			return nil, err
		}
	}
	list = append(inMemory, list...)
	if s.oldest {
		list = list[max(0, len(list)-wanted):]
	}
	return list, h.follow(ctx, list)
}

// follow gives lines of charges the states of their predictions.
func (h history) follow(ctx context.Context, list []Transaction) error {
	missing := map[eventstore.Position]*Transaction{}
	for i := range list {
		t := &list[i]
		if t.Status != string(domain.StateHeld) {
			continue
		}
		if p := h.askedAt(t.Position); p != nil {
			t.Status = string(p.State)
		} else {
			missing[t.Position] = t
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return h.saved.states(ctx, h.kept, missing)
}

// askedAt gives the prediction whose request is at the position, if it is in memory.
func (h history) askedAt(at eventstore.Position) *Prediction {
	if i := indexAt(h.predictions, at); i < len(h.predictions) && h.predictions[i].Position == at {
		return h.predictions[i]
	}
	return nil
}

// Predictions gives a page of a person's predictions, the newest first.
func (m *Memory) Predictions(ctx context.Context, u domain.UserID, q PredictionQuery, least eventstore.Position) (found Page[Prediction], at eventstore.Position, err error) {
	at, err = m.history(ctx, u, least, func(h history) error {
		list, err := h.page(ctx, q)
		if err == nil {
			found = cut(q.PageQuery, list, func(p *Prediction) eventstore.Position { return p.Position })
		}
		return err
	})
	return found, at, err
}

// page gives a page of predictions, and one more where there is one.
func (h history) page(ctx context.Context, q PredictionQuery) ([]Prediction, error) {
	before, err := q.before()
	if err != nil {
		return nil, err
	}
	wanted := q.size() + 1
	list := newest(h.predictions, before, wanted, func(p *Prediction) (eventstore.Position, bool) {
		return p.Position, p.FollowUpOf == "" && (q.State == "" || p.State == q.State)
	})
	var older []entriesOf
	if h.kept > 0 && q.State != domain.StateHeld { // those that are open are in memory
		changed := 0 // that the tables have too, as they were
		for _, p := range h.predictions {
			if p.Position <= h.kept && p.State != domain.StateHeld {
				changed++
			}
		}
		if older, err = h.saved.asked(ctx, h, q.State, before, wanted+changed); err != nil {
			return nil, err
		}
		older = slices.DeleteFunc(older, func(at entriesOf) bool { return h.askedAt(at.Request) != nil })
	}
	for _, p := range list {
		older = append(older, entriesOf{Request: p.Position, known: p})
	}
	slices.SortFunc(older, func(a, b entriesOf) int { return cmp.Compare(b.Request, a.Request) })
	return h.saved.predictions(ctx, older[:min(len(older), wanted)])
}

// Prediction gives one of the person's predictions.
func (m *Memory) Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (found Prediction, at eventstore.Position, err error) {
	at, err = m.history(ctx, u, least, func(h history) error {
		list, err := h.named(ctx, []domain.PredictionID{id})
		if err == nil && len(list) == 0 {
			err = ErrNotFound
		}
		if err == nil {
			found = list[0]
		}
		return err
	})
	return found, at, err
}

// FollowUps gives the follow-ups of predictions of one person.
func (m *Memory) FollowUps(ctx context.Context, u domain.UserID, of []domain.PredictionID, least eventstore.Position) (map[domain.PredictionID][]Prediction, error) {
	var list []Prediction
	_, err := m.history(ctx, u, least, func(h history) (err error) {
		list, err = h.followUps(ctx, of)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	return byPaid(list), nil
}

// followUps gives those of the person's predictions that follow these, the oldest first.
func (h history) followUps(ctx context.Context, of []domain.PredictionID) (list []Prediction, err error) {
	if h.kept > 0 {
		older, err := h.saved.followUps(ctx, h.kept, of)
		if err != nil {
			return nil, err
		}
		for _, p := range older {
			if p.Account == h.account && h.askedAt(p.Position) == nil { // else it is in memory as it is now
				list = append(list, p.Prediction)
			}
		}
	}
	for _, p := range h.predictions {
		if p.FollowUpOf != "" && slices.Contains(of, p.FollowUpOf) {
			list = append(list, *p)
		}
	}
	slices.SortFunc(list, func(a, b Prediction) int { return cmp.Compare(a.Position, b.Position) })
	return list, nil
}

// byPaid groups follow-ups by the paid prediction.
func byPaid(list []Prediction) map[domain.PredictionID][]Prediction {
	found := map[domain.PredictionID][]Prediction{}
	for _, p := range list {
		found[p.FollowUpOf] = append(found[p.FollowUpOf], p)
	}
	return found
}

// Questions gives the sealed texts of predictions of one person.
func (m *Memory) Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error) {
	found := map[domain.PredictionID]domain.Sealed{}
	_, err := m.history(ctx, u, 0, func(h history) error {
		list, err := h.named(ctx, ids)
		for _, p := range list {
			found[p.ID] = p.Text
		}
		return err
	})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return found, err
}

// named gives those of the person's predictions that have these ids.
func (h history) named(ctx context.Context, ids []domain.PredictionID) (list []Prediction, err error) {
	var rest []domain.PredictionID
	for _, id := range ids {
		i := slices.IndexFunc(h.predictions, func(p *Prediction) bool { return p.ID == id })
		if i < 0 {
			rest = append(rest, id)
		} else {
			list = append(list, *h.predictions[i])
		}
	}
	if h.kept == 0 || len(rest) == 0 {
		return list, nil
	}
	older, err := h.saved.named(ctx, h.kept, rest)
	for _, p := range older {
		if p.Account == h.account {
			list = append(list, p.Prediction)
		}
	}
	return list, err
}
