package projections

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kassa/eventstore"
	"kassa/internal/listen"
)

// Notifications go from the process that keeps the views to all that read them. They
// shorten waits and are never needed: a waiter also polls the positions.
const notifyChannel = "kassa_views"

// listenTask is reported while no notifications come.
const listenTask = "listen for news of the views"

// pollInterval bounds how late a lost notification is made up for.
const pollInterval = 250 * time.Millisecond

// notifyMoved sends how far all views have come, when its transaction commits.
const notifyMoved = `SELECT pg_notify($1, min(position)::text) FROM ` + served + `positions WHERE view = ANY($2)`

// onNotification wakes those who wait. Others may send on the channel too, and programs of
// before send more than the position: what cannot be read is ignored.
func (v *Postgres) onNotification(payload string) {
	position, _, _ := strings.Cut(payload, " ")
	if at, err := strconv.ParseInt(position, 10, 64); err == nil {
		v.advance(eventstore.Position(at))
	}
}

// advance wakes all who wait for the position or for one before.
func (v *Postgres) advance(at eventstore.Position) {
	for known := v.known.Load(); known < int64(at) && !v.known.CompareAndSwap(known, int64(at)); known = v.known.Load() {
	}
	v.moves.Notify(slices.DeleteFunc(v.moves.Keys(), func(p eventstore.Position) bool { return p > at })...)
}

// setBack notes that the views are at an earlier position than they were seen at.
func (v *Postgres) setBack(at eventstore.Position) {
	for known := v.known.Load(); known > int64(at) && !v.known.CompareAndSwap(known, int64(at)); known = v.known.Load() {
	}
}

func (v *Postgres) holds(at eventstore.Position) bool {
	return eventstore.Position(v.known.Load()) >= at
}

// listenOnceWanted listens from the first wait on. Each append and each batch of the views
// wakes every session of the database that listens to any channel, so a process that only
// writes the views, and never waits for them, does not listen for their news.
func (v *Postgres) listenOnceWanted(ctx context.Context) {
	select {
	case <-v.wanted:
		v.listen(ctx)
	case <-ctx.Done():
	}
}

// listen receives notifications. While there are none, and behind a pooler, waiters poll.
func (v *Postgres) listen(ctx context.Context) {
	listen.Listener{Config: v.pool.Config().ConnConfig, Channel: notifyChannel, Receive: v.onNotification,
		Begin: v.pollPosition, // what was sent before LISTEN
		Report: func(err error) {
			v.listening.Store(err == nil)
			if err != nil {
				// Views commit without waiting for the disk: a server that crashed may have
				// lost their last moments, together with their positions.
				v.known.Store(0)
			}
			v.report(listenTask, err)
		},
	}.Run(ctx)
}

// poll reads the positions for those who wait, whether notifications come or not: once for
// all of them.
func (v *Postgres) poll(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		read, cancel := context.WithTimeout(ctx, lastRead)
		if len(v.moves.Keys()) > 0 {
			_ = v.pollPosition(read) // the next tick tries again
		}
		cancel()
	}
}

// pollPosition reads how far the views have come that are served, as a notification says: each
// read finds for itself whether its views are.
func (v *Postgres) pollPosition(ctx context.Context) error {
	served, err := readServedPositions(ctx, v.pool)
	if err != nil {
		return err
	}
	if len(served) == 0 {
		return fmt.Errorf("%w: none of them follows the log", ErrBehind)
	}
	v.advance(slices.Min(slices.Collect(maps.Values(served))))
	return nil
}
