package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/projections"
	"kassa/vault"
)

type predictionJSON struct {
	ID             domain.PredictionID  `json:"prediction_id"`
	Status         string               `json:"status"`
	Text           string               `json:"text"`
	TextErased     bool                 `json:"text_erased,omitempty"`
	TextUnreadable bool                 `json:"text_unreadable,omitempty"` // it is damaged
	Cost           domain.Credits       `json:"cost"`
	Limit          int                  `json:"limit"`
	CreatedAt      time.Time            `json:"created_at"`
	ExpiresAt      time.Time            `json:"expires_at"`
	EndedAt        time.Time            `json:"ended_at,omitzero"`
	Failure        domain.FailureReason `json:"failure,omitempty"`
	Model          string               `json:"model_version"`
	Catalogue      string               `json:"catalogue_version"`
	ProcessingTime float64              `json:"processing_time"` // seconds
	Position       eventstore.Position  `json:"position"`        // of the request
	EndPosition    eventstore.Position  `json:"end_position,omitempty"`
	LeafHash       string               `json:"leaf_hash,omitempty"` // of the request, for who made it
	Movies         []movieJSON          `json:"movies"`
}

// movieJSON has no more than id and score where the film has left the catalogue.
type movieJSON struct {
	ID            string   `json:"movie_id"`
	Title         string   `json:"title,omitempty"`
	TitleRU       string   `json:"title_ru,omitempty"`
	Year          int      `json:"year,omitempty"`
	Genres        []string `json:"genres,omitempty"`
	Description   string   `json:"description,omitempty"`
	DescriptionRU string   `json:"description_ru,omitempty"`
	Score         float64  `json:"score"`
	Matched       []string `json:"matched_words,omitempty"`
}

func (s *Server) movieOf(m domain.Match) movieJSON {
	out := movieJSON{ID: m.Movie, Score: m.Score}
	if film, ok := s.Films.Movie(m.Movie); ok {
		out.Title, out.TitleRU, out.Year, out.Genres = film.Title, film.TitleRU, film.Year, film.Genres
		out.Description, out.DescriptionRU = film.Description, film.DescriptionRU
	}
	return out
}

func (s *Server) predictionOf(ctx context.Context, p projections.Prediction) (predictionJSON, error) {
	text, err := s.Vault.OpenText(ctx, p.User, p.ID, p.Text)
	if err != nil && !vault.Lost(err) {
		return predictionJSON{}, err
	}
	out := predictionJSON{ID: p.ID, Status: projections.Word(p.State), Text: text, TextErased: errors.Is(err, vault.ErrErased),
		TextUnreadable: s.unreadable(ctx, err), Cost: p.Price, Limit: p.Limit,
		CreatedAt: p.RequestedAt.UTC(), ExpiresAt: p.ExpiresAt.UTC(), Failure: p.Failure, Model: p.Model, Catalogue: p.Catalogue,
		ProcessingTime: p.ProcessingTime, Position: p.Position, EndPosition: p.EndPosition, Movies: make([]movieJSON, len(p.Movies))}
	if p.State.Ended() {
		out.EndedAt = p.EndedAt.UTC()
	}
	for i, m := range p.Movies {
		out.Movies[i] = s.movieOf(m)
	}
	return out, nil
}

// explained adds to each film the words by which it matches; in lists of many
// predictions that would be more work than reading.
func (s *Server) explained(ctx context.Context, p projections.Prediction) (predictionJSON, error) {
	out, err := s.predictionOf(ctx, p)
	if err == nil && out.Text != "" {
		for i := range out.Movies {
			out.Movies[i].Matched = s.Films.Explain(out.Text, out.Movies[i].ID)
		}
	}
	return out, err
}

func (s *Server) predict(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	ask := commands.Predict{User: who.User, Key: key}
	given, err := readBody(r, fields{"text": &ask.Text, "limit": &ask.Limit})
	if err != nil {
		return err
	}
	if given["limit"] && ask.Limit == 0 { // which the command takes for no limit given
		return domain.Reject(domain.InvalidLimit, "the limit must be from 1 to %d films", domain.MaxMovies)
	}
	ctx, cancel := deadline.Firm(r.Context())
	defer cancel()
	asked, err := s.Commands.Predict(ctx, ask)
	if err != nil {
		return err
	}
	// From here the price is held: whatever goes wrong, the client learns where to look.
	w.Header().Set("Location", "/api/events/prediction/"+string(asked.Prediction))
	receipt := s.receiptOf(w, r, who.User, asked.Result)
	wait, applied := preference(r)
	if applied != "" {
		w.Header().Set("Preference-Applied", applied)
	}
	if wait == 0 && !asked.Replayed { // it cannot have ended, and the views are not needed to say so
		out := pending(ask, asked)
		out.LeafHash = receipt.LeafHash
		return writeJSON(w, http.StatusAccepted, out)
	}
	out, err := s.answered(w, r, asked, wait)
	if err != nil {
		// The question is accepted and its price held, so a fault here must not read
		// like one of the question: a client that asks again without a key pays twice.
		s.Problems.Explain(w, r, err) // to the log
		out = pending(ask, asked)
	}
	out.LeafHash = receipt.LeafHash
	status := http.StatusAccepted
	if !out.EndedAt.IsZero() {
		status = http.StatusOK
	}
	return writeJSON(w, status, out)
}

// answered gives the prediction as it is after the wait.
func (s *Server) answered(w http.ResponseWriter, r *http.Request, asked commands.Asked, wait time.Duration) (predictionJSON, error) {
	p, err := s.await(w, r, asked, wait)
	if err != nil {
		return predictionJSON{}, err
	}
	ctx, cancel := deadline.Limit(deadline.Lifted(r.Context()), lastRead) // the wait may have been longer than the request's own
	defer cancel()
	return s.explained(ctx, p)
}

// pending is a question that was accepted, and of which no more is known.
func pending(ask commands.Predict, asked commands.Asked) predictionJSON {
	return predictionJSON{ID: asked.Prediction, Status: projections.Word(domain.StateHeld), Text: ask.Text, Cost: asked.Price, Limit: asked.Limit,
		CreatedAt: asked.RequestedAt, ExpiresAt: asked.ExpiresAt, Position: asked.Position, Movies: []movieJSON{}}
}

// await gives the prediction when it has ended, or as it is after the wait.
func (s *Server) await(w http.ResponseWriter, r *http.Request, asked commands.Asked, wait time.Duration) (projections.Prediction, error) {
	if err := s.waitFor(r, asked.Position); err != nil {
		return projections.Prediction{}, err
	}
	who, _ := identity.From(r.Context())
	patient(w, wait)
	rest(r)
	ctx, cancel := s.waiting(deadline.Lifted(r.Context()), wait)
	defer cancel()
	p, _, err := s.Views.Ended(ctx, who.User, asked.Prediction, asked.Position)
	return p, err
}

const noPrediction = "you have no such prediction"

func (s *Server) prediction(w http.ResponseWriter, r *http.Request) error {
	p, err := s.own(w, r)
	if err != nil {
		return err
	}
	out, err := s.explained(r.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, out)
}

// own gives the prediction of the address, if it is the person's. One that is not
// in the views may have been asked a moment ago: it is looked for again when they
// hold all that the log holds now.
func (s *Server) own(w http.ResponseWriter, r *http.Request) (projections.Prediction, error) {
	who, _ := identity.From(r.Context())
	id, ok := paths.ID[domain.PredictionID](r)
	if !ok {
		return projections.Prediction{}, domain.Reject(problem.PredictionNotFound, noPrediction)
	}
	p, at, err := s.Views.Prediction(r.Context(), who.User, id, least(r))
	if errors.Is(err, projections.ErrNotFound) {
		head, err := s.Head(r.Context())
		if err != nil {
			return p, err
		}
		if err := s.waitFor(r, head.Size); err != nil {
			return p, err
		}
		p, at, err = s.Views.Prediction(r.Context(), who.User, id, head.Size)
		sayPosition(w, at)
		return p, refused(err, problem.PredictionNotFound, noPrediction)
	}
	sayPosition(w, at)
	return p, err
}

// states are all that a prediction can be in, for filters.
var states = []domain.PredictionState{domain.StateHeld, domain.StateCaptured, domain.StateReleased, domain.StateExpired}

func (s *Server) predictions(w http.ResponseWriter, r *http.Request) error {
	q, err := pageQuery(r)
	if err != nil {
		return err
	}
	state, err := filter(r, "status", states, projections.Word)
	if err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	found, at, err := s.Views.Predictions(r.Context(), who.User, projections.PredictionQuery{PageQuery: q, State: state}, least(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	return writePage(w, found, at, func(p projections.Prediction) (predictionJSON, error) { return s.predictionOf(r.Context(), p) })
}
