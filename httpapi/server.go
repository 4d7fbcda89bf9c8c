package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"kassa/catalog"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/httpapi/problem"
	"kassa/projections"
)

// Films knows the catalogue.
type Films interface {
	Movie(id string) (catalog.Movie, bool)
	Explain(text, movieID string) []string // the words by which a film matches a text
}

// Vault opens what events keep sealed; vault.ErrErased where it never can be again.
type Vault interface {
	OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error)
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
}

// Server serves the API and, beside it, the pages. All fields of the first group
// are required. It must not be copied.
type Server struct {
	Commands *commands.Handler
	Views    projections.Views
	Films    Films
	Vault    Vault
	Head     func(context.Context) (eventstore.Head, error) // of the log
	Identity *identity.Authenticator
	Problems *problem.Writer
	Log      *slog.Logger

	Pages        http.Handler                  // under /web; nil: no pages
	Refusal      func(status int) http.Handler // the page of a refusal; nil: none
	Ready        func(context.Context) error   // says what is missing; nil: ready whenever it serves
	Leaving      func() bool                   // the process closes soon: connections are not kept; nil: it does not
	Failing      func() []string               // what fails in the background, none of it needed; nil: nothing does
	Version      string                        // of the program, for /api/
	Hosts        []string                      // names by which we may be called, without ports; empty: any
	PositionWait time.Duration                 // for min_position; 0: 5 s
	Heartbeat    time.Duration                 // of event streams; 0: 15 s
	HandlerTime  time.Duration                 // in which a request is answered; 0: 20 s
	Places       int                           // for requests that are worked on at once; 0: 512

	once     sync.Once
	draining context.Context // ends when no new request is taken
	close    context.CancelFunc
}

// Timeouts of the server. Reading and writing are bounded, so that a slow client
// holds no connection for ever; who waits extends them (patient), and an answer that
// is being taken extends its own (exchange).
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second // of head and body
	writeTimeout  = 30 * time.Second // until an answer begins
	answerTime    = 30 * time.Second // for the client to take a part of it
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 15 * time.Second
	maxHeader     = 32 << 10
	maxBody       = 64 << 10
)

// sendBuffer is what the system keeps of an answer for a connection, in bytes. With
// more, a client that reads slowly seems to have stopped: Linux reports progress only
// when a third of the buffer has been taken, and its own choice grows to megabytes.
const sendBuffer = 128 << 10

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	bounded := func(ctx context.Context, c net.Conn) context.Context {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(sendBuffer) // a system that refuses keeps its own
		}
		return ctx
	}
	return &http.Server{Handler: h, ConnContext: bounded, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}

// Serve answers on the listener until ctx ends. Then new requests are refused,
// those who wait for an answer get what there is, and commands that run are
// finished. An error means that it could not serve, or could not end in time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := newServer(s.Handler(), s.Log)
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.drain()
		s.close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		drained <- server.Shutdown(ctx)
	})
	err := server.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve HTTP: %w", err)
	}
	if err := <-drained; err != nil {
		return fmt.Errorf("end HTTP connections: %w", err)
	}
	return nil
}

// drain gives the context that ends when the server drains.
func (s *Server) drain() context.Context {
	s.once.Do(func() { s.draining, s.close = context.WithCancel(context.Background()) })
	return s.draining
}
