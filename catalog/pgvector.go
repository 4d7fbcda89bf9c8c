package catalog

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// indexFrom is the number of vectors from which an index finds them. Processor
	// time of a query, scan beside index: 2.6 and 2.4 ms for 2,000 vectors in
	// clusters that overlap, 5.3 and 6.0 for 5,000, 11.3 and 5.7 for 10,000, 50 and 5.9 for 100,000 (two
	// cores of an AMD EPYC, busy, so good for comparison only). Below, the scan is
	// as fast, finds all, and an import need not build anything.
	indexFrom = 5000
	// scanned is how many of the nearest a scan of all vectors gives.
	scanned = 256
	// searched is how many of the nearest the index gives, and beam how many it
	// holds in hand meanwhile (hnsw.ef_search). Of 100,000 vectors in clusters that
	// overlap, a beam of 100, 200 and 400 finds 93, 97 and 98 percent of
	// the ten nearest; of 10,000, any of them finds all.
	searched, beam = 100, 200
	beamMax        = 1000 // pgvector's own
)

// postgresVectors are the vectors of one model in PostgreSQL. What it knows of
// them is as old as its view. The tables may be newer: a vector of a film that has
// changed since speaks for the film, those of films that are new do not count.
type postgresVectors struct {
	pool   *pgxpool.Pool
	model  string
	movies []Movie // by id
	has    []bool  // films that have a vector of this model, made from their texts
	count  int     // of them

	indexFrom int // vectors from which an index is there
}

func (v *postgresVectors) dims() int { return postgresDims }

// The search by index takes the most similar as far as 16 bits tell, and gives
// their similarity in full. The scan does without halfvec, and so never meets
// the index; its subquery reads the vector that is asked about once, not for each row.
const (
	scanNearest = `SELECT movie_id, -distance FROM (SELECT movie_id, vector <#> (SELECT $2::real[]::vector) AS distance FROM vectors
		WHERE model_id = $1 ORDER BY distance LIMIT $3) near`
	searchNearest = `SELECT movie_id, -(vector <#> $2::real[]::vector) FROM (SELECT movie_id, vector FROM vectors
		WHERE model_id = $1 ORDER BY vector::halfvec(384) <#> $2::real[]::halfvec(384) LIMIT $3) near`
	similarityOf = `SELECT movie_id, -(vector <#> (SELECT $2::real[]::vector)) FROM vectors
		WHERE model_id = $1 AND movie_id = ANY($3)`
	// Each model has an index of its own, which only a plan for this model can use,
	// and which is taken for dearer than a sort of few thousand rows. The iterative
	// scan goes on where dead rows left too few.
	searchSettings = `SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true),
		set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1::text, true)`
)

// nearest searches the index where there are many vectors and few are wanted, and
// scans them all where not, or where the index gave too few.
func (v *postgresVectors) nearest(ctx context.Context, q []float32, limit int) (similarities, error) {
	if v.count >= v.indexFrom && limit <= v.count/10 {
		want := max(limit, searched)
		found, rows, err := v.search(ctx, q, want)
		if err != nil || rows == want {
			return found, err
		}
	}
	return v.scan(ctx, q, max(2*limit, scanned))
}

func (v *postgresVectors) scan(ctx context.Context, q []float32, want int) (similarities, error) {
	found := v.nothing(q)
	rows, _ := v.pool.Query(ctx, scanNearest, v.model, q, want)
	n, least, err := v.collect(rows, found.of)
	if err != nil {
		return similarities{}, fmt.Errorf("scan vectors: %w", err)
	}
	if found.least = least; n < want { // those were all
		found.least = 0
	}
	return found, nil
}

// search is one round trip, in a transaction of its own, as the settings are. It
// also tells how many it found.
func (v *postgresVectors) search(ctx context.Context, q []float32, want int) (found similarities, n int, err error) {
	found = v.nothing(q)
	var pipe pgx.Batch
	pipe.Queue(searchSettings, strconv.Itoa(min(max(beam, want), beamMax)))
	pipe.Queue(searchNearest, v.model, q, want).Query(func(rows pgx.Rows) (err error) {
		n, found.least, err = v.collect(rows, found.of)
		return err
	})
	if err := v.pool.SendBatch(ctx, &pipe).Close(); err != nil {
		return similarities{}, 0, fmt.Errorf("search vectors: %w", err)
	}
	return found, n, nil
}

// nothing is known before a search but that a film without a vector is similar
// to nothing.
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

// collect takes in the rows of a query, and tells their number and the least
// similarity among them.
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
