package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"kassa/schema"
)

// lookAtFollowers finds views and checkpoints that are at an entry that the log does not
// have: after a restore of the log alone, or where somebody moved them.
func lookAtFollowers(ctx context.Context, conn *pgx.Conn) (string, error) {
	if _, err := conn.Exec(ctx, `SET ROLE `+schema.AppRole); err != nil {
		return "", err
	}
	rows, err := conn.Query(ctx, `SELECT name, position, kassa_views.follows(position, leaf) FROM (
		SELECT 'the view ' || view, position, leaf FROM kassa_views.positions UNION ALL
		SELECT 'the follower ' || name, position, leaf FROM checkpoints) f (name, position, leaf) ORDER BY name`)
	if err != nil {
		return "", errors.New("it cannot be read how far the views have come: run kassa migrate")
	}
	var name string
	var position int64
	var follows bool
	var astray []string
	n := 0
	if _, err := pgx.ForEachRow(rows, []any{&name, &position, &follows}, func() error {
		n++
		if !follows {
			astray = append(astray, fmt.Sprintf("%s is at position %d", name, position))
		}
		return nil
	}); err != nil {
		return "", errors.New("it cannot be read how far the views have come: run kassa migrate")
	}
	if len(astray) > 0 {
		return "", fmt.Errorf("%s, and the log does not have that entry: it was restored. The roles projector and relay repair this from the log when they run",
			strings.Join(astray, "; "))
	}
	return fmt.Sprintf("%d views and checkpoints follow the log", n), nil
}
