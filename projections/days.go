package projections

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"kassa/domain"
	"kassa/eventstore"
)

// Date is a day in UTC, counted from 1970-01-01. Days are those of UTC for every installation:
// a setting could change, and what was counted until then would be of other days.
type Date int32

// DateOf is the day of a time.
func DateOf(t time.Time) Date { return Date(t.UTC().Truncate(day).Unix() / int64(day/time.Second)) }

const day = 24 * time.Hour

// Time is the beginning of the day.
func (d Date) Time() time.Time { return time.Unix(int64(d)*int64(day/time.Second), 0).UTC() }

func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// Measure is what is counted by day. What is said of a question is counted on the day on which
// it was said.
type Measure string

// The measures. Those of questions leave follow-ups out.
const (
	QuestionsAsked  Measure = "questions"
	Answered        Measure = "answered"          // questions that got films
	FoundAtOnce     Measure = "found"             // a film of the first answer was confirmed
	FoundRefined    Measure = "found_refined"     // a film of a follow-up was
	NotFound        Measure = "not_found"         // no film fitted well enough
	Refunded        Measure = "refunded"          // none of these
	Failed          Measure = "failed"            // for any other reason than that no film fitted
	Expired         Measure = "expired"           //
	FollowUpsAsked  Measure = "follow_ups"        //
	FollowUpsFailed Measure = "follow_ups_failed" // or expired
	SignUps         Measure = "sign_ups"          //
	Deposits        Measure = "deposits"          //
	CreditsIn       Measure = "deposited"         // credits
	Withdrawals     Measure = "withdrawals"       //
	CreditsOut      Measure = "withdrawn"         // credits
	BoughtChange    Measure = "bought_change"     // of the bought credits that persons have, held ones among them
	GivenChange     Measure = "given_change"      // of the given ones
)

// Measures lists them all.
var Measures = []Measure{QuestionsAsked, Answered, FoundAtOnce, FoundRefined, NotFound, Refunded, Failed, Expired, FollowUpsAsked, FollowUpsFailed,
	SignUps, Deposits, CreditsIn, Withdrawals, CreditsOut, BoughtChange, GivenChange}

// What the table has beside sums of measures.
const (
	answerTime   Measure = "answer_time" // answers by how long they took; the item is one of timeBounds, in microseconds
	openQuestion Measure = "open"        // a question that waits; the item is its id, and the amount the time of its request
	followUpOf   Measure = "follow_up"   // the same of a follow-up, which stays: a film of it may be confirmed
)

// timeBounds are the upper bounds by which answers are counted, in microseconds: each is an
// eighth of an octave, 9 %, above the one before, from 1 ms to more than an hour.
var timeBounds = func() (bounds []int64) {
	for octave := int64(1000); octave < 1<<32; octave *= 2 {
		for step := range int64(8) {
			bounds = append(bounds, octave+octave*step/8)
		}
	}
	return bounds
}()

// timeBound is the bound by which an answer is counted.
func timeBound(took time.Duration) int64 {
	i, exact := slices.BinarySearch(timeBounds, took.Microseconds())
	if exact {
		i++
	}
	return timeBounds[min(i, len(timeBounds)-1)]
}

// Figures are sums of measures, of a day or of several.
type Figures struct {
	Sums  map[Measure]int64
	times map[int64]int64 // answers by the bound of their time
}

// Of is the sum of a measure.
func (f Figures) Of(m Measure) int64 { return f.Sums[m] }

// Add adds those of another time.
func (f *Figures) Add(other Figures) {
	for m, n := range other.Sums {
		f.put(figure{Measure: m}, n)
	}
	for bound, n := range other.times {
		f.time(bound, n)
	}
}

// time adds answers by the bound of their time.
func (f *Figures) time(bound, n int64) {
	if f.times == nil {
		f.times = map[int64]int64{}
	}
	f.times[bound] += n
}

// put adds a row of the table.
func (f *Figures) put(row figure, amount int64) {
	if row.Measure == answerTime {
		if bound, err := strconv.ParseInt(row.Item, 10, 64); err == nil { // the fold wrote it
			f.time(bound, amount)
		}
		return
	}
	if f.Sums == nil {
		f.Sums = map[Measure]int64{}
	}
	f.Sums[row.Measure] += amount
}

// Quantile is the time within which this share of the answers came, rounded up by at most 13 %;
// ok is false where there was none.
func (f Figures) Quantile(share float64) (took time.Duration, ok bool) {
	var all, until int64
	for _, n := range f.times {
		all += n
	}
	for _, bound := range slices.Sorted(maps.Keys(f.times)) {
		if until += f.times[bound]; float64(until) >= share*float64(all) {
			return time.Duration(bound) * time.Microsecond, true
		}
	}
	return 0, false
}

// Judged is how many questions have ended with films, or because there are none: those of
// which a share was found.
func (f Figures) Judged() int64 { return f.Of(Answered) + f.Of(NotFound) }

// Day is what was counted on one day.
type Day struct {
	Date Date
	Figures
}

// Course is days in a row, and what all persons together had before the first.
type Course struct {
	Bought, Given domain.Credits
	Days          []Day // the oldest first, none left out
}

// newCourse gives days without figures.
func newCourse(from Date, days int) Course {
	c := Course{Days: make([]Day, days)}
	for i := range c.Days {
		c.Days[i].Date = from + Date(i)
	}
	return c
}

// put adds a row of the table; of days before the first only what changes is asked for.
func (c *Course) put(row figure, amount int64) {
	switch i := int(row.Date - c.Days[0].Date); {
	case i >= len(c.Days):
	case i >= 0:
		c.Days[i].put(row, amount)
	case row.Measure == BoughtChange:
		c.Bought += domain.Credits(amount)
	case row.Measure == GivenChange:
		c.Given += domain.Credits(amount)
	}
}

// figure names a row of the table.
type figure struct {
	Date    Date
	Measure Measure
	Item    string
}

// asked is what an end, or a confirmation, has to know of its question.
type asked struct {
	at       time.Time
	followUp bool
}

// figures are sums by their rows.
type figures map[figure]int64

func (f figures) add(at time.Time, m Measure, amount int64) {
	f[figure{Date: DateOf(at), Measure: m}] += amount
}

// count adds what an entry changes, but for ends and confirmations, which need their question.
func (f figures) count(rec eventstore.Recorded) {
	at := rec.Time
	switch e := rec.Event.(type) {
	case domain.SignedUp:
		f.add(at, SignUps, 1)
	case domain.PredictionRequested:
		if e.FollowUp != nil {
			f.add(at, FollowUpsAsked, 1)
		} else {
			f.add(at, QuestionsAsked, 1)
		}
	case domain.PredictionRefunded:
		f.add(at, Refunded, 1)
	case domain.Deposited:
		f.add(at, Deposits, 1)
		f.add(at, CreditsIn, int64(e.Amount))
	case domain.Withdrawn:
		f.add(at, Withdrawals, 1)
		f.add(at, CreditsOut, int64(e.Amount))
	}
	wallet, _, _ := movementOf(rec.Event)
	given := wallet.Given + wallet.GivenHeld
	if given != 0 {
		f.add(at, GivenChange, int64(given))
	}
	if bought := wallet.Available + wallet.Held - given; bought != 0 {
		f.add(at, BoughtChange, int64(bought))
	}
}

// said is what is counted where a question ends or a film is confirmed.
type said struct {
	id            domain.PredictionID
	at            time.Time
	own, followUp Measure // by what the question is; "": nothing is counted
	ends          bool
}

// saidBy gives what an entry says of a question; ok is false for all others.
func saidBy(rec eventstore.Recorded) (s said, ok bool) {
	s.at = rec.Time
	switch e := rec.Event.(type) {
	case domain.PredictionCompleted:
		s.own = Answered
	case domain.PredictionFailed:
		s.own, s.followUp = Failed, FollowUpsFailed
		if e.Reason == domain.FailedNotFound {
			s.own, s.followUp = NotFound, ""
		}
	case domain.PredictionExpired:
		s.own, s.followUp = Expired, FollowUpsFailed
	case domain.PredictionConfirmed:
		s.id, s.own, s.followUp = e.Prediction, FoundAtOnce, FoundRefined
		return s, true
	default:
		return said{}, false
	}
	s.id, s.ends = endingOf(rec.Event)
	return s, s.ends
}

// say counts it.
func (f figures) say(s said, q asked) {
	m := s.own
	if q.followUp {
		m = s.followUp
	}
	if m != "" {
		f.add(s.at, m, 1)
	}
	if s.own == Answered {
		f[figure{DateOf(s.at), answerTime, strconv.FormatInt(timeBound(s.at.Sub(q.at)), 10)}]++
	}
}

// dayFold is what a batch means for the view of days.
type dayFold struct {
	sums      figures
	asked     map[domain.PredictionID]asked // questions that the batch began and did not end, and all follow-ups that it began
	ended     []said                        // of questions from before the batch
	confirmed []said                        // of those that the batch did not begin
}

func foldDays(batch []eventstore.Recorded) dayFold {
	d := dayFold{sums: figures{}, asked: map[domain.PredictionID]asked{}}
	begun := map[domain.PredictionID]asked{}
	for _, rec := range batch {
		d.sums.count(rec)
		if e, ok := rec.Event.(domain.PredictionRequested); ok {
			q := asked{rec.Time, e.FollowUp != nil}
			begun[e.Prediction], d.asked[e.Prediction] = q, q
			continue
		}
		s, ok := saidBy(rec)
		if !ok {
			continue
		}
		q, here := begun[s.id]
		switch {
		case here:
			d.sums.say(s, q)
			d.end(s, q)
		case s.ends:
			d.ended = append(d.ended, s)
		default:
			d.confirmed = append(d.confirmed, s)
		}
	}
	return d
}

// end forgets a question that has ended; a follow-up stays.
func (d dayFold) end(s said, q asked) {
	if s.ends && !q.followUp {
		delete(d.asked, s.id)
	}
}

// row is where a question is remembered.
func (q asked) row(id domain.PredictionID) (figure, int64) {
	m := openQuestion
	if q.followUp {
		m = followUpOf
	}
	return figure{DateOf(q.at), m, string(id)}, q.at.UnixMicro()
}

// dayRows are the rows that a log gives.
type dayRows struct {
	sums  named[figure, int64]
	asked named[domain.PredictionID, asked]
	saved bool // the table has sums alone
}

func newDayRows(saved bool) dayRows {
	return dayRows{newNamed[figure, int64](), newNamed[domain.PredictionID, asked](), saved}
}

func (r dayRows) apply(batch []eventstore.Recorded, _ func(Row)) error {
	d := foldDays(batch)
	for id, q := range d.asked {
		r.asked.set(id, q)
	}
	for _, s := range slices.Concat(d.ended, d.confirmed) {
		q, there := r.asked.now[s.id]
		if s.ends && !there {
			return fmt.Errorf("%w: %s", domain.ErrBroken, notOpen)
		}
		d.sums.say(s, q)
		if s.ends && !q.followUp {
			r.asked.delete(s.id)
		}
	}
	for row, n := range d.sums {
		r.sums.set(row, r.sums.now[row]+n)
	}
	return nil
}

func (r dayRows) rest(each func(Row)) {
	r.sums.rest(dayFields, each)
	if !r.saved {
		r.asked.rest(askedFields, each)
	}
}

func (r dayRows) noted() expectation {
	r.sums, r.asked = r.sums.noted(), r.asked.noted()
	return r
}

func (r dayRows) changed(each func(was bool, row Row)) {
	r.sums.changed(dayFields, each)
	r.asked.changed(askedFields, each)
}

func askedFields(id domain.PredictionID, q asked) []field { return dayFields(q.row(id)) }

func dayFields(row figure, amount int64) []field {
	return []field{{"day", row.Date.Time(), key}, {"measure", row.Measure, key}, {"item", row.Item, key}, {"amount", amount, rest}}
}
