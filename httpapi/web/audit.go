package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"kassa/audit"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/auditing"
	"kassa/httpapi/chart"
	"kassa/httpapi/problem"
)

// The pages of auditors. What they show is read from the log by package auditing, and not from the
// views.
const auditPath = "/web/audit"

// courseSteps is how many moments the chart of money has.
const courseSteps = 60

// auditFault is what a form of these pages shows for a refusal. What is none, or is not about the form,
// comes back as the error.
func (pc *pageContext) auditFault(err error) (sentence string, status int, fault error) {
	switch code, status, ok := pc.codeOf(err); {
	case ok && code == problem.Unavailable:
		return pc.T("audit.busy"), status, nil
	case ok && code == problem.InvalidPeriod:
		return pc.T("audit.close.wrong"), status, nil
	case ok && (status == http.StatusUnprocessableEntity || code == problem.Archived):
		return pc.fieldErrorsOf(code, 0).In(""), status, nil
	}
	return "", http.StatusOK, err
}

type auditPage struct {
	layout
	auditing.State
	Shown  []viewLine
	Asked  url.Values // what was typed into a form
	Wrong  string     // the form with which something is wrong, "" for none
	Reason string     // what
}

// viewLine is how far a view has come.
type viewLine struct {
	Name   string
	At     eventstore.Position
	Behind eventstore.Position
}

// Age is how long ago a time is.
func (p auditPage) Age(t time.Time) string { return p.Ago(time.Since(t)) }

// Ago writes how long ago something was, in whole units of which there are at least two.
func (l *Language) Ago(age time.Duration) string {
	age = max(0, age)
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"audit.ago.days", 24 * time.Hour}, {"audit.ago.hours", time.Hour}, {"audit.ago.minutes", time.Minute}} {
		if age >= 2*unit.long {
			return l.T(unit.name, l.Number(int64(age/unit.long)))
		}
	}
	return l.T("audit.ago.seconds", l.Number(int64(age/time.Second)))
}

// Count is a number of things, as the language writes it.
func (p auditPage) Count(n int) string { return p.Number(int64(n)) }

// Typed is what was typed into a field of a form.
func (p auditPage) Typed(name string) string { return p.Asked.Get(name) }

// Zone is the one that was typed, or that of most customers.
func (p auditPage) Zone() string { return cmp.Or(p.Typed("zone"), "Europe/Moscow") }

// FaultOf is what is wrong with a form.
func (p auditPage) FaultOf(form string) fieldError {
	if p.Wrong == form {
		return fieldError{"", p.Reason}
	}
	return fieldError{}
}

// Formats are the forms of exports.
func (auditPage) Formats() []audit.Format { return auditing.Formats }

// auditLog shows the state of the log.
func (p *Pages) auditLog(pc *pageContext) error { return pc.showAudit(http.StatusOK, "", "") }

// showAudit shows it, with what is wrong with one of the forms.
func (pc *pageContext) showAudit(status int, form, reason string) error {
	state, err := pc.pages.Audit.State(pc.r.Context())
	if err != nil {
		return err
	}
	page := auditPage{State: state, Asked: pc.r.URL.Query(), Wrong: form, Reason: reason}
	for name, at := range state.Views {
		page.Shown = append(page.Shown, viewLine{name, at, state.Size - at})
	}
	slices.SortFunc(page.Shown, func(a, b viewLine) int { return strings.Compare(a.Name, b.Name) })
	pc.Title, pc.Section = pc.T("audit.title"), "audit"
	page.layout = pc.layout
	return pc.show(status, "audit", page)
}

func (p *Pages) auditFiles() auditing.Files {
	return auditing.Files{Reader: p.Audit, Problems: p.Problems, Valid: p.Auth.WhileValid}
}

// auditFile sends a file, or shows the page with what is wrong with the form that asked for it.
func (pc *pageContext) auditFile(form string, err error) error {
	if err == nil {
		return nil
	}
	sentence, status, fault := pc.auditFault(err)
	if fault != nil {
		return fault
	}
	return pc.showAudit(status, form, sentence)
}

func (p *Pages) auditClose(pc *pageContext) error {
	q := pc.r.URL.Query()
	return pc.auditFile("close", p.auditFiles().Books(pc.w, pc.r, q.Get("month"), q.Get("zone"), pc.Code))
}

func (p *Pages) auditExport(pc *pageContext) error {
	q := pc.r.URL.Query()
	from, err := auditing.Moment(q.Get("from"))
	if err != nil {
		return pc.auditFile("export", err)
	}
	to, err := auditing.Moment(q.Get("to"))
	if err != nil {
		return pc.auditFile("export", err)
	}
	return pc.auditFile("export", p.auditFiles().Export(pc.w, pc.r, audit.Format(q.Get("format")), from, to))
}

type trialPage struct {
	layout
	Past  auditing.Balance
	AsOf  string // as it was typed
	Fault string
	Found bool
	Last  eventstore.Position // of the log
}

// trialBook is one book of the trial balance, which sums to zero.
type trialBook struct {
	Name  string
	Lines []trialLine
	Sum   domain.Credits
}

type trialLine struct {
	Account string
	Name    string // in the language of the page; "" for an account that this program does not know
	Amount  domain.Credits
}

// OwedMoney is what is owed in money, "" where no price of a credit was stated.
func (p trialPage) OwedMoney() string {
	m, ok := p.Past.Money()
	if !ok {
		return ""
	}
	return p.Language.Money(m)
}

// Books are that of bought credits and that of given ones.
func (p trialPage) Books() []trialBook {
	books := []trialBook{{Name: p.T("audit.bought")}, {Name: p.T("audit.given")}}
	add := func(given bool, account string, amount domain.Credits) {
		b := &books[0]
		if given {
			b = &books[1]
		}
		line := trialLine{Account: account, Amount: amount}
		if key := "audit.account." + account; p.T(key) != key {
			line.Name = p.T(key)
		}
		b.Lines = append(b.Lines, line)
		b.Sum += amount
	}
	for _, kind := range []string{"available", "held", "given", "given_held"} {
		add(strings.HasPrefix(kind, "given"), "users:"+kind, p.Past.Users[kind])
	}
	house := make([]domain.LedgerAccount, 0, len(p.Past.House))
	for account := range p.Past.House {
		house = append(house, account)
	}
	slices.Sort(house)
	for _, account := range house {
		add(account.Given(), string(account), p.Past.House[account])
	}
	return books
}

// auditTrial shows the trial balance as of a moment.
func (p *Pages) auditTrial(pc *pageContext) error {
	page, status := trialPage{AsOf: strings.TrimSpace(pc.r.URL.Query().Get("as_of"))}, http.StatusOK
	asOf, err := auditing.Moment(page.AsOf)
	if err == nil {
		page.Past, err = p.Audit.Balance(pc.r.Context(), asOf)
	}
	if err != nil {
		if page.Fault, status, err = pc.auditFault(err); err != nil {
			return err
		}
	}
	page.Found = page.Fault == ""
	state, err := p.Audit.State(pc.r.Context())
	if err != nil {
		return err
	}
	page.Last = state.Size
	pc.Title, pc.Section = pc.T("audit.trial"), "audit"
	page.layout = pc.layout
	return pc.show(status, "audit_trial", page)
}

type moneyOverTimePage struct {
	layout
	Chart chart.Chart
	Empty bool
}

// auditMoney shows how what people have has changed.
func (p *Pages) auditMoney(pc *pageContext) error {
	course, err := p.Audit.Course(pc.r.Context(), courseSteps)
	if err != nil {
		return err
	}
	c := chart.Chart{Title: pc.T("audit.money"), Table: pc.T("audit.money.table"), Of: pc.T("money.date"), Number: pc.Number,
		Series: []chart.Series{{Name: pc.T("audit.owed")}, {Name: pc.T("audit.gifts")}, {Name: pc.T("audit.earned")}}}
	form := "01-02 15:04"
	if n := len(course); n > 0 && course[n-1].Time.Sub(course[0].Time) > 7*24*time.Hour {
		form = time.DateOnly
	}
	for _, one := range course {
		c.Points = append(c.Points, one.Time.UTC().Format(form))
		bought, given := auditing.Owed(one.Trial)
		for n, amount := range []domain.Credits{bought, given, one.House[domain.HouseRevenue]} {
			c.Series[n].Values = append(c.Series[n].Values, int64(amount))
		}
	}
	pc.Title, pc.Section = pc.T("audit.money"), "audit"
	return pc.show(http.StatusOK, "audit_money", moneyOverTimePage{pc.layout, c, len(course) == 0})
}

// positionIn is the position in the page's path.
func positionIn(r *http.Request) (eventstore.Position, error) {
	plain, err := url.PathUnescape(mux.Vars(r)["position"])
	n, bad := strconv.ParseInt(plain, 10, 64)
	if err != nil || bad != nil || n < 1 || strconv.FormatInt(n, 10) != plain {
		return 0, errNoPage
	}
	return eventstore.Position(n), nil
}
