package httpapi

import (
	"log/slog"
	"net/http"

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

// ready says whether requests can be answered now.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	if s.Ready != nil {
		if err := s.Ready(r.Context()); err != nil {
			return notReady(r, s.Log, err)
		}
	}
	at, err := s.Views.Position(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Status   string              `json:"status"`
		Position eventstore.Position `json:"position"`
	}{"ready", at})
}

// notReady refuses, and logs what is missing, which is nothing for strangers.
func notReady(r *http.Request, log *slog.Logger, missing error) error {
	log.WarnContext(r.Context(), "not ready", "error", missing)
	return domain.Reject(problem.NotReady, "Kassa is not ready yet")
}

func (s *Server) contract(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(schema.OpenAPI)
	return nil
}
