// Package deadline bounds how long a request is worked on, for the API and the pages
// alike. Its answer is due before the server gives the connection up, or the client
// would read nothing where the log has an answer.
package deadline

import (
	"context"
	"time"
)

type originKey struct{}

// Limit gives a context that ends after d at the latest.
func Limit(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, originKey{}, ctx), d)
}

// Firm gives the context of a command: it has the deadline of the request and does
// not end when the client leaves. Once begun, a command ends as it would have: a
// charge without its deposit helps nobody.
func Firm(ctx context.Context) (context.Context, context.CancelFunc) {
	firm := context.WithoutCancel(ctx)
	if until, ok := ctx.Deadline(); ok {
		return context.WithDeadline(firm, until)
	}
	return context.WithCancel(firm)
}

// Lifted gives the context without the deadline that Limit set, for a wait that the
// client asked for: it ends when the client leaves.
func Lifted(ctx context.Context) context.Context {
	if origin, ok := ctx.Value(originKey{}).(context.Context); ok {
		return lifted{origin, ctx}
	}
	return ctx
}

// lifted ends with one context and has the values of another.
type lifted struct {
	context.Context
	values context.Context
}

func (l lifted) Value(key any) any { return l.values.Value(key) }
