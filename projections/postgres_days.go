package projections

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"kassa/eventstore"
)

// days is one row for each sum of a day. Beside these it remembers questions that wait, and
// follow-ups: what is said of them later is counted by what they are and when they were asked.
type days struct{}

const daysTable = "days_v1"

func (days) Table() string { return daysTable }

func (days) Fields() []field     { return dayFields(figure{}, 0) }
func (days) Expect() expectation { return newDayRows(false) }

const (
	addToDays = ` ON CONFLICT (day, measure, item) DO UPDATE SET amount = t.amount + excluded.amount`

	countDays = `INSERT INTO ` + daysTable + ` AS t (day, measure, item, amount) SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::bigint[])` + addToDays

	// What one statement deletes and adds are different rows.
	endQuestions = `WITH ended AS (
			SELECT e.*, d.measure = '` + string(followUpOf) + `' AS follows, d.amount AS asked_at
			FROM unnest($1::text[], $2::date[], $3::bigint[], $4::text[], $5::text[]) e (id, day, at, own, follow_up)
			JOIN ` + daysTable + ` d ON d.item = e.id AND d.measure IN ('open', 'follow_up')
		), forgotten AS (
			DELETE FROM ` + daysTable + ` d USING ended e WHERE d.item = e.id AND d.measure IN ('open', 'follow_up') AND NOT e.follows
		), counted AS (
			SELECT day, CASE WHEN follows THEN follow_up ELSE own END AS measure, '' AS item, count(*) AS amount FROM ended GROUP BY 1, 2
			UNION ALL
			SELECT day, '` + string(answerTime) + `', ($6::bigint[])[least(width_bucket(at - asked_at, $6::bigint[]) + 1, cardinality($6::bigint[]))]::text, count(*)
			FROM ended WHERE own = '` + string(Answered) + `' GROUP BY 1, 3
		), done AS (
			INSERT INTO ` + daysTable + ` AS t (day, measure, item, amount) SELECT * FROM counted WHERE measure <> ''` + addToDays + `
		) SELECT kassa_views.expect('` + notOpen + `', cardinality($1), count(*)) FROM ended`

	confirmQuestions = `WITH confirmed AS (
			SELECT c.day, EXISTS (SELECT FROM ` + daysTable + ` d WHERE d.item = c.id AND d.measure IN ('open', 'follow_up')) AS follows
			FROM unnest($1::text[], $2::date[]) c (id, day)
		) INSERT INTO ` + daysTable + ` AS t (day, measure, item, amount)
			SELECT day, CASE WHEN follows THEN '` + string(FoundRefined) + `' ELSE '` + string(FoundAtOnce) + `' END, '', count(*) FROM confirmed GROUP BY 1, 2` + addToDays
)

func (days) Write(batch *pgx.Batch, entries []eventstore.Recorded) error {
	d := foldDays(entries)
	var rows []figure
	var amounts []int64
	add := func(row figure, amount int64) { rows, amounts = append(rows, row), append(amounts, amount) }
	for row, n := range d.sums {
		add(row, n)
	}
	for id, q := range d.asked {
		add(q.row(id))
	}
	queue(batch, countDays, len(rows), column(rows, func(f *figure) time.Time { return f.Date.Time() }),
		column(rows, func(f *figure) string { return string(f.Measure) }), column(rows, func(f *figure) string { return f.Item }), amounts)
	queue(batch, endQuestions, len(d.ended), append(saidColumns(d.ended),
		column(d.ended, func(s *said) int64 { return s.at.UnixMicro() }),
		column(d.ended, func(s *said) string { return string(s.own) }),
		column(d.ended, func(s *said) string { return string(s.followUp) }), timeBounds)...)
	queue(batch, confirmQuestions, len(d.confirmed), saidColumns(d.confirmed)...)
	return nil
}

func saidColumns(list []said) []any {
	return []any{column(list, func(s *said) string { return string(s.id) }),
		column(list, func(s *said) time.Time { return DateOf(s.at).Time() })}
}

// levels are the measures of which all days count. It is the condition of an index.
const levels = `measure IN ('` + string(BoughtChange) + `', '` + string(GivenChange) + `')`

const (
	// selectDays reads the sums of a stretch of days, and what changed before it.
	selectDays = `SELECT day, measure, item, amount FROM ` + served + daysTable + ` WHERE day >= $1::date AND day < $2::date AND measure NOT IN ('open', 'follow_up')
	UNION ALL SELECT $1::date - 1, measure, '', sum(amount)::bigint FROM ` + served + daysTable + ` WHERE day < $1::date AND ` + levels + ` GROUP BY measure`

	selectDay = `SELECT day, measure, item, amount FROM ` + served + daysTable + ` WHERE day = $1 AND measure = ANY($2)`

	// It is read by an index of all refunds, whose rows are >= 1: the page of one person's refunds says
	// > 0, and so has an index of its own.
	selectRefunders = `SELECT user_id, count(*), max(refund_position) FROM ` + served + predictionsTable + `
		WHERE refund_position >= 1 AND refund_position > $1 GROUP BY 1 ORDER BY 2 DESC, 3 DESC LIMIT $2`
)

// eachFigure calls put with each row of a result.
func eachFigure(put func(row figure, amount int64)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var on time.Time
		var row figure
		var amount int64
		_, err := pgx.ForEachRow(rows, []any{&on, &row.Measure, &row.Item, &amount}, func() error {
			row.Date = DateOf(on)
			put(row, amount)
			return nil
		})
		return err
	}
}

// Days gives what was counted on days in a row.
func (v *Postgres) Days(ctx context.Context, from Date, n int, least eventstore.Position) (c Course, at eventstore.Position, err error) {
	at, err = v.reading(ctx, least, func() (eventstore.Position, error) {
		read := newCourse(from, n) // by another goroutine, which ctx does not end
		shown, err := v.snapshot(ctx, []string{daysTable}, func(batch *pgx.Batch) {
			batch.Queue(selectDays, from.Time(), (from + Date(n)).Time()).Query(eachFigure(read.put))
		})
		if err != nil {
			return 0, err
		}
		c = read
		return shown.upTo(daysTable)
	})
	return c, at, failed(err, "read the figures of days")
}

// Day gives what was counted on one day.
func (v *Postgres) Day(ctx context.Context, on Date) (Figures, error) {
	var read Figures // by another goroutine, which ctx does not end
	shown, err := v.snapshot(ctx, []string{daysTable}, func(batch *pgx.Batch) {
		batch.Queue(selectDay, on.Time(), append([]Measure{answerTime}, Measures...)).Query(eachFigure(read.put))
	})
	if err == nil {
		_, err = shown.upTo(daysTable)
	}
	if err != nil {
		return Figures{}, failed(err, "read the figures of a day")
	}
	return read, nil
}

// Refunders gives those to whom most questions were refunded behind a position.
func (v *Postgres) Refunders(ctx context.Context, since eventstore.Position, limit int) ([]Refunder, error) {
	var read []Refunder // by another goroutine, which ctx does not end
	shown, err := v.snapshot(ctx, []string{predictionsTable}, func(batch *pgx.Batch) {
		batch.Queue(selectRefunders, int64(since), limit).
			Query(func(rows pgx.Rows) (err error) {
				read, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Refunder, err error) {
					err = row.Scan(&r.User, &r.Refunds, &r.Last)
					return r, err
				})
				return err
			})
	})
	if err == nil {
		_, err = shown.upTo(predictionsTable)
	}
	return read, failed(err, "read who asked for refunds")
}
