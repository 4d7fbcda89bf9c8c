package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"
)

// Workers gives jobs to the workers over the broker and waits for each answer, such as
// for an import of films. The jobs go among those of predictions; the answers come back
// to a queue that ends with the connection.
type Workers struct {
	publisher *publisher
	replies   *link
	queue     string

	mu   sync.Mutex
	open map[string]chan reply // by the id of the request; nil when the connection is lost
}

type reply struct {
	answer  []byte
	failure string
}

// errNoReplies: the connection on which the answers would come is gone.
var errNoReplies = errors.New("the connection to the broker is lost")

// AskWorkers connects. It waits for the broker to be there, until ctx ends.
func (b Broker) AskWorkers(ctx context.Context, logger *slog.Logger) (*Workers, error) {
	topology := namesOf(b.Key.Installation)
	w := &Workers{replies: &link{broker: b, purpose: "replies"}, queue: topology.replies + randomHex(8), open: map[string]chan reply{},
		publisher: &publisher{link: &link{broker: b, purpose: "publishing"}, topology: topology, timeout: publishTimeout}}
	err := w.publisher.await(ctx, logger)
	var replies <-chan amqp091.Delivery
	if err == nil {
		replies, err = w.listen()
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	go w.dispatch(replies)
	return w, nil
}

// listen makes the queue of the answers.
func (w *Workers) listen() (<-chan amqp091.Delivery, error) {
	channel, err := w.replies.channel()
	if err != nil {
		return nil, err
	}
	if _, err = channel.QueueDeclare(w.queue, false, true, true, false, nil); err == nil {
		err = channel.QueueBind(w.queue, w.queue, w.publisher.topology.sendAnswers, false, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("declare a queue for answers: %w", err)
	}
	replies, err := channel.Consume(w.queue, "", true, true, false, false, nil)
	if err != nil {
		return nil, fmt.Errorf("wait for answers: %w", err)
	}
	return replies, nil
}

// dispatch gives each answer to its caller. One that no caller waits for is a second one:
// a worker died between its answer and its acknowledgement.
func (w *Workers) dispatch(replies <-chan amqp091.Delivery) {
	for d := range replies {
		m, err := unmarshal(w.replies.broker.Key, kindReplies, d)
		if err != nil {
			continue // of another key: its asker waits until it leaves
		}
		asked := m.Metadata.Get(headerAsked)
		w.mu.Lock()
		waiting := w.open[asked]
		delete(w.open, asked)
		w.mu.Unlock()
		if waiting != nil {
			waiting <- reply{m.Payload, m.Metadata.Get(headerFailure)}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, waiting := range w.open {
		close(waiting)
	}
	w.open = nil
}

// Ask has one of the workers do a job. A failure is a stable word for why there is no
// answer and never will be.
func (w *Workers) Ask(ctx context.Context, request []byte) (answer []byte, failure string, err error) {
	m := message.NewMessage(watermill.NewUUID(), request)
	m.Metadata.Set(headerReply, w.queue)
	m.Metadata.Set(headerAsked, m.UUID)
	mine := make(chan reply, 1)
	if err := w.wait(m.UUID, mine); err != nil {
		return nil, "", err
	}
	defer w.leave(m.UUID)
	if until, ok := ctx.Deadline(); ok {
		m.Metadata.Set(expires, milliseconds(time.Until(until)))
	}
	if err := w.publisher.to(w.publisher.topology.sendWork, kindWork).Publish(ownQueue, m); err != nil {
		return nil, "", fmt.Errorf("publish work: %w", err)
	}
	select {
	case r, ok := <-mine:
		if !ok {
			return nil, "", errNoReplies
		}
		return r.answer, r.failure, nil
	case <-ctx.Done():
		return nil, "", fmt.Errorf("wait for a worker: %w", ctx.Err())
	}
}

func (w *Workers) wait(asked string, mine chan reply) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		return errNoReplies
	}
	w.open[asked] = mine
	return nil
}

func (w *Workers) leave(asked string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, asked)
}

// Close ends the connections; callers that wait get an error.
func (w *Workers) Close() {
	w.publisher.link.close()
	w.replies.close()
}
