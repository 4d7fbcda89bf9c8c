package chart_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"kassa/httpapi/chart"
)

func drawn(points int, series ...chart.Series) chart.Chart {
	c := chart.Chart{Title: "Ann & <Bob>", Of: "Day", Series: series, Number: func(n int64) string { return fmt.Sprint("n", n) }}
	for i := range points {
		c.Points = append(c.Points, fmt.Sprint("day ", i+1))
	}
	return c
}

// shapes are the paths of a drawing by class. The drawing must be well-formed XML without
// anything that a content policy forbids.
func shapes(t *testing.T, p chart.Panel) map[string]string {
	t.Helper()
	found := map[string]string{}
	d := xml.NewDecoder(strings.NewReader(string(p.SVG)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("%s: %v", p.SVG, err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		var class, path string
		for _, a := range element.Attr {
			switch a.Name.Local {
			case "class":
				class = a.Value
			case "d":
				path = a.Value
			case "style":
				t.Errorf("a style in %s", p.SVG)
			}
		}
		if element.Name.Local == "path" {
			found[class] = path
		}
	}
}

func TestLevelsAreSteps(t *testing.T) {
	p := drawn(4, chart.Series{Name: "Balance", Values: []int64{10, 10, 40, 0}}).Panels()[0]
	got := shapes(t, p)
	if want := "M0 75.0V75.0H250.0V75.0H500.0V0.0H750.0V100.0H1000.0"; got["chart-line"] != want || got["chart-area"] != want+"V100.0H0z" {
		t.Errorf("the line is %q, the area %q, want %q", got["chart-line"], got["chart-area"], want)
	}
	if p.Most != "n40" || p.Least != "" || p.First != "day 1" || p.Middle != "day 3" || p.Last != "day 4" {
		t.Errorf("the scale is %+v", p)
	}
	if !strings.Contains(string(p.SVG), `aria-label="Ann &amp; &lt;Bob&gt;: Balance"`) {
		t.Errorf("the picture is not named, or the name is not escaped: %s", p.SVG)
	}
}

// Amounts below zero hang from it, and one that is small beside the others is still seen.
func TestBarsBeginAtZero(t *testing.T) {
	p := drawn(4, chart.Series{Name: "Spent", Bars: true, Values: []int64{1000, 0, -1000, 1}}).Panels()[0]
	if got, want := shapes(t, p)["chart-bars"], "M25.0 50.0V0.0h200.0V50.0zM525.0 50.0V100.0h200.0V50.0zM775.0 50.0V49.0h200.0V50.0z"; got != want {
		t.Errorf("the bars are %q, want %q", got, want)
	}
	if p.Least != "n-1000" || p.Most != "n1000" {
		t.Errorf("the scale is %+v", p)
	}
}

// The table has every figure of the picture, and one line of names is below all panels.
func TestTheTableHasWhatIsDrawn(t *testing.T) {
	c := drawn(2, chart.Series{Name: "Balance", Values: []int64{5, 7}}, chart.Series{Name: "Spent", Bars: true, Values: []int64{0, 3}})
	rows := c.Rows()
	if len(rows) != 2 || rows[0].Point != "day 1" || !slices.Equal(rows[0].Amounts, []string{"n5", "n0"}) || !slices.Equal(rows[1].Amounts, []string{"n7", "n3"}) {
		t.Errorf("the table is %+v", rows)
	}
	if panels := c.Panels(); panels[0].First != "" || panels[1].First != "day 1" || panels[1].Middle != "" || panels[1].Last != "day 2" {
		t.Errorf("the names below are %+v", panels)
	}
}

// Where nothing was, the line is at the bottom.
func TestNothing(t *testing.T) {
	p := drawn(2, chart.Series{Name: "Spent", Bars: true, Values: []int64{0, 0}}).Panels()[0]
	if got := shapes(t, p); got["chart-zero"] != "M0 100.0H1000" || got["chart-bars"] != "" || p.Most != "n0" {
		t.Errorf("the line is %q, the bars %q, the scale %q", got["chart-zero"], got["chart-bars"], p.Most)
	}
}

// Nothing that a ledger can hold makes a drawing that is none.
func TestExtremes(t *testing.T) {
	for _, values := range [][]int64{nil, {0}, {0, 0, 0}, {math.MaxInt64, math.MinInt64}, {math.MaxInt64, math.MaxInt64}, {-5}} {
		for _, bars := range []bool{true, false} {
			p := drawn(len(values), chart.Series{Name: "x", Bars: bars, Values: values}).Panels()[0]
			shapes(t, p)
			if s := string(p.SVG); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") || strings.Contains(s, "e+") {
				t.Errorf("%v is drawn as %s", values, s)
			}
		}
	}
}
