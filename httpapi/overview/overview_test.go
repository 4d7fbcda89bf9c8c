package overview

import (
	"context"
	"errors"
	"testing"
	"time"

	"kassa/eventstore"
	"kassa/projections"
)

// times are a log of entries of these hours; those before the first are archived.
type times struct {
	archived eventstore.Position
	hours    []int
	fault    error
}

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func (l times) Head(context.Context) (eventstore.Head, error) {
	return eventstore.Head{Size: l.archived + eventstore.Position(len(l.hours))}, nil
}

func (l times) At(_ context.Context, at []eventstore.Position) (map[eventstore.Position]eventstore.Recorded, error) {
	found := map[eventstore.Position]eventstore.Recorded{}
	for _, position := range at {
		if i := int(position - l.archived - 1); i >= 0 {
			rec := eventstore.Recorded{}
			rec.Time = midnight.Add(time.Duration(l.hours[i]) * time.Hour)
			found[position] = rec
		}
	}
	return found, l.fault
}

// A position before a time is found, also where a part of the log is archived.
func TestPositionAt(t *testing.T) {
	for _, tt := range []struct {
		log  times
		hour int
		want eventstore.Position
	}{
		{times{}, 5, 0},
		{times{hours: []int{1, 3, 3, 5}}, 0, 0},
		{times{hours: []int{1, 3, 3, 5}}, 3, 1},
		{times{hours: []int{1, 3, 3, 5}}, 4, 3},
		{times{hours: []int{1, 3, 3, 5}}, 6, 4},
		{times{archived: 100, hours: []int{1, 3}}, 0, 100},
		{times{archived: 100, hours: []int{1, 3}}, 2, 101},
	} {
		head, _ := tt.log.Head(t.Context())
		at, err := positionAt(t.Context(), tt.log, head.Size, midnight.Add(time.Duration(tt.hour)*time.Hour))
		if at != tt.want || err != nil {
			t.Errorf("%v before hour %d: %d, %v; want %d", tt.log, tt.hour, at, err, tt.want)
		}
	}
	away := errors.New("the database is away")
	if _, err := positionAt(t.Context(), times{hours: []int{1, 2}, fault: away}, 2, midnight); !errors.Is(err, away) {
		t.Errorf("a log that cannot be read: %v", err)
	}
}

// Weeks end with the last day, and have all that their days have.
func TestWeeks(t *testing.T) {
	course := projections.Course{Bought: 100, Given: 10}
	for i := range 16 {
		day := projections.Day{Date: projections.Date(20000 + i)}
		day.Add(projections.Figures{Sums: map[projections.Measure]int64{projections.QuestionsAsked: int64(i), projections.BoughtChange: 1, projections.GivenChange: -1}})
		course.Days = append(course.Days, day)
	}
	days := levels(course)
	weeks := Weeks(days)
	if len(weeks) != 2 || weeks[0].Date != 20002 || weeks[1].Date != 20009 {
		t.Fatalf("the weeks are %+v", weeks)
	}
	if n := weeks[0].Of(projections.QuestionsAsked); n != 2+3+4+5+6+7+8 {
		t.Errorf("%d questions in the first week", n)
	}
	if weeks[0].Bought != 109 || weeks[1].Bought != 116 || weeks[1].Given != -6 {
		t.Errorf("the levels are %d, then %d and %d", weeks[0].Bought, weeks[1].Bought, weeks[1].Given)
	}
	if n := days[2].Of(projections.QuestionsAsked); n != 2 {
		t.Errorf("the sum of a week has changed its first day: %d", n)
	}
}
