package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"kassa/commands"
	"kassa/eventstore"
	"kassa/projections"
)

// expireEvery is how often holds are looked over: by so much a hold may outlive
// its time.
const expireEvery = time.Second

// expiredAtOnce bounds what one look takes.
const expiredAtOnce = 500

// expire ends holds whose time is up, until ctx ends. The view only says where to
// look; whether a hold is open and due is decided on its account's stream. A
// failure is logged and tried again at the next look. It ends with ErrNewer where this
// program is too old to end a hold.
func expire(ctx context.Context, views projections.Views, h *commands.Handler, log *slog.Logger) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		due, err := views.OpenHolds(ctx, h.Now(), expiredAtOnce)
		if err != nil && ctx.Err() == nil {
			log.Error("open holds cannot be listed", "error", err)
		}
		for _, p := range due {
			_, err := h.Expire(ctx, commands.Ending{User: p.User, Prediction: p.ID, By: "expirer", Cause: p.Position})
			if errors.Is(err, eventstore.ErrNewer) {
				return err // a newer program can
			}
			if err != nil && ctx.Err() == nil {
				log.Error("a hold cannot be expired", "prediction", p.ID, "position", p.Position, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
