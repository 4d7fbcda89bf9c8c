package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
)

// lookAtFollowers finds views and checkpoints that are at an entry that the log does not
// have: after a restore of the log alone, or after a change by hand.
func lookAtFollowers(ctx context.Context, conn *pgx.Conn) (string, error) {
	if _, err := conn.Exec(ctx, `SET ROLE `+schema.AppRole); err != nil {
		return "", err
	}
	rows, err := conn.Query(ctx, `SELECT name, position, kassa_views.follows(position, leaf), a.upto FROM (SELECT coalesce(max(upto), 0) AS upto FROM archives) a, (
		SELECT 'the view ' || view, position, leaf FROM kassa_views.positions UNION ALL
		SELECT 'the follower ' || name, position, leaf FROM checkpoints) f (name, position, leaf) ORDER BY name`)
	if err != nil {
		return "", couldNotRead(fmt.Errorf("it cannot be read how far the views have come, run kassa migrate: %w", err))
	}
	var name string
	var position, archived int64
	var follows bool
	var astray, early []string
	n := 0
	if _, err := pgx.ForEachRow(rows, []any{&name, &position, &follows, &archived}, func() error {
		n++
		switch {
		case !follows:
			astray = append(astray, fmt.Sprintf("%s is at position %d", name, position))
		case position < archived && strings.HasPrefix(name, "the view"): // a follower goes on behind the archive
			early = append(early, fmt.Sprintf("%s is at position %d", name, position))
		}
		return nil
	}); err != nil {
		return "", couldNotRead(fmt.Errorf("it cannot be read how far the views have come, run kassa migrate: %w", err))
	}
	if len(astray) > 0 {
		return "", fmt.Errorf("%s, and the log does not have that entry: it was restored. The roles projector and relay repair this from the log when they run",
			strings.Join(astray, "; "))
	}
	if len(early) > 0 {
		return "", fmt.Errorf("%s, and the log is archived up to %d: kassa views rebuild NAME --archive DIR fills it; reads of it are refused until then", strings.Join(early, "; "), archived)
	}
	return fmt.Sprintf("%d views and checkpoints follow the log", n), nil
}
