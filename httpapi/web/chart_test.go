package web

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kassa/httpapi/chart"
)

// A chart on a page is a picture and a table with the same figures.
func TestChartIsATableToo(t *testing.T) {
	c := chart.Chart{Title: "Money & time", Table: "As a table", Of: "Day", Points: []string{"1 May", "2 May", "3 May"},
		Series: []chart.Series{{Name: "Balance", Values: []int64{5, -7, 7}}, {Name: "Spent", Bars: true, Values: []int64{0, 3, 2}}},
		Number: func(n int64) string { return fmt.Sprint("n", n) }}
	var page bytes.Buffer
	if err := templates["wallet"].ExecuteTemplate(&page, "chart", c); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"<figcaption>Money &amp; time</figcaption>", "<span>n-7 … n7</span>", "<span>1 May</span><span>2 May</span><span>3 May</span>", `<svg class="chart-picture"`,
		"<summary>As a table</summary>", `<th scope="row">2 May</th><td class="sum">n-7</td><td class="sum">n3</td>`} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("the chart lacks %s: %s", part, page.String())
		}
	}
}
