package projections

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"kassa/eventstore"
)

// Actions gives a page of what admins and the operator did, the newest first. What is in memory is
// newer than all that is in the table.
func (m *Memory) Actions(ctx context.Context, q ActionQuery, least eventstore.Position) (Page[Action], eventstore.Position, error) {
	s, err := q.between(0, 1<<63-1)
	if err != nil {
		return Page[Action]{}, 0, err
	}
	wanted := q.size() + 1
	var list []Action
	at, err := m.again(ctx, least, func() error {
		list = newest(m.actions, s.before, len(m.actions), func(a Action) (eventstore.Position, bool) { return a.Position, a.Position > s.since && q.finds(&a) })
		return nil
	}, func(kept eventstore.Position) error {
		saved := wanted
		if !s.oldest {
			saved -= min(len(list), wanted)
		}
		older, err := m.saved.actions(ctx, kept, q, s, saved)
		list = append(list, older...)
		return err
	})
	if s.oldest {
		list = list[max(0, len(list)-wanted):]
	} else {
		list = list[:min(len(list), wanted)]
	}
	return pageOf(q.PageQuery, s, list, func(a *Action) eventstore.Position { return a.Position }), at, err
}

// actionColumns are those that an action is made of.
const actionColumns = `position, at, type, admin, operator, user_id, amount, role, reason, reference`

// actions reads the newest or the oldest of a stretch, the newest first.
func (s *saved) actions(ctx context.Context, kept eventstore.Position, q ActionQuery, within stretch, limit int) (list []Action, err error) {
	order := `DESC`
	if within.oldest {
		order = `ASC`
	}
	var from, until any
	if !q.From.IsZero() {
		from = q.From.UnixMicro()
	}
	if !q.Until.IsZero() {
		until = q.Until.UnixMicro()
	}
	var rows []savedAction
	err = s.atKept(ctx, kept, &rows, actionColumns, `SELECT * FROM `+savedActions+` WHERE position > ?1 AND position < ?2
		AND (?3 = '' OR admin = ?3 OR operator = ?3) AND (?4 = '' OR type = ?4) AND (?5 = '' OR user_id = ?5)
		AND (?6 IS NULL OR at >= ?6) AND (?7 IS NULL OR at < ?7) AND instr(said, ?8) > 0 ORDER BY position `+order+` LIMIT ?9`,
		within.since, within.before, q.By, string(q.Type), string(q.User), from, until, strings.ToLower(q.Text), limit)
	for _, row := range rows {
		list = append(list, row.Action)
	}
	if within.oldest {
		slices.Reverse(list)
	}
	return list, err
}

// savedAction is a row of the table.
type savedAction struct{ Action }

// UnmarshalJSON reads the columns.
func (s *savedAction) UnmarshalJSON(b []byte) error {
	var at int64
	err := json.Unmarshal(b, &[]any{&s.Position, &at, &s.Type, &s.Admin, &s.Operator, &s.User, &s.Amount, &s.Role, &s.Reason, &s.Reference})
	s.At = time.UnixMicro(at).UTC()
	return err
}
