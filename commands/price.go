package commands

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// prices are those of the log, as this process read them last.
type prices struct {
	sync.Mutex
	domain.PriceSet
	version eventstore.Version // of their stream; 0: the log has none
	read    time.Time
	stream  folded[domain.PriceSet]
}

// pricesFor is how long prices from memory are used: another process may set them. What is
// appended by an older one conflicts.
const pricesFor = time.Second

// Prices gives what the log says of prices, and the version of their stream; without a
// price in the log, the price is that of the settings and the version 0. Fresh asks the
// database.
func (h *Handler) Prices(ctx context.Context, fresh bool) (domain.PriceSet, eventstore.Version, error) {
	h.prices.Lock()
	defer h.prices.Unlock()
	if now := time.Now(); fresh || now.Sub(h.prices.read) > pricesFor {
		if err := h.readPrices(ctx); err != nil {
			return domain.PriceSet{}, 0, fmt.Errorf("read the prices: %w", err)
		}
		h.prices.read = now
	}
	set := h.prices.PriceSet
	if h.prices.version == 0 {
		set.Price = h.Price
	}
	return set, h.prices.version, nil
}

func (h *Handler) readPrices(ctx context.Context) error {
	p := &h.prices
	return p.stream.read(ctx, h.Store, eventstore.PricesStream, func(set *domain.PriceSet, rec eventstore.Recorded) error {
		next, ok := rec.Event.(domain.PriceSet)
		if !ok {
			return fmt.Errorf("%w: %s among the prices", domain.ErrBroken, rec.Type)
		}
		return set.Apply(next)
	}, func(set domain.PriceSet, version eventstore.Version) { p.PriceSet, p.version = set, version })
}

// ShownPrices are the prices, for people: at most a second old, and the last ones that are
// known where the database cannot be read.
func (h *Handler) ShownPrices(ctx context.Context) domain.PriceSet {
	if set, _, err := h.Prices(ctx, false); err == nil {
		return set
	}
	h.prices.Lock()
	defer h.prices.Unlock()
	if h.prices.version == 0 {
		return domain.PriceSet{Price: h.Price}
	}
	return h.prices.PriceSet
}

// SetPrice sets the prices from here on. Where they are so already, it changes nothing and
// the position is 0. Of two at once, the one that loses is decided again on what the other set.
func (h *Handler) SetPrice(ctx context.Context, to domain.PriceSet) (eventstore.Position, error) {
	command, end, err := h.begin(Operator, "", "price")
	if err != nil {
		return 0, err
	}
	defer end()
	r, err := untilSettled(ctx, func(bool) outcome {
		set, version, err := h.Prices(ctx, true)
		if err != nil {
			return outcomeOf(eventstore.Receipt{}, err)
		}
		if version == 0 {
			set = domain.PriceSet{}
		}
		events, err := set.SetPrice(to)
		if err != nil || len(events) == 0 {
			return outcomeOf(h.orDone(ctx, command.Cause(), err))
		}
		r, err := h.Store.Append(ctx, eventstore.Append{Time: h.Now(), Actor: Operator, Cause: command.Cause(),
			Writes: []eventstore.Write{{Stream: eventstore.PricesStream, Expected: version, Events: events}}})
		return outcomeOf(r, err)
	})
	return r.Position(), err
}

// inForce is a decision on the price of the log. Its append insists on that price, so a
// question is never charged with one that was replaced in the same moment. The first try may
// use a price from memory.
type inForce struct {
	h       *Handler
	credits domain.Credits // as guard read it
	tries   int
}

func (c *inForce) guard(ctx context.Context) ([]eventstore.Write, error) {
	set, version, err := c.h.Prices(ctx, c.tries > 0)
	c.tries++
	c.credits = set.Price
	return []eventstore.Write{{Stream: eventstore.PricesStream, Expected: version}}, err
}

// believed turns a refusal by a price from memory into another try.
func (c *inForce) believed(events []domain.Event, err error) ([]domain.Event, error) {
	if c.tries == 1 && domain.RefusalIn(err) != nil {
		return nil, fmt.Errorf("%w: refused by a price from memory", eventstore.ErrConflict)
	}
	return events, err
}
