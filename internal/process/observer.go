package process

import (
	"context"
	"log/slog"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/requestlog"
	"kassa/internal/bus"
	"kassa/internal/tracing"
)

// observer passes what the parts of a process report on to its metrics and traces, where
// it has them, and to the log what is slow.
type observer struct {
	*watched
	tracer    *tracing.Tracer // nil: none
	slowBatch time.Duration   // 0: none
	log       *slog.Logger
}

func (o *observer) Begin() {
	if o.watched != nil {
		o.watched.Begin()
	}
}

func (o *observer) End(method string, line requestlog.Line, status int, began time.Time, took time.Duration) {
	if o.watched != nil {
		o.watched.End(method, line.Route, status, took)
	}
	if o.tracer != nil {
		o.tracer.Request(tracing.Request{ID: line.ID, Method: method, Route: line.Route, Status: status, Prediction: line.Prediction,
			Made: line.Prediction != "" && !line.Replayed, Began: began, Ended: began.Add(took)})
	}
}

func (o *observer) Batch(b eventstore.Batch) {
	if o.watched != nil {
		o.watched.Batch(b)
	}
	if o.tracer != nil {
		o.tracer.Batch(b)
	}
	if o.slowBatch > 0 && b.Took >= o.slowBatch {
		o.log.LogAttrs(context.Background(), slog.LevelWarn, "slow batch", slog.Duration("took", b.Took), slog.Int("appends", b.Appends),
			slog.Int("entries", len(b.Entries)), slog.Int("conflicts", b.Conflicts), slog.Int("unknown", b.Unknown), slog.Int("failed", b.Failed))
	}
}

func (o *observer) Carried(questions []domain.PredictionID, began time.Time) {
	if o.tracer != nil {
		o.tracer.Carried(questions, began)
	}
}

func (o *observer) Searched(questions []domain.PredictionID, began time.Time) {
	if o.watched != nil {
		o.watched.Searched(len(questions), time.Since(began))
	}
	if o.tracer != nil {
		o.tracer.Searched(questions, began)
	}
}

func (o *observer) Settled(age time.Duration) {
	if o.watched != nil {
		o.watched.Settled(age)
	}
}

func (o *observer) Handled(kind string, jobs []bus.Job, began time.Time) {
	if o.tracer != nil {
		o.tracer.Handled(kind, jobs, began)
	}
}

func (o *observer) Applied(entries []eventstore.Recorded, began time.Time) {
	if o.tracer != nil {
		o.tracer.Applied(entries, began)
	}
}
