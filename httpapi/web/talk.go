package web

import (
	"cmp"
	"context"
	"errors"

	"kassa/commands"
	"kassa/domain"
	"kassa/httpapi/paths"
	"kassa/httpapi/refine"
	"kassa/projections"
)

// saidLine is a follow-up in its conversation.
type saidLine struct {
	projections.Prediction
	Words string // that were said, or that only films were left out
	Here  bool   // it is the page's own
}

// talkPart is the conversation that an answer is in.
type talkPart struct {
	First  predictionLine // that was paid for
	Lines  []saidLine     // its follow-ups, the oldest first
	Newest domain.PredictionID
	Offer  domain.RefineOffer
	Said   string // as it was typed
	Errors fieldErrors
}

// Can reports whether the answer can be refined now.
func (t talkPart) Can() bool { return t.Offer.No == "" && t.Offer.Left > 0 }

// Over reports whether refinements were possible, and are used up or too late.
func (t talkPart) Over() bool {
	return t.Offer.Open && (t.Offer.No == domain.RefinementLimit || t.Offer.No == domain.ConversationClosed)
}

// talkPart reads the conversation that a prediction is in.
func (pc *pageContext) talkPart(q predictionLine) (talkPart, error) {
	t, ctx := talkPart{First: q, Newest: q.ID}, pc.r.Context()
	id := cmp.Or(q.FollowUpOf, q.ID)
	if q.FollowUpOf != "" {
		first, _, err := pc.pages.Views.Prediction(ctx, pc.Person.User, id, pc.minPosition)
		if err == nil {
			t.First, err = pc.predictionLine(first)
		}
		if err != nil {
			return t, err
		}
		t.Newest = id
	}
	list, err := pc.pages.Views.FollowUps(ctx, pc.Person.User, []domain.PredictionID{id}, pc.minPosition)
	if err != nil {
		return t, err
	}
	if t.Lines, err = pc.saidLines(t.First, list[id]); err != nil {
		return t, err
	}
	for i, line := range t.Lines {
		t.Lines[i].Here = line.ID == q.ID
		if line.State.Answered() {
			t.Newest = line.ID
		}
	}
	d := pc.takeDraft(refineFields)
	t.Said, t.Errors = d.get("said"), pc.fieldErrorsOf(cmp.Or(d.Code, pc.takeDraft(confirmFields).Code), 0)
	if q.Prediction.State == domain.StateCaptured {
		t.Offer, err = pc.pages.Commands.RefineOffer(ctx, pc.Person.User, q.ID)
	}
	return t, err
}

// saidLines are follow-ups with what was said in each: what its text has beside that of the
// answer before it.
func (pc *pageContext) saidLines(first predictionLine, list []projections.Prediction) ([]saidLine, error) {
	before := first.Question
	lines := make([]saidLine, len(list))
	for i, p := range list {
		text, _, err := pc.textOf(p)
		if err != nil {
			return nil, err
		}
		lines[i] = saidLine{Prediction: p, Words: cmp.Or(domain.Said(text, before), pc.T("talk.others"))}
		if p.State.Answered() {
			before = text
		}
	}
	return lines, nil
}

// conversationLines are questions of the person with their follow-ups.
func (pc *pageContext) conversationLines(list []projections.Prediction) ([]predictionLine, error) {
	lines, err := pc.predictionLines(list)
	if err != nil || len(list) == 0 {
		return lines, err
	}
	ids := make([]domain.PredictionID, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	followUps, err := pc.pages.Views.FollowUps(pc.r.Context(), pc.Person.User, ids, pc.minPosition)
	if err != nil {
		return nil, err
	}
	for i := range lines {
		if lines[i].FollowUps, err = pc.saidLines(lines[i], followUps[lines[i].ID]); err != nil {
			return nil, err
		}
		for _, f := range lines[i].FollowUps {
			if f.Confirmed != "" {
				lines[i].FilmFound = pc.titleOf(f.Confirmed)
			}
		}
	}
	return lines, nil
}

// filmTalk is what can be said to a film of an answer.
type filmTalk struct {
	layout
	Prediction domain.PredictionID
	Movie      string
	Confirm    bool // "that's it"
	Exclude    bool // "not this"
	Confirmed  bool
}

// onCards adds to each film what can be said to it.
func (t talkPart) onCards(cards []film, p projections.Prediction) {
	for i, m := range p.Movies {
		cards[i].Talk = &filmTalk{layout: layout{Language: cards[i].Language}, Prediction: p.ID, Movie: m.MovieID,
			Confirm: t.Offer.Open, Exclude: t.Can(), Confirmed: p.Confirmed == m.MovieID}
	}
}

// titleOf is the film's title in the page's language, or its id where it left the catalogue.
func (pc *pageContext) titleOf(id string) string {
	if film, ok := pc.pages.Films.Movie(id); ok {
		return film.TitleIn(pc.Language.Code)
	}
	return id
}

// ownAnswer is the prediction of the path.
func (p *Pages) ownAnswer(pc *pageContext) (projections.Prediction, error) {
	id, ok := paths.ID[domain.PredictionID](pc.r)
	if !ok {
		return projections.Prediction{}, errNoPage
	}
	found, _, err := p.Views.Prediction(pc.r.Context(), pc.Person.User, id, pc.minPosition)
	if errors.Is(err, projections.ErrNotFound) {
		err = errNoPage
	}
	return found, err
}

// refine asks again in the conversation, for free.
func (p *Pages) refine(pc *pageContext) error {
	answer, err := p.ownAnswer(pc)
	if err != nil {
		return err
	}
	a, err := idempotent(pc, func(ctx context.Context, key string) (commands.Requested, error) {
		f, err := refine.Of(ctx, p.Vault, p.Films, answer, pc.typed("said"), pc.r.PostForm["not"])
		if err != nil {
			return commands.Requested{}, err
		}
		f.Key = key
		return p.Commands.Refine(ctx, f)
	})
	if err != nil {
		return pc.refused(refineFields, err, func(int, draft) error { return p.prediction(pc) })
	}
	return pc.asked(a)
}

// thatsIt records that a film of the answer is the right one.
func (p *Pages) thatsIt(pc *pageContext) error {
	answer, err := p.ownAnswer(pc)
	if err != nil {
		return err
	}
	done, err := idempotent(pc, func(ctx context.Context, key string) (commands.Result, error) {
		return p.Commands.Confirm(ctx, commands.Confirm{User: answer.User, Answer: answer.ID, Movie: pc.r.PostForm.Get("movie"), Key: key})
	})
	if err == nil {
		return pc.redirectAfter(confirmFields.page(pc.r), flash{kind: flashFound, position: done.Position})
	}
	return pc.refused(confirmFields, err, func(int, draft) error { return p.prediction(pc) })
}
