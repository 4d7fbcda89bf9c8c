package bus

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

func (h Handlers) onHint(m *message.Message) error {
	at, err := decodeHint(m.Payload)
	if err == nil {
		h.Hint(at)
	}
	return err
}

// dropHint drops a message that is no hint. Nothing is lost with it: a follower of the log
// also polls. The log has a line for one of many, so that it cannot be filled from outside.
func (b *Bus) dropHint(m *message.Message, err error) error {
	b.malformed.Do(func() {
		b.logger.Warn("a message on the channel of events is dropped", "message", m.UUID, "error", err)
	})
	return nil
}

// jobHandlers handle the messages of jobs, and publish what follows.
type jobHandlers struct {
	bus *Bus
	Handlers
}

// work does the jobs of a message. Those that have an outcome are answered, in one
// message; the others are tried again.
func (h jobHandlers) work(m *message.Message) error {
	if m.Metadata.Get(headerReply) != "" {
		o := h.Work(m.Context(), [][]byte{m.Payload})[0]
		if o.Err != nil {
			return o.Err
		}
		return h.bus.reply(m, o.Answer, o.Failure)
	}
	items, err := itemsOf(m)
	if err != nil {
		return err
	}
	now := time.Now()
	items = slices.DeleteFunc(items, func(i Item) bool { return !i.Until.IsZero() && i.Until.Before(now) })
	if len(items) == 0 {
		return nil
	}
	requests := make([][]byte, len(items))
	for n, i := range items {
		requests[n] = i.Body
	}
	var done, again []Item
	var faults []error
	outcomes := h.Work(m.Context(), requests)
	h.bus.observe(kindWork, items, now)
	for n, o := range outcomes {
		if o.Err != nil {
			again, faults = append(again, items[n]), append(faults, o.Err)
			continue
		}
		done = append(done, Item{Job: items[n].Job, Body: o.Answer, Failure: o.Failure})
	}
	if err := h.bus.PublishAnswers(done...); err != nil {
		return err
	}
	keep(m, again)
	return errors.Join(faults...)
}

// answer settles the jobs of a message; those that could not be settled are tried again.
func (h jobHandlers) answer(m *message.Message) error {
	items, err := itemsOf(m)
	if err != nil {
		return err
	}
	var again []Item
	var faults []error
	began := time.Now()
	settled := h.Answer(m.Context(), items)
	h.bus.observe(kindAnswers, items, began)
	for n, err := range settled {
		if err != nil {
			again, faults = append(again, items[n]), append(faults, err)
		}
	}
	keep(m, again)
	return errors.Join(faults...)
}

// dead gets what a worker, or the settling of an answer, failed at, or died of. Which of
// a message's jobs was at fault is not known, or it was none of them: so each is tried
// alone. A job that was alone has failed: its credits come back now, not at the hold's
// expiry.
func (h jobHandlers) dead(m *message.Message) error {
	if m.Metadata.Get(deadReason) == "expired" {
		return nil // and so does its hold
	}
	waits, alone := m.Metadata.Get(headerReply) != "", m.Metadata.Get(deadAlone) == "true"
	if waits && alone {
		return h.bus.reply(m, nil, Failed)
	}
	var items []Item
	if !waits {
		var err error
		if items, err = itemsOf(m); err != nil {
			return err
		}
	}
	if !alone {
		return h.bus.tryAlone(m, items)
	}
	failed := make([]Item, len(items))
	for n, i := range items {
		failed[n] = Item{Job: i.Job, Failure: Failed}
	}
	if err := errors.Join(h.Answer(m.Context(), failed)...); err != nil {
		return err
	}
	h.bus.record(m, true)
	return nil
}

// tryAlone publishes each job of a dead letter again, to where one is handled at a time.
func (b *Bus) tryAlone(m *message.Message, items []Item) error {
	if len(items) <= 1 { // also a request whose asker waits
		return b.alone(m).publish(copyOf(m))
	}
	messages := make([]*message.Message, len(items))
	for n, i := range items {
		messages[n] = i.message()
	}
	return b.alone(m).publish(messages...)
}

// alone is the channel where jobs of the kind of a dead letter are tried alone.
func (b *Bus) alone(m *message.Message) *channel {
	if m.Metadata.Get(deadFrom) == kindAnswers {
		return b.aloneAnswers
	}
	return b.aloneWork
}

// deadLetter takes a message that cannot be handled off its channel.
func (b *Bus) deadLetter(kind string, alone bool) func(*message.Message, error) error {
	return func(m *message.Message, err error) error {
		b.logger.Error("a message failed for good", "message", m.UUID, "alone", alone, "position", m.Metadata.Get(headerPosition),
			"prediction", m.Metadata.Get(headerPrediction), "error", err)
		if b.broker != nil {
			m.Metadata.Set(verdict, rejected)
			return errPutBack
		}
		dead := copyOf(m)
		dead.Metadata.Set(deadFrom, kind)
		dead.Metadata.Set(deadAlone, strconv.FormatBool(alone))
		return b.dead.publish(dead)
	}
}

// drop drops a dead letter whose failure could not be settled either; its hold expires.
func (b *Bus) drop(m *message.Message, err error) error {
	b.logger.Error("a dead letter cannot be settled; its hold will expire", "message", m.UUID,
		"position", m.Metadata.Get(headerPosition), "prediction", m.Metadata.Get(headerPrediction), "error", err)
	b.record(m, false)
	return nil
}
