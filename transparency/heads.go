package transparency

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// ErrForged means that the row of the signed head has what no signer wrote.
var ErrForged = errors.New("it is no signed head")

// Heads is where the last signed head is kept: one row in the database of the log.
type Heads struct{ table table }

// table reads and replaces the row.
type table interface {
	// read gives nil where no head was signed yet.
	read(ctx context.Context) ([]byte, error)
	// replace writes a checkpoint if the row has this note, nil for no row; ok reports
	// whether it had.
	replace(ctx context.Context, was []byte, now Checkpoint) (ok bool, err error)
	// readCosigned reads the other row, of the head with the cosignatures of witnesses; its
	// Note is nil where there is none.
	readCosigned(ctx context.Context) (Cosigned, error)
	keepCosigned(ctx context.Context, now Cosigned) error
	// forget deletes both rows; a trigger forbids it otherwise.
	forget(ctx context.Context) error
}

// PostgresHeads are in a database that package schema opened.
func PostgresHeads(pool *pgxpool.Pool) Heads { return Heads{postgres{pool}} }

// SQLiteHeads are in a file that package schema opened.
func SQLiteHeads(db *schema.SQLite) Heads { return Heads{sqlite{db}} }

// Last reads the last signed head. Its Note is nil where none was signed yet. The
// signature is not verified.
func (h Heads) Last(ctx context.Context) (Checkpoint, error) {
	signed, err := h.table.read(ctx)
	if err != nil || signed == nil {
		return Checkpoint{}, wrap(err)
	}
	c, err := Parse(signed)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: the signed head in the database: %w", ErrForged, err)
	}
	return c, nil
}

// Cosigned reads the newest head that witnesses have cosigned: with a quorum, where one was
// ever reached. Its Note is nil where there is none.
func (h Heads) Cosigned(ctx context.Context) (Cosigned, error) {
	c, err := h.table.readCosigned(ctx)
	if err != nil {
		return Cosigned{}, fmt.Errorf("read the cosigned head: %w", err)
	}
	if c.Note == nil {
		return Cosigned{}, nil
	}
	if c.Checkpoint, err = Parse(c.Note); err != nil {
		return Cosigned{}, fmt.Errorf("the cosigned head in the database: %w", err)
	}
	return c, nil
}

// Published is the last signed head, with the cosignatures of witnesses where they are of
// this head, and the newest head that was cosigned.
func (h Heads) Published(ctx context.Context) (Checkpoint, Cosigned, error) {
	signed, err := h.Last(ctx)
	if err != nil || signed.Note == nil {
		return Checkpoint{}, Cosigned{}, err
	}
	cosigned, err := h.Cosigned(ctx)
	if err == nil && bytes.HasPrefix(cosigned.Note, signed.Note) {
		signed = cosigned.Checkpoint
	}
	return signed, cosigned, err
}

// Forget deletes the last signed head and its cosignatures, after a restore that lost
// entries: the next head is of a log of another name. In PostgreSQL it takes the rights of
// the tables' owner.
func (h Heads) Forget(ctx context.Context) error {
	if err := h.table.forget(ctx); err != nil {
		return fmt.Errorf("forget the last signed head: %w", err)
	}
	return nil
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("read the last signed head: %w", err)
	}
	return nil
}

const (
	selectNote = `SELECT note FROM signed_head`
	insertNote = `INSERT INTO signed_head (one, size, root, note) VALUES (true, $1, $2, $3) ON CONFLICT (one) DO NOTHING`
	updateNote = `UPDATE signed_head SET size = $1, root = $2, note = $3 WHERE note = $4`

	selectCosigned = `SELECT note, witnesses, asked, quorum, at FROM cosigned_head`
	upsertCosigned = `INSERT INTO cosigned_head (one, size, note, witnesses, asked, quorum, at) VALUES (true, $1, $2, $3, $4, $5, $6)
		ON CONFLICT (one) DO UPDATE SET size = excluded.size, note = excluded.note, witnesses = excluded.witnesses, asked = excluded.asked, quorum = excluded.quorum, at = excluded.at`
)

// scanCosigned reads a row of selectCosigned; one that is not there is no error.
func scanCosigned(row interface{ Scan(...any) error }) (c Cosigned, err error) {
	var at int64
	err = row.Scan(&c.Note, &c.Witnesses, &c.Asked, &c.Quorum, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Cosigned{}, nil
	}
	c.At = time.Unix(at, 0)
	return c, err
}

func (c Cosigned) row() []any {
	return []any{c.Head.Size, c.Note, c.Witnesses, c.Asked, c.Quorum, c.At.Unix()}
}

// replacing is the statement of table.replace. A row is changed where it has the note that
// was read, and a first one is written where there is none: of two signers one succeeds.
func replacing(was []byte, now Checkpoint) (query string, args []any) {
	args = []any{now.Head.Size, now.Head.Root[:], now.Note}
	if was == nil {
		return insertNote, args
	}
	return updateNote, append(args, was)
}

type postgres struct{ pool *pgxpool.Pool }

func (p postgres) read(ctx context.Context) (signed []byte, err error) {
	err = p.pool.QueryRow(ctx, selectNote).Scan(&signed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return signed, err
}

func (p postgres) replace(ctx context.Context, was []byte, now Checkpoint) (bool, error) {
	query, args := replacing(was, now)
	done, err := p.pool.Exec(ctx, query, args...)
	return done.RowsAffected() == 1, err
}

func (p postgres) readCosigned(ctx context.Context) (Cosigned, error) {
	return scanCosigned(p.pool.QueryRow(ctx, selectCosigned))
}

func (p postgres) keepCosigned(ctx context.Context, now Cosigned) error {
	_, err := p.pool.Exec(ctx, upsertCosigned, now.row()...)
	return err
}

// forget has the trigger off within its transaction only. A pool has the service's role; the
// login's own is that of the owner.
func (p postgres) forget(ctx context.Context) error {
	return schema.InTransaction(ctx, p.pool, func(tx pgx.Tx) error {
		for _, statement := range []string{
			`SET LOCAL ROLE NONE`,
			`ALTER TABLE signed_head DISABLE TRIGGER signed_head_stays`,
			`DELETE FROM signed_head`,
			`DELETE FROM cosigned_head`,
			`ALTER TABLE signed_head ENABLE ALWAYS TRIGGER signed_head_stays`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

type sqlite struct{ db *schema.SQLite }

// read reads a file of an older program too, which has no such table: verify opens it as it is.
func (s sqlite) read(ctx context.Context) (signed []byte, err error) {
	var there bool
	err = s.db.Read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'signed_head')`).Scan(&there)
	if err != nil || !there {
		return nil, err
	}
	err = s.db.Read.QueryRowContext(ctx, selectNote).Scan(&signed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return signed, err
}

func (s sqlite) replace(ctx context.Context, was []byte, now Checkpoint) (bool, error) {
	query, args := replacing(was, now)
	done, err := s.db.Write.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	rows, err := done.RowsAffected()
	return rows == 1, err
}

func (s sqlite) readCosigned(ctx context.Context) (Cosigned, error) {
	return scanCosigned(s.db.Read.QueryRowContext(ctx, selectCosigned))
}

func (s sqlite) keepCosigned(ctx context.Context, now Cosigned) error {
	_, err := s.db.Write.ExecContext(ctx, upsertCosigned, now.row()...)
	return err
}

// forget drops the trigger, and makes it again from its own text.
func (s sqlite) forget(ctx context.Context) error {
	tx, err := s.db.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var trigger string
	if err := tx.QueryRowContext(ctx, `SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'signed_head_stays'`).Scan(&trigger); err != nil {
		return err
	}
	for _, statement := range []string{`DROP TRIGGER signed_head_stays`, `DELETE FROM signed_head`, `DELETE FROM cosigned_head`, trigger} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}
