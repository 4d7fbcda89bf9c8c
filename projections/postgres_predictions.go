package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/domain"
	"kassa/eventstore"
)

// predictions is one row for each question.
type predictions struct{}

const predictionsTable = "predictions_v1"

func (predictions) Table() string { return predictionsTable }

const (
	addPredictions = `INSERT INTO ` + predictionsTable + ` (id, user_id, state, ended_at, end_position, movies, model, catalogue,
			processing_time, failure, text, price, wanted, requested_at, expires_at, position)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[], $7::text[], $8::text[],
			$9::float8[], $10::text[], $11::bytea[], $12::bigint[], $13::int[], $14::timestamptz[], $15::timestamptz[], $16::bigint[])`
	endPredictions = `UPDATE ` + predictionsTable + ` p
		SET state = d.state, ended_at = d.ended_at, end_position = d.end_position, movies = d.movies, model = d.model,
			catalogue = d.catalogue, processing_time = d.processing_time, failure = d.failure
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[], $7::text[], $8::text[],
			$9::float8[], $10::text[])
			d (id, user_id, state, ended_at, end_position, movies, model, catalogue, processing_time, failure)
		WHERE p.id = d.id AND p.user_id = d.user_id AND p.state = 'held'`
)

func (predictions) Write(pipe *pgx.Batch, batch []eventstore.Recorded) error {
	asked, ended, err := foldPredictions(batch)
	if err != nil {
		return err
	}
	queue(pipe, addPredictions, len(asked), nil, append(endColumns(asked),
		column(asked, func(p *Prediction) []byte { return p.Text }),
		column(asked, func(p *Prediction) int64 { return int64(p.Price) }),
		column(asked, func(p *Prediction) int32 { return int32(p.Limit) }),
		column(asked, func(p *Prediction) time.Time { return p.RequestedAt }),
		column(asked, func(p *Prediction) time.Time { return p.ExpiresAt }),
		column(asked, func(p *Prediction) int64 { return int64(p.Position) }))...)
	queue(pipe, endPredictions, len(ended), errNotOpen, endColumns(ended)...)
	return nil
}

var errNotOpen = fmt.Errorf("%w: a prediction ends that is not open", domain.ErrBroken)

// endColumns are the columns that an end writes, behind those that name the row.
func endColumns(list []Prediction) []any {
	return []any{
		column(list, func(p *Prediction) string { return string(p.ID) }),
		column(list, func(p *Prediction) string { return string(p.User) }),
		column(list, func(p *Prediction) string { return string(p.State) }),
		column(list, func(p *Prediction) *time.Time {
			if p.EndedAt.IsZero() {
				return nil
			}
			return &p.EndedAt
		}),
		column(list, func(p *Prediction) int64 { return int64(p.EndPosition) }),
		column(list, moviesJSON),
		column(list, func(p *Prediction) string { return p.Model }),
		column(list, func(p *Prediction) string { return p.Catalogue }),
		column(list, func(p *Prediction) float64 { return p.ProcessingTime }),
		column(list, func(p *Prediction) string { return string(p.Failure) }),
	}
}

// moviesJSON is nil where there is no answer; an answer without films is [].
func moviesJSON(p *Prediction) *string {
	if p.Movies == nil {
		return nil
	}
	b, err := json.Marshal(p.Movies)
	if err != nil { // a list of strings and of numbers that came out of JSON
		panic(err)
	}
	s := string(b)
	return &s
}

const (
	selectPredictions = `SELECT id, user_id, state, text, price, wanted, requested_at, expires_at, position, ended_at, end_position,
		movies, model, catalogue, processing_time, failure FROM ` + served + predictionsTable + ` `
	pageOfPredictions = selectPredictions + `WHERE user_id = $3 AND position < $1 ORDER BY position DESC LIMIT $2`
	pageOfOneState    = selectPredictions + `WHERE user_id = $3 AND (state, position) < ($4, $1) AND (state, position) > ($4, 0)
		ORDER BY state DESC, position DESC LIMIT $2` // as pageOfOneType
)

func scanPrediction(row pgx.CollectableRow) (p Prediction, err error) {
	var ended *time.Time
	var movies []byte
	err = row.Scan(&p.ID, &p.User, &p.State, (*[]byte)(&p.Text), &p.Price, &p.Limit, &p.RequestedAt, &p.ExpiresAt, &p.Position, &ended, &p.EndPosition,
		&movies, &p.Model, &p.Catalogue, &p.ProcessingTime, &p.Failure)
	if err != nil {
		return Prediction{}, err
	}
	p.RequestedAt, p.ExpiresAt = p.RequestedAt.UTC(), p.ExpiresAt.UTC()
	if ended != nil {
		p.EndedAt = ended.UTC()
	}
	if movies != nil {
		err = json.Unmarshal(movies, &p.Movies)
	}
	return p, err
}

// Predictions gives a page of a person's predictions, the newest first.
func (v *Postgres) Predictions(ctx context.Context, u domain.UserID, q PredictionQuery, least eventstore.Position) (Page[Prediction], eventstore.Position, error) {
	list := listed[Prediction]{tables: []string{predictionsTable, usersTable}, query: pageOfPredictions, args: []any{string(u)},
		at: func(p *Prediction) eventstore.Position { return p.Position }, scan: scanPrediction, of: (*string)(&u)}
	if q.State != "" {
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

// Questions gives the sealed texts of predictions of one person.
func (v *Postgres) Questions(ctx context.Context, u domain.UserID, ids []domain.PredictionID) (map[domain.PredictionID]domain.Sealed, error) {
	found := map[domain.PredictionID]domain.Sealed{}
	_, err := v.snapshot(ctx, []string{predictionsTable}, func(pipe *pgx.Batch) {
		pipe.Queue(`SELECT id, text FROM `+served+predictionsTable+` WHERE user_id = $1 AND id = ANY($2)`,
			string(u), column(ids, func(id *domain.PredictionID) string { return string(*id) })).Query(func(rows pgx.Rows) error {
			var id domain.PredictionID
			var text []byte
			_, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error { found[id] = slices.Clone(text); return nil })
			return err
		})
	})
	return found, failed(err, "read questions of %s", u)
}

// OpenHolds lists predictions that have not ended and expire before the time.
func (v *Postgres) OpenHolds(ctx context.Context, before time.Time, limit int) (list []Prediction, err error) {
	_, err = v.snapshot(ctx, []string{predictionsTable}, func(pipe *pgx.Batch) {
		pipe.Queue(selectPredictions+`WHERE state = 'held' AND expires_at < $1 ORDER BY expires_at, position LIMIT $2`, before, limit).
			Query(func(rows pgx.Rows) (err error) { list, err = pgx.CollectRows(rows, scanPrediction); return err })
	})
	return list, failed(err, "read open holds")
}
