package bus

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"kassa/eventstore"
)

// Headers of jobs and answers. All are strings: that is all that every broker's adapter
// carries.
const (
	headerPrediction = "kassa_prediction"
	headerPosition   = "kassa_position"
	headerFailure    = "kassa_failure"
	headerReply      = "kassa_reply" // the queue of an asker that waits for the answer, instead of a job
	headerAsked      = "kassa_asked" // what the asker calls it
)

// Metadata of this process alone, which is not sent.
const (
	expires    = "expires"     // how many milliseconds the broker keeps the message for
	verdict    = "verdict"     // what becomes of a message that is not acknowledged
	deadReason = "dead_reason" // why it is a dead letter, in the broker's word
	deadFrom   = "dead_from"   // the kind of message that it was
	deadAlone  = "dead_alone"  // "true": it was tried alone

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

// hint is the body of a message of events: how far the log has come. The events are read
// from the log, since any client that can publish to the broker can lie.
type hint struct {
	Position eventstore.Position `json:"position"`
}

// PublishHint publishes that the log has come to the position.
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

// Item is one job on its way: what a worker is asked, or how the job ended.
type Item struct {
	Job
	Until   time.Time // of a request: when no client waits for its answer any more; zero: it is not known
	Body    []byte    // the request or the answer
	Failure string    // of an answer: in a stable word why there is none
}

// MaxItems is how many jobs travel in one message.
const MaxItems = 32

// PublishWork sends jobs to the workers. After its time a broker drops a job.
func (b *Bus) PublishWork(items ...Item) error { return b.work.publish(messagesOf(items)...) }

// PublishAnswers sends the ends of jobs.
func (b *Bus) PublishAnswers(items ...Item) error { return b.answers.publish(messagesOf(items)...) }

// messagesOf puts items into as few messages as carry them.
func messagesOf(items []Item) (messages []*message.Message) {
	for part := range slices.Chunk(items, MaxItems) {
		if len(part) == 1 {
			messages = append(messages, part[0].message())
			continue
		}
		m := message.NewMessage(watermill.NewUUID(), pack(part))
		last := slices.MaxFunc(part, func(a, b Item) int { return a.Until.Compare(b.Until) }).Until
		if !last.IsZero() {
			m.Metadata.Set(expires, milliseconds(time.Until(last)))
		}
		messages = append(messages, m)
	}
	return messages
}

// message is that of one item: its headers name the job, and its body is the item's own.
// It is the form of all messages before 0.3.
func (i Item) message() *message.Message {
	m := message.NewMessage(watermill.NewUUID(), i.Body)
	m.Metadata.Set(headerPrediction, i.Prediction)
	m.Metadata.Set(headerPosition, strconv.FormatInt(int64(i.Position), 10))
	m.Metadata.Set(headerFailure, i.Failure)
	if !i.Until.IsZero() {
		m.Metadata.Set(expires, milliseconds(time.Until(i.Until)))
	}
	return m
}

// itemsOf reads a message of one item or of several. An error is permanent.
func itemsOf(m *message.Message) ([]Item, error) {
	if m.Metadata.Get(headerPrediction) == "" && m.Metadata.Get(headerPosition) == "" {
		return unpack(m.Payload)
	}
	at, err := strconv.ParseInt(m.Metadata.Get(headerPosition), 10, 64)
	job := Job{Prediction: m.Metadata.Get(headerPrediction), Position: eventstore.Position(at)}
	if err != nil || !job.valid() {
		return nil, fmt.Errorf("%w: its headers name no job", errMalformed)
	}
	return []Item{{Job: job, Body: m.Payload, Failure: m.Metadata.Get(headerFailure)}}, nil
}

func (j Job) valid() bool { return j.Prediction != "" && j.Position >= 1 }

// keep leaves in a message the items that are to be tried again: its retries are about
// them alone. The broker's copy still has all.
func keep(m *message.Message, items []Item) {
	if m.Metadata.Get(headerPrediction) == "" {
		m.Payload = pack(items)
	}
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

// publish sends to the channel's topics in turn.
func (c *channel) publish(messages ...*message.Message) error {
	for part := range slices.Chunk(messages, max(1, len(messages)/len(c.publishTo))) {
		topic := c.publishTo[c.published.Add(1)%uint64(len(c.publishTo))]
		if err := c.publisher.Publish(topic, part...); err != nil {
			return fmt.Errorf("publish to %s: %w", topic, err)
		}
	}
	return nil
}

// milliseconds is a time to live as the broker reads it.
func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 0), 10) }
