package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/schema"
)

// News go from the process that keeps the views to all that read them. They make
// waiting short and are never needed: whoever waits also looks, at intervals, at
// the tables.
const newsChannel = "kassa_views"

// listening is the name of what fails where no news come.
const listening = "listen for news of the views"

// lookEvery bounds how late something is noticed whose news got lost.
const lookEvery = 250 * time.Millisecond

// newsMost is the length of one piece of news, in bytes; PostgreSQL carries less
// than 8000.
const newsMost = 7900

// tell says how far all views have come, and which predictions ended with it. It
// waits for no disk.
func tell(ctx context.Context, pool *pgxpool.Pool, at eventstore.Position, ended []domain.PredictionID) error {
	_, err := pool.Exec(ctx, `SELECT pg_notify($1, news) FROM set_config('synchronous_commit', 'off', true), unnest($2::text[]) news`,
		newsChannel, writeNews(at, ended))
	return err
}

// writeNews gives the position and then the names, in as many pieces as it takes.
func writeNews(at eventstore.Position, ended []domain.PredictionID) (news []string) {
	position := strconv.FormatInt(int64(at), 10)
	piece := []byte(position)
	for _, id := range ended {
		if len(piece)+1+len(id) > newsMost {
			news = append(news, string(piece))
			piece = append(piece[:0], position...)
		}
		piece = append(append(piece, ' '), id...)
	}
	return append(news, string(piece))
}

// heard rings for what news speak of. Others may send on the channel too: what
// cannot be read is passed over.
func (v *Postgres) heard(news string) {
	words := strings.Split(news, " ")
	if at, err := strconv.ParseInt(words[0], 10, 64); err == nil {
		v.reached(eventstore.Position(at))
	}
	ended := make([]domain.PredictionID, len(words)-1)
	for i, id := range words[1:] {
		ended[i] = domain.PredictionID(id)
	}
	v.ends.ring(ended...)
}

// reached rings for all who wait for the position or for one before.
func (v *Postgres) reached(at eventstore.Position) {
	for {
		known := v.known.Load()
		if int64(at) <= known {
			break
		}
		if v.known.CompareAndSwap(known, int64(at)) {
			break
		}
	}
	v.moves.ring(slices.DeleteFunc(v.moves.awaited(), func(p eventstore.Position) bool { return p > at })...)
}

// fellBack notes that the views are at an earlier position than they were seen at.
func (v *Postgres) fellBack(to eventstore.Position) {
	for {
		known := v.known.Load()
		if known <= int64(to) || v.known.CompareAndSwap(known, int64(to)) {
			return
		}
	}
}

func (v *Postgres) holds(at eventstore.Position) bool {
	return eventstore.Position(v.known.Load()) >= at
}

// errPooled: no session is this process's own.
var errPooled = errors.New("a connection pooler stands before the database")

// listen hears news on a connection of its own, and makes a new one where it is
// lost. Behind a pooler it hears nothing: who waits looks.
func (v *Postgres) listen(ctx context.Context) {
	for {
		err := v.hear(ctx)
		if errors.Is(err, errPooled) {
			return
		}
		if ctx.Err() == nil {
			v.report(listening, err) // those who wait look meanwhile
		}
		// Views commit without waiting for the disk: a server that crashed may have
		// lost their last moments, together with their positions.
		v.hears.Store(false)
		v.known.Store(0)
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return
		}
	}
}

func (v *Postgres) hear(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, v.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
		defer cancel()
		_ = conn.Close(last)
	}()
	switch own, err := schema.OwnsSession(ctx, conn); {
	case err != nil:
		return err
	case !own:
		return errPooled
	}
	if _, err := conn.Exec(ctx, `LISTEN `+newsChannel); err != nil {
		return err
	}
	if err := v.look(ctx); err != nil { // what was told before we listened
		return err
	}
	v.hears.Store(true)
	v.report(listening, nil)
	for {
		news, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		v.heard(news.Payload)
	}
}

// poll looks at the tables for those who wait, whether news come or not: one look
// for all of them.
func (v *Postgres) poll(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		look, cancel := context.WithTimeout(ctx, lastLook)
		if len(v.moves.awaited()) > 0 {
			_ = v.look(look) // the next tick tries again
		}
		if asked := v.ends.awaited(); len(asked) > 0 {
			_ = v.lookForEnds(look, asked)
		}
		cancel()
	}
}

// look reads the position, and rings.
func (v *Postgres) look(ctx context.Context) error {
	at, err := v.Position(ctx)
	if err != nil {
		return err
	}
	v.reached(at)
	return nil
}

func (v *Postgres) lookForEnds(ctx context.Context, asked []domain.PredictionID) error {
	rows, err := v.pool.Query(ctx, `SELECT id FROM `+served+predictionsTable+` WHERE id = ANY($1) AND state <> 'held'`,
		column(asked, func(id *domain.PredictionID) string { return string(*id) }))
	if err != nil {
		return fmt.Errorf("look for predictions that ended: %w", err)
	}
	ended, err := pgx.CollectRows(rows, pgx.RowTo[domain.PredictionID])
	if err != nil {
		return fmt.Errorf("look for predictions that ended: %w", err)
	}
	v.ends.ring(ended...)
	return nil
}
