package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/conditional"
	"kassa/httpapi/problem"
	"kassa/schema"
)

func (s *Server) about(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, struct {
		Name     string            `json:"name"`
		Version  string            `json:"version"`
		About    string            `json:"about"`
		Price    domain.Credits    `json:"price"` // of one prediction
		Bonus    domain.Credits    `json:"bonus"` // for signing up
		Payments string            `json:"payments"`
		Links    map[string]string `json:"links"`
	}{"Kassa", s.Version, "Ask for a film in your own words, in Russian or English. Every answer costs credits, and every movement of credits is recorded in a ledger.",
		s.Commands.ShownPrices(r.Context()).Price, s.Commands.Bonus, s.Commands.Payments.Name(),
		map[string]string{"contract": "/api/openapi.yaml", "health": "/api/health", "ready": "/api/ready", "pages": "/web"}})
}

// health answers whenever the process runs. It checks nothing else.
func health(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readyWithin is the timeout of the readiness check.
const readyWithin = 3 * time.Second

// ready reports whether requests can be served now.
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

// readiness is the answer of a process that is ready.
type readiness struct {
	Status   string               `json:"status"`
	Position *eventstore.Position `json:"position,omitempty"` // nil in a process that serves no reads
	Failing  []string             `json:"failing,omitempty"`
}

func isReady(at *eventstore.Position, failing func() []string) readiness {
	r := readiness{Status: "ready", Position: at}
	if failing != nil {
		r.Failing = failing()
	}
	return r
}

// States in which a process is not ready although nothing has failed.
var (
	ErrOpening  = errors.New("the process is opening")
	ErrDraining = errors.New("the process drains: it answers, and closes soon")
)

// notReady refuses the request and logs the cause. The client gets the cause only where
// an operator can act on it, and never the error itself, which names internals.
func notReady(r *http.Request, log *slog.Logger, missing error) error {
	log.WarnContext(r.Context(), "not ready", "error", missing)
	if why := MissingOf(missing); why != "" {
		return domain.Reject(problem.NotReady, "Kassa is not ready: %s", why)
	}
	return domain.Reject(problem.NotReady, "Kassa is not ready yet")
}

// MissingOf says what is missing, for those who run the service; "" for what they cannot act on.
func MissingOf(err error) string {
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

func (s *Server) contract(w http.ResponseWriter, r *http.Request) error {
	return writeContract(w, r, "application/yaml", schema.OpenAPI)
}

func (s *Server) contractJSON(w http.ResponseWriter, r *http.Request) error {
	return writeContract(w, r, "application/json", schema.OpenAPIJSON())
}

// writeContract lets clients cache the contract and revalidate it.
func writeContract(w http.ResponseWriter, r *http.Request, media string, body []byte) error {
	w.Header().Set("Cache-Control", "no-cache")
	conditional.Write(w, r, media, body)
	return nil
}
