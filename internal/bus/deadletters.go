package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"

	"kassa/eventstore"
)

// Headers of the record of a dead letter.
const (
	headerReason  = "kassa_reason"
	headerFrom    = "kassa_from"
	headerSettled = "kassa_settled"
)

// DeadLetter is the record of a message that failed for good. Its body is not kept.
type DeadLetter struct {
	ID         string // of the message
	At         time.Time
	From       string // the kind of message: work or answers
	Reason     string // in the broker's word: rejected by its handler, or delivery_limit where processes died on it
	Prediction string
	Position   eventstore.Position // of the question in the log; 0 where the message named none
	Settled    bool                // the question failed, and its credits came back
}

// record stores that a message failed. The log of the process has it too.
func (b *Bus) record(m *message.Message, settled bool) {
	if b.broker == nil {
		return
	}
	headers := amqp091.Table{headerID: m.UUID, headerSettled: strconv.FormatBool(settled), headerReason: m.Metadata.Get(deadReason), headerFrom: m.Metadata.Get(deadFrom),
		headerPrediction: m.Metadata.Get(headerPrediction), headerPosition: m.Metadata.Get(headerPosition)}
	err := b.broker.publisher.record(amqp091.Publishing{Headers: headers, MessageId: m.UUID, Timestamp: time.Now(), DeliveryMode: amqp091.Persistent})
	if err != nil {
		b.logger.Error("no record of a dead letter is kept", "message", m.UUID, "error", err)
	}
}

// DeadLetters are the records of messages that failed for good, at the broker.
type DeadLetters struct {
	link  *link
	queue string
}

// DeadLetters connects to the broker where it has records.
func (b Broker) DeadLetters() *DeadLetters {
	return &DeadLetters{&link{broker: b, purpose: "dead letters"}, namesOf(b.Key.Installation).kept}
}

// Close ends the connection.
func (d *DeadLetters) Close() { d.link.close() }

// Each passes every record to handle, the oldest first, and drops those for which handle
// returns so. The others stay. Meanwhile another caller does not see them.
func (d *DeadLetters) Each(ctx context.Context, handle func(DeadLetter) (drop bool, err error)) (err error) {
	channel, err := d.link.channel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, channel.Close()) }() // what is not acknowledged is put back
	for ctx.Err() == nil {
		got, more, err := channel.Get(d.queue, false)
		if err != nil {
			return fmt.Errorf("read the dead letters: %w", err)
		}
		if !more {
			return nil
		}
		drop, err := handle(recordOf(got))
		if err != nil {
			return err
		}
		if drop {
			if err := got.Ack(false); err != nil {
				return fmt.Errorf("drop a dead letter: %w", err)
			}
		}
	}
	return ctx.Err()
}

func recordOf(d amqp091.Delivery) DeadLetter {
	text := func(name string) string { s, _ := d.Headers[name].(string); return s }
	at, _ := strconv.ParseInt(text(headerPosition), 10, 64) // 0 where there is none
	return DeadLetter{ID: text(headerID), At: d.Timestamp, From: text(headerFrom), Reason: text(headerReason),
		Prediction: text(headerPrediction), Position: eventstore.Position(at), Settled: text(headerSettled) == "true"}
}
