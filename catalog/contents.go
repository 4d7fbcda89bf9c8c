package catalog

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kassa/schema"
)

// Contents are what the tables of a catalogue have, in one snapshot: enough to see later that
// they were changed.
type Contents struct {
	Version  string // as answers name it
	Revision int64
	Films    int
	Vectors  int
	Root     [sha256.Size]byte // over all films and vectors, see docs/format.md
}

// ReadContents reads the contents of the catalogue in a database file.
func ReadContents(ctx context.Context, db *schema.SQLite) (Contents, error) {
	return sqliteStore{db}.record(ctx)
}

// ReadPostgresContents is ReadContents for a PostgreSQL database.
func ReadPostgresContents(ctx context.Context, pool *pgxpool.Pool) (Contents, error) {
	return postgresStore{pool: pool}.record(ctx)
}

// Revision changes with every change of the tables.
func (c *Catalogue) Revision(ctx context.Context) (int64, error) { return c.store.revision(ctx) }

// recording adds up the contents, row by row in order.
type recording struct {
	Contents
	root, version hash.Hash
}

func newRecording() *recording {
	return &recording{root: sha256.New(), version: sha256.New()}
}

// film adds the next film by id.
func (r *recording) film(id string, content []byte) error {
	sum := sha256.Sum256(content)
	r.Films++
	versionFilm(r.version, id, sum)
	return r.line("film\t%x\t%s\n", id, sum, id)
}

// vector adds the next vector by model, and of one model by film; texts is the hash of what it
// was made of.
func (r *recording) vector(model, id string, texts []byte, numbers []byte) error {
	r.Vectors++
	return r.line("vector\t%x\t%x\t%s\t%s\n", model+id, sha256.Sum256(numbers), texts, model, id)
}

// line adds a line to the root. A name with a tab or the end of a line in it could be taken for
// two.
func (r *recording) line(format, names string, args ...any) error {
	if strings.ContainsAny(names, "\t\n") {
		return fmt.Errorf("the name %q of a film or a model has a tab or the end of a line in it", names)
	}
	_, err := fmt.Fprintf(r.root, format, args...)
	return err
}

// end gives them.
func (r *recording) end(synonyms []Synonyms) Contents {
	versionSynonyms(r.version, synonyms)
	r.Version = shortVersion(r.version)
	r.root.Sum(r.Root[:0])
	return r.Contents
}

// versionFilm, versionSynonyms and shortVersion make the version of a catalogue.
func versionFilm(sum hash.Hash, id string, content [sha256.Size]byte) {
	fmt.Fprintf(sum, "%s %x\n", id, content)
}

func versionSynonyms(sum hash.Hash, groups []Synonyms) {
	for _, s := range groups {
		fmt.Fprintf(sum, "synonyms %s\n", s.ID)
	}
}

func shortVersion(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil))[:12] }

const (
	recordFilms   = `SELECT id, json FROM movies ORDER BY id`
	recordVectors = `SELECT model_id, movie_id, hash, vector FROM vectors ORDER BY model_id, movie_id`
)

func (s sqliteStore) record(ctx context.Context) (Contents, error) {
	tx, err := s.db.Read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Contents{}, fmt.Errorf("read the catalogue's contents: %w", err)
	}
	defer tx.Rollback()
	r := newRecording()
	if err := tx.QueryRowContext(ctx, `SELECT revision FROM catalogue`).Scan(&r.Revision); err != nil {
		return Contents{}, fmt.Errorf("read the catalogue's revision: %w", err)
	}
	err = eachRow(ctx, tx, recordFilms, func(rows *sql.Rows) error {
		var id string
		var content sql.RawBytes
		if err := rows.Scan(&id, &content); err != nil {
			return err
		}
		return r.film(id, content)
	})
	if err == nil {
		err = eachRow(ctx, tx, recordVectors, func(rows *sql.Rows) error {
			var model, id string
			var texts, blob sql.RawBytes
			if err := rows.Scan(&model, &id, &texts, &blob); err != nil {
				return err
			}
			return r.vector(model, id, texts, blob)
		})
	}
	if err != nil {
		return Contents{}, fmt.Errorf("read films and vectors: %w", err)
	}
	synonyms, err := scanSynonyms(ctx, tx)
	return r.end(synonyms), err
}

func eachRow(ctx context.Context, tx *sql.Tx, query string, fn func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s postgresStore) record(ctx context.Context) (done Contents, err error) {
	r := newRecording()
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, moment, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT revision FROM catalogue`).Scan(&r.Revision); err != nil {
			return fmt.Errorf("read the catalogue's revision: %w", err)
		}
		var id, model string
		var content, texts []byte
		rows, _ := tx.Query(ctx, recordFilms)
		if _, err := pgx.ForEachRow(rows, []any{&id, &content}, func() error { return r.film(id, content) }); err != nil {
			return fmt.Errorf("read films: %w", err)
		}
		var numbers []float32
		rows, _ = tx.Query(ctx, `SELECT model_id, movie_id, hash, vector::real[] FROM vectors ORDER BY model_id, movie_id`)
		_, err := pgx.ForEachRow(rows, []any{&model, &id, &texts, &numbers}, func() error { return r.vector(model, id, texts, toBlob(numbers)) })
		if err != nil {
			return fmt.Errorf("read vectors: %w", err)
		}
		synonyms, err := collectSynonyms(ctx, tx)
		done = r.end(synonyms)
		return err
	})
	return done, err
}
