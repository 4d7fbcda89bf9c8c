package web

import (
	"bytes"
	"cmp"
	"net/http"
	"strings"
	"time"

	"kassa/audit"
	"kassa/domain"
	"kassa/httpapi/chart"
	"kassa/httpapi/problem"
	"kassa/httpapi/statement"
)

const (
	historyPath   = "/web/transaction-history"
	monthsPath    = historyPath + "/months"
	statementPath = historyPath + "/statement"
	tablePath     = historyPath + "/statement.csv"
)

// monthForm is how a month is written in an address.
const monthForm = "2006-01"

type monthPage struct {
	layout
	statement.Statement
	Missing       string // why there are no figures, "" where there are
	Before, After string // addresses of the months beside it; "" where there is none
	Chart         chart.Chart
	statementLinks
}

// statementLinks are where a period is printed and downloaded.
type statementLinks struct {
	Printed, Table string
	Zone           string
}

func (p *Pages) statementLinks(period statement.Period) statementLinks {
	return statementLinks{address(statementPath, "from", period.First, "to", period.Last), address(tablePath, "from", period.First, "to", period.Last), p.Statements.Zone.String()}
}

// months shows a month of the wallet: what it began and ended with, and each day.
func (p *Pages) months(pc *pageContext) error {
	now := p.Now()
	this := now.In(p.Statements.Zone).Format(monthForm)
	month := cmp.Or(pc.r.URL.Query().Get("month"), this)
	period, err := p.Statements.Month(month)
	if err != nil || month > this {
		return errMalformed
	}
	person, _, err := p.Views.User(pc.r.Context(), pc.Person.User, pc.minPosition)
	if err != nil {
		return err
	}
	page := monthPage{statementLinks: p.statementLinks(period)}
	page.Statement, err = p.Statements.Of(pc.r.Context(), pc.Person.User, period)
	switch refusal := domain.RefusalIn(err); {
	case refusal != nil && (refusal.Code == problem.PeriodTooLong || refusal.Code == problem.Archived):
		page.Missing = pc.T("statement." + string(refusal.Code))
	case err != nil:
		return err
	}
	page.Statement.Period = period
	page.Chart = pc.chartOf(page.Statement, now)
	first := person.SignedUpAt.In(p.Statements.Zone).Format(monthForm)
	at, _ := time.Parse(monthForm, month) // it was read before
	if before := at.AddDate(0, -1, 0).Format(monthForm); before >= first {
		page.Before = address(monthsPath, "month", before)
	}
	if after := at.AddDate(0, 1, 0).Format(monthForm); after <= this {
		page.After = address(monthsPath, "month", after)
	}
	pc.Title, pc.Section = pc.Month(at), "money"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "month", page)
}

// chartOf is what a person had and spent on each day.
func (pc *pageContext) chartOf(s statement.Statement, now time.Time) chart.Chart {
	balance := chart.Series{Name: pc.T("chart.balance")}
	spent := chart.Series{Name: pc.T("chart.spent"), Bars: true}
	c := chart.Chart{Title: pc.T("chart.title"), Table: pc.T("chart.table"), Of: pc.T("chart.day"), Number: pc.Number}
	for _, day := range s.Days(pc.pages.Statements.Zone, now) {
		c.Points = append(c.Points, pc.Day(day.Date))
		balance.Values, spent.Values = append(balance.Values, int64(day.Closed)), append(spent.Values, int64(day.Spent))
	}
	c.Series = []chart.Series{balance, spent}
	return c
}

// Rows are the totals of the month, in the order in which they are added up.
func (p monthPage) Rows() []sumRow { return sumRows(p.Language, p.Statement) }

// sumRow is a total with its name.
type sumRow struct {
	Name   string
	Note   string // how many of them are given; "" for none
	Amount string
	Level  bool // of what the person had, and not of what moved it
}

func sumRows(l *Language, s statement.Statement) []sumRow {
	level := func(key string, h audit.Holdings) sumRow {
		row := sumRow{Name: l.T(key), Amount: l.Figure(h.Total()), Level: true}
		if h.Given != 0 {
			row.Note = l.T("money.given", l.Figure(h.Given))
		}
		return row
	}
	rows := []sumRow{level("sum.opening", s.Opening)}
	for _, sum := range []struct {
		key    string
		amount domain.Credits
		always bool
	}{{"sum.in", s.Totals.In, true}, {"sum.spent", s.Totals.Spent, true}, {"sum.back", s.Totals.GivenBack, true}, {"sum.withdrawn", s.Totals.Withdrawn, true}, {"sum.adjusted", s.Totals.Adjusted, false}} {
		if sum.always || sum.amount != 0 {
			rows = append(rows, sumRow{Name: l.T(sum.key), Amount: l.Signed(sum.amount)})
		}
	}
	return append(rows, level("sum.closing", s.Closing))
}

type statementPage struct {
	layout
	statement.Statement
	Issuer []string // in lines
	MadeAt time.Time
	statementLinks
	zone *time.Location
}

// Rows are the totals of the statement.
func (p statementPage) Rows() []sumRow { return sumRows(p.Language, p.Statement) }

// What is what a line is called.
func (p statementPage) What(l audit.StatementLine) string {
	if key := "moved." + string(l.Type); p.T(key) != key {
		return p.T(key)
	}
	return string(l.Type) // of a newer program
}

// Local is a time in the zone of the statement, which no script rewrites.
func (p statementPage) Local(t time.Time) string {
	return t.In(p.zone).Format("2006-01-02 15:04")
}

// statementOf reads the statement of the days in the address, which are refused as a page.
func (pc *pageContext) statementOf() (statement.Statement, error) {
	query := pc.r.URL.Query()
	period, err := pc.pages.Statements.Days(query.Get("from"), query.Get("to"))
	if err != nil {
		return statement.Statement{}, errMalformed
	}
	return pc.pages.Statements.Of(pc.r.Context(), pc.Person.User, period)
}

// refusedStatement shows why there is no statement of some days.
func (pc *pageContext) refusedStatement(err error) error {
	refusal := domain.RefusalIn(err)
	if refusal == nil || refusal.Code != problem.PeriodTooLong && refusal.Code != problem.Archived {
		return err
	}
	pc.Title, pc.Section = pc.T("statement.title"), "money"
	return pc.show(problem.Status(refusal.Code), "refusal", refusalPage{pc.layout, problem.Status(refusal.Code), pc.T("statement." + string(refusal.Code))})
}

// printed shows a statement to print.
func (p *Pages) printed(pc *pageContext) error {
	s, err := pc.statementOf()
	if err != nil {
		return pc.refusedStatement(err)
	}
	page := statementPage{Statement: s, MadeAt: p.Now(), statementLinks: p.statementLinks(s.Period), zone: p.Statements.Zone}
	page.Issuer = strings.Split(cmp.Or(p.Statements.Issuer, pc.r.Host), "\n")
	pc.Title, pc.Section = pc.T("statement.title"), "money"
	page.layout = pc.layout
	return pc.show(http.StatusOK, "statement", page)
}

// table sends a statement as a table.
func (p *Pages) table(pc *pageContext) error {
	s, err := pc.statementOf()
	if err != nil {
		return pc.refusedStatement(err)
	}
	var out bytes.Buffer
	if err := s.WriteCSV(&out, p.Statements.Zone); err != nil {
		return err
	}
	return pc.sendFile(s.FileName("csv"), "text/csv; charset=utf-8", out.Bytes())
}
