package main

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/eventstore/eventstoretest"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// startWorker runs a worker until the test ends.
func startWorker(t *testing.T, data, broker string, flags ...string) *server {
	t.Helper()
	return opened(t, command(t, append([]string{"worker", "--data", data, "--addr", "127.0.0.1:0", "--log-format", "json", "--amqp-url", broker}, flags...)...))
}

// Neither a question nor who asked it can be read on the broker's disk: not while it
// waits, and not after it was answered, when the broker still has most of the bytes.
func TestNothingReadableLiesAtTheBroker(t *testing.T) {
	database, broker, data := schematest.Postgres(t), bustest.New(t), withSecret(t, t.TempDir())
	s := serve(t, data, "--database-url", database, "--amqp-url", broker.Address, "--roles", "api,relay,projector,matcher", "--not-found-below", "0")
	marker := strings.ToLower(rand.Text())
	ada := client{url: s.url, email: marker + "@example.com", http: newHTTP()}
	signedUp := ada.do(t.Context(), "POST", "/api/users/signup", "", credentials{ada.email, password})
	user := signedUp.text("user_id")
	if user == "" {
		t.Fatalf("sign up: %d %v", signedUp.status, signedUp.body)
	}
	asked := ada.do(t.Context(), "POST", "/api/events/prediction/new", "", question{Text: "a ship in the ice " + marker})
	if asked.status != http.StatusAccepted {
		t.Fatalf("ask: %d %v", asked.status, asked.body)
	}
	installation, _, _ := strings.Cut(brokerKey, " ")
	eventstoretest.Eventually(t, "the question to lie at the broker", func() bool {
		queues, err := broker.Queues()
		must(t, err)
		return queues["kassa."+installation+".work"] == 1
	})
	look := func(when string) {
		t.Helper()
		for what, text := range map[string]string{"the question or the e-mail": marker, "the person's id": user} {
			if found := onBrokersDisk(t, text); found != "" {
				t.Errorf("%s, %s can be read in %s", when, what, found)
			}
		}
	}
	look("while it waits")
	startWorker(t, data, broker.Address)
	eventstoretest.Eventually(t, "the answer", func() bool {
		return ada.do(t.Context(), "GET", asked.header.Get("Location"), "", nil).text("status") == "completed"
	})
	look("when it is answered")

	control := rand.Text() // what is not sealed is found, and so would the question be
	lieAtTheBroker(t, broker.Address, control)
	if onBrokersDisk(t, control) == "" {
		t.Error("what lies there in clear is not found: this test proves nothing")
	}
	mustVerify(t, data, "--database-url", database)
}

// onBrokersDisk gives the files of the broker in which a text can be read.
func onBrokersDisk(t *testing.T, text string) string {
	t.Helper()
	return services(t, "exec", "rabbitmq", "sh", "-c", `grep -rlF -- "$1" /var/lib/rabbitmq || true`, "sh", text)
}

// lieAtTheBroker has a quorum queue of its own keep a text.
func lieAtTheBroker(t *testing.T, address, text string) {
	t.Helper()
	conn, err := amqp091.Dial(address)
	must(t, err)
	defer conn.Close()
	channel, err := conn.Channel()
	must(t, err)
	_, err = channel.QueueDeclare("control", true, false, false, false, amqp091.Table{"x-queue-type": "quorum"})
	must(t, err)
	must(t, channel.Confirm(false))
	confirm, err := channel.PublishWithDeferredConfirm("", "control", false, false, amqp091.Publishing{Body: []byte(text), DeliveryMode: amqp091.Persistent})
	must(t, err)
	if !confirm.Wait() {
		t.Fatal("the broker did not take it")
	}
}
