package bus

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/eventstore/eventstoretest"
)

// as gives the broker for a user with these rights.
func (b broker) as(t testing.TB, r Rights) Broker {
	t.Helper()
	at := b.at(b.As(t, r.Configure, r.Write, r.Read))
	at.Declares = false
	return at
}

// attack is something that a user tries, on a channel of its own.
type attack struct {
	name string
	do   func(*amqp091.Channel) error
}

func publishTo(exchange, key string) attack {
	return attack{fmt.Sprintf("publish to %q with the key %q", exchange, key), func(c *amqp091.Channel) error {
		return sendEmpty(c, exchange, key)
	}}
}

func onQueue(queue string) []attack {
	return []attack{
		{"consume " + queue, func(c *amqp091.Channel) error {
			_, err := c.Consume(queue, "", false, false, false, false, nil)
			return err
		}},
		{"get from " + queue, func(c *amqp091.Channel) error { _, _, err := c.Get(queue, false); return err }},
		{"purge " + queue, func(c *amqp091.Channel) error { _, err := c.QueuePurge(queue, false); return err }},
	}
}

func changeOf(queue, exchange string) []attack {
	return []attack{
		{"delete the queue " + queue, func(c *amqp091.Channel) error { _, err := c.QueueDelete(queue, false, false, false); return err }},
		{"declare the queue " + queue, func(c *amqp091.Channel) error {
			_, err := c.QueueDeclare(queue, true, false, false, false, amqp091.Table{"x-queue-type": "quorum"})
			return err
		}},
		{"bind " + queue + " to " + exchange, func(c *amqp091.Channel) error { return c.QueueBind(queue, ownQueue, exchange, false, nil) }},
		{"unbind " + queue + " from " + exchange, func(c *amqp091.Channel) error { return c.QueueUnbind(queue, ownQueue, exchange, nil) }},
		{"delete the exchange " + exchange, func(c *amqp091.Channel) error { return c.ExchangeDelete(exchange, false, false) }},
		{"declare the exchange " + exchange, func(c *amqp091.Channel) error {
			return c.ExchangeDeclare(exchange, amqp091.ExchangeDirect, true, false, false, false, nil)
		}},
	}
}

// refused plays attacks, each of which the broker must refuse to the user.
func refused(t *testing.T, as Broker, attacks []attack) {
	t.Helper()
	l := &link{broker: as, purpose: "attack"}
	defer l.close()
	for _, a := range attacks {
		channel, err := l.channel()
		must(t, err)
		if err := a.do(channel); codeOf(err) != amqp091.AccessRefused {
			t.Errorf("%s: %v", a.name, err)
		}
		_ = channel.Close()
	}
}

// A worker takes work and gives answers. With its user nobody tells the views of entries,
// asks for anything, reads an answer, or changes what is at the broker. (It can empty the
// queue of work: who may take a message may take all.)
func TestWhatAWorkersUserMayDo(t *testing.T) {
	b := newBroker(t)
	n := b.names
	got, settle := answers(1)
	service := b.run(t, b.Address, Handlers{Answer: settling(settle)})
	must(t, service.PublishAnswers(Item{Job: job(7), Body: []byte("another's answer"), Failure: ""}))
	within(t, "the first answer", got)
	as := b.as(t, b.key.WorkerRights())

	attacks := []attack{publishTo("amq.fanout", ""), publishTo("amq.direct", n.work), publishTo("amq.topic", n.work)}
	for _, exchange := range []string{n.sendWork, n.sendAloneWork, n.sendAloneAnswers, n.sendHints, n.sendDead, n.sendKept} {
		attacks = append(attacks, publishTo(exchange, ownQueue))
	}
	for queue := range n.queues() {
		attacks = append(attacks, publishTo("", queue))
		if queue != n.work && queue != n.aloneWork {
			attacks = append(attacks, onQueue(queue)...)
		}
		for exchange := range n.exchanges() {
			attacks = append(attacks, changeOf(queue, exchange)...)
		}
	}
	attacks = append(attacks, changeOf("kassa.another", "amq.fanout")[1], attack{"declare a queue for hints", func(c *amqp091.Channel) error {
		_, err := n.declareHints(c)
		return err
	}})
	refused(t, as, attacks)

	worker, err := as.Open(t.Context(), quiet)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx, Handlers{Work: each(echo)}) }()
	must(t, service.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q", a.answer)
	}
	stop()
	must(t, within(t, "the worker to end", ended))
}

// A worker whose user still has the rights of a version before works, and is ready. What is
// tried alone waits for another worker, or for its hold to expire.
func TestAWorkerWithTheRightsOfBefore(t *testing.T) {
	b := newBroker(t)
	got, settle := answers(1)
	service := b.run(t, b.Address, Handlers{Answer: settling(settle)})
	rights := b.key.WorkerRights()
	rights.Read = "^" + regexp.QuoteMeta(b.names.work) + "$"
	worker, err := b.as(t, rights).Open(t.Context(), quiet)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx, Handlers{Work: each(echo)}) }()
	must(t, service.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	if a := within(t, "the answer", got); a.answer != "re: text" || worker.Connected() != nil {
		t.Errorf("answer %q, and it is not ready: %v", a.answer, worker.Connected())
	}
	stop()
	must(t, within(t, "the worker to end", ended))
}

// The service's user reaches what its installation has, and nothing else on the virtual
// host: neither another installation, nor whatever else is there.
func TestWhatTheServicesUserMayDo(t *testing.T) {
	b := newBroker(t)
	other := broker{b.Broker, newKey(t, ""), names{}}
	other.names = namesOf(other.key.Installation)
	other.bus(t, b.Address)
	as := b.as(t, b.key.ServiceRights())
	as.Declares = true
	n, foreign := b.names, other.names

	attacks := []attack{publishTo("amq.fanout", ""), publishTo("", n.work), publishTo("", foreign.work)}
	for exchange := range foreign.exchanges() {
		attacks = append(attacks, publishTo(exchange, ownQueue))
	}
	for queue := range foreign.queues() {
		attacks = append(append(attacks, onQueue(queue)...), changeOf(queue, foreign.sendWork)...)
	}
	refused(t, as, attacks)

	service, err := as.Open(t.Context(), quiet)
	must(t, err)
	got, settle := answers(1)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, Handlers{Work: each(echo), Answer: settling(settle)}) }()
	must(t, service.PublishWork(Item{Job: job(1), Body: []byte("text"), Until: soon()}))
	if a := within(t, "the answer", got); a.answer != "re: text" {
		t.Errorf("answer %q", a.answer)
	}
	workers, err := as.AskWorkers(t.Context(), quiet)
	must(t, err)
	if answer, failure, err := workers.Ask(t.Context(), []byte("film")); string(answer) != "re: film" {
		t.Errorf("an import gets %q, %q, %v", answer, failure, err)
	}
	workers.Close()
	records := as.DeadLetters()
	must(t, records.Each(t.Context(), func(DeadLetter) (bool, error) { return false, nil }))
	records.Close()
	stop()
	must(t, within(t, "the service to end", ended))
}

// Two installations on one virtual host do not take each other's messages.
func TestTwoInstallationsOnOneVirtualHost(t *testing.T) {
	b := newBroker(t)
	other := broker{b.Broker, newKey(t, ""), names{}}
	const n = 2 * concurrency
	got, settle := answers(n)
	othersGot, othersSettle := answers(n)
	mine := b.run(t, b.Address, Handlers{Work: each(echo), Answer: settling(settle)})
	theirs := other.run(t, b.Address, Handlers{Work: each(func(context.Context, []byte) ([]byte, string, error) { return []byte("theirs"), "", nil }), Answer: settling(othersSettle)})
	for i := range n {
		must(t, mine.PublishWork(Item{Job: job(i + 1), Body: []byte("text"), Until: soon()}))
		must(t, theirs.PublishWork(Item{Job: job(i + 1), Body: []byte("text"), Until: soon()}))
	}
	for range n {
		if a := within(t, "an answer of ours", got); a.answer != "re: text" {
			t.Errorf("we get %q", a.answer)
		}
		if a := within(t, "an answer of theirs", othersGot); a.answer != "theirs" {
			t.Errorf("they get %q", a.answer)
		}
	}
}

// Each connection says to whom it belongs.
func TestConnectionsHaveNames(t *testing.T) {
	b := newBroker(t)
	at := b.at(b.Address)
	at.Process, at.Version = "relay,matcher", "v1.2.3"
	bus, err := at.Open(t.Context(), quiet)
	must(t, err)
	t.Cleanup(bus.Close)
	eventstoretest.Eventually(t, "the connection's name at the broker", func() bool {
		list, err := b.Connections()
		must(t, err)
		return len(list) == 1 && strings.HasPrefix(list[0], "kassa relay,matcher@") && strings.HasSuffix(list[0], " publishing v1.2.3")
	})
}
