package process

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"kassa/httpapi"
	"kassa/httpapi/problem"
)

// entry is where requests come in. Until open, which gives the listener for them, only
// questions about the process's health are answered.
type entry struct {
	open  func() (net.Listener, error)
	close func()
}

// listen takes the addresses. It may take long until requests can be answered: the
// database and the broker are waited for.
func (p *process) listen() (entry, error) {
	listener, err := net.Listen("tcp", p.Surface.Addr)
	if err != nil {
		return entry{}, fmt.Errorf("listen on %s: %w", p.Surface.Addr, err)
	}
	if p.Surface.HealthAddr == "" {
		opened := answerWhileOpening(listener, p.log)
		return entry{func() (net.Listener, error) { opened(); return listener, nil },
			func() { opened(); _ = listener.Close() }}, nil
	}
	// The port is free, and closed until it is needed: a proxy that cannot connect has
	// sent nothing, and asks another process whatever the request is.
	address := listener.Addr().String()
	_ = listener.Close()
	health, err := net.Listen("tcp", p.Surface.HealthAddr)
	if err != nil {
		return entry{}, fmt.Errorf("listen on %s: %w", p.Surface.HealthAddr, err)
	}
	stop := answerHealth(watch(p.log, p.ready, p.failing), health)
	return entry{func() (net.Listener, error) { return p.encrypted(net.Listen("tcp", address)) }, stop}, nil
}

// encrypted puts TLS over a listener for requests, where the process has a certificate.
func (p *process) encrypted(listener net.Listener, err error) (net.Listener, error) {
	if err != nil || p.certificate == nil {
		return listener, err
	}
	return tls.NewListener(listener, p.certificate.config()), nil
}

func (p *process) scheme() string {
	if p.certificate == nil {
		return "http"
	}
	return "https"
}

// answerWhileOpening answers that the process is alive and not ready. Opened gives the
// listener to what serves on it from then on; it may be called again.
func answerWhileOpening(listener net.Listener, log *slog.Logger) (opened func()) {
	own := lent{listener.(*net.TCPListener)} // as net.Listen gives it for "tcp"
	stop := answerHealth(watch(log, nil, nil), own)
	return sync.OnceFunc(func() { stop(); _ = own.SetDeadline(time.Time{}) })
}

// answerHealth answers questions about health on the listener until it is stopped.
func answerHealth(w httpapi.Watch, listener net.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(ctx, listener) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			w.Log.Warn("health was not answered", "error", err)
		}
	}
}

// watch is all that a process without pages and API serves; ready is nil while it
// opens.
func watch(log *slog.Logger, ready func(context.Context) error, failing func() []string) httpapi.Watch {
	return httpapi.Watch{Ready: ready, Failing: failing, Log: log, Problems: &problem.Writer{Log: log}}
}

// lent is a listener that outlives its server, which is not to wait on it any more.
type lent struct{ *net.TCPListener }

func (l lent) Close() error { return l.SetDeadline(time.Now()) }
