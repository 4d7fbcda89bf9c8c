package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"kassa/internal/wait"
	"kassa/transparency/witness"
)

// WitnessConfig is a process that watches a log from outside.
type WitnessConfig struct {
	Witness *witness.Witness
	Log     *witness.Log  // that is looked at; nil: only what is submitted is verified
	Every   time.Duration // between two looks at it
	Addr    string        // for submissions; "": none are taken
	Version string
	Watching
	Logger *slog.Logger
}

// Outcomes of a look at the log, as a label.
const (
	lookConsistent   = "consistent"
	lookContradicted = "contradicted"
	lookUnknown      = "unknown" // not reached, or not signed
)

// Watch watches a log until ctx ends. A contradiction does not end it: what was seen before
// stays what later heads must continue.
func Watch(ctx context.Context, c WitnessConfig) error {
	watched, err := listenMetrics(c.MetricsAddr, c.Version, c.Logger)
	if err != nil {
		return err
	}
	defer watched.close()
	looked := func(string) {}
	if watched != nil {
		looked = watched.WatchWitness(func() (int64, int) {
			evidence, _ := c.Witness.Evidence() // the pattern is a good one
			return int64(c.Witness.Last().Head.Size), len(evidence)
		}, lookConsistent, lookContradicted, lookUnknown)
	}
	parts, within := errgroup.WithContext(ctx)
	url := ""
	if c.Addr != "" {
		listener, err := net.Listen("tcp", c.Addr)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", c.Addr, err)
		}
		url = "http://" + listener.Addr().String()
		parts.Go(func() error { return c.serve(within, listener) })
	}
	if c.Log != nil {
		parts.Go(func() error { return c.follow(within, looked) })
	}
	c.Logger.Info("kassa is open", "url", url, "part", "witness", "version", c.Version)
	err = parts.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		c.Logger.Info("the witness is closed")
		return nil
	}
	return err
}

// follow looks at the log again and again. Its lines say what changed, not every look.
func (c WitnessConfig) follow(ctx context.Context, looked func(outcome string)) error {
	last := ""
	for {
		head, err := c.Witness.Check(ctx, c.Log)
		if ctx.Err() != nil {
			return nil
		}
		outcome := lookOf(err)
		looked(outcome)
		switch said := fmt.Sprint(outcome, err); {
		case said == last:
		case outcome == lookConsistent:
			c.Logger.Info("the log continues what was seen of it", "origin", head.Origin, "size", head.Head.Size)
			last = said
		case outcome == lookContradicted:
			c.Logger.Error("ALARM: the log contradicts what was seen of it", "error", err)
			last = said
		default:
			c.Logger.Warn("the log cannot be verified for now", "error", err)
			last = said
		}
		if !wait.For(ctx, c.Every) {
			return nil
		}
	}
}

func lookOf(err error) string {
	if err == nil {
		return lookConsistent
	}
	if _, is := errors.AsType[*witness.Contradiction](err); is {
		return lookContradicted
	}
	return lookUnknown
}

// serve takes submissions until ctx ends.
func (c WitnessConfig) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: c.Witness.Handler(c.refused), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 15 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // a submission can be repeated
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("take submissions: %w", err)
	}
	return nil
}

// refused logs a submission that was not cosigned. Anybody can send one, so that only a
// contradiction, which bears the log's signature, is more than a remark.
func (c WitnessConfig) refused(err error) {
	level, text := slog.LevelDebug, "a submission was refused"
	if lookOf(err) == lookContradicted {
		level, text = slog.LevelError, "ALARM: the log contradicts what was seen of it"
	}
	c.Logger.Log(context.Background(), level, text, "error", err)
}
