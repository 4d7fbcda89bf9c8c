package bus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"kassa/eventstore"
)

// Headers of errands and answers. All are strings: that is all that every broker's
// adapter carries.
const (
	headerPrediction = "kassa_prediction"
	headerPosition   = "kassa_position"
	headerFailure    = "kassa_failure"
	headerReply      = "kassa_reply" // the queue of an asker that waits for the answer, instead of an errand
	headerAsked      = "kassa_asked" // what the asker calls it
)

// Metadata of this process alone, which is not sent.
const (
	expires    = "expires"     // how many milliseconds the broker keeps the message for
	verdict    = "verdict"     // what becomes of a message that is not acknowledged
	deadReason = "dead_reason" // why it is a dead letter, in the broker's word
	deadFrom   = "dead_from"   // the kind of message that it was

	rejected = "rejected" // a verdict: the broker makes it a dead letter
)

// Kinds of messages.
const (
	kindHints   = "hints"
	kindWork    = "work"
	kindAnswers = "answers"
	kindDead    = "dead"
	kindReplies = "replies"
)

// hint is all that a message of events says: how far the log has come. What happened is
// read from the log, for anybody who can publish to the broker can say anything.
type hint struct {
	Position eventstore.Position `json:"position"`
}

// PublishHint says to everybody who follows the log that it has come to the position.
func (b *Bus) PublishHint(at eventstore.Position) error {
	body, err := json.Marshal(hint{at})
	if err != nil {
		return fmt.Errorf("encode a hint: %w", err)
	}
	return b.events.publish(message.NewMessage(watermill.NewUUID(), body))
}

// decodeHint also refuses the batches of entries that versions before 0.2 published.
func decodeHint(body []byte) (eventstore.Position, error) {
	var h hint
	if err := json.Unmarshal(body, &h); err != nil || h.Position < 1 {
		return 0, fmt.Errorf("%w: it is no position of the log", errMalformed)
	}
	return h.Position, nil
}

// PublishWork sends an errand to one of the workers. After its time a broker drops it.
func (b *Bus) PublishWork(e Errand, request []byte, until time.Time) error {
	m := e.message(request)
	m.Metadata.Set(expires, milliseconds(time.Until(until)))
	return b.work.publish(m)
}

// PublishAnswer sends what became of an errand: an answer, or a failure in a
// stable word.
func (b *Bus) PublishAnswer(e Errand, answer []byte, failure string) error {
	m := e.message(answer)
	m.Metadata.Set(headerFailure, failure)
	return b.answers.publish(m)
}

func (e Errand) message(body []byte) *message.Message {
	m := message.NewMessage(watermill.NewUUID(), body)
	m.Metadata.Set(headerPrediction, e.Prediction)
	m.Metadata.Set(headerPosition, strconv.FormatInt(int64(e.Position), 10))
	return m
}

// reply answers an asker. Where it has gone, and its queue with it, the broker drops
// the answer.
func (b *Bus) reply(asked *message.Message, answer []byte, failure string) error {
	m := message.NewMessage(watermill.NewUUID(), answer)
	m.Metadata.Set(headerAsked, asked.Metadata.Get(headerAsked))
	m.Metadata.Set(headerFailure, failure)
	to := asked.Metadata.Get(headerReply)
	if err := b.answers.publisher.Publish(to, m); err != nil {
		return fmt.Errorf("publish to %s: %w", to, err)
	}
	return nil
}

// copyOf gives a message that can be published again.
func copyOf(m *message.Message) *message.Message {
	c := message.NewMessage(watermill.NewUUID(), m.Payload)
	for k, v := range m.Metadata {
		c.Metadata.Set(k, v)
	}
	return c
}

func errandOf(m *message.Message) (Errand, error) {
	at, err := strconv.ParseInt(m.Metadata.Get(headerPosition), 10, 64)
	e := Errand{Prediction: m.Metadata.Get(headerPrediction), Position: eventstore.Position(at)}
	if err != nil || e.Prediction == "" || at < 1 {
		return Errand{}, fmt.Errorf("%w: its headers name no errand", errMalformed)
	}
	return e, nil
}

// publish sends to the channel's lanes in turn.
func (c *channel) publish(m *message.Message) error {
	topic := c.publishTo[c.turn.Add(1)%uint64(len(c.publishTo))]
	if err := c.publisher.Publish(topic, m); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// milliseconds is a time to live as the broker reads it.
func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 0), 10) }
