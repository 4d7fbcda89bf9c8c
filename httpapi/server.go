package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"kassa/catalog"
	"kassa/catalog/filmlinks"
	"kassa/catalog/question"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/auditing"
	"kassa/httpapi/editing"
	"kassa/httpapi/identity"
	"kassa/httpapi/overview"
	"kassa/httpapi/problem"
	"kassa/httpapi/statement"
	"kassa/projections"
)

// Films is the catalogue.
type Films interface {
	Movie(id string) (catalog.Movie, bool)
	Read(text string) question.Question
	Explain(text string, movieIDs ...string) [][]string         // the words by which each film matches a text
	Reasons(text string, movieIDs ...string) [][]catalog.Reason // what in each film matches a text
	Similar(id string, limit int) []catalog.Movie               // most similar first
}

// Vault decrypts what is sealed in events. It returns vault.ErrErased where the key was
// deleted.
type Vault interface {
	OpenText(ctx context.Context, u domain.UserID, p domain.PredictionID, sealed domain.Sealed) (string, error)
	OpenEmail(ctx context.Context, u domain.UserID, sealed domain.Sealed) (string, error)
}

// Server serves the API and the pages. The fields of the first group are required. It
// must not be copied.
type Server struct {
	Commands   *commands.Handler
	Views      projections.Views
	Films      Films
	Vault      Vault
	Head       func(context.Context) (eventstore.Head, error) // of the log
	Identity   *identity.Authenticator
	Audit      *auditing.Reader
	Overview   *overview.Reader
	Statements *statement.Books // of the log
	Editor     *editing.Editor  // of the catalogue
	Problems   *problem.Writer
	Log        *slog.Logger

	FilmLinks     []filmlinks.Template          // to other sites, of films
	Transparency  *Transparency                 // under /log/; nil: nothing is published
	Pages         http.Handler                  // under /web; nil: no pages
	Refusal       func(status int) http.Handler // the page of a refusal; nil: none
	Ready         func(context.Context) error   // returns what is missing; nil: always ready
	Observer      Observer                      // of requests; nil: there is none
	Leaving       func() bool                   // the process closes soon, so connections are not kept; nil: it does not
	Failing       func() []string               // background tasks that fail, none of them required; nil: none
	Version       string                        // of the program, for /api/
	Hosts         []string                      // allowed host names, without ports; empty: any
	Origins       []string                      // of other sites whose pages may use the API; none: no other site's
	PositionWait  time.Duration                 // for min_position; 0: 5 s
	Heartbeat     time.Duration                 // of event streams; 0: 15 s
	HandlerTime   time.Duration                 // deadline of a request; 0: 20 s
	MaxConcurrent int                           // requests handled at once; 0: 512
	SlowRequest   time.Duration                 // from which the work for a request is logged as a warning; 0: none

	once     sync.Once
	draining context.Context // ends when no new requests are accepted
	close    context.CancelFunc
}

// Timeouts of the server. Reading and writing are limited, so that a slow client does
// not hold a connection for ever. A wait extends them (extendReadDeadline), and so does
// an answer that is being read (exchange).
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second // of head and body
	writeTimeout  = 30 * time.Second // until an answer begins
	answerTime    = 30 * time.Second // for the client to read a part of the answer
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 15 * time.Second
	maxHeader     = 32 << 10
	maxBody       = 64 << 10
)

// sendBuffer is the size of a connection's send buffer in the kernel, in bytes. With a
// larger one a client that reads slowly seems to have stopped: Linux reports progress
// only when a third of the buffer has been read, and its default grows to megabytes.
const sendBuffer = 128 << 10

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	bounded := func(ctx context.Context, c net.Conn) context.Context {
		if secure, ok := c.(*tls.Conn); ok {
			c = secure.NetConn()
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(sendBuffer) // a system that refuses keeps its default
		}
		return ctx
	}
	return &http.Server{Handler: h, ConnContext: bounded, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}

// Serve serves on the listener until ctx ends. Then new requests are refused, clients
// that wait for an answer get the current state, and running commands are finished. An
// error means that it could not serve, or did not end in time.
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

// drain returns the context that ends when the server drains.
func (s *Server) drain() context.Context {
	s.once.Do(func() { s.draining, s.close = context.WithCancel(context.Background()) })
	return s.draining
}
