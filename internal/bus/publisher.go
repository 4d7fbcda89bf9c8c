package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	amqp091 "github.com/rabbitmq/amqp091-go"
)

// publishTimeout is how long the broker may take to confirm. It may block for
// ever, with its memory alarm raised.
var publishTimeout = 10 * time.Second // a variable for tests only

// publisher sends over one channel for all who publish, and each waits for the
// confirm of its own message. The adapter's publisher would open and close a
// channel for every message, which costs more than the message, and waits without
// an end.
type publisher struct {
	address string

	mu      sync.Mutex
	conn    *amqp091.Connection
	channel *amqp091.Channel // confirms; nil before the first message
}

// to gives what publishes to an exchange; "" is the exchange that takes a queue's
// name for its address.
func (p *publisher) to(exchange string) message.Publisher { return route{p, exchange} }

type route struct {
	*publisher
	exchange string
}

// Publish sends, and returns when the broker has the messages on disk. After an
// error it is unknown whether they arrived. When the broker takes too long, the
// connection is given up, which ends all waits on it; the next message makes a new
// one.
func (r route) Publish(topic string, messages ...*message.Message) error {
	key := topic
	if r.exchange != "" {
		key = ""
	}
	done := make(chan error, 1)
	go func() { done <- r.send(key, messages) }()
	select {
	case err := <-done:
		return err
	case <-time.After(publishTimeout):
		r.giveUp()
		return fmt.Errorf("the broker did not confirm within %s", publishTimeout)
	}
}

func (r route) send(key string, messages []*message.Message) error {
	channel, err := r.open()
	if err != nil {
		return err
	}
	for _, m := range messages {
		sent := marshal(m)
		if r.exchange == eventsExchange {
			sent.DeliveryMode = amqp091.Transient // a hint; the store has what it tells of
		}
		confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), r.exchange, key, false, false, sent)
		if err != nil {
			return err
		}
		if !confirm.Wait() {
			return errors.New("the broker did not take the message")
		}
	}
	return nil
}

// open gives the channel. One that broke is replaced, and then the topology is
// declared before anything is published: the broker may have lost it.
func (p *publisher) open() (*amqp091.Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.channel != nil && !p.channel.IsClosed() {
		return p.channel, nil
	}
	if p.conn == nil || p.conn.IsClosed() {
		conn, err := amqp091.DialConfig(p.address, connection())
		if err != nil {
			return nil, fmt.Errorf("connect to the broker: %w", err)
		}
		p.conn = conn
	}
	channel, err := p.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open a channel: %w", err)
	}
	if err := declare(channel); err != nil {
		return nil, errors.Join(err, channel.Close())
	}
	if err := channel.Confirm(false); err != nil {
		return nil, errors.Join(fmt.Errorf("ask for confirms: %w", err), channel.Close())
	}
	p.channel = channel
	return channel, nil
}

// giveUp closes the connection without waiting for the broker to agree.
func (p *publisher) giveUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		_ = p.conn.CloseDeadline(time.Now().Add(time.Second)) // it is broken already
	}
}

// Close ends the connection.
func (p *publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || p.conn.IsClosed() {
		return nil
	}
	return p.conn.Close()
}
