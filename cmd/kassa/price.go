package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/app"
)

type priceCommand struct {
	Set  priceSet  `cmd:"" help:"Set what an answer costs from now on, in the log, for all processes."`
	List priceList `cmd:"" help:"List the prices that were set, and when."`
}

type priceSet struct {
	dataSettings
	Price    domain.Credits `arg:"" help:"Credits that one answer costs."`
	Credit   string         `placeholder:"AMOUNT" help:"What one credit costs in money, such as 1.50, for accounting. Without it no price of a credit is stated."`
	Currency string         `placeholder:"CODE" help:"Currency of --credit, by its code of ISO 4217, such as RUB."`
}

// stated is the price that the command line states.
func (p priceSet) stated() (domain.PriceSet, error) {
	set := domain.PriceSet{Price: p.Price}
	if p.Credit == "" && p.Currency == "" {
		return set, nil
	}
	m, err := audit.ParseMoney(p.Credit, p.Currency)
	if err != nil {
		return set, fmt.Errorf("--credit, --currency: %w", err)
	}
	set.Currency, set.CreditPrice = m.Currency, m.Minor
	if m.Minor == 0 {
		return set, errors.New("--credit: a credit that costs nothing has no price: leave it out")
	}
	return set, nil
}

// Validate is called by the command line.
func (p priceSet) Validate() error {
	set, err := p.stated()
	if err == nil {
		_, err = domain.PriceSet{}.SetPrice(set)
	}
	if refusal := domain.RefusalIn(err); refusal != nil {
		return errors.New(refusal.Detail)
	}
	return err
}

// Run appends the price to the log. A service that runs charges it from that entry on.
func (p priceSet) Run(ctx context.Context, c *console) (err error) {
	l, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	set, err := p.stated()
	if err != nil {
		return err
	}
	at, err := l.Commands(app.Terms{}).SetPrice(ctx, set)
	switch {
	case err != nil:
		return err
	case at == 0:
		fmt.Fprintf(c.out, "The price is so already: %s.\n", priceText(set))
	default:
		fmt.Fprintf(c.out, "Since position %d: %s.\n", at, priceText(set))
	}
	return nil
}

// priceText says what an answer and a credit cost.
func priceText(p domain.PriceSet) string {
	text := fmt.Sprintf("an answer costs %d credits", p.Price)
	if one, ok := audit.Worth(1, p); ok {
		text += ", and a credit " + one.String()
	}
	return text
}

type priceList struct{ asked }

// listedPrice is a price in the list, as JSON.
type listedPrice struct {
	Position eventstore.Position `json:"position"`
	Time     time.Time           `json:"time"`
	domain.PriceSet
}

// Run lists the prices; the last one is in force.
func (p priceList) Run(ctx context.Context, c *console) error {
	return p.read(ctx, c, func(log openedLog, end eventstore.Position) error {
		var list []listedPrice
		err := log.OfStream(ctx, eventstore.PricesStream, end, func(rec eventstore.Recorded) error {
			if set, ok := rec.Event.(domain.PriceSet); ok {
				list = append(list, listedPrice{rec.Position, rec.Time, set})
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case p.JSON:
			for _, one := range list {
				err = errors.Join(err, json.NewEncoder(c.out).Encode(one))
			}
			return err
		case len(list) == 0:
			_, err = fmt.Fprintln(c.out, "No price was set: each process charges the one of its --price, and verify cannot compare.")
			return err
		}
		return table(c.out, func(row func(...any)) {
			row("POSITION", "TIME", "AN ANSWER", "A CREDIT")
			for _, one := range list {
				worth, _ := audit.Worth(1, one.PriceSet)
				credit := worth.String()
				if one.Currency == "" {
					credit = "–"
				}
				row(one.Position, moment(one.Time), one.Price, credit)
			}
		})
	})
}
