package domain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kassa/domain"
)

// closedPeriod is the month before noon, in Moscow.
var closedPeriod = domain.PeriodClosed{Admin: root, From: time.Date(2026, 1, 31, 21, 0, 0, 0, time.UTC), Until: time.Date(2026, 2, 28, 21, 0, 0, 0, time.UTC),
	Zone: "Europe/Moscow", Position: 9, Digest: strings.Repeat("0a", 32)}

func TestClosePeriod(t *testing.T) {
	admin := domain.Account{User: root, Admin: true}
	january := closedPeriod
	january.From, january.Until = january.From.AddDate(0, -1, 0), january.From
	change := func(fn func(*domain.PeriodClosed)) domain.PeriodClosed { p := closedPeriod; fn(&p); return p }
	for _, tt := range []struct {
		name     string
		last, to domain.PeriodClosed
		by       domain.Account
		decides  bool
		refused  bool
	}{
		{"the first", domain.PeriodClosed{}, closedPeriod, admin, true, false},
		{"the next", january, closedPeriod, admin, true, false},
		{"the same again", closedPeriod, closedPeriod, admin, false, false},
		{"the same again, by another admin", closedPeriod, closedPeriod, domain.Account{User: ada, Admin: true}, false, false},
		{"the same with other books", closedPeriod, change(func(p *domain.PeriodClosed) { p.Digest = strings.Repeat("0b", 32) }), admin, false, true},
		{"the same, up to another entry", closedPeriod, change(func(p *domain.PeriodClosed) { p.Position++ }), admin, false, true},
		{"one before the last", closedPeriod, january, admin, false, true},
		{"one that overlaps the last", closedPeriod, change(func(p *domain.PeriodClosed) { p.From = p.From.Add(time.Hour) }), admin, false, true},
		{"one that is not over", domain.PeriodClosed{}, change(func(p *domain.PeriodClosed) { p.Until = noon.Add(1) }), admin, false, true},
		{"one that ends before it begins", domain.PeriodClosed{}, change(func(p *domain.PeriodClosed) { p.From = p.Until }), admin, false, true},
		{"without books", domain.PeriodClosed{}, change(func(p *domain.PeriodClosed) { p.Digest = "" }), admin, false, true},
		{"with a digest that is none", domain.PeriodClosed{}, change(func(p *domain.PeriodClosed) { p.Digest = strings.Repeat("0A", 32) }), admin, false, true},
		{"without a zone", domain.PeriodClosed{}, change(func(p *domain.PeriodClosed) { p.Zone = "" }), admin, false, true},
		{"by a person who is no admin", domain.PeriodClosed{}, closedPeriod, domain.Account{User: root}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := tt.last.Close(tt.by, tt.to, noon)
			if tt.decides != (len(events) == 1) || tt.refused != (err != nil) {
				t.Fatalf("decided %v, %v", events, err)
			}
			if tt.refused && !errors.Is(err, domain.ErrPeriod) && domain.RefusalIn(err) == nil {
				t.Errorf("refused with %v", err)
			}
			after := tt.last
			if tt.decides {
				if err := after.Apply(events[0].(domain.PeriodClosed), noon); err != nil || after != tt.to {
					t.Errorf("folds to %+v, %v", after, err)
				}
			}
		})
	}
	before := closedPeriod
	if err := before.Apply(january, noon); !errors.Is(err, domain.ErrBroken) {
		t.Errorf("an earlier period folds: %v", err)
	}
}
