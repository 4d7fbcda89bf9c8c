// Package chart draws amounts over time as SVG, on the server: a line for what there is, bars
// for what came and went. A chart has the same figures as a table, for people who do not see
// the picture; the template "chart" of the pages shows both. Its colours are classes, which the
// style sheet knows in light, dark and forced colours. No letters are in the SVG, because it is
// stretched to the width of the page.
package chart

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// Chart is several series over the same moments or periods.
type Chart struct {
	Title  string   // what is shown
	Table  string   // what opens the table
	Of     string   // what a point is, such as "Day": the heading of the table's first column
	Points []string // names of the points, the oldest first
	Series []Series
	Number func(int64) string // writes an amount in the language of the page
}

// Series is one amount at each point of a chart.
type Series struct {
	Name   string
	Bars   bool // amounts of periods; else a level at the end of each
	Values []int64
}

// Panel is one series, drawn.
type Panel struct {
	Name          string
	SVG           template.HTML
	Least, Most   string // that its height shows; Least is "" where that is zero
	First, Middle string // names of points below it
	Last          string
}

// Size of a drawing in its own units. The page stretches it.
const (
	width  = 1000
	height = 100
)

// Panels are the series in order, all with the same points from left to right.
func (c Chart) Panels() []Panel {
	panels := make([]Panel, 0, len(c.Series))
	for i, s := range c.Series {
		least, most := bounds(s.Values)
		p := Panel{Name: s.Name, Most: c.Number(most), SVG: c.draw(s, least, most)}
		if least < 0 {
			p.Least = c.Number(least)
		}
		if n := len(c.Points); n > 0 && i == len(c.Series)-1 { // one line of names for all panels
			p.First, p.Last = c.Points[0], c.Points[n-1]
			if n > 2 {
				p.Middle = c.Points[n/2]
			}
		}
		panels = append(panels, p)
	}
	return panels
}

// Row is a line of the table: a point, and the amounts of all series there.
type Row struct {
	Point   string
	Amounts []string
}

// Rows is the chart as a table, the oldest point first.
func (c Chart) Rows() []Row {
	rows := make([]Row, len(c.Points))
	for i, point := range c.Points {
		rows[i].Point = point
		for _, s := range c.Series {
			rows[i].Amounts = append(rows[i].Amounts, c.Number(s.Values[i]))
		}
	}
	return rows
}

// bounds are what the height of a drawing shows: zero is always among it.
func bounds(values []int64) (least, most int64) {
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	return least, most
}

// draw draws one series.
func (c Chart) draw(s Series, least, most int64) template.HTML {
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="chart-picture" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`,
		width, height, html.EscapeString(c.Title+": "+s.Name))
	if most == 0 && least == 0 {
		most = 1 // nothing is drawn at the bottom
	}
	span := float64(most) - float64(least)
	y := func(v int64) float64 { return height * (float64(most) - float64(v)) / span }
	step := float64(width) / float64(max(1, len(s.Values)))
	if s.Bars {
		s.bars(&out, step, y)
	} else {
		s.line(&out, step, y)
	}
	fmt.Fprintf(&out, `<path class="chart-zero" d="M0 %.1fH%d"/></svg>`, y(0), width)
	return template.HTML(out.String()) // numbers, and text that is escaped
}

// bars draws each amount from zero, up or down. One that is not zero is seen, however small.
func (s Series) bars(out *strings.Builder, step float64, y func(int64) float64) {
	out.WriteString(`<path class="chart-bars" d="`)
	for i, v := range s.Values {
		if v == 0 {
			continue
		}
		from, to := y(0), y(v)
		if d := to - from; d > -1 && d < 1 {
			to = from + 1
			if v > 0 {
				to = from - 1
			}
		}
		fmt.Fprintf(out, "M%.1f %.1fV%.1fh%.1fV%.1fz", step*(float64(i)+.1), from, to, step*.8, from)
	}
	out.WriteString(`"/>`)
}

// line draws levels as steps, with the area between them and zero.
func (s Series) line(out *strings.Builder, step float64, y func(int64) float64) {
	if len(s.Values) == 0 {
		return
	}
	var path strings.Builder
	fmt.Fprintf(&path, "M0 %.1f", y(s.Values[0]))
	for i, v := range s.Values {
		fmt.Fprintf(&path, "V%.1fH%.1f", y(v), step*float64(i+1))
	}
	fmt.Fprintf(out, `<path class="chart-area" d="%sV%.1fH0z"/><path class="chart-line" d="%s"/>`, path.String(), y(0), path.String())
}
