package tracing

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/bus"
)

// predictionOf is the prediction that an event is about; "" where it is about none.
func predictionOf(e domain.Event) domain.PredictionID {
	switch e := e.(type) {
	case domain.PredictionRequested:
		return e.Prediction
	case domain.PredictionCompleted:
		return e.Prediction
	case domain.PredictionFailed:
		return e.Prediction
	case domain.PredictionExpired:
		return e.Prediction
	case domain.PredictionRefunded:
		return e.Prediction
	case domain.PredictionConfirmed:
		return e.Prediction
	}
	return ""
}

// Batch sends a span for each event of a prediction that was just appended.
func (t *Tracer) Batch(b eventstore.Batch) {
	now := time.Now()
	for _, rec := range b.Entries {
		if p := predictionOf(rec.Event); p != "" {
			t.span("append "+string(rec.Event.Type()), trace.SpanKindInternal, p, now.Add(-b.Took), now,
				attribute.Int64("kassa.position", int64(rec.Position)), attribute.Int("kassa.batch", b.Appends))
		}
	}
}

// Applied sends a span for each event of a prediction that the views have just got.
func (t *Tracer) Applied(entries []eventstore.Recorded, began time.Time) {
	now := time.Now()
	for _, rec := range entries {
		if p := predictionOf(rec.Event); p != "" {
			t.span("views "+string(rec.Event.Type()), trace.SpanKindInternal, p, began, now,
				attribute.Int64("kassa.position", int64(rec.Position)), attribute.Int("kassa.batch", len(entries)))
		}
	}
}

// Carried sends a span for each question that the relay has just published together.
func (t *Tracer) Carried(questions []domain.PredictionID, began time.Time) {
	t.spans("relay", trace.SpanKindProducer, questions, began)
}

// Searched sends a span for each question whose films were just looked for together.
func (t *Tracer) Searched(questions []domain.PredictionID, began time.Time) {
	t.spans("search", trace.SpanKindInternal, questions, began)
}

// Handled sends a span for each job of a message that was just handled: work by a worker,
// answers by a matcher.
func (t *Tracer) Handled(kind string, jobs []bus.Job, began time.Time) {
	questions := make([]domain.PredictionID, len(jobs))
	for i, j := range jobs {
		questions[i] = domain.PredictionID(j.Prediction)
	}
	t.spans("handle "+kind, trace.SpanKindConsumer, questions, began)
}

func (t *Tracer) spans(name string, kind trace.SpanKind, questions []domain.PredictionID, began time.Time) {
	now := time.Now()
	for _, p := range questions {
		t.span(name, kind, p, began, now, attribute.Int("kassa.batch", len(questions)))
	}
}
