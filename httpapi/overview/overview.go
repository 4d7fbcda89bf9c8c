// Package overview is how the service goes, for those who run it: for the pages and the API
// alike. The figures are those of the view of days, and none of it is about a single person but
// whose questions wait, and who asks for refunds how often.
package overview

import (
	"context"
	"sort"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/projections"
)

// Views are the reads.
type Views interface {
	Days(ctx context.Context, from projections.Date, n int, least eventstore.Position) (projections.Course, eventstore.Position, error)
	Refunders(ctx context.Context, since eventstore.Position, limit int) ([]projections.Refunder, error)
	OpenHolds(ctx context.Context, before time.Time, limit int) ([]projections.Prediction, error)
}

// Log is the log.
type Log interface {
	Head(ctx context.Context) (eventstore.Head, error)
	At(ctx context.Context, at []eventstore.Position) (map[eventstore.Position]eventstore.Recorded, error)
}

// Reader reads it.
type Reader struct {
	Views   Views
	Log     Log
	Now     func() time.Time
	Missing func(context.Context) string                                  // what the process lacks to be ready; "": nothing
	Failing func() []string                                               // background tasks that fail, none of them required
	Shown   func(context.Context) (map[string]eventstore.Position, error) // up to where each view shows the log
}

// Bounds of what is shown.
const (
	MinDays    = 8 // today, and the same day of last week
	MaxDays    = 366
	listed     = 20 // of questions that wait, and of people
	refundDays = 30
)

// Overview is what is shown.
type Overview struct {
	Position eventstore.Position // up to where the figures show the log
	At       time.Time
	Days     []Day // the oldest first; the last is today

	Waiting   []Waiting // questions that wait, the one that expires first before all others; at most some
	Refunders []projections.Refunder

	Missing string   // what the process lacks to be ready
	Failing []string // background tasks
	Behind  []Behind // views
}

// Day is what was counted on a day, and what all persons together had at its end.
type Day struct {
	projections.Day
	Bought, Given domain.Credits
}

// Waiting is a question without an end.
type Waiting struct {
	Prediction domain.PredictionID
	User       domain.UserID
	Since      time.Time
	ExpiresAt  time.Time
}

// Behind is a view that does not show the log to its end.
type Behind struct {
	View    string
	Entries eventstore.Position // that it does not show
}

// Today is the last day.
func (o Overview) Today() Day { return o.Before(0) }

// Before is a number of days before today.
func (o Overview) Before(days int) Day { return o.Days[len(o.Days)-1-days] }

// Away reports whether a part is away, or fails.
func (o Overview) Away() bool { return o.Missing != "" || len(o.Failing) > 0 || len(o.Behind) > 0 }

// Read reads it, with so many days.
func (r *Reader) Read(ctx context.Context, days int, least eventstore.Position) (o Overview, err error) {
	o.At = r.Now()
	from := projections.DateOf(o.At) - projections.Date(days-1)
	course, at, err := r.Views.Days(ctx, from, days, least)
	if err != nil {
		return o, err
	}
	o.Position, o.Days = at, levels(course)
	const ever = 100 * 365 * 24 * time.Hour
	waiting, err := r.Views.OpenHolds(ctx, o.At.Add(ever), listed)
	if err != nil {
		return o, err
	}
	for _, p := range waiting {
		o.Waiting = append(o.Waiting, Waiting{p.ID, p.User, p.RequestedAt, p.ExpiresAt})
	}
	head, err := r.Log.Head(ctx)
	if err != nil {
		return o, err
	}
	since, err := positionAt(ctx, r.Log, head.Size, o.At.AddDate(0, 0, -refundDays))
	if err != nil {
		return o, err
	}
	if o.Refunders, err = r.Views.Refunders(ctx, since, listed); err != nil {
		return o, err
	}
	return o, r.parts(ctx, &o)
}

// levels adds up what persons had.
func levels(c projections.Course) []Day {
	list, bought, given := make([]Day, len(c.Days)), c.Bought, c.Given
	for i, day := range c.Days {
		bought += domain.Credits(day.Of(projections.BoughtChange))
		given += domain.Credits(day.Of(projections.GivenChange))
		list[i] = Day{day, bought, given}
	}
	return list
}

// manyEntries is from where on a view is said to be behind: less is being applied just now.
const manyEntries = 1000

// parts reads what is away.
func (r *Reader) parts(ctx context.Context, o *Overview) error {
	o.Missing = r.Missing(ctx)
	o.Failing = r.Failing()
	shown, err := r.Shown(ctx)
	if err != nil {
		return err
	}
	head, err := r.Log.Head(ctx)
	if err != nil {
		return err
	}
	for view, at := range shown {
		if behind := head.Size - at; behind >= manyEntries {
			o.Behind = append(o.Behind, Behind{view, behind})
		}
	}
	sort.Slice(o.Behind, func(i, j int) bool { return o.Behind[i].View < o.Behind[j].View })
	return nil
}

// positionAt is a position before the first entry from a time on, found by halves: times of
// entries may go back a little, so that it can be some entries off. What is archived is before.
func positionAt(ctx context.Context, log Log, size eventstore.Position, t time.Time) (at eventstore.Position, err error) {
	n := sort.Search(int(size), func(i int) bool {
		if err != nil {
			return true
		}
		var found map[eventstore.Position]eventstore.Recorded
		position := eventstore.Position(i + 1)
		found, err = log.At(ctx, []eventstore.Position{position})
		rec, there := found[position]
		return there && !rec.Time.Before(t)
	})
	return eventstore.Position(n), err
}

// Weeks adds up seven days at a time, so that the last week ends with the last day. What is left
// at the beginning is no week, and is not among them.
func Weeks(days []Day) []Day {
	var weeks []Day
	for end := len(days); end >= 7; end -= 7 {
		week := Day{Bought: days[end-1].Bought, Given: days[end-1].Given}
		week.Date = days[end-7].Date
		for _, day := range days[end-7 : end] {
			week.Add(day.Figures)
		}
		weeks = append(weeks, week)
	}
	for i, j := 0, len(weeks)-1; i < j; i, j = i+1, j-1 {
		weeks[i], weeks[j] = weeks[j], weeks[i]
	}
	return weeks
}
