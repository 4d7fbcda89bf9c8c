package eventstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// batchesUnderWay is how many appends are sent before the first is answered.
const batchesUnderWay = 2

// pipeline sends appends on condition down one connection, without waiting for the answers of
// those before. The server runs them in this order, each in a transaction of its own,
// because each ends with a Sync; so does a pooler. While appends are under way this type
// alone uses the connection: a pgconn.Pipeline cannot be written while it is read.
type pipeline struct {
	pool     *pgxpool.Pool
	prepared bool                  // not behind a pooler, see schema.OwnsSession
	fatal    pgconn.PgErrorHandler // false where a connection is of no use after an error
	encode   pgx.ExtendedQueryBuilder

	mu     sync.Mutex
	conn   *pgxpool.Conn // nil while nothing is under way
	unread chan sent     // what the reader of the connection waits for
	left   int           // how many are not answered
	broken error
}

// sent is an append whose answer is to be read.
type sent struct {
	until  time.Time
	answer chan<- error
}

func newPipeline(pool *pgxpool.Pool) *pipeline {
	config := pool.Config().ConnConfig
	return &pipeline{pool: pool, prepared: config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement, fatal: config.OnPgError}
}

// send gives the channel on which the outcome comes.
func (p *pipeline) send(ctx context.Context, args []any) <-chan error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		if err := p.open(ctx); err != nil {
			return answered(err)
		}
	}
	if p.broken != nil { // and something is under way on it: this append is not sent
		return answered(p.broken)
	}
	answer := make(chan error, 1)
	until, _ := ctx.Deadline()
	if err := p.write(args, until); err != nil {
		p.close(err)
		return answered(outcome(false, err))
	}
	p.left++
	p.unread <- sent{until, answer}
	return answer
}

// open takes a connection from the pool, and begins to read it.
func (p *pipeline) open(ctx context.Context) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	if p.prepared {
		if _, err := conn.Conn().Prepare(ctx, appendStatement, appendUnused); err != nil {
			conn.Release()
			return err
		}
	}
	p.conn, p.broken, p.unread = conn, nil, make(chan sent, batchesUnderWay)
	go p.read(conn.Conn().PgConn(), p.unread)
	return nil
}

// appendStatement is the prepared one's name.
const appendStatement = "kassa_append"

func (p *pipeline) write(args []any, until time.Time) error {
	conn := p.conn.Conn()
	if err := p.encode.Build(conn.TypeMap(), &pgconn.StatementDescription{ParamOIDs: appendTypes}, args); err != nil {
		return err
	}
	bind := pgproto3.Bind{ParameterFormatCodes: p.encode.ParamFormats, Parameters: p.encode.ParamValues}
	to := conn.PgConn().Frontend()
	if p.prepared {
		bind.PreparedStatement = appendStatement
	} else {
		to.SendParse(&pgproto3.Parse{Query: appendUnused, ParameterOIDs: appendTypes})
	}
	to.SendBind(&bind)
	to.SendExecute(&pgproto3.Execute{})
	to.SendSync(&pgproto3.Sync{})
	if err := conn.PgConn().Conn().SetWriteDeadline(until); err != nil {
		return err
	}
	return to.Flush()
}

// read gives each append its outcome, until nothing is under way. A connection that is
// broken is left before the outcome is given, so that the next append does not take it.
func (p *pipeline) read(conn *pgconn.PgConn, unread <-chan sent) {
	var broken error
	for s := range unread {
		err := broken
		var moved bool
		if err == nil {
			moved, err, broken = p.receive(conn, s.until)
		}
		p.mu.Lock()
		p.left--
		p.close(broken)
		p.mu.Unlock()
		s.answer <- outcome(moved, err)
	}
}

// receive reads the answer to one append: whether it moved the head, or why it failed, and
// why no more can be read.
func (p *pipeline) receive(conn *pgconn.PgConn, until time.Time) (moved bool, failed, broken error) {
	if err := conn.Conn().SetReadDeadline(until); err != nil {
		return false, err, err
	}
	for {
		message, err := conn.Frontend().Receive()
		switch m := message.(type) {
		case nil:
			if failed == nil { // else the server has sent why it ends the session
				failed = err
			}
			return false, failed, err
		case *pgproto3.ErrorResponse:
			fault := pgconn.ErrorResponseToPgError(m)
			failed = fault
			if !p.fatal(conn, fault) {
				return false, failed, failed
			}
		case *pgproto3.CommandComplete:
			moved = pgconn.NewCommandTag(string(m.CommandTag)).RowsAffected() == 1
		case *pgproto3.ReadyForQuery:
			return moved, failed, nil
		}
	}
}

// close gives the connection back when nothing is under way on it. One that is broken is
// of no use to the pool, nor to what is still under way.
func (p *pipeline) close(broken error) {
	conn := p.conn.Conn()
	if broken != nil && p.broken == nil {
		p.broken = broken
		_ = conn.PgConn().Conn().Close() // the reader learns it
	}
	if p.left > 0 {
		return
	}
	if p.broken != nil {
		_ = conn.Close(context.Background()) // so that the pool drops it
	} else if err := conn.PgConn().Conn().SetDeadline(time.Time{}); err != nil {
		_ = conn.Close(context.Background())
	}
	close(p.unread)
	p.conn.Release()
	p.conn = nil
}

// outcome is what an append came to.
func outcome(moved bool, err error) error {
	switch {
	case isUniqueViolation(err), schema.FaultOf(err) == schema.Raced:
		return fmt.Errorf("%w: %w", errRaced, err)
	case err != nil:
		return atCommit(err)
	case !moved:
		return fmt.Errorf("%w: the head or a stream has moved, or a command was done", errRaced)
	}
	return nil
}
