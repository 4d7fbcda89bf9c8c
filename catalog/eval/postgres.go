package eval

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kassa/catalog"
	"kassa/catalog/words"
	"kassa/schema"
)

// ranked is a baseline as one statement: films and questions are parameters, so that it
// needs no table and no right to create one. The arguments are the SQL of a film, of a
// question, and of their score.
//
// The configuration russian stems Russian words as Russian, and ASCII words as English.
func ranked(film, question, score string) string {
	return `WITH films AS MATERIALIZED (
			SELECT f.id, ` + film + ` AS film FROM unnest($1::text[], $2::text[]) f (id, text)
		), questions AS MATERIALIZED (
			SELECT q.n, ` + question + ` AS question FROM unnest($3::text[]) WITH ORDINALITY q (text, n)
		)
		SELECT n - 1, id, score FROM questions CROSS JOIN LATERAL (
			SELECT id, ` + score + ` AS score FROM films ORDER BY score DESC, id COLLATE "C" LIMIT $4
		) AS best WHERE score > 0 ORDER BY n, score DESC, id COLLATE "C"`
}

var (
	fullText = ranked(`to_tsvector('russian', f.text)`,
		// any of the words; a question of stop words alone finds nothing
		`(SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery FROM unnest(to_tsvector('russian', q.text)))`,
		`ts_rank(film, question)`)
	trigram = ranked(`f.text`, `q.text`, `word_similarity(question, film)`)
)

// PostgresFullText is PostgreSQL's full text search: any of the words, by ts_rank.
func PostgresFullText(url string, movies []catalog.Movie) System {
	return System{"postgres full text", func(ctx context.Context, texts []string) (all []catalog.Found, err error) {
		err = inPostgres(ctx, url, func(tx pgx.Tx) error {
			all, err = queryRanked(ctx, tx, fullText, strings.ToLower, movies, texts)
			return err
		})
		return all, err
	}}
}

// PostgresTrigram is word_similarity of PostgreSQL's pg_trgm. Where the database does
// not have the extension, it is created inside the transaction only.
func PostgresTrigram(url string, movies []catalog.Movie) System {
	return System{"postgres trigram", func(ctx context.Context, texts []string) (all []catalog.Found, err error) {
		err = inPostgres(ctx, url, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_trgm`)
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
				return fmt.Errorf("%w: pg_trgm is not in the database, and cannot be put there: %s", errUnavailable, pgErr.Message)
			}
			if err != nil {
				return fmt.Errorf("make pg_trgm available: %w", err)
			}
			all, err = queryRanked(ctx, tx, trigram, inASCII, movies, texts)
			return err
		})
		return all, err
	}}
}

// inPostgres runs do with the login's own rights in a transaction that is rolled back.
func inPostgres(ctx context.Context, url string, do func(pgx.Tx) error) error {
	conn, err := schema.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // closing the connection ends it in any case
	return do(tx)
}

// queryRanked runs the statement. written replaces a text by one whose letters the
// database knows in any locale: in the locale C, which Kassa uses, PostgreSQL does not
// lower-case Russian letters, and pg_trgm ignores them.
func queryRanked(ctx context.Context, tx pgx.Tx, statement string, written func(string) string, movies []catalog.Movie, texts []string) ([]catalog.Found, error) {
	ids, films, questions := make([]string, len(movies)), make([]string, len(movies)), make([]string, len(texts))
	for i, m := range movies {
		ids[i], films[i] = m.ID, written(strings.Join(catalog.SearchedTexts(m), "\n"))
	}
	for i, text := range texts {
		questions[i] = written(text)
	}
	all := make([]catalog.Found, len(texts))
	rows, _ := tx.Query(ctx, statement, ids, films, questions, Depth)
	var n int
	var match catalog.Match
	_, err := pgx.ForEachRow(rows, []any{&n, &match.MovieID, &match.Score}, func() error {
		all[n].Matches = append(all[n].Matches, match)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rank films: %w", err)
	}
	return all, nil
}

// inASCII replaces each Russian letter by an ASCII character. The frequent ones become
// digits, which no English word has, so a Russian trigram hardly ever equals an English
// one.
func inASCII(text string) string {
	var forms []string
	for _, w := range words.Split(text) {
		forms = append(forms, russianLetters.Replace(w.Form))
	}
	return strings.Join(forms, " ")
}

var russianLetters = strings.NewReplacer(
	"о", "0", "е", "1", "а", "2", "и", "3", "н", "4", "т", "5", "с", "6", "р", "7", "в", "8", "л", "9",
	"б", "b", "г", "g", "д", "d", "ж", "j", "з", "z", "к", "k", "м", "m", "п", "p", "у", "u", "ф", "f", "х", "h",
	"ц", "c", "ч", "q", "ш", "w", "щ", "x", "ъ", "a", "ы", "y", "ь", "e", "э", "i", "ю", "o", "я", "r")
