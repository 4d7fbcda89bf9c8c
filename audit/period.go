package audit

import (
	"context"
	"fmt"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Period is a calendar month of a zone. An entry belongs to it by its position: the month ends
// with the last entry before the first one of a later time, as every balance of a past moment
// does.
type Period struct {
	Month   string              `json:"month"` // such as 2026-11
	Zone    string              `json:"zone"`
	From    time.Time           `json:"from"`
	Until   time.Time           `json:"until"`   // its end, which is not in it
	Opening eventstore.Position `json:"opening"` // the last entry before it; 0 for none
	Closing eventstore.Position `json:"closing"` // the last entry in it
}

// MonthOf gives a month, without its positions.
func MonthOf(month string, zone *time.Location) (Period, error) {
	first, err := time.Parse("2006-01", month)
	if err != nil {
		return Period{}, fmt.Errorf("%q is no month such as 2026-11", month)
	}
	if first.Before(eventstore.Earliest) || first.Year() > 9000 {
		return Period{}, fmt.Errorf("there is no ledger of %s", month)
	}
	next := first.AddDate(0, 1, 0)
	return Period{Month: month, Zone: zone.String(), From: DayBegins(first, zone), Until: DayBegins(next, zone)}, nil
}

// MonthIn is MonthOf with the name of a time zone, such as Europe/Moscow.
func MonthIn(month, zone string) (Period, error) {
	place, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return Period{}, fmt.Errorf("%q is no time zone such as Europe/Moscow", zone)
	}
	return MonthOf(month, place)
}

// DayBegins is the first moment of a date in a zone. It is found and not computed, because clocks
// are set forward at midnight too, so that a day begins at one o'clock, and back, so that a
// midnight comes twice.
func DayBegins(date time.Time, zone *time.Location) time.Time {
	const step, around = 15 * time.Minute, 3 * time.Hour // all offsets and changes of clocks are whole quarters
	at := time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, 0, zone).Add(-around)
	for at.In(zone).Format(time.DateOnly) < date.Format(time.DateOnly) {
		at = at.Add(step)
	}
	return at.UTC()
}

// locate finds the positions of the period in a log.
func (p *Period) locate(ctx context.Context, log FullLog) (err error) {
	if p.Opening, err = PositionAt(ctx, log, p.From.Add(-time.Nanosecond)); err == nil {
		p.Closing, err = PositionAt(ctx, log, p.Until.Add(-time.Nanosecond))
	}
	return err
}

// PriceAt is the price at a position; zero where none was set yet.
func PriceAt(ctx context.Context, log FullLog, at eventstore.Position) (price domain.PriceSet, err error) {
	err = log.OfStream(ctx, eventstore.PricesStream, at, func(rec eventstore.Recorded) error {
		if set, ok := rec.Event.(domain.PriceSet); ok {
			price = set
		}
		return nil
	})
	return price, err
}

// creditPrices are what a credit costs at each position of a period.
type creditPrices struct {
	Currency string // "": no price of a credit was stated, or the currency was changed
	opening  int64  // minor units
	closing  int64
	set      []pricedFrom
}

type pricedFrom struct {
	from  eventstore.Position
	price int64
}

// pricesIn reads the prices of a period. What comes before the first price of a credit has
// that one.
func pricesIn(ctx context.Context, log FullLog, p Period) (prices creditPrices, err error) {
	var before domain.PriceSet // in force at the beginning
	var within []eventstore.Recorded
	err = log.OfStream(ctx, eventstore.PricesStream, p.Closing, func(rec eventstore.Recorded) error {
		switch set, ok := rec.Event.(domain.PriceSet); {
		case !ok:
			return inStream(fault(WrongStream, rec.Position, "%s among the prices", rec.Type), rec.Stream)
		case set.CreditPrice < 0 || set.CreditPrice > domain.MaxCreditPrice:
			return inStream(fault(FactBroken, rec.Position, "a credit costs from 0 to %d", domain.MaxCreditPrice).between(domain.MaxCreditPrice, set.CreditPrice), rec.Stream)
		case rec.Position <= p.Opening:
			before = set
		default:
			within = append(within, rec)
		}
		return nil
	})
	if err != nil {
		return prices, err
	}
	prices.Currency, prices.opening = before.Currency, before.CreditPrice
	for _, rec := range within {
		set := rec.Event.(domain.PriceSet)
		if set.Currency == "" {
			continue
		}
		if prices.Currency == "" {
			prices.Currency, prices.opening = set.Currency, set.CreditPrice
		}
		if set.Currency != prices.Currency {
			return creditPrices{}, nil
		}
		prices.set = append(prices.set, pricedFrom{rec.Position, set.CreditPrice})
	}
	prices.closing = prices.at(p.Closing)
	return prices, nil
}

// at is the price of a credit at a position of the period, in minor units.
func (p creditPrices) at(position eventstore.Position) int64 {
	price := p.opening
	for _, set := range p.set {
		if set.from <= position {
			price = set.price
		}
	}
	return price
}
