package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"kassa/internal/bus/bustest"
)

// A process waits for a broker that comes later; meanwhile whoever asks hears that it
// is not ready.
func TestNotReadyBeforeTheBroker(t *testing.T) {
	broker := bustest.NewProxy(t, bustest.New(t).Address, "127.0.0.1")
	broker.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close() // the worker takes its place
	worker, opened, err := start(command(t, "worker", "--data", t.TempDir(), "--addr", address, "--log-format", "json", "--amqp-url", broker.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.kill)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.After(time.Minute); !strings.Contains(worker.log.String(), "the broker is not there yet"); {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("the worker does not wait for its broker:\n%s", worker.log)
		}
	}
	if code, out, _ := kassa(t, "health", "--ready", "--addr", address); code != exitFailed {
		t.Errorf("before the broker is there: exit code %d, %s", code, out)
	}
	broker.Open(t)
	select {
	case <-opened:
	case <-time.After(time.Minute):
		t.Fatalf("the broker is there, and the worker does not open:\n%s", worker.log)
	}
	if code, _, complaints := kassa(t, "health", "--ready", "--addr", address); code != 0 {
		t.Errorf("when the broker is there: exit code %d, %s", code, complaints)
	}
	if code := worker.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, worker.log)
	}
}
