package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"kassa/catalog"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// asking is people who ask for films by their titles, all the time.
type asking struct {
	mu      sync.Mutex
	right   map[string]int // answers by model
	wrong   []string
	all     sync.WaitGroup
	stopped context.CancelFunc
}

func startAsking(t *testing.T, s *server, people int) *asking {
	t.Helper()
	films, err := catalog.Shipped()
	must(t, err)
	films = slices.DeleteFunc(films, func(m catalog.Movie) bool { return !strings.Contains(m.Title, " ") }) // one word may be in the titles of many
	ctx, stop := context.WithCancel(t.Context())
	a := &asking{right: make(map[string]int), stopped: stop}
	for i := range people {
		who := s.signUp(t, newHTTP(), "person"+strconv.Itoa(i)+"@example.com")
		a.all.Go(func() {
			for n := i; ctx.Err() == nil; n += people {
				film := films[n%len(films)]
				got := who.do(context.WithoutCancel(ctx), "POST", "/api/events/prediction/new", "", question{Text: film.Title, wait: 60})
				for got.status == http.StatusAccepted || got.text("status") == "pending" { // late, on a busy machine: until it is answered, or expires
					got = who.do(context.WithoutCancel(ctx), "GET", "/api/events/prediction/"+got.text("prediction_id"), "", nil)
				}
				a.count(film, got)
			}
		})
	}
	return a
}

func (a *asking) count(film catalog.Movie, got answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	movies, _ := got.body["movies"].([]any)
	for _, m := range movies {
		if got.status == http.StatusOK && m.(map[string]any)["movie_id"] == film.ID {
			a.right[got.text("model_version")]++
			return
		}
	}
	a.wrong = append(a.wrong, fmt.Sprintf("%s: %d %v", film.Title, got.status, got.body))
}

// more waits for new right answers with a model.
func (a *asking) more(t *testing.T, model string) {
	t.Helper()
	a.mu.Lock()
	before := a.right[model]
	a.mu.Unlock()
	defer func() {
		if t.Failed() {
			a.mu.Lock()
			t.Logf("right answers by model: %v; wrong: %v", a.right, a.wrong)
			a.mu.Unlock()
		}
	}()
	eventstoretest.Eventually(t, "answers with the model "+model, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.right[model] > before
	})
}

// Under load the films are embedded anew beside the vectors in use, questions are asked of
// the new model, of the old one again, and of the new one, and workers that have one
// model, both, and one that the films know nothing of take turns: no answer is
// wrong, and none is missing.
func TestSwitchOfModelsUnderLoad(t *testing.T) {
	database, broker, data := schematest.Postgres(t), bustest.New(t).Address, t.TempDir()
	s := serve(t, data, "--database-url", database, "--amqp-url", broker, "--roles", "api,relay,projector,matcher", "--price", "1", "--bonus", "1000000", "--rate-limit", "off", "--not-found-below", "0")
	startWorker(t, data, broker)
	startWorker(t, data, broker, "--model", "built-in,"+smallModel)
	people := startAsking(t, s, 4)
	films := func(args ...string) string {
		t.Helper()
		code, out, complaints := kassa(t, append(append([]string{"catalog"}, args...), "--data", data, "--database-url", database)...)
		if code != 0 {
			t.Fatalf("catalog %s: exit code %d, %s%s", strings.Join(args, " "), code, out, complaints)
		}
		return out
	}
	old := strings.Fields(strings.Split(films("models"), "\n")[1])[0]
	people.more(t, old)
	next := smallVersion(t)
	films("import", "--amqp-url", broker, "--worker-model", next)
	if out := films("models"); !regexp.MustCompile(regexp.QuoteMeta(next) + ` +8 +.*complete`).MatchString(out) {
		t.Errorf("the models are\n%s", out)
	}
	strange := startWorker(t, data, broker, "--model", anotherModel(t))
	for _, model := range []string{next, old, next} {
		films("use", model)
		people.more(t, model)
	}
	people.more(t, old) // from the workers that have no other, and from the matcher for the one that nothing is known of
	strange.kill()
	people.stopped()
	people.all.Wait()
	if len(people.wrong) > 0 {
		t.Errorf("%d answers are wrong or missing, the first of them %.1000v", len(people.wrong), people.wrong)
	}
	t.Logf("right answers by model: %v", people.right)
	mustVerify(t, data, "--database-url", database)
}

// smallVersion is the version of the model that is in the worker's testdata.
func smallVersion(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if code, out, complaints := kassa(t, "catalog", "import", "--data", folder, "--model", smallModel); code != 0 || out == "" {
		t.Fatalf("import: exit code %d, %s", code, complaints)
	}
	code, out, complaints := kassa(t, "catalog", "models", "--data", folder)
	if code != 0 {
		t.Fatalf("models: exit code %d, %s", code, complaints)
	}
	return strings.Fields(strings.Split(out, "\n")[1])[0]
}
