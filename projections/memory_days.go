package projections

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"kassa/domain"
	"kassa/eventstore"
)

// again calls read, with up to where the tables hold the log, as often as another process has
// saved the views meanwhile.
func (m *Memory) again(ctx context.Context, least eventstore.Position, copied func() error, read func(kept eventstore.Position) error) (eventstore.Position, error) {
	for {
		var kept eventstore.Position
		at, err := m.read(ctx, least, func() error {
			kept = m.kept
			return copied()
		})
		if err == nil && kept > 0 {
			err = read(kept)
		}
		if !errors.Is(err, errMoved) {
			return at, err
		}
		if err := m.reload(ctx, kept); err != nil {
			return 0, err
		}
	}
}

const (
	savedCourse = `SELECT day, measure, item, amount FROM ` + savedDays + ` WHERE day >= ?1 AND day < ?2
		UNION ALL SELECT ?1 - 1, measure, '', sum(amount) FROM ` + savedDays + ` WHERE day < ?1 AND ` + levels + ` GROUP BY measure`

	savedDayRows = `SELECT day, measure, item, amount FROM ` + savedDays + ` WHERE day = ?1`
)

// figures calls what begin gives with the rows of memory and with those that a query finds.
func (m *Memory) figures(ctx context.Context, least eventstore.Position, begin func() (put func(figure, int64)), query string, args ...any) (eventstore.Position, error) {
	var put func(figure, int64)
	return m.again(ctx, least, func() error {
		put = begin()
		for row, amount := range m.days {
			put(row, amount)
		}
		return nil
	}, func(kept eventstore.Position) error {
		var rows []savedDay
		err := m.saved.atKept(ctx, kept, &rows, `day, measure, item, amount`, query, args...)
		for _, one := range rows {
			put(one.figure, one.amount)
		}
		return err
	})
}

// Days gives what was counted on days in a row.
func (m *Memory) Days(ctx context.Context, from Date, n int, least eventstore.Position) (c Course, at eventstore.Position, err error) {
	at, err = m.figures(ctx, least, func() func(figure, int64) {
		c = newCourse(from, n)
		return c.put
	}, savedCourse, from, from+Date(n))
	return c, at, err
}

// Day gives what was counted on one day.
func (m *Memory) Day(ctx context.Context, on Date) (f Figures, err error) {
	_, err = m.figures(ctx, 0, func() func(figure, int64) {
		f = Figures{}
		return func(row figure, amount int64) {
			if row.Date == on {
				f.put(row, amount)
			}
		}
	}, savedDayRows, on)
	return f, err
}

// Refunders gives those to whom most questions were refunded behind a position. All of them that
// the tables have not are in memory.
func (m *Memory) Refunders(ctx context.Context, since eventstore.Position, limit int) ([]Refunder, error) {
	var found map[domain.UserID]Refunder
	var names map[eventstore.Position]domain.UserID // of accounts, by their sign-ups
	_, err := m.again(ctx, 0, func() error {
		found, names = map[domain.UserID]Refunder{}, map[eventstore.Position]domain.UserID{}
		for _, p := range m.predictions {
			if p.RefundPosition > max(since, m.kept) {
				r := found[p.User]
				found[p.User] = Refunder{p.User, r.Refunds + 1, max(r.Last, p.RefundPosition)}
			}
		}
		for _, w := range m.users {
			names[w.user.Position] = w.user.ID
		}
		return nil
	}, func(kept eventstore.Position) error {
		var rows [][3]eventstore.Position
		err := m.saved.atKept(ctx, kept, &rows, `account, refunds, last`,
			`SELECT account, count(*) AS refunds, max(refund_position) AS last FROM `+savedPredictions+` WHERE refund_position > 0 AND refund_position > ?1 GROUP BY account`, since)
		for _, row := range rows {
			u := names[row[0]]
			r := found[u]
			found[u] = Refunder{u, r.Refunds + int(row[1]), max(r.Last, row[2])}
		}
		return err
	})
	list := slices.SortedFunc(maps.Values(found), func(a, b Refunder) int {
		return cmp.Or(cmp.Compare(b.Refunds, a.Refunds), cmp.Compare(b.Last, a.Last))
	})
	return list[:min(len(list), limit)], err
}
