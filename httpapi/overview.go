package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/overview"
	"kassa/httpapi/problem"
	"kassa/projections"
)

type overviewJSON struct {
	Position  eventstore.Position `json:"position"`
	At        time.Time           `json:"at"`
	Days      []dayJSON           `json:"days"`
	Waiting   []waitingJSON       `json:"waiting"`
	Refunders []refunderJSON      `json:"refunders"`
	Missing   string              `json:"missing,omitempty"`
	Failing   []string            `json:"failing"`
	Behind    []behindJSON        `json:"behind"`
}

// dayJSON is a day in UTC.
type dayJSON struct {
	Date            string         `json:"date"`
	Questions       int64          `json:"questions"`
	Answered        int64          `json:"answered"`
	Found           int64          `json:"found"`
	FoundRefined    int64          `json:"found_refined"`
	NotFound        int64          `json:"not_found"`
	Refunded        int64          `json:"refunded"`
	Failed          int64          `json:"failed"`
	Expired         int64          `json:"expired"`
	FollowUps       int64          `json:"follow_ups"`
	FollowUpsFailed int64          `json:"follow_ups_failed"`
	SignUps         int64          `json:"sign_ups"`
	Deposits        int64          `json:"deposits"`
	Deposited       int64          `json:"deposited"`
	Withdrawals     int64          `json:"withdrawals"`
	Withdrawn       int64          `json:"withdrawn"`
	Bought          domain.Credits `json:"bought"`
	Given           domain.Credits `json:"given"`
	P50             *float64       `json:"answer_p50_ms,omitempty"` // nil: no answer
	P95             *float64       `json:"answer_p95_ms,omitempty"`
}

type waitingJSON struct {
	Prediction domain.PredictionID `json:"prediction_id"`
	User       domain.UserID       `json:"user_id"`
	Since      time.Time           `json:"since"`
	ExpiresAt  time.Time           `json:"expires_at"`
}

type refunderJSON struct {
	User    domain.UserID       `json:"user_id"`
	Refunds int                 `json:"refunds"`
	Last    eventstore.Position `json:"last_position"`
}

type behindJSON struct {
	View    string              `json:"view"`
	Entries eventstore.Position `json:"entries"`
}

// overviewDays is how many days are shown where none are asked for.
const overviewDays = 30

// overview is how the service goes, for those who run it.
func (s *Server) overview(w http.ResponseWriter, r *http.Request) error {
	days := overviewDays
	if values := r.URL.Query(); values.Has("days") {
		n, err := strconv.Atoi(values.Get("days"))
		if err != nil || n < overview.MinDays || n > overview.MaxDays {
			return domain.Reject(problem.InvalidFilter, "days must be a whole number from %d to %d", overview.MinDays, overview.MaxDays)
		}
		days = n
	}
	o, err := s.Overview.Read(r.Context(), days, minPosition(r))
	if err != nil {
		return err
	}
	setPosition(w, o.Position)
	return writeJSON(w, http.StatusOK, overviewOf(o))
}

func overviewOf(o overview.Overview) overviewJSON {
	out := overviewJSON{Position: o.Position, At: o.At.UTC(), Days: make([]dayJSON, len(o.Days)), Waiting: make([]waitingJSON, len(o.Waiting)),
		Refunders: make([]refunderJSON, len(o.Refunders)), Missing: o.Missing, Failing: append([]string{}, o.Failing...), Behind: make([]behindJSON, len(o.Behind))}
	for i, day := range o.Days {
		out.Days[i] = dayOf(day)
	}
	for i, q := range o.Waiting {
		out.Waiting[i] = waitingJSON{q.Prediction, q.User, q.Since.UTC(), q.ExpiresAt.UTC()}
	}
	for i, p := range o.Refunders {
		out.Refunders[i] = refunderJSON(p)
	}
	for i, v := range o.Behind {
		out.Behind[i] = behindJSON(v)
	}
	return out
}

func dayOf(d overview.Day) dayJSON {
	return dayJSON{Date: d.Date.String(), Questions: d.Of(projections.QuestionsAsked), Answered: d.Of(projections.Answered),
		Found: d.Of(projections.FoundAtOnce), FoundRefined: d.Of(projections.FoundRefined), NotFound: d.Of(projections.NotFound),
		Refunded: d.Of(projections.Refunded), Failed: d.Of(projections.Failed), Expired: d.Of(projections.Expired),
		FollowUps: d.Of(projections.FollowUpsAsked), FollowUpsFailed: d.Of(projections.FollowUpsFailed), SignUps: d.Of(projections.SignUps),
		Deposits: d.Of(projections.Deposits), Deposited: d.Of(projections.CreditsIn), Withdrawals: d.Of(projections.Withdrawals), Withdrawn: d.Of(projections.CreditsOut),
		Bought: d.Bought, Given: d.Given, P50: millisecondsOf(d, 0.5), P95: millisecondsOf(d, 0.95)}
}

// millisecondsOf is a quantile of the answers' times; nil where there was no answer.
func millisecondsOf(d overview.Day, share float64) *float64 {
	took, ok := d.Quantile(share)
	if !ok {
		return nil
	}
	return new(float64(took) / float64(time.Millisecond))
}
