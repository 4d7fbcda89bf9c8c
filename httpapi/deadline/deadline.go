// Package deadline limits how long a request is handled, for the API and the pages
// alike. The deadline is earlier than the server's write timeout: otherwise the client
// would get nothing where the log shows an answer.
package deadline

import (
	"context"
	"time"
)

type originKey struct{}

// Limit returns a context that ends after d at the latest.
func Limit(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, originKey{}, ctx), d)
}

// Detached returns the context of a command: it has the request's deadline, and does
// not end when the client leaves. A command that has begun must end as it would have: a
// charge without its deposit is a loss.
func Detached(ctx context.Context) (context.Context, context.CancelFunc) {
	detached := context.WithoutCancel(ctx)
	if until, ok := ctx.Deadline(); ok {
		return context.WithDeadline(detached, until)
	}
	return context.WithCancel(detached)
}

// WithoutLimit returns the context without the deadline that Limit set, for a wait that
// the client asked for. It ends when the client leaves.
func WithoutLimit(ctx context.Context) context.Context {
	if origin, ok := ctx.Value(originKey{}).(context.Context); ok {
		return unlimited{origin, ctx}
	}
	return ctx
}

// unlimited ends with one context and has the values of another.
type unlimited struct {
	context.Context
	values context.Context
}

func (l unlimited) Value(key any) any { return l.values.Value(key) }
