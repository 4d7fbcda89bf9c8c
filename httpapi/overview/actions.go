package overview

import (
	"context"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// ActionFields are the parameters that choose actions.
var ActionFields = []string{"by", "type", "user_id", "from", "to", "text"}

// maxText is how long a text can be that is looked for, in characters.
const maxText = 200

// ActionsOf reads which actions are asked for. The error is a refusal.
func ActionsOf(values url.Values) (q projections.ActionQuery, err error) {
	q.By, q.Type, q.User, q.Text = values.Get("by"), domain.EventType(values.Get("type")), domain.UserID(values.Get("user_id")), values.Get("text")
	switch {
	case utf8.RuneCountInString(q.By) > maxText || utf8.RuneCountInString(q.Text) > maxText || strings.ContainsRune(q.By+q.Text, 0):
		return q, domain.Reject(problem.InvalidFilter, "by and text have at most %d characters", maxText)
	case q.Type != "" && !slices.Contains(projections.ActionTypes, q.Type):
		return q, domain.Reject(problem.InvalidFilter, "type is one of those that the contract lists")
	case q.User != "" && !q.User.Valid():
		return q, domain.Reject(problem.InvalidFilter, "user_id is the id of a person")
	}
	if q.From, err = dayOf(values.Get("from")); err != nil {
		return q, err
	}
	if q.Until, err = dayOf(values.Get("to")); err != nil || q.Until.IsZero() {
		return q, err
	}
	q.Until = q.Until.AddDate(0, 0, 1)
	return q, nil
}

// dayOf is the beginning of a day, in UTC; zero where none is given.
func dayOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Before(eventstore.Earliest) || day.Year() > 9000 {
		return time.Time{}, domain.Reject(problem.InvalidPeriod, "a day is written as 2026-11-30, and is not before %s", eventstore.Earliest.Format(time.DateOnly))
	}
	return day, nil
}

// Actions are the reads of what admins did.
type Actions interface {
	Actions(ctx context.Context, q projections.ActionQuery, least eventstore.Position) (projections.Page[projections.Action], eventstore.Position, error)
}

// WriteActions writes all actions that the query chooses as a table in CSV, the newest first.
func WriteActions(ctx context.Context, views Actions, q projections.ActionQuery, out io.Writer) (err error) {
	written := audit.WriteCSV(out, func(row func(cells ...any)) {
		row("position", "time", "action", "admin", "operator", "person", "amount", "role", "reason", "reference")
		q.Cursor, q.Limit = "", projections.MaxPage
		for {
			var page projections.Page[projections.Action]
			if page, _, err = views.Actions(ctx, q, 0); err != nil {
				return
			}
			for _, a := range page.Items {
				row(a.Position, a.At.UTC().Format("2006-01-02 15:04:05.000"), a.Type, a.Admin, a.Operator, a.User, a.Amount, a.Role, a.Reason, a.Reference)
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return written
}
