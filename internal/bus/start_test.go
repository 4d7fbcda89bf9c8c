package bus

import (
	"context"
	"strings"
	"testing"
	"time"

	"kassa/internal/bus/bustest"
)

// The first connection may take as long as the broker does.
func TestTheBrokerMayComeLater(t *testing.T) {
	b := newBroker(t)
	proxy := bustest.NewProxy(t, b.Address, "127.0.0.1")
	proxy.Close()
	connected := make(chan error, 1)
	go func() {
		bus, err := b.at(proxy.Address()).Open(context.Background(), quiet)
		if err == nil {
			bus.Close()
		}
		connected <- err
	}()
	select {
	case err := <-connected:
		t.Fatalf("connected to nothing: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	proxy.Open(t)
	must(t, within(t, "the connection", connected))
}

// A broker that lets nobody consume in the moment when a process starts is waited
// for; who is told to stop meanwhile stops.
func TestTheBrokerMayRefuseAtFirst(t *testing.T) {
	b := newBroker(t)
	for _, allowed := range []bool{false, true} {
		must(t, b.MayRead(true))
		bus := b.bus(t, b.Address)
		must(t, b.MayRead(false))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- bus.Run(ctx, Handlers{Work: each(echo)}) }()
		select {
		case err := <-done:
			t.Fatalf("the bus ended: %v", err)
		case <-bus.Running():
			t.Fatal("the bus runs, and may not consume")
		case <-time.After(500 * time.Millisecond):
		}
		if allowed {
			must(t, b.MayRead(true))
			within(t, "the bus to run", bus.Running())
		}
		cancel()
		must(t, within(t, "the bus to end", done))
	}
}

func TestParseAddresses(t *testing.T) {
	for text, n := range map[string]int{
		"amqp://u:secret@a:5672/v":                           1,
		"amqps://u:secret@a/v,amqps://u:secret@b/v":          2,
		" amqp://u:s%2Cecret@a/v ,\n amqp://a\namqp://b\r\n": 3,
		"":                             0,
		",":                            0,
		"localhost":                    0,
		"http://u:secret@localhost":    0,
		"amqp//x":                      0,
		"amqp://":                      0,
		"amqp://u:sec,ret@a/v":         0,
		"amqp://u:secret@a/v,secret@b": 0,
		"amqp://u:secret@a b/v":        0,
		"amqp://u:%zzsecret@a/v":       0,
	} {
		list, err := ParseAddresses(text)
		if len(list) != n || (err == nil) != (n > 0) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %d addresses, %v", text, len(list), err)
		}
	}
}
