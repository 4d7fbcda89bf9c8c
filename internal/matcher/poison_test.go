package matcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/bus"
	"kassa/internal/bus/bustest"
)

// poisonEvery is how many questions there are for one that is made to go wrong.
const poisonEvery = 50

// The kinds of questions that are made to go wrong, and how each ends.
var poisons = []struct {
	name, text string
	ends       domain.FailureReason // "": with an answer
}{
	{"kills the worker", "a lighthouse that crashes the worker", domain.FailedWorker},
	{"words that the model does not know", "ъъъъъ", domain.FailedNoMeaning},
	{"erased before it was carried", "a ship in the ice", domain.FailedErased},
	{"as long as a question may be", strings.TrimSpace(strings.Repeat("ship ice ", 250)[:2000]), ""},
}

// Of many questions one in fifty is made to go wrong, over a real broker and with a worker
// that loses its connection, with all that it has in flight, on some of them. Each of the
// others is answered once, each of these ends by itself, and a crash counts for the
// question that caused it. KASSA_QUESTIONS=10000 for more of them.
func TestPoisonAmongManyQuestions(t *testing.T) {
	n := 600
	if more, err := strconv.Atoi(os.Getenv("KASSA_QUESTIONS")); err == nil {
		n = more
	}
	d := newDesk(t)
	d.Commands.HoldExpiry = time.Hour      // no hold expires under its question
	kinds := map[domain.PredictionID]int{} // of those that go wrong
	killers := 0
	var first eventstore.Position
	for i := range n {
		if i%40 == 0 { // an account has at most 64 open questions
			d.user = d.joined(fmt.Sprint("person", i))
		}
		text, kind := fmt.Sprint("a ship in the ice, ", i), -1
		if i%poisonEvery == poisonEvery-1 {
			kind = i / poisonEvery % len(poisons)
			text = poisons[kind].text
		}
		user := d.user
		if kind == 2 {
			d.user = d.joined(fmt.Sprint("gone", i))
		}
		asked, err := d.Commands.Predict(t.Context(), commands.Predict{User: d.user, Text: text})
		must(t, err)
		if kind >= 0 {
			kinds[asked.Prediction] = kind
		}
		if kind == 0 {
			killers++
		}
		if kind == 2 {
			_, err := d.db.Write.ExecContext(t.Context(), `DELETE FROM subject_keys WHERE user_id = ?`, string(d.user))
			must(t, err)
		}
		d.user = user
		if first == 0 {
			first = asked.Position
		}
	}
	d.Vault = d.openVault()
	crashes := d.crashing(t, d.Catalogue.Read(poisons[0].text).Embedded())
	ends := d.endsOf(t, first, n)
	for id, list := range ends {
		kind, wrong := kinds[id]
		want := domain.FailureReason("")
		if wrong {
			want = poisons[kind].ends
		}
		if len(list) != 1 || list[0] != want {
			name := "an ordinary question"
			if wrong {
				name = poisons[kind].name
			}
			t.Errorf("%s: ended with %q, want %q once", name, list, want)
		}
	}
	// Once among others, and three times alone.
	if c := int(crashes.Load()); c < killers || c > 4*killers {
		t.Errorf("the worker crashed %d times of %d questions", c, killers)
	}
}

// endsOf waits until n questions have ended, and gives how: "" for an answer.
func (d *desk) endsOf(t *testing.T, first eventstore.Position, n int) map[domain.PredictionID][]domain.FailureReason {
	t.Helper()
	ends := map[domain.PredictionID][]domain.FailureReason{}
	at := first - 1
	for deadline := time.Now().Add(5 * time.Minute); len(ends) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d questions have ended", len(ends), n)
		}
		batch, err := d.Store.After(t.Context(), at, 1000)
		must(t, err)
		for _, rec := range batch {
			at = rec.Position
			switch e := rec.Event.(type) {
			case domain.PredictionCompleted:
				ends[e.Prediction] = append(ends[e.Prediction], "")
			case domain.PredictionFailed:
				ends[e.Prediction] = append(ends[e.Prediction], e.Reason)
			}
		}
		if len(batch) == 0 {
			must(t, d.Store.Wait(t.Context(), at))
		}
	}
	return ends
}

// crashing runs relay, matcher and a worker over RabbitMQ until the test ends. The worker
// loses its connection when it gets the text.
func (d *desk) crashing(t *testing.T, kills string) (crashes *atomic.Int32) {
	t.Helper()
	broker := bustest.New(t)
	proxy := bustest.NewProxy(t, broker.Address, "127.0.0.1")
	line, err := bus.NewKeyLine("")
	must(t, err)
	key, err := bus.ParseKey(line)
	must(t, err)
	deadly, err := json.Marshal(kills)
	must(t, err)
	at := func(address string, declares bool) *bus.Bus {
		b, err := bus.Broker{Addresses: []string{address}, Key: key, Process: "test", Version: "v0", Declares: declares}.Open(t.Context(), slog.New(slog.DiscardHandler))
		must(t, err)
		return b
	}
	service, workers := at(broker.Address, true), at(proxy.Address(), false)
	crashes = &atomic.Int32{}
	work := Embed(d.model)
	crash := func(ctx context.Context, requests [][]byte) []bus.Outcome {
		if slices.ContainsFunc(requests, func(r []byte) bool { return strings.Contains(string(r), string(deadly)) }) {
			crashes.Add(1)
			proxy.Cut()
			return slices.Repeat([]bus.Outcome{{Err: bus.Permanent(errors.New("it crashed"))}}, len(requests))
		}
		return work(ctx, requests)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	go func() { ended <- service.Run(ctx, bus.Handlers{Answer: d.Settle}) }()
	go func() { ended <- workers.Run(ctx, bus.Handlers{Work: crash}) }()
	<-service.Running()
	relay := &bus.Relay{Events: d.Store, Bus: service, Logger: d.Logger, Name: "relay", Carry: d.Carry(service)}
	go func() { ended <- relay.Run(ctx, math.MaxInt64) }()
	t.Cleanup(func() {
		stop()
		must(t, errors.Join(<-ended, <-ended, <-ended))
	})
	return crashes
}
