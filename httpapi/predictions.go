package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kassa/catalog"
	"kassa/catalog/question"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/conditional"
	"kassa/httpapi/deadline"
	"kassa/httpapi/identity"
	"kassa/httpapi/paths"
	"kassa/httpapi/problem"
	"kassa/httpapi/requestlog"
	"kassa/projections"
	"kassa/vault"
)

type predictionJSON struct {
	ID             domain.PredictionID  `json:"prediction_id"`
	Status         string               `json:"status"`
	Text           string               `json:"text"`
	TextErased     bool                 `json:"text_erased,omitempty"`
	TextUnreadable bool                 `json:"text_unreadable,omitempty"` // the ciphertext is damaged
	Cost           domain.Credits       `json:"cost"`
	Limit          int                  `json:"limit"`
	CreatedAt      time.Time            `json:"created_at"`
	ExpiresAt      time.Time            `json:"expires_at"`
	EndedAt        time.Time            `json:"ended_at,omitzero"`
	RefundedAt     time.Time            `json:"refunded_at,omitzero"`
	Failure        domain.FailureReason `json:"failure,omitempty"`
	Model          string               `json:"model_version"`
	Catalogue      string               `json:"catalogue_version"`
	ProcessingTime float64              `json:"processing_time"` // seconds
	Position       eventstore.Position  `json:"position"`        // of the request
	EndPosition    eventstore.Position  `json:"end_position,omitempty"`
	RefundPosition eventstore.Position  `json:"refund_position,omitempty"`
	LeafHash       string               `json:"leaf_hash,omitempty"` // of the request, for the user who made it
	Movies         []movieJSON          `json:"movies"`
	Confidence     catalog.Certainty    `json:"confidence,omitempty"`  // in the first film
	Probability    float64              `json:"probability,omitempty"` // the same as a number, from 0.001 to 1

	conversationJSON

	// What is read out of the text is not stored: it would remain after the text is
	// erased.
	Corrections []question.Correction `json:"corrections,omitempty"`
	Filters     []question.Filter     `json:"filters,omitempty"`
	TakenBack   []question.Filter     `json:"taken_back,omitempty"` // conditions that do not apply because the text says so
}

// movieJSON has only id and score where the film was removed from the catalogue.
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

	Reasons []catalog.Reason `json:"reasons,omitempty"`
}

func (s *Server) movieOf(m domain.Match) movieJSON {
	out := movieJSON{ID: m.MovieID, Score: m.Score}
	if film, ok := s.Films.Movie(m.MovieID); ok {
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
	out := predictionJSON{ID: p.ID, Status: projections.APIStatus(p.State), Text: text, TextErased: errors.Is(err, vault.ErrErased),
		TextUnreadable: s.unreadable(ctx, err), Cost: p.Price, Limit: p.Limit,
		CreatedAt: p.RequestedAt.UTC(), ExpiresAt: p.ExpiresAt.UTC(), Failure: p.Failure, Model: p.Model, Catalogue: p.Catalogue,
		ProcessingTime: p.ProcessingTime, Position: p.Position, EndPosition: p.EndPosition,
		RefundedAt: p.RefundedAt, RefundPosition: p.RefundPosition, Movies: make([]movieJSON, len(p.Movies)),
		Confidence: catalog.CertaintyOf(p.Confidence), Probability: float64(p.Confidence) / 1000, conversationJSON: conversationOf(p)}
	if p.State.Ended() {
		out.EndedAt = p.EndedAt.UTC()
	}
	for i, m := range p.Movies {
		out.Movies[i] = s.movieOf(m)
	}
	return out, nil
}

// explained adds what was read out of the text, and the reasons for each film. Lists of
// predictions go without: it would cost more than reading them.
func (s *Server) explained(ctx context.Context, p projections.Prediction) (predictionJSON, error) {
	out, err := s.predictionOf(ctx, p)
	if err != nil || out.Text == "" {
		return out, err
	}
	read := s.Films.Read(out.Text)
	out.Corrections, out.Filters, out.TakenBack = read.Corrections, read.Filters, read.TakenBack
	ids := make([]string, len(out.Movies))
	for i := range out.Movies {
		ids[i] = out.Movies[i].ID
	}
	for i, matched := range s.Films.Explain(out.Text, ids...) {
		out.Movies[i].Matched = matched
	}
	for i, reasons := range s.Films.Reasons(out.Text, ids...) {
		out.Movies[i].Reasons = reasons
	}
	return out, nil
}

func (s *Server) predict(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	ask := commands.Predict{User: who.User, Key: key}
	var back takenBack
	given, err := readBody(r, fields{"text": &ask.Text, "limit": &ask.Limit, "as_typed": &back.asTyped, "filters": &back.filters, "instead_of": &back.insteadOf})
	if err != nil {
		return err
	}
	back.chosen = given["filters"]
	if ask, err = s.takeBack(ask, back); err != nil {
		return err
	}
	if given["limit"] && ask.Limit == 0 { // the command would read it as no limit
		return domain.Reject(domain.InvalidLimit, "the limit must be from 1 to %d films", domain.MaxMovies)
	}
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	requested, err := s.Commands.Predict(ctx, ask)
	if err != nil {
		return err
	}
	return s.answerRequested(w, r, ask.Text, requested)
}

// answerRequested writes the question that was just accepted, with its end where that came
// in the time that the client waits.
func (s *Server) answerRequested(w http.ResponseWriter, r *http.Request, text string, requested commands.Requested) error {
	who, _ := identity.From(r.Context())
	line := requestlog.Of(r.Context())
	line.Prediction, line.Replayed = requested.Prediction, requested.Replayed
	// The price is held from here on. Whatever fails, the client gets the prediction's
	// address.
	w.Header().Set("Location", "/api/events/prediction/"+string(requested.Prediction))
	receipt := s.receiptOf(w, r, who.User, requested.Result)
	wait, applied := preference(r)
	if applied != "" {
		w.Header().Set("Preference-Applied", applied)
	}
	if wait == 0 && !requested.Replayed { // it cannot have ended, so the views are not needed
		out := pending(text, requested)
		out.LeafHash = receipt.LeafHash
		return writeJSON(w, http.StatusAccepted, out)
	}
	out, err := s.readAfter(w, r, requested, wait)
	if err != nil {
		// The question is accepted and its price is held, so a fault here must not look
		// like a refused question: a client that sends it again without a key pays
		// twice.
		s.Problems.Explain(w, r, err) // logs it
		out = pending(text, requested)
	}
	out.LeafHash = receipt.LeafHash
	status := http.StatusAccepted
	if !out.EndedAt.IsZero() {
		status = http.StatusOK
		// The views may not have the ending yet: the user's next reads wait for it.
		s.Identity.SetLastWrite(w, r, who.User, out.EndPosition)
	}
	return writeJSON(w, status, out)
}

// readAfter returns the prediction as it is after the wait.
func (s *Server) readAfter(w http.ResponseWriter, r *http.Request, requested commands.Requested, wait time.Duration) (predictionJSON, error) {
	p, err := s.awaitEnd(w, r, requested, wait)
	if err != nil {
		return predictionJSON{}, err
	}
	ctx, cancel := deadline.Limit(deadline.WithoutLimit(r.Context()), readAfterWait) // the wait may have been longer than the request's deadline
	defer cancel()
	return s.explained(ctx, p)
}

// pending is a prediction that was accepted, and of which nothing more is known.
func pending(text string, requested commands.Requested) predictionJSON {
	p, _ := projections.RequestedBy(requested.Request)
	return predictionJSON{conversationJSON: conversationOf(p), ID: requested.Prediction, Status: projections.APIStatus(domain.StateHeld), Text: text, Cost: requested.Price, Limit: requested.Limit,
		CreatedAt: requested.RequestedAt, ExpiresAt: requested.ExpiresAt, Position: requested.Position, Movies: []movieJSON{}}
}

// awaitEnd returns the prediction when it has ended, or as it is after the wait. The
// views are read only if the question was asked before.
func (s *Server) awaitEnd(w http.ResponseWriter, r *http.Request, requested commands.Requested, wait time.Duration) (p projections.Prediction, err error) {
	held := requested.Position
	if requested.Replayed {
		who, _ := identity.From(r.Context())
		if p, held, err = s.Views.Prediction(r.Context(), who.User, requested.Prediction, held); err != nil {
			return p, err
		}
	} else {
		p, _ = projections.RequestedBy(requested.Request)
	}
	extendReadDeadline(w, wait)
	releaseSlot(r)
	ctx, cancel := s.waitContext(deadline.WithoutLimit(r.Context()), wait)
	defer cancel()
	p, _, err = s.Views.Ended(ctx, p, held)
	return p, err
}

const noPrediction = "you have no such prediction"

func (s *Server) prediction(w http.ResponseWriter, r *http.Request) error {
	p, _, err := s.ownPrediction(w, r)
	if err != nil {
		return err
	}
	out, err := s.explained(r.Context(), p)
	if err != nil {
		return err
	}
	if err := s.addOffer(r.Context(), p, &out); err != nil {
		return err
	}
	body, err := encode(out)
	if err != nil {
		return err
	}
	conditional.Write(w, r, "application/json", body)
	return nil
}

// ownPrediction returns the prediction of the path, if it is the user's own. If the
// views do not have it, it may be a moment old: it is read again when they have reached
// the current head.
func (s *Server) ownPrediction(w http.ResponseWriter, r *http.Request) (p projections.Prediction, at eventstore.Position, err error) {
	who, _ := identity.From(r.Context())
	id, ok := paths.ID[domain.PredictionID](r)
	if !ok {
		return p, 0, domain.Reject(problem.PredictionNotFound, noPrediction)
	}
	p, at, err = s.Views.Prediction(r.Context(), who.User, id, minPosition(r))
	if errors.Is(err, projections.ErrNotFound) {
		head, fault := s.Head(r.Context())
		if fault != nil {
			return p, 0, fault
		}
		if err := s.waitForViews(r, head.Size); err != nil {
			return p, 0, err
		}
		p, at, err = s.Views.Prediction(r.Context(), who.User, id, head.Size)
	}
	if err != nil {
		return p, 0, refused(err, problem.PredictionNotFound, noPrediction)
	}
	setPosition(w, at)
	return p, at, nil
}

type refundedJSON struct {
	Prediction domain.PredictionID `json:"prediction_id"`
	Refunded   domain.Credits      `json:"refunded"`
	Left       int                 `json:"refunds_left"` // in this calendar month
	walletJSON
	receipt
	Transaction string `json:"transaction_id"`
}

// noneOfThese refunds an answer. It takes no body.
func (s *Server) noneOfThese(w http.ResponseWriter, r *http.Request) error {
	who, _ := identity.From(r.Context())
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	if err := readNoBody(r); err != nil {
		return err
	}
	id, ok := paths.ID[domain.PredictionID](r)
	if !ok {
		return domain.Reject(problem.PredictionNotFound, noPrediction)
	}
	ctx, cancel := deadline.Detached(r.Context())
	defer cancel()
	done, err := s.Commands.NoneOfThese(ctx, commands.NoneOfThese{User: who.User, Prediction: id, Key: key})
	if refusal := domain.RefusalIn(err); refusal != nil && refusal.Code == domain.NotRefundable {
		_, _, missing := s.ownPrediction(w, r)
		w.Header().Del(PositionHeader) // set by the check, which is not the answer
		if missing != nil {
			return missing
		}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, refundedJSON{Prediction: id, Refunded: done.Credits, Left: done.Left,
		walletJSON: walletJSON{done.Available, done.Held, done.Given, done.Available - done.Given},
		receipt:    s.receiptOf(w, r, who.User, done.Result), Transaction: transactionID(done.Position)})
}

func (s *Server) predictions(w http.ResponseWriter, r *http.Request) error {
	q, err := pageQuery(r)
	if err != nil {
		return err
	}
	state, err := filter(r, "status", domain.PredictionStates, projections.APIStatus)
	if err != nil {
		return err
	}
	who, _ := identity.From(r.Context())
	found, at, err := s.Views.Predictions(r.Context(), who.User, projections.PredictionQuery{PageQuery: q, State: state}, minPosition(r))
	if err != nil {
		return refused(err, domain.AccountNotFound, noAccount)
	}
	show, err := s.conversations(r.Context(), who.User, found.Items, at)
	if err != nil {
		return err
	}
	return writePage(w, r, found, at, show)
}
