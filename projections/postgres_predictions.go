package projections

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// predictions is one row for each question. A refund, or the film that was the one, is kept
// beside the state of the end that it follows.
type predictions struct{}

const predictionsTable = "predictions_v4"

func (predictions) Table() string { return predictionsTable }

var (
	addPredictions = `INSERT INTO ` + predictionsTable + ` (id, user_id, state, ended_at, end_position, movies, model, catalogue,
			processing_time, confidence, failure, refunded_at, refund_position, confirmed, confirmed_at, confirm_position,
			text, price, wanted, requested_at, expires_at, position, follow_up_of, excluded)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[], $7::text[], $8::text[],
			$9::float8[], $10::int[], $11::text[], $12::timestamptz[], $13::bigint[], $14::text[], $15::timestamptz[], $16::bigint[],
			$17::bytea[], $18::bigint[], $19::int[], $20::timestamptz[], $21::timestamptz[], $22::bigint[], $23::text[], $24::text[])`
	endPredictions = expecting(`UPDATE `+predictionsTable+` p
		SET state = d.state, ended_at = d.ended_at, end_position = d.end_position, movies = d.movies, model = d.model,
			catalogue = d.catalogue, processing_time = d.processing_time, confidence = d.confidence, failure = d.failure,
			refunded_at = d.refunded_at, refund_position = d.refund_position,
			confirmed = d.confirmed, confirmed_at = d.confirmed_at, confirm_position = d.confirm_position
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[], $7::text[], $8::text[],
			$9::float8[], $10::int[], $11::text[], $12::timestamptz[], $13::bigint[], $14::text[], $15::timestamptz[], $16::bigint[])
			d (id, user_id, state, ended_at, end_position, movies, model, catalogue, processing_time, confidence, failure, refunded_at, refund_position,
				confirmed, confirmed_at, confirm_position)
		WHERE p.id = d.id AND p.user_id = d.user_id AND p.state = 'held'`, notOpen)
	judgePredictions = expecting(`UPDATE `+predictionsTable+` p SET refunded_at = d.refunded_at, refund_position = d.refund_position,
			confirmed = d.confirmed, confirmed_at = d.confirmed_at, confirm_position = d.confirm_position
		FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::text[], $6::timestamptz[], $7::bigint[])
			d (id, user_id, refunded_at, refund_position, confirmed, confirmed_at, confirm_position)
		WHERE p.id = d.id AND p.user_id = d.user_id AND p.state = 'captured' AND p.refund_position = 0 AND p.confirm_position = 0`, notPaid)
)

func (predictions) Write(batch *pgx.Batch, entries []eventstore.Recorded) error {
	asked, ended, judged, err := foldPredictions(entries)
	if err != nil {
		return err
	}
	queue(batch, addPredictions, len(asked), append(endColumns(asked),
		column(asked, func(p *Prediction) []byte { return p.Text }),
		column(asked, func(p *Prediction) int64 { return int64(p.Price) }),
		column(asked, func(p *Prediction) int32 { return int32(p.Limit) }),
		column(asked, func(p *Prediction) time.Time { return p.RequestedAt }),
		column(asked, func(p *Prediction) time.Time { return p.ExpiresAt }),
		column(asked, func(p *Prediction) int64 { return int64(p.Position) }),
		column(asked, func(p *Prediction) string { return string(p.FollowUpOf) }),
		column(asked, func(p *Prediction) *string { return asJSON(p.Excluded) }))...)
	queue(batch, endPredictions, len(ended), endColumns(ended)...)
	queue(batch, judgePredictions, len(judged), append([]any{
		column(judged, func(p *Prediction) string { return string(p.ID) }),
		column(judged, func(p *Prediction) string { return string(p.User) })}, verdictColumns(judged)...)...)
	return nil
}

const (
	notOpen = "a prediction ends that is not open"
	notPaid = "a prediction is refunded or confirmed that has no answer, or was so before"
)

// endState is the state with which the prediction ended, before a refund.
func (p *Prediction) endState() domain.PredictionState {
	if p.State == domain.StateRefunded {
		return domain.StateCaptured
	}
	return p.State
}

// since is nil for a time that did not come yet.
func since(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// endColumns are the columns that an end writes, behind those that name the row.
func endColumns(list []Prediction) []any {
	return append([]any{
		column(list, func(p *Prediction) string { return string(p.ID) }),
		column(list, func(p *Prediction) string { return string(p.User) }),
		column(list, func(p *Prediction) string { return string(p.endState()) }),
		column(list, func(p *Prediction) *time.Time { return since(p.EndedAt) }),
		column(list, func(p *Prediction) int64 { return int64(p.EndPosition) }),
		column(list, func(p *Prediction) *string { return asJSON(p.Movies) }),
		column(list, func(p *Prediction) string { return p.Model }),
		column(list, func(p *Prediction) string { return p.Catalogue }),
		column(list, func(p *Prediction) float64 { return p.ProcessingTime }),
		column(list, func(p *Prediction) int32 { return int32(p.Confidence) }),
		column(list, func(p *Prediction) string { return string(p.Failure) }),
	}, verdictColumns(list)...)
}

// verdictColumns are those that a refund or a confirmation writes.
func verdictColumns(list []Prediction) []any {
	return []any{
		column(list, func(p *Prediction) *time.Time { return since(p.RefundedAt) }),
		column(list, func(p *Prediction) int64 { return int64(p.RefundPosition) }),
		column(list, confirmedMovie),
		column(list, func(p *Prediction) *time.Time { return since(p.ConfirmedAt) }),
		column(list, func(p *Prediction) int64 { return int64(p.ConfirmPosition) }),
	}
}

// confirmedMovie is nil where no film was confirmed.
func confirmedMovie(p *Prediction) *string {
	if p.ConfirmPosition == 0 {
		return nil
	}
	return &p.Confirmed
}

// asJSON is nil where there is no list, such as that of an answer; an answer without films
// is [].
func asJSON[T any](list []T) *string {
	if list == nil {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil { // a list of strings and of numbers that came out of JSON
		panic(err)
	}
	s := string(b)
	return &s
}

const (
	selectPredictions = `SELECT id, user_id, state, text, price, wanted, requested_at, expires_at, position, ended_at, end_position,
		movies, model, catalogue, processing_time, confidence, failure, refunded_at, refund_position, follow_up_of, excluded, confirmed, confirmed_at, confirm_position FROM ` + served + predictionsTable + ` `
	pageOfPredictions = selectPredictions + `WHERE user_id = $3 AND follow_up_of = '' AND position < $1 ORDER BY position DESC LIMIT $2`
	pageOfOneState    = selectPredictions + `WHERE user_id = $3 AND follow_up_of = '' AND (state, position) < ($4, $1) AND (state, position) > ($4, 0)
		AND refund_position = 0 ORDER BY state DESC, position DESC LIMIT $2` // as pageOfOneType
	pageOfRefunded = selectPredictions + `WHERE user_id = $3 AND position < $1 AND refund_position > 0 ORDER BY position DESC LIMIT $2`
)

func scanPrediction(row pgx.CollectableRow) (p Prediction, err error) {
	var ended, refunded, confirmed *time.Time
	var movies, excluded []byte
	var movie *string
	err = row.Scan(&p.ID, &p.User, &p.State, (*[]byte)(&p.Text), &p.Price, &p.Limit, &p.RequestedAt, &p.ExpiresAt, &p.Position, &ended, &p.EndPosition,
		&movies, &p.Model, &p.Catalogue, &p.ProcessingTime, &p.Confidence, &p.Failure, &refunded, &p.RefundPosition,
		&p.FollowUpOf, &excluded, &movie, &confirmed, &p.ConfirmPosition)
	if err != nil {
		return Prediction{}, err
	}
	p.RequestedAt, p.ExpiresAt = p.RequestedAt.UTC(), p.ExpiresAt.UTC()
	if ended != nil {
		p.EndedAt = ended.UTC()
	}
	if refunded != nil {
		p.RefundedAt, p.State = refunded.UTC(), domain.StateRefunded
	}
	if confirmed != nil && movie != nil {
		p.Confirmed, p.ConfirmedAt = *movie, confirmed.UTC()
	}
	if movies != nil {
		err = json.Unmarshal(movies, &p.Movies)
	}
	if excluded != nil && err == nil {
		err = json.Unmarshal(excluded, &p.Excluded)
	}
	return p, err
}

// Predictions gives a page of a person's predictions, the newest first.
func (v *Postgres) Predictions(ctx context.Context, u domain.UserID, q PredictionQuery, least eventstore.Position) (Page[Prediction], eventstore.Position, error) {
	list := listed[Prediction]{tables: []string{predictionsTable}, query: pageOfPredictions, args: []any{string(u)},
		at: func(p *Prediction) eventstore.Position { return p.Position }, scan: scanPrediction, of: (*string)(&u)}
	switch q.State {
	case "":
	case domain.StateRefunded:
		list.query = pageOfRefunded
	default:
		list.query, list.args = pageOfOneState, append(list.args, string(q.State))
	}
	found, at, err := list.page(ctx, v, q.PageQuery, least)
	return found, at, failed(err, "read predictions of %s", u)
}

// Prediction gives one of the person's predictions.
func (v *Postgres) Prediction(ctx context.Context, u domain.UserID, id domain.PredictionID, least eventstore.Position) (Prediction, eventstore.Position, error) {
	found, at, err := one[Prediction]{tables: []string{predictionsTable}, query: selectPredictions + `WHERE id = $1 AND user_id = $2`,
		args: []any{string(id), string(u)}, scan: scanPrediction}.row(ctx, v, least)
	return found, at, failed(err, "read prediction %s", id)
}

// FollowUps gives the follow-ups of predictions of one person.
func (v *Postgres) FollowUps(ctx context.Context, u domain.UserID, of []domain.PredictionID, least eventstore.Position) (map[domain.PredictionID][]Prediction, error) {
	var read []Prediction // by another goroutine, which ctx does not end
	_, err := v.reading(ctx, least, func() (eventstore.Position, error) {
		shown, err := v.snapshot(ctx, []string{predictionsTable}, func(batch *pgx.Batch) {
			batch.Queue(selectPredictions+`WHERE user_id = $1 AND follow_up_of <> '' AND follow_up_of = ANY($2) ORDER BY position`,
				string(u), column(of, func(id *domain.PredictionID) string { return string(*id) })).
				Query(func(rows pgx.Rows) (err error) { read, err = pgx.CollectRows(rows, scanPrediction); return err })
		})
		if err != nil {
			return 0, err
		}
		return shown.upTo(predictionsTable)
	})
	if err != nil {
		return nil, failed(err, "read follow-ups of %s", u)
	}
	return byPaid(read), nil
}

// Questions gives the sealed texts of predictions of one person.
func (v *Postgres) Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error) {
	read := map[domain.PredictionID]domain.Sealed{} // by another goroutine, which ctx does not end
	shown, err := v.snapshot(ctx, []string{predictionsTable}, func(batch *pgx.Batch) {
		batch.Queue(`SELECT id, text FROM `+served+predictionsTable+` WHERE user_id = $1 AND id = ANY($2)`,
			string(u), column(ids, func(id *domain.PredictionID) string { return string(*id) })).Query(func(rows pgx.Rows) error {
			var id domain.PredictionID
			var text []byte
			_, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error { read[id] = slices.Clone(text); return nil })
			return err
		})
	})
	if err == nil {
		_, err = shown.upTo(predictionsTable)
	}
	if err != nil {
		return nil, failed(err, "read questions of %s", u)
	}
	return read, nil
}

// OpenHolds lists predictions that have not ended and expire before the time.
func (v *Postgres) OpenHolds(ctx context.Context, before time.Time, limit int) ([]Prediction, error) {
	var read []Prediction // by another goroutine, which ctx does not end
	shown, err := v.snapshot(ctx, []string{predictionsTable}, func(batch *pgx.Batch) {
		batch.Queue(selectPredictions+`WHERE state = 'held' AND expires_at < $1 ORDER BY expires_at, position LIMIT $2`, before, limit).
			Query(func(rows pgx.Rows) (err error) { read, err = pgx.CollectRows(rows, scanPrediction); return err })
	})
	if err == nil {
		_, err = shown.upTo(predictionsTable)
	}
	if err != nil {
		return nil, failed(err, "read open holds")
	}
	return read, nil
}
