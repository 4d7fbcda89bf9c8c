package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
	"kassa/schema"
)

func (s *Server) about(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, struct {
		Name     string            `json:"name"`
		Version  string            `json:"version"`
		About    string            `json:"about"`
		Price    domain.Credits    `json:"price"` // of one prediction
		Bonus    domain.Credits    `json:"bonus"` // for signing up
		Payments string            `json:"payments"`
		Links    map[string]string `json:"links"`
	}{"Kassa", s.Version, "Ask for a film in your own words, in Russian or English. Every answer costs credits, and every credit moved stands in a ledger.",
		s.Commands.Price, s.Commands.Bonus, s.Commands.Payments.Name(),
		map[string]string{"contract": "/api/openapi.yaml", "health": "/api/health", "ready": "/api/ready", "pages": "/web"}})
}

// health says that the process answers, and asks nothing else.
func health(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readyWithin is the time in which it must be clear whether the process is ready.
const readyWithin = 3 * time.Second

// ready says whether requests can be answered now.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if s.Ready != nil {
		if err := s.Ready(ctx); err != nil {
			return notReady(r, s.Log, err)
		}
	}
	at, err := s.Views.Position(ctx)
	if err != nil {
		return notReady(r, s.Log, err)
	}
	return writeJSON(w, http.StatusOK, isReady(&at, s.Failing))
}

// readiness is what a process that is ready says.
type readiness struct {
	Status   string               `json:"status"`
	Position *eventstore.Position `json:"position,omitempty"` // nil of a process that serves no reads
	Failing  []string             `json:"failing,omitempty"`
}

func isReady(at *eventstore.Position, failing func() []string) readiness {
	r := readiness{Status: "ready", Position: at}
	if failing != nil {
		r.Failing = failing()
	}
	return r
}

// States in which a process is not ready, and nothing is missing.
var (
	ErrOpening  = errors.New("the process is opening")
	ErrDraining = errors.New("the process drains: it answers, and closes soon")
)

// notReady refuses, and logs what is missing. Others are told what it is where they
// can do something about it, and never the error, which names what is inside.
func notReady(r *http.Request, log *slog.Logger, missing error) error {
	log.WarnContext(r.Context(), "not ready", "error", missing)
	if why := missingOf(missing); why != "" {
		return domain.Reject(problem.NotReady, "Kassa is not ready: %s", why)
	}
	return domain.Reject(problem.NotReady, "Kassa is not ready yet")
}

func missingOf(err error) string {
	switch {
	case errors.Is(err, ErrOpening), errors.Is(err, ErrDraining):
		return err.Error()
	case errors.Is(err, eventstore.ErrNewer):
		return "this program is too old for what newer ones have written, update it"
	case errors.Is(err, eventstore.ErrReadOnly):
		return "the database takes no writes"
	}
	switch schema.FaultOf(err) {
	case schema.Full:
		return "there is no space left on the database's disk"
	case schema.Away:
		return "the database cannot be reached"
	case schema.Busy:
		return "the database does not answer in time"
	}
	return ""
}

func (s *Server) contract(w http.ResponseWriter, _ *http.Request) error {
	return writeBody(w, "application/yaml", schema.OpenAPI)
}

func (s *Server) contractJSON(w http.ResponseWriter, _ *http.Request) error {
	return writeBody(w, "application/json", schema.OpenAPIJSON())
}

func writeBody(w http.ResponseWriter, media string, body []byte) error {
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(body) // the client has gone, or has not
	return nil
}
