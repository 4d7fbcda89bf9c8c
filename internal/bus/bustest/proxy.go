package bustest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy is between a program and a server that it reaches over TCP.
type Proxy struct {
	target   string
	path     *url.URL
	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	frozen   chan struct{} // closed when nothing passes any more
}

// NewProxy puts one before the server of a URL, on a free port of the host.
func NewProxy(t testing.TB, server, host string) *Proxy {
	t.Helper()
	at, err := url.Parse(server)
	must(t, err)
	p := &Proxy{target: at.Host, path: at, conns: map[net.Conn]bool{}, frozen: make(chan struct{})}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	must(t, err)
	p.path.Host = listener.Addr().String()
	p.listener = listener
	go p.serve(listener)
	t.Cleanup(func() { p.Close(); p.Cut() })
	return p
}

// Address is the server's URL by way of the proxy.
func (p *Proxy) Address() string { return p.path.String() }

func (p *Proxy) serve(l net.Listener) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = from.Close()
			continue
		}
		p.mu.Lock()
		p.conns[from], p.conns[to] = true, true
		frozen := p.frozen
		p.mu.Unlock()
		go p.pass(to, from, frozen)
		go p.pass(from, to, frozen)
	}
}

func (p *Proxy) pass(to, from net.Conn, frozen <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-frozen: // what was read goes nowhere; the connections stay
			if err != nil {
				return
			}
			continue
		default:
		}
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

// Cut breaks all connections; new ones pass.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.conns, p.frozen = map[net.Conn]bool{}, make(chan struct{})
}

// Freeze lets nothing pass on the open connections.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.frozen)
}

// Close takes no new connections.
func (p *Proxy) Close() { _ = p.listener.Close() }

// Open takes new connections again.
func (p *Proxy) Open(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", p.path.Host)
	must(t, err)
	p.listener = listener
	go p.serve(listener)
}
