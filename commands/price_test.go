package commands_test

import (
	"context"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
)

func (w *fixture) setPrice(h *commands.Handler, price domain.Credits) eventstore.Position {
	w.t.Helper()
	at, err := h.SetPrice(context.Background(), domain.PriceSet{Price: price})
	must(w.t, err)
	return at
}

// A price is set once, and is so already the second time.
func TestSetPrice(t *testing.T) {
	w := newFixture(t)
	if shown := w.ShownPrices(t.Context()); shown != (domain.PriceSet{Price: w.Price}) {
		t.Errorf("without a price in the log %+v is shown", shown)
	}
	if at := w.setPrice(w.Handler, 3); at != 1 {
		t.Errorf("the price was set at position %d", at)
	}
	if at := w.setPrice(w.Handler, 3); at != 0 {
		t.Errorf("the same price was set again, at position %d", at)
	}
	_, err := w.SetPrice(t.Context(), domain.PriceSet{})
	refused(t, err, domain.InvalidAmount)
	if set, version, err := w.Prices(t.Context(), true); err != nil || set.Price != 3 || version != 1 {
		t.Errorf("the price is %+v of version %d, %v", set, version, err)
	}
	if rec := w.env.Log()[0]; rec.Actor != "operator" || rec.Stream != eventstore.PricesStream {
		t.Errorf("the entry is %+v", rec.Envelope)
	}
}

// No process charges a price that another has replaced: neither one that remembers it, nor
// one that was started with another setting. The fixture proves it at its end, by verify.
func TestAPriceOfAnotherProcess(t *testing.T) {
	w := newFixture(t)
	ada := w.person("ada")
	here, there := w.Handler, w.env.Process()
	there.Price = 9
	asks := func(h *commands.Handler, want domain.Credits) {
		t.Helper()
		asked, err := h.Predict(t.Context(), commands.Predict{User: ada, Text: "a whale"})
		must(t, err)
		if asked.Price != want {
			t.Errorf("it costs %d, want %d", asked.Price, want)
		}
		_, err = h.Fail(t.Context(), endingOf(ada, asked), domain.FailedWorker)
		must(t, err)
	}
	asks(here, 5)
	asks(there, 9) // there is no price in the log yet
	w.setPrice(here, 2)
	asks(there, 2)
	asks(here, 2)
	w.setPrice(there, 3)
	asks(here, 3)

	// An account is read from the log, and the price from memory: a refusal by that is not
	// believed.
	w.setPrice(here, 20)
	_, err := here.Predict(t.Context(), commands.Predict{User: ada, Text: "a shark"})
	refused(t, err, domain.InsufficientFunds)
	w.setPrice(there, 10)
	_, err = w.store.Refresh(t.Context(), ada)
	must(t, err)
	asks(here, 10)

	// A repeated request gives the first answer, at the first price.
	first, err := here.Predict(t.Context(), commands.Predict{User: ada, Text: "a squid", Key: "k"})
	must(t, err)
	w.setPrice(there, 1)
	again, err := here.Predict(t.Context(), commands.Predict{User: ada, Text: "a squid", Key: "k"})
	if err != nil || !again.Replayed || again.Price != 10 || again.Prediction != first.Prediction {
		t.Errorf("the second answer is %+v, %v", again, err)
	}
}
