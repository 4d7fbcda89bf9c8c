// Package tracing sends what a process does for requests and predictions to an
// OpenTelemetry collector.
//
// The trace of a prediction is named by a hash of its id, and so is the span of the request
// that made it. Every process that works for the prediction knows that id, so all find the
// same trace, and decide in the same way whether it is sampled: nothing about a trace is
// stored in the log, or sent in a message.
package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"kassa/domain"
)

// Config is where spans are sent, and of which process they are.
type Config struct {
	Endpoint string  // URL of a collector that takes OTLP over HTTP, such as http://localhost:4318
	Ratio    float64 // of the traces that are sent, 0 to 1
	Version  string
	Process  string // its roles, or worker
	Logger   *slog.Logger
}

// Tracer sends spans in the background. A nil Tracer sends none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Open starts to send. The collector need not be there: what it does not take is dropped,
// which the log reports.
func Open(ctx context.Context, c Config) (*Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.Endpoint+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("send traces to %s: %w", c.Endpoint, err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { c.Logger.Warn("traces cannot be sent", "error", err) }))
	return start(sdk.NewBatchSpanProcessor(exporter), c), nil
}

func start(to sdk.SpanProcessor, c Config) *Tracer {
	of := resource.NewSchemaless(attribute.String("service.name", "kassa"), attribute.String("service.version", c.Version),
		attribute.String("service.instance.id", rand.Text()), attribute.String("kassa.process", c.Process))
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(to), sdk.WithResource(of), sdk.WithSampler(sdk.TraceIDRatioBased(c.Ratio)), sdk.WithIDGenerator(named{}))
	return &Tracer{provider, provider.Tracer("kassa")}
}

// Close sends what is left, for up to five seconds.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// ids are those of the next root span.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

// idsOf names the trace of a prediction, and the span of the request that made it.
func idsOf(p domain.PredictionID) (i ids) {
	sum := sha256.Sum256([]byte("kassa trace of " + string(p)))
	copy(i.trace[:], sum[:])
	copy(i.span[:], sum[len(i.trace):])
	return i
}

type idsKey struct{}

// named gives a root span the ids in its context, and any other span random ones.
type named struct{}

func (n named) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if i, ok := ctx.Value(idsKey{}).(ids); ok {
		return i.trace, i.span
	}
	var id trace.TraceID
	rand.Read(id[:])
	return id, n.NewSpanID(ctx, id)
}

func (named) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	rand.Read(id[:])
	return id
}

// span sends one span of a prediction's trace, below that of its request.
func (t *Tracer) span(name string, kind trace.SpanKind, p domain.PredictionID, began, ended time.Time, about ...attribute.KeyValue) {
	i := idsOf(p)
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: i.trace, SpanID: i.span, Remote: true})
	_, s := t.tracer.Start(trace.ContextWithSpanContext(context.Background(), parent), name, trace.WithSpanKind(kind), trace.WithTimestamp(began),
		trace.WithAttributes(append(about, attribute.String("kassa.prediction", string(p)))...))
	s.End(trace.WithTimestamp(ended))
}

// Request is an HTTP request that has ended.
type Request struct {
	ID, Method, Route string // of the route its pattern
	Status            int
	Prediction        domain.PredictionID // that it is about; "": none
	Made              bool                // it made the prediction
	Began, Ended      time.Time
}

// Request sends the span of a request: the root of its prediction's trace if it made one,
// else of a trace of its own.
func (t *Tracer) Request(r Request) {
	ctx := context.Background()
	if r.Made {
		ctx = context.WithValue(ctx, idsKey{}, idsOf(r.Prediction))
	}
	about := []attribute.KeyValue{attribute.String("http.request.method", r.Method), attribute.String("http.route", r.Route),
		attribute.Int("http.response.status_code", r.Status), attribute.String("kassa.request", r.ID)}
	if r.Prediction != "" {
		about = append(about, attribute.String("kassa.prediction", string(r.Prediction)))
	}
	_, s := t.tracer.Start(ctx, r.Method+" "+r.Route, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.Began), trace.WithAttributes(about...))
	if r.Status >= 500 {
		s.SetStatus(codes.Error, "")
	}
	s.End(trace.WithTimestamp(r.Ended))
}
