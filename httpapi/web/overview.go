package web

import (
	"net/http"
	"slices"
	"time"

	"kassa/domain"
	"kassa/httpapi/chart"
	"kassa/httpapi/overview"
	"kassa/projections"
)

// overviewPath is the page for those who run the service: admins, and auditors.
const overviewPath = "/web/overview"

// Spans of its charts, in days. A year is drawn by weeks.
const (
	overviewMonth = 30
	overviewYear  = 52 * 7
)

type overviewPage struct {
	layout
	overview.Overview
	Year   bool // of the charts
	Charts []chart.Chart
	Asking []askingLine
	Back   []refunderLine
}

// askingLine is a question that waits.
type askingLine struct {
	overview.Waiting
	accountLink
}

// refunderLine is a person to whom questions were refunded.
type refunderLine struct {
	projections.Refunder
	accountLink
}

// accountLink leads to a person: for an admin by the address, for an auditor by the id.
type accountLink struct{ Path, Name string }

func (pc *pageContext) accountLink(u domain.UserID) (link accountLink, err error) {
	link = accountLink{auditPath + "/users/" + string(u), string(u)}
	if !pc.Person.Admin {
		return link, nil
	}
	link.Path = "/web/admin/user/" + string(u)
	email, err := pc.addressOf(u)
	if email != "" {
		link.Name = email
	}
	return link, err
}

// overview shows how the service goes.
func (p *Pages) overview(pc *pageContext) error {
	page := overviewPage{}
	days := overviewMonth
	switch span := pc.r.URL.Query().Get("span"); span {
	case "year":
		page.Year, days = true, overviewYear
	case "":
	default:
		return errMalformed
	}
	var err error
	if page.Overview, err = p.Overview.Read(pc.r.Context(), days, pc.minPosition); err != nil {
		return err
	}
	for _, q := range page.Waiting {
		link, err := pc.accountLink(q.User)
		if err != nil {
			return err
		}
		page.Asking = append(page.Asking, askingLine{q, link})
	}
	for _, r := range page.Refunders {
		link, err := pc.accountLink(r.User)
		if err != nil {
			return err
		}
		page.Back = append(page.Back, refunderLine{r, link})
	}
	page.Charts = pc.overviewCharts(page.Overview, page.Year)
	pc.Title, pc.Section = pc.T("overview.title"), "overview"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "overview", page)
}

// overviewCharts are the figures over time.
func (pc *pageContext) overviewCharts(o overview.Overview, year bool) []chart.Chart {
	days, of := o.Days, "chart.day"
	if year {
		days, of = overview.Weeks(days), "overview.week"
	}
	var points []string
	for _, day := range days {
		points = append(points, pc.Day(day.Date.Time()))
	}
	series := func(name string, bars bool, value func(overview.Day) int64) chart.Series {
		s := chart.Series{Name: pc.T(name), Bars: bars}
		for _, day := range days {
			s.Values = append(s.Values, value(day))
		}
		return s
	}
	counted := func(m projections.Measure) chart.Series {
		return series("overview."+string(m), true, func(d overview.Day) int64 { return d.Of(m) })
	}
	made := func(title string, number func(int64) string, list ...chart.Series) chart.Chart {
		list = slices.DeleteFunc(list, func(s chart.Series) bool { return s.Name != list[0].Name && slices.Max(s.Values) == 0 }) // nothing to see
		return chart.Chart{Title: pc.T(title), Table: pc.T("chart.table"), Of: pc.T(of), Points: points, Series: list, Number: number}
	}
	took := func(share float64) func(overview.Day) int64 {
		return func(d overview.Day) int64 {
			within, _ := d.Quantile(share)
			return within.Milliseconds()
		}
	}
	return []chart.Chart{
		made("overview.questions", pc.Number, counted(projections.QuestionsAsked), counted(projections.FoundAtOnce), counted(projections.FoundRefined),
			counted(projections.NotFound), counted(projections.Refunded), counted(projections.Failed), counted(projections.Expired)),
		made("overview.share", pc.Percent, series("overview.share.once", false, func(d overview.Day) int64 { return share(d.Of(projections.FoundAtOnce), d.Judged()) }),
			series("overview.share.all", false, func(d overview.Day) int64 { return share(found(d), d.Judged()) })),
		made("overview.time", pc.Took, series("overview.p50", false, took(0.5)), series("overview.p95", false, took(0.95))),
		made("overview.money", pc.Number, series("overview.bought", false, func(d overview.Day) int64 { return int64(d.Bought) }),
			series("overview.given", false, func(d overview.Day) int64 { return int64(d.Given) }), counted(projections.CreditsIn), counted(projections.CreditsOut)),
		made("overview.people", pc.Number, counted(projections.SignUps)),
	}
}

// found is how many questions found their film.
func found(d overview.Day) int64 {
	return d.Of(projections.FoundAtOnce) + d.Of(projections.FoundRefined)
}

// share is how many of a hundred, rounded; 0 of none.
func share(part, all int64) int64 {
	if all == 0 {
		return 0
	}
	return (200*part + all) / (2 * all)
}

// Percent writes a number of a hundred.
func (l *Language) Percent(n int64) string { return l.T("overview.percent", l.Number(n)) }

// tookSeconds is from where on a time is written in seconds.
const tookSeconds = 10_000

// Took writes a time in milliseconds.
func (l *Language) Took(ms int64) string {
	if ms >= tookSeconds {
		return l.T("overview.seconds", l.Number(ms/1000))
	}
	return l.T("answer.milliseconds", l.Number(ms))
}

// figureRow is a line of the table: a figure of today, of yesterday, and of the day a week ago.
type figureRow struct {
	Name, List string // List is where what is counted is listed, "" where it is not
	Values     [3]string
	Part       bool // of the figure above
}

// Rows compares today with two other days.
func (p overviewPage) Rows() []figureRow {
	compared := [3]overview.Day{p.Today(), p.Before(1), p.Before(7)}
	row := func(name, list string, value func(overview.Day) string) figureRow {
		r := figureRow{Name: p.T("overview." + name), List: list}
		for i, day := range compared {
			r.Values[i] = value(day)
		}
		return r
	}
	count := func(m projections.Measure, list string) figureRow {
		return row(string(m), list, func(d overview.Day) string { return p.Number(d.Of(m)) })
	}
	part := func(m projections.Measure, list string) figureRow {
		r := row(string(m), list, func(d overview.Day) string {
			if d.Of(m) == 0 {
				return p.Number(d.Of(m))
			}
			return p.T("overview.of", p.Number(d.Of(m)), p.Percent(share(d.Of(m), d.Judged())))
		})
		r.Part = true
		return r
	}
	took := func(quantile float64) func(overview.Day) string {
		return func(d overview.Day) string {
			within, ok := d.Quantile(quantile)
			if !ok {
				return "–"
			}
			return p.Took(within.Milliseconds())
		}
	}
	moved := func(m, sum projections.Measure) figureRow {
		return row(string(m), auditPath+"/money", func(d overview.Day) string {
			if d.Of(m) == 0 {
				return p.Number(0)
			}
			return p.T("overview.sum", p.Number(d.Of(m)), p.Number(d.Of(sum)))
		})
	}
	people := ""
	if p.Person.Admin {
		people = "/web/admin"
	}
	return []figureRow{
		count(projections.QuestionsAsked, ""), count(projections.Answered, ""), part(projections.FoundAtOnce, ""), part(projections.FoundRefined, ""), part(projections.NotFound, ""), part(projections.Refunded, "#refunds"),
		count(projections.Failed, ""), count(projections.Expired, ""), count(projections.FollowUpsAsked, ""), count(projections.FollowUpsFailed, ""),
		row("p50", "", took(0.5)), row("p95", "", took(0.95)),
		count(projections.SignUps, people), moved(projections.Deposits, projections.CreditsIn), moved(projections.Withdrawals, projections.CreditsOut),
		row("bought", auditPath+"/trial", func(d overview.Day) string { return p.Figure(d.Bought) }),
		row("given", auditPath+"/trial", func(d overview.Day) string { return p.Figure(d.Given) }),
	}
}

// Age is how long ago a time is.
func (p overviewPage) Age(t time.Time) string { return p.Ago(p.At.Sub(t)) }

// Oldest is since when the oldest of the questions that wait does.
func (p overviewPage) Oldest() (oldest time.Time) {
	for _, q := range p.Waiting {
		if oldest.IsZero() || q.Since.Before(oldest) {
			oldest = q.Since
		}
	}
	return oldest
}

// Compared are the headings of the days that are compared.
func (p overviewPage) Compared() []string {
	return []string{p.T("overview.today"), p.T("overview.yesterday"), p.T("overview.weekago", p.Day(p.Before(7).Date.Time()))}
}
