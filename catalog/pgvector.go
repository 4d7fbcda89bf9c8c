package catalog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// indexFrom is the number of vectors from which an index is used. Processor time of
	// a query, scan and index: 2.6 and 2.4 ms for 2,000 vectors in overlapping
	// clusters, 5.3 and 6.0 for 5,000, 11.3 and 5.7 for 10,000, 50 and 5.9 for 100,000
	// (two cores of an AMD EPYC, busy, so only for comparison). Below that, the scan is
	// as fast and exact, and an import need not build an index.
	indexFrom = 20_000
	// searched is how many of the nearest the index returns, and beam the size of its
	// candidate list (hnsw.ef_search). Of 100,000 vectors in overlapping clusters, a
	// beam of 100, 200 and 400 finds 93, 97 and 98 percent of the ten nearest; of
	// 10,000, each finds all.
	searched, beam = 100, 200
	beamMax        = 1000 // pgvector's limit
)

// postgresVectors are the vectors of one model in PostgreSQL. It is as old as its view,
// and the tables may be newer: the vector of a film that has changed since is used for
// the film, those of new films are ignored.
type postgresVectors struct {
	pool   *pgxpool.Pool
	model  string
	width  int     // numbers of each
	movies []Movie // by id
	has    []bool  // films that have a current vector of this model
	count  int     // of them

	indexFrom int                    // vectors from which an index is there
	listed    atomic.Pointer[idList] // that the last scan gave
}

// idList is a list of films as the database sent it, and their places in the view; -1 for
// one that has no vector there.
type idList struct {
	sent  []byte
	films []int
}

func (v *postgresVectors) dims() int { return v.width }

func (v *postgresVectors) len() int { return v.count }

// The scan gives of each direction the similarity of all films, in one row: their ids and
// numbers as two lists take a third of the time of sorted rows, and directions that are
// asked together a third of that. It does without halfvec, and so never meets the index. How
// many are asked together is hidden from the planner, which would plan each query again.
//
// The search by index takes the most similar by 16 bits, and gives
// their similarity in full.
const (
	scanAll = `SELECT films.ids, films.similar
		FROM (SELECT n, ($2::real[])[(n - 1) * $3 + 1 : n * $3]::vector AS direction FROM generate_series(1, (SELECT $4::int)) n OFFSET 0) asked,
			LATERAL (SELECT array_agg(movie_id) AS ids, array_agg(-(vector <#> asked.direction)::real) AS similar FROM vectors WHERE model_id = $1) films
		ORDER BY asked.n`
	searchNearest = `SELECT movie_id, -(vector <#> $2::real[]::vector) FROM (SELECT movie_id, vector FROM vectors
		WHERE model_id = $1 ORDER BY vector::halfvec(%[1]d) <#> $2::real[]::halfvec(%[1]d) LIMIT $3) near`
	similarityOf = `SELECT movie_id, -(vector <#> (SELECT $2::real[]::vector)) FROM vectors
		WHERE model_id = $1 AND movie_id = ANY($3)`
	// Each model has an index of its own, which only a custom plan for this model can
	// use, and which the planner considers more expensive than sorting a few thousand
	// rows. The iterative scan continues if dead rows left too few.
	searchSettings = `SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true),
		set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1::text, true)`
)

// nearest searches the index if there are many vectors and few are wanted. Otherwise,
// and if the index returned too few, it scans all.
func (v *postgresVectors) nearest(ctx context.Context, directions [][]float32, limit int) ([]similarities, error) {
	if v.count < v.indexFrom || limit > v.count/10 {
		return v.scan(ctx, directions)
	}
	found := make([]similarities, len(directions))
	want := max(limit, searched)
	for i, q := range directions {
		near, rows, err := v.search(ctx, q, want)
		if err == nil && rows < want {
			var all []similarities
			if all, err = v.scan(ctx, [][]float32{q}); err == nil {
				near = all[0]
			}
		}
		if err != nil {
			return nil, err
		}
		found[i] = near
	}
	return found, nil
}

// scan compares all vectors with all directions, in one query.
func (v *postgresVectors) scan(ctx context.Context, directions [][]float32) ([]similarities, error) {
	rows, _ := v.pool.Query(ctx, scanAll, v.model, slices.Concat(directions...), v.width, len(directions))
	var found []similarities
	var similar []float32
	_, err := pgx.ForEachRow(rows, []any{nil, &similar}, func() error {
		list, err := v.list(rows)
		if err != nil {
			return err
		}
		of := make([]float32, len(v.movies))
		for i, film := range list.films {
			if film >= 0 {
				of[film] = similar[i]
			}
		}
		found = append(found, similarities{of: of})
		return nil
	})
	if err == nil && len(found) != len(directions) {
		err = fmt.Errorf("%d answers to %d vectors", len(found), len(directions))
	}
	if err != nil {
		return nil, fmt.Errorf("scan vectors: %w", err)
	}
	return found, nil
}

// list gives the films of the current row. As long as no film changes, all rows of all scans
// have the same ones in the same bytes: then they are not read again.
func (v *postgresVectors) list(rows pgx.Rows) (*idList, error) {
	sent := rows.RawValues()[0]
	if known := v.listed.Load(); known != nil && bytes.Equal(known.sent, sent) {
		return known, nil
	}
	var ids []string
	field := rows.FieldDescriptions()[0]
	if err := rows.Conn().TypeMap().Scan(field.DataTypeOID, field.Format, sent, &ids); err != nil {
		return nil, err
	}
	read := &idList{bytes.Clone(sent), v.numbers(ids)}
	v.listed.Store(read)
	return read, nil
}

// numbers are the places of films that have a vector in the view; -1 for others.
func (v *postgresVectors) numbers(ids []string) []int {
	films := make([]int, len(ids))
	for i, id := range ids {
		film, ok := number(v.movies, id)
		if !ok || !v.has[film] {
			film = -1
		}
		films[i] = film
	}
	return films
}

// search is one round trip, in a transaction of its own because of its settings. It
// also returns how many it found.
func (v *postgresVectors) search(ctx context.Context, q []float32, want int) (found similarities, n int, err error) {
	found = v.nothing(q)
	var queries pgx.Batch
	queries.Queue(searchSettings, strconv.Itoa(min(max(beam, want), beamMax)))
	queries.Queue(fmt.Sprintf(searchNearest, v.width), v.model, q, want).Query(func(rows pgx.Rows) (err error) {
		n, found.least, err = v.collect(rows, found.of)
		return err
	})
	if err := v.pool.SendBatch(ctx, &queries).Close(); err != nil {
		return similarities{}, 0, fmt.Errorf("search vectors: %w", err)
	}
	return found, n, nil
}

// nothing is the state before a search: only that a film without a vector is similar to
// nothing.
func (v *postgresVectors) nothing(q []float32) similarities {
	of := make([]float32, len(v.movies))
	for i, has := range v.has {
		if has {
			of[i] = unknown
		}
	}
	return similarities{of: of, rest: func(ctx context.Context, films []int) error {
		ids := make([]string, len(films))
		for i, film := range films {
			ids[i] = v.movies[film].ID
		}
		rows, _ := v.pool.Query(ctx, similarityOf, v.model, q, ids)
		if _, _, err := v.collect(rows, of); err != nil {
			return fmt.Errorf("compare vectors of %d films: %w", len(films), err)
		}
		return nil
	}}
}

// collect reads the rows of a query, and returns their number and the least similarity
// among them.
func (v *postgresVectors) collect(rows pgx.Rows, of []float32) (n int, least float32, err error) {
	var id string
	var similarity float64
	least = 1
	_, err = pgx.ForEachRow(rows, []any{&id, &similarity}, func() error {
		n++
		least = min(least, float32(similarity))
		if film, ok := number(v.movies, id); ok && v.has[film] {
			of[film] = float32(similarity)
		}
		return nil
	})
	return n, least, err
}
