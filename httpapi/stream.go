package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kassa/httpapi/deadline"
	"kassa/httpapi/problem"
	"kassa/projections"
)

const heartbeat = 15 * time.Second

// stream tells a browser's EventSource how a prediction stands now, and when it
// has ended. Each event has the position as its id: an EventSource connects again
// when the stream ends, and one that has seen the end is told with 204 to stop.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	p, err := s.own(w, r)
	if err != nil {
		return err
	}
	if p.State.Ended() && r.Header.Get("Last-Event-ID") == eventID(p) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events until there are many
	if r.Method == http.MethodHead {
		return nil
	}
	events := eventWriter{w: w, control: http.NewResponseController(w)}
	if err := s.follow(deadline.Lifted(r.Context()), events, p); err != nil {
		// The answer has begun, so there is no status left to say it with.
		s.Log.InfoContext(r.Context(), "event stream ended early", "request", w.Header().Get(problem.RequestID), "error", err)
	}
	return nil
}

// follow sends the prediction now and at its end, and between them a sign of life.
func (s *Server) follow(ctx context.Context, events eventWriter, p projections.Prediction) error {
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
		wait, cancel := s.waiting(ctx, pause)
		p, _, err = s.Views.Ended(wait, p.User, p.ID, p.Position)
		cancel()
		if err != nil {
			return err
		}
	}
}

func (s *Server) send(ctx context.Context, events eventWriter, p projections.Prediction) error {
	ctx, cancel := context.WithTimeout(ctx, lastRead)
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

// eventWriter sends events at once.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// write also keeps the connection open until the next event is due.
func (e eventWriter) write(event string, next time.Duration) error {
	patient(e.w, next)
	if _, err := e.w.Write([]byte(event)); err != nil {
		return err
	}
	return e.control.Flush()
}
