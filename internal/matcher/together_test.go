package matcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/internal/bus"
	"kassa/worker"
)

// joined gives the desk another person.
func (d *desk) joined(name string) domain.UserID {
	d.t.Helper()
	up, err := d.Commands.SignUp(d.t.Context(), commands.SignUp{Email: name + "@example.com", Password: "a long walk home"})
	must(d.t, err)
	return up.User
}

// entries reads the questions of jobs.
func (d *desk) entries(jobs ...bus.Job) (batch []eventstore.Recorded) {
	d.t.Helper()
	found, err := Questions(d.t.Context(), d.Store, jobs)
	must(d.t, err)
	for _, j := range jobs {
		batch = append(batch, found[j])
	}
	return batch
}

// working runs a bus with the matcher and the model until the test ends.
func (d *desk) working(seen func(requests [][]byte)) *bus.Bus {
	d.t.Helper()
	b, err := bus.InProcess(slog.New(slog.DiscardHandler))
	must(d.t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	work := Embed(d.model)
	go func() {
		ended <- b.Run(ctx, bus.Handlers{Answer: d.Settle, Work: func(ctx context.Context, requests [][]byte) []bus.Outcome {
			seen(requests)
			return work(ctx, requests)
		}})
	}()
	<-b.Running()
	d.t.Cleanup(func() { stop(); must(d.t, <-ended) })
	return b
}

// Questions that are there at once, of several people, are carried, done and settled
// together, each by itself: what cannot be read, means nothing, or is over costs nothing
// and stops none of the others.
func TestQuestionsTravelTogether(t *testing.T) {
	d := newDesk(t)
	sizes := make(chan int, 100)
	b := d.working(func(requests [][]byte) { sizes <- len(requests) })
	const n = 40
	var jobs []bus.Job
	users := []domain.UserID{d.user, d.joined("bob"), d.joined("eve"), d.joined("gone")}
	for i := range n {
		d.user = users[i%3]
		text := "a ship in the ice"
		if i == 7 {
			text = "ъъъъ"
		}
		jobs = append(jobs, d.askText(fmt.Sprint(text, " ", i)[:len(text)]))
	}
	d.user = users[3]
	erased := d.ask()
	_, err := d.db.Write.ExecContext(t.Context(), `DELETE FROM subject_keys WHERE user_id = ?`, string(d.user))
	must(t, err)
	d.Vault = d.openVault()
	batch := d.entries(append(jobs, erased)...)
	late := batch[5].Event.(domain.PredictionRequested)
	late.ExpiresAt = batch[5].Time
	batch[5].Event = late
	must(t, d.Carry(b)(t.Context(), batch))
	ends := map[domain.PredictionID]domain.Event{}
	for len(ends) < n {
		must(t, d.Store.Scan(t.Context(), batch[len(batch)-1].Position, func(page []eventstore.Recorded) error {
			for _, rec := range page {
				switch e := rec.Event.(type) {
				case domain.PredictionCompleted:
					ends[e.Prediction] = e
				case domain.PredictionFailed:
					ends[e.Prediction] = e
				}
			}
			return nil
		}))
	}
	for i, j := range append(jobs, erased) {
		end := ends[domain.PredictionID(j.Prediction)]
		failed, _ := end.(domain.PredictionFailed)
		_, done := end.(domain.PredictionCompleted)
		want := map[int]domain.FailureReason{7: domain.FailedNoMeaning, n: domain.FailedErased}[i]
		if done != (want == "" && i != 5) || failed.Reason != want || i == 5 && end != nil {
			t.Errorf("question %d ended as %+v", i, end)
		}
	}
	if first, second := <-sizes, <-sizes; first+second != n-1 || max(first, second) != bus.MaxItems-1 && max(first, second) != bus.MaxItems {
		t.Errorf("they went to the worker as %d and %d", first, second)
	}
}

// Each answer of a message is settled by itself, also where others of it are wrong in each
// way, or are about one question twice.
func TestAnswersAreSettledTogether(t *testing.T) {
	d := newDesk(t)
	good, twice, wrong, none := d.ask(), d.ask(), d.ask(), d.ask()
	forged := bus.Job{Prediction: good.Prediction, Position: twice.Position}
	faults := d.Settle(t.Context(), []bus.Item{
		{Job: good, Body: d.answer(nil)},
		{Job: forged, Body: d.answer(nil)},
		{Job: twice, Body: d.answer(nil)},
		{Job: wrong, Body: d.answer(func(a *worker.Answer) { a.Embedding = a.Embedding[1:] })},
		{Job: twice, Body: d.answer(nil)},
		{Job: none, Failure: string(domain.FailedWorker)},
		{Job: bus.Job{Prediction: "p_none", Position: 1 << 40}, Body: []byte("{")},
	})
	for i, permanent := range []bool{false, true, false, true, false, false, true} {
		if bus.IsPermanent(faults[i]) != permanent || !permanent && faults[i] != nil {
			t.Errorf("answer %d gives %v", i, faults[i])
		}
	}
	account, err := d.Commands.Account(t.Context(), d.user)
	must(t, err)
	if account.Held != 5 || account.Available != 1000-3*5 { // wrong is still open
		t.Errorf("the wallet is %+v", account)
	}
	must(t, errors.Join(d.Settle(t.Context(), []bus.Item{{Job: good, Body: d.answer(nil)}, {Job: wrong, Failure: bus.Failed}})...))
	if account, err = d.Commands.Account(t.Context(), d.user); err != nil || account.Held != 0 || account.Available != 1000-2*5 {
		t.Errorf("in the end the wallet is %+v, %v", account, err)
	}
}
