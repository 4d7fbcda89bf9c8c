package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

func requests(n int) []Item {
	items := make([]Item, n)
	for i := range items {
		items[i] = Item{Job: job(i + 1), Body: fmt.Appendf(nil, "request %d", i+1), Until: soon()}
	}
	return items
}

// Jobs that are published together travel together: as many as a message carries there,
// and their answers so back. A lone one goes alone.
func TestJobsTravelTogether(t *testing.T) {
	for _, n := range []int{1, 2, MaxItems, MaxItems + 1, 3 * MaxItems} {
		var calls, settled atomic.Int32
		got := make(chan Item, n)
		b, stop := running(t, Handlers{
			Work: func(ctx context.Context, requests [][]byte) []Outcome {
				calls.Add(1)
				return each(echo)(ctx, requests)
			},
			Answer: func(_ context.Context, items []Item) []error {
				settled.Add(1)
				for _, i := range items {
					got <- i
				}
				return make([]error, len(items))
			},
		})
		must(t, b.PublishWork(requests(n)...))
		for range n {
			a := within(t, "an answer", got)
			if want := fmt.Sprintf("re: request %d", a.Position); string(a.Body) != want || a.Job != job(int(a.Position)) || a.Failure != "" {
				t.Errorf("got %+v", a)
			}
		}
		must(t, stop())
		if want := int32((n + MaxItems - 1) / MaxItems); calls.Load() != want || settled.Load() != want {
			t.Errorf("%d jobs went in %d messages, and their answers in %d, want %d", n, calls.Load(), settled.Load(), want)
		}
	}
}

// Of jobs that travel together each has its own end: an answer, a failure in its word, an
// error that passes, and one that stays. The others do not wait for it.
func TestEachJobOfAMessageHasItsOwnEnd(t *testing.T) {
	impatient(t)
	work, settle := twice(errPassing), twice(errPassing)
	var again atomic.Int32
	got, collect := answers(100)
	b, _ := running(t, Handlers{
		Work: each(func(_ context.Context, request []byte) ([]byte, string, error) {
			switch string(request) {
			case "request 2":
				return nil, "text_not_understood", nil
			case "request 3":
				return []byte("late"), "", work()
			case "request 4":
				return nil, "", errPassing
			case "request 1":
				again.Add(1)
			}
			return request, "", nil
		}),
		Answer: settling(func(ctx context.Context, j Job, answer []byte, failure string) error {
			switch {
			case j.Position == 5:
				if err := settle(); err != nil {
					return err
				}
			case j.Position == 6 && failure == "":
				return Permanent(errors.New("no such model"))
			}
			return collect(ctx, j, answer, failure)
		}),
	})
	must(t, b.PublishWork(requests(7)...))
	ends := map[Job]string{}
	for len(ends) < 7 {
		a := within(t, "an end of each", got)
		ends[a.Job] = a.answer + a.failure
	}
	for i, want := range []string{"request 1", "text_not_understood", "late", Failed, "request 5", Failed, "request 7"} {
		if ends[job(i+1)] != want {
			t.Errorf("job %d ended with %q, want %q", i+1, ends[job(i+1)], want)
		}
	}
	if n := again.Load(); n != 1 {
		t.Errorf("a job that was done was done %d times, because another of its message was not", n)
	}
}

// A message of one job has the form of the versions before, in which there was no other,
// and it is read in that form: what was under way in an upgrade arrives.
func TestTheFormOfBefore(t *testing.T) {
	got, settle := answers(10)
	b, _ := running(t, Handlers{Work: each(echo), Answer: settling(settle)})
	before := func(c *channel, body, failure string) {
		m := message.NewMessage("before", []byte(body))
		m.Metadata.Set("kassa_prediction", "p_1")
		m.Metadata.Set("kassa_position", "1")
		m.Metadata.Set("kassa_failure", failure)
		must(t, c.publish(m))
	}
	for _, tt := range []struct {
		c             *channel
		body, failure string
		want          answered
	}{
		{b.work, "text", "", answered{job(1), "re: text", ""}},
		{b.answers, "vector", "", answered{job(1), "vector", ""}},
		{b.answers, "", "text_erased", answered{job(1), "", "text_erased"}},
	} {
		before(tt.c, tt.body, tt.failure)
		if a := within(t, "the answer", got); a != tt.want {
			t.Errorf("got %+v, want %+v", a, tt.want)
		}
	}
	m := messagesOf(requests(1))[0]
	if string(m.Payload) != "request 1" || m.Metadata.Get("kassa_prediction") != "p_1" || m.Metadata.Get("kassa_position") != "1" {
		t.Errorf("one job is sent as %q with %v", m.Payload, m.Metadata)
	}
}

// Of jobs that travel together those whose time is over are not done; the message lives as
// long as the last of them.
func TestJobsOfAMessageLiveAsLongAsTheirHolds(t *testing.T) {
	got, settle := answers(10)
	b, _ := running(t, Handlers{Work: each(echo), Answer: settling(settle)})
	items := requests(3)
	items[0].Until, items[2].Until = time.Now().Add(-time.Second), time.Now().Add(-time.Millisecond)
	if m := messagesOf(items)[0]; len(m.Metadata.Get(expires)) != len("59999") {
		t.Errorf("the message lives %s ms", m.Metadata.Get(expires))
	}
	must(t, b.PublishWork(items...))
	must(t, b.PublishWork(Item{Job: job(9), Body: []byte("next"), Until: soon()}))
	seen := map[Job]bool{}
	for range 2 {
		seen[within(t, "an answer", got).Job] = true
	}
	if !seen[job(2)] || !seen[job(9)] {
		t.Errorf("answered were %v", seen)
	}
}

// What is no list of jobs is refused whole, and nothing of it is done.
func TestUnpackRefuses(t *testing.T) {
	good := pack(requests(2))
	if items, err := unpack(good); err != nil || len(items) != 2 || items[1].Job != job(2) || string(items[1].Body) != "request 2" || items[1].Until.IsZero() {
		t.Fatalf("%+v, %v", items, err)
	}
	for cut := range good {
		if items, err := unpack(good[:cut]); !IsPermanent(err) && len(items) != 1 {
			t.Errorf("cut after %d bytes: %+v, %v", cut, items, err)
		}
	}
	for name, body := range map[string][]byte{
		"another form":    append([]byte{2}, good[1:]...),
		"JSON":            []byte(`{"text":"a"}`),
		"too many":        pack(requests(MaxItems + 1)),
		"no name":         pack([]Item{{Job: Job{Position: 1}}, {Job: job(1)}}),
		"no position":     pack([]Item{{Job: Job{Prediction: "p_1"}}, {Job: job(1)}}),
		"a length beyond": {packed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"an endless one":  append([]byte{packed}, bytes.Repeat([]byte{0xff}, 20)...),
	} {
		if items, err := unpack(body); !IsPermanent(err) || items != nil {
			t.Errorf("%s: %+v, %v", name, items, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(requests(3)))
	f.Add([]byte(strings.Repeat("\x01", 40)))
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := unpack(body)
		if err != nil {
			return
		}
		if again, err := unpack(pack(items)); err != nil || len(again) != len(items) {
			t.Fatalf("%+v is packed to %+v, %v", items, again, err)
		}
	})
}
