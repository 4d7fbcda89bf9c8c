package httpapi

import (
	"context"
	"net/http"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/httpapi/refine"
	"kassa/projections"
)

// conversationJSON is what a prediction has of the conversation that it is in.
type conversationJSON struct {
	FollowUpOf      domain.PredictionID `json:"follow_up_of,omitempty"`
	NotThese        []string            `json:"not_these,omitempty"` // of the whole conversation, up to this question
	Confirmed       string              `json:"confirmed_movie_id,omitempty"`
	ConfirmedAt     time.Time           `json:"confirmed_at,omitzero"`
	ConfirmPosition eventstore.Position `json:"confirm_position,omitempty"`

	Refinements *refinementsJSON `json:"refinements,omitempty"` // nil in lists, and where there is no answer
	FollowUps   []predictionJSON `json:"follow_ups,omitempty"`  // in lists
}

type refinementsJSON struct {
	Left  int       `json:"left"` // 0 where the conversation is over
	Until time.Time `json:"until,omitzero"`
}

func conversationOf(p projections.Prediction) conversationJSON {
	return conversationJSON{FollowUpOf: p.FollowUpOf, NotThese: p.Excluded, Confirmed: p.Confirmed, ConfirmedAt: p.ConfirmedAt, ConfirmPosition: p.ConfirmPosition}
}

// addOffer adds what can still be said to an answer.
func (s *Server) addOffer(ctx context.Context, p projections.Prediction, out *predictionJSON) error {
	if p.State != domain.StateCaptured {
		return nil
	}
	offer, err := s.Commands.RefineOffer(ctx, p.User, p.ID)
	if err != nil {
		return err
	}
	out.Refinements = &refinementsJSON{}
	if offer.No == "" {
		out.Refinements = &refinementsJSON{offer.Left, offer.Until.UTC()}
	}
	return nil
}

// conversations shows questions of one person with their follow-ups.
func (s *Server) conversations(ctx context.Context, u domain.UserID, list []projections.Prediction, least eventstore.Position) (func(projections.Prediction) (predictionJSON, error), error) {
	ids := make([]domain.PredictionID, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	followUps, err := s.Views.FollowUps(ctx, u, ids, least)
	if err != nil {
		return nil, err
	}
	return func(p projections.Prediction) (predictionJSON, error) {
		out, err := s.predictionOf(ctx, p)
		for _, next := range followUps[p.ID] {
			var shown predictionJSON
			if err == nil {
				shown, err = s.predictionOf(ctx, next)
			}
			out.FollowUps = append(out.FollowUps, shown)
		}
		return out, err
	}, nil
}

// refine asks again in the conversation of an answer.
func (s *Server) refine(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var said string
	var notThese []string
	if _, err := readBody(r, fields{"text": &said, "not_these": &notThese}); err != nil {
		return err
	}
	if _, err := domain.Refined("", said); err != nil { // of any prediction
		return err
	}
	p, _, err := s.ownPrediction(w, r)
	w.Header().Del(PositionHeader) // that of the check, which is not the answer
	if err != nil {
		return err
	}
	f, err := refine.Of(r.Context(), s.Vault, s.Films, p, said, notThese)
	if err != nil {
		return err
	}
	f.Key = key
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	requested, err := s.Commands.Refine(ctx, f)
	if err != nil {
		return err
	}
	text, err := domain.Refined(f.Question, f.Said)
	if err != nil {
		return err
	}
	return s.answerRequested(w, r, text, requested)
}

type confirmedJSON struct {
	Prediction domain.PredictionID `json:"prediction_id"`
	Movie      string              `json:"movie_id"`
	receipt
}

// thatsIt is the verdict that ends a conversation.
const thatsIt = "that_is_it"

// feedback records that a film of the answer is the right one.
func (s *Server) feedback(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var movie, verdict string
	if _, err := readBody(r, fields{"movie_id": &movie, "verdict": &verdict}); err != nil {
		return err
	}
	if verdict != thatsIt {
		return domain.Reject(problem.InvalidField, "the verdict must be %s; what is not the film is for refine", thatsIt)
	}
	id, _ := paths.ID[domain.PredictionID](r)
	_, _, err = s.ownPrediction(w, r)
	w.Header().Del(PositionHeader)
	if err != nil {
		return err
	}
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	done, err := s.Commands.Confirm(ctx, commands.Confirm{User: who.User, Answer: id, Movie: movie, Key: key})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, confirmedJSON{id, movie, s.receiptOf(w, r, who.User, done)})
}
