package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kassa/eventstore"
	"kassa/httpapi/deadline"
	"kassa/httpapi/problem"
	"kassa/projections"
)

const heartbeat = 15 * time.Second

// stream sends the state of a prediction to a browser's EventSource, and its end. The
// id of each event is the position: an EventSource reconnects when the stream ends, and
// one that has received the end gets 204, which stops it.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	p, at, err := s.ownPrediction(w, r)
	if err != nil {
		return err
	}
	if p.State.Ended() && r.Header.Get("Last-Event-ID") == eventID(p) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would buffer the events
	if r.Method == http.MethodHead {
		return nil
	}
	events := eventWriter{w: w, control: http.NewResponseController(w)}
	ctx, cancel := s.Identity.WhileValid(deadline.WithoutLimit(r.Context()), r)
	defer cancel()
	if err := s.follow(ctx, events, p, at); err != nil {
		// The answer has begun, so no status can be sent any more.
		s.Log.InfoContext(r.Context(), "event stream ended early", "request", w.Header().Get(problem.RequestID), "error", err)
	}
	return nil
}

// follow sends the prediction now and at its end, and heartbeats in between.
func (s *Server) follow(ctx context.Context, events eventWriter, p projections.Prediction, at eventstore.Position) error {
	pause := s.Heartbeat
	if pause == 0 {
		pause = heartbeat
	}
	for first := true; ; first = false {
		var err error
		if first || p.State.Ended() {
			err = s.send(ctx, events, p)
		} else {
			err = events.write(": still waiting\n\n", pause)
		}
		if err != nil || p.State.Ended() || ctx.Err() != nil || s.drain().Err() != nil {
			return err
		}
		wait, cancel := s.waitContext(ctx, pause)
		p, at, err = s.Views.Ended(wait, p, at)
		cancel()
		if err != nil {
			return err
		}
		if p.State.Ended() { // the browser reads the page next, from any process
			s.awaitViews(ctx, p.EndPosition)
		}
	}
}

// awaitViews waits a moment for the views to reach a position.
func (s *Server) awaitViews(ctx context.Context, at eventstore.Position) {
	ctx, cancel := context.WithTimeout(ctx, readAfterWait)
	defer cancel()
	_ = s.Views.Wait(ctx, at) // if they do not, what is sent is still right
}

func (s *Server) send(ctx context.Context, events eventWriter, p projections.Prediction) error {
	ctx, cancel := context.WithTimeout(ctx, readAfterWait)
	defer cancel()
	out, err := s.explained(ctx, p)
	if err != nil {
		return err
	}
	data, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return events.write(fmt.Sprintf("event: prediction\nid: %s\ndata: %s\n\n", eventID(p), data), heartbeat)
}

func eventID(p projections.Prediction) string {
	return strconv.FormatInt(int64(max(p.Position, p.EndPosition)), 10)
}

// eventWriter sends events without buffering.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// write also extends the connection's deadline until the next event.
func (e eventWriter) write(event string, next time.Duration) error {
	extendReadDeadline(e.w, next)
	if _, err := e.w.Write([]byte(event)); err != nil {
		return err
	}
	return e.control.Flush()
}
