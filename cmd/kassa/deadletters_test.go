package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// testBroker is the test's own hand at a broker, with the key of all tests.
func testBroker(t *testing.T, address string) bus.Broker {
	t.Helper()
	key, err := bus.ParseKey(brokerKey)
	must(t, err)
	return bus.Broker{Addresses: []string{address}, Key: key, Process: "test", Declares: true}
}

// Dead letters from their beginning to their end: a worker and a matcher that fail for
// good leave one whose question is open; it is tried again, and answered. One whose
// question has ended is shown as that, is not tried again, and is dropped. Nowhere is
// the text.
func TestDeadLetters(t *testing.T) {
	database, broker, data := schematest.Postgres(t), bustest.New(t), withSecret(t, t.TempDir())
	at := []string{"--data", data, "--database-url", database, "--amqp-url", broker.Address}
	letters := func(wantCode int, args ...string) string {
		t.Helper()
		code, out, complaints := kassa(t, append(append([]string{"deadletters"}, args...), at...)...)
		if code != wantCode || strings.Contains(out+complaints, "ship in the ice") {
			t.Fatalf("kassa deadletters %s: exit code %d, %s%s", strings.Join(args, " "), code, out, complaints)
		}
		return out + complaints
	}
	flags := at[2:]
	s := serve(t, data, append([]string{"--roles", "api,relay,projector"}, flags...)...)

	forGood := bus.Permanent(errors.New("it fails for good"))
	failing, err := testBroker(t, broker.Address).Open(t.Context(), slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- failing.Run(ctx, bus.Handlers{Work: func(context.Context, [][]byte) []bus.Outcome { return []bus.Outcome{{Err: forGood}} },
			Answer: func(context.Context, []bus.Item) []error { return []error{forGood} }})
	}()
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	asked := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a ship in the ice"})
	if asked.status != http.StatusAccepted {
		t.Fatalf("ask: %d %v", asked.status, asked.body)
	}
	var id string
	line := regexp.MustCompile(`(?m)^(\S+) +\S+ \S+ +work +rejected +\d+ +false$`)
	eventstoretest.Eventually(t, "the record of the dead letter", func() bool {
		if found := line.FindStringSubmatch(letters(0, "list")); found != nil {
			id = found[1]
		}
		return id != ""
	})
	stop()
	must(t, <-ended)
	if out := letters(0, "show", id); !strings.Contains(out, "it is still open") {
		t.Errorf("show: %s", out)
	}

	serve(t, data, append([]string{"--roles", "matcher"}, flags...)...)
	startWorker(t, data, broker.Address)
	if out := letters(0, "retry", id); !strings.Contains(out, "asked once more") {
		t.Errorf("retry: %s", out)
	}
	eventstoretest.Eventually(t, "the answer", func() bool {
		return ada.do(t.Context(), "GET", asked.header.Get("Location"), "", nil).text("status") == "completed"
	})
	if out := letters(0, "list"); strings.Contains(out, id) {
		t.Errorf("what was tried again is still there: %s", out)
	}

	again, err := testBroker(t, broker.Address).Open(t.Context(), slog.New(slog.DiscardHandler))
	must(t, err)
	about := bus.Job{Prediction: asked.text("prediction_id"), Position: eventstore.Position(asked.number("position"))}
	must(t, again.PublishAnswers(bus.Item{Job: about, Body: []byte("not an answer"), Failure: ""}))
	again.Close()
	late := regexp.MustCompile(`(?m)^(\S+) +\S+ \S+ +answers +rejected +\d+ +true$`)
	eventstoretest.Eventually(t, "the second record", func() bool {
		found := late.FindStringSubmatch(letters(0, "list"))
		if found != nil {
			id = found[1]
		}
		return found != nil
	})
	if out := letters(0, "show", "--all"); !strings.Contains(out, "PredictionCompleted") {
		t.Errorf("show: %s", out)
	}
	if out := letters(0, "retry", "--all"); !strings.Contains(out, "has ended") {
		t.Errorf("retry: %s", out)
	}
	letters(exitFailed, "drop", "no-such-id")
	letters(exitUsage, "drop")
	letters(exitUsage, "drop", id, "--all")
	letters(0, "drop", id)
	if out := letters(0, "list"); strings.Contains(out, id) {
		t.Errorf("what was dropped is still there: %s", out)
	}
	mustVerify(t, data, "--database-url", database)
}
