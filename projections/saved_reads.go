package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kassa/domain"
	"kassa/eventstore"
)

// entriesOf is where the log has a prediction.
type entriesOf struct {
	Request, End, Refund, Confirm eventstore.Position // 0 for what did not happen
	known                         *Prediction         // where it is in memory
}

// savedEntries are the columns with these positions.
const savedEntries = `position, end_position, refund_position, confirm_position`

// atKept reads rows as JSON, in one statement with the position of the tables: its error is
// errMoved where that is not kept.
func (s *saved) atKept(ctx context.Context, kept eventstore.Position, rows any, columns, from string, args ...any) error {
	var at eventstore.Position
	var list []byte
	err := s.db.Read.QueryRowContext(ctx, `SELECT (SELECT position FROM saved_views), (SELECT json_group_array(json_array(`+columns+`)) FROM (`+from+`))`, args...).Scan(&at, &list)
	switch {
	case err != nil:
		return fmt.Errorf("read the saved views: %w", err)
	case at != kept:
		return errMoved
	}
	return json.Unmarshal(list, rows)
}

// newestOf is a query of the newest rows of an account before a position: of those that
// have one of the values, each found by the index.
func newestOf[V ~string](columns, table, column string, h history, values []V, before eventstore.Position, limit int) (query string, args []any) {
	args = []any{h.account, before, limit}
	var parts []string
	for _, v := range values {
		args = append(args, string(v))
		parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT %s FROM %s WHERE account = ?1 AND %s = ?%d AND position < ?2 ORDER BY position DESC LIMIT ?3)`,
			columns, table, column, len(args)))
	}
	return strings.Join(parts, ` UNION ALL `) + ` ORDER BY position DESC LIMIT ?3`, args
}

// lines gives the positions of the newest or the oldest lines of a stretch, the newest first.
func (s *saved) lines(ctx context.Context, h history, one TransactionType, within stretch, limit int) (at []eventstore.Position, err error) {
	types := TransactionTypes
	if one != "" {
		types = []TransactionType{one}
	}
	order := `DESC`
	if within.oldest {
		order = `ASC`
	}
	args, parts := []any{h.account, within.since, within.before, limit}, []string{}
	for _, t := range types { // each found by the index
		args = append(args, string(t))
		parts = append(parts, fmt.Sprintf(`SELECT * FROM (SELECT position FROM %s WHERE account = ?1 AND type = ?%d AND position > ?2 AND position < ?3 ORDER BY position %s LIMIT ?4)`,
			savedLines, len(args), order))
	}
	var rows [][1]eventstore.Position
	err = s.atKept(ctx, h.kept, &rows, `position`, strings.Join(parts, ` UNION ALL `)+` ORDER BY position `+order+` LIMIT ?4`, args...)
	for _, row := range rows {
		at = append(at, row[0])
	}
	if within.oldest {
		slices.Reverse(at)
	}
	return at, err
}

// transactions reads lines from the log.
func (s *saved) transactions(ctx context.Context, at []eventstore.Position) ([]Transaction, error) {
	entries, err := s.log.At(ctx, at)
	if err != nil {
		return nil, err
	}
	list := make([]Transaction, 0, len(at))
	for _, position := range at {
		t, ok := Transaction{}, false
		if rec, there := entries[position]; there {
			t, ok = transactionOf(rec)
		}
		if !ok {
			return nil, fmt.Errorf("%w: the saved views have a line at position %d, and the log has not", eventstore.ErrCorrupt, position)
		}
		list = append(list, t)
	}
	return list, nil
}

// states gives lines the states of predictions, by the positions of their requests.
func (s *saved) states(ctx context.Context, kept eventstore.Position, lines map[eventstore.Position]*Transaction) error {
	at := make([]eventstore.Position, 0, len(lines))
	for position := range lines {
		at = append(at, position)
	}
	list, err := json.Marshal(at)
	if err != nil {
		return err
	}
	var rows []stateAt
	err = s.atKept(ctx, kept, &rows, `position, state`, `SELECT position, state FROM `+savedPredictions+` WHERE position IN (SELECT value FROM json_each(?))`, string(list))
	for _, row := range rows {
		lines[row.at].Status = row.is
	}
	if err == nil && len(rows) < len(lines) {
		err = fmt.Errorf("%w: the saved views lack a prediction that a line is of", eventstore.ErrCorrupt)
	}
	return err
}

// stateAt is the state of the prediction whose request is at a position.
type stateAt struct {
	at eventstore.Position
	is string
}

// UnmarshalJSON reads [position, state].
func (s *stateAt) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[]any{&s.at, &s.is}) }

// ended are the states of predictions that are not all in memory.
var ended = []domain.PredictionState{domain.StateCaptured, domain.StateReleased, domain.StateExpired, domain.StateRefunded}

// asked gives the newest predictions before a position that have ended.
func (s *saved) asked(ctx context.Context, h history, one domain.PredictionState, before eventstore.Position, limit int) ([]entriesOf, error) {
	states := ended
	if one != "" {
		states = []domain.PredictionState{one}
	}
	query, args := newestOf(savedEntries, savedPredictions, `follow_up_of = '' AND state`, h, states, before, limit)
	var rows [][4]eventstore.Position
	err := s.atKept(ctx, h.kept, &rows, savedEntries, query, args...)
	places := make([]entriesOf, len(rows))
	for i, row := range rows {
		places[i] = entriesOf{Request: row[0], End: row[1], Refund: row[2], Confirm: row[3]}
	}
	return places, err
}

// predictions reads predictions from the log, in this order.
func (s *saved) predictions(ctx context.Context, places []entriesOf) ([]Prediction, error) {
	var at []eventstore.Position
	for _, p := range places {
		if p.known == nil {
			at = append(at, p.Request, p.End, p.Refund, p.Confirm)
		}
	}
	entries := map[eventstore.Position]eventstore.Recorded{}
	if len(at) > 0 {
		var err error
		if entries, err = s.log.At(ctx, at); err != nil {
			return nil, err
		}
	}
	list := make([]Prediction, len(places))
	for i, from := range places {
		if from.known != nil {
			list[i] = *from.known
			continue
		}
		p, ok := RequestedBy(entries[from.Request])
		for _, at := range []eventstore.Position{from.End, from.Refund, from.Confirm} {
			if ok && at > 0 {
				p, ok = p.step(entries[at])
			}
		}
		if !ok {
			return nil, fmt.Errorf("%w: the saved views have a prediction at position %d, and the log has not", eventstore.ErrCorrupt, from.Request)
		}
		list[i] = p
	}
	return list, nil
}

// owned is a prediction, and the account whose it is.
type owned struct {
	Prediction
	Account eventstore.Position
}

// named reads predictions by their ids.
func (s *saved) named(ctx context.Context, kept eventstore.Position, ids []domain.PredictionID) ([]owned, error) {
	return s.having(ctx, kept, `id`, ids)
}

// followUps reads predictions by the paid ones that they follow.
func (s *saved) followUps(ctx context.Context, kept eventstore.Position, of []domain.PredictionID) ([]owned, error) {
	return s.having(ctx, kept, `follow_up_of <> '' AND follow_up_of`, of)
}

// having reads the predictions of which a column has one of these ids.
func (s *saved) having(ctx context.Context, kept eventstore.Position, column string, ids []domain.PredictionID) ([]owned, error) {
	if len(ids) == 0 || kept == 0 {
		return nil, nil
	}
	names, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	var rows [][5]eventstore.Position
	err = s.atKept(ctx, kept, &rows, savedEntries+`, account`,
		`SELECT `+savedEntries+`, account FROM `+savedPredictions+` WHERE `+column+` IN (SELECT value FROM json_each(?))`, string(names))
	if err != nil {
		return nil, err
	}
	places := make([]entriesOf, len(rows))
	for i, row := range rows {
		places[i] = entriesOf{Request: row[0], End: row[1], Refund: row[2], Confirm: row[3]}
	}
	list, err := s.predictions(ctx, places)
	found := make([]owned, len(list))
	for i, p := range list {
		found[i] = owned{p, rows[i][4]}
	}
	return found, err
}

// savedDay is a row of the table of days.
type savedDay struct {
	figure
	amount int64
}

// UnmarshalJSON reads [day, measure, item, amount].
func (s *savedDay) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&s.Date, &s.Measure, &s.Item, &s.amount})
}
