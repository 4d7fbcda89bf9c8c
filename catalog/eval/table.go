package eval

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"kassa/catalog"
)

// Write writes the report as tables.
func (r Report) Write(out io.Writer) error {
	fmt.Fprintf(out, "%d questions, %d of them mean a film; %d films, model %s. In brackets: 95 %% intervals (bootstrap).\n",
		r.Questions, r.WithFilm, r.Films, cmp.Or(r.Model, "none"))
	for _, l := range r.LeftOut {
		fmt.Fprintf(out, "%s was not measured: %s\n", l.System, l.Why)
	}
	for _, write := range []func(io.Writer){r.writeSystems, r.writeGroups, r.writeBeside, r.writeCharges, r.writeCertainties, r.writeCalibration} {
		fmt.Fprintln(out)
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		write(table)
		if err := table.Flush(); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

const measures = "MRR\trecall@1\trecall@5\trecall@10\tnDCG@10\t"

func (r Report) writeSystems(table io.Writer) {
	fmt.Fprintln(table, "system\t"+measures)
	for _, s := range r.Systems {
		if len(s.Groups) > 0 {
			fmt.Fprintf(table, "%s\t", s.System)
			s.Groups[0].write(table)
		}
	}
}

func (r Report) writeGroups(table io.Writer) {
	s := r.Systems[0]
	fmt.Fprintf(table, "%s\tquestions\t%s\n", s.System, measures)
	for _, g := range s.Groups {
		fmt.Fprintf(table, "%s\t%d\t", g.title(), g.MRR.Of)
		g.write(table)
	}
}

func (g Ranking) write(table io.Writer) {
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t\n", g.MRR, g.Recall1, g.Recall5, g.Recall10, g.NDCG10)
}

// writeBeside writes the systems side by side.
func (r Report) writeBeside(table io.Writer) {
	fmt.Fprint(table, "MRR\t")
	for _, s := range r.Systems {
		fmt.Fprintf(table, "%s\t", s.System)
	}
	fmt.Fprintln(table)
	for i, g := range r.Systems[0].Groups {
		fmt.Fprintf(table, "%s\t", g.title())
		for _, s := range r.Systems {
			fmt.Fprintf(table, "%.3f\t", s.Groups[i].MRR.Value)
		}
		fmt.Fprintln(table)
	}
}

func (r Report) writeCharges(table io.Writer) {
	fmt.Fprintf(table, "charged from confidence %g\tquestions\tcharged\tfree\tright of charged\t\n", r.NotFoundBelow)
	for _, g := range r.Charges {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t\n", g.title(), g.Charged.Of, g.Charged, g.Free, g.Right)
	}
}

// writeCertainties writes a line for each group, with the words side by side.
func (r Report) writeCertainties(table io.Writer) {
	fmt.Fprint(table, "of the charged\tquestions\t")
	for _, word := range catalog.Certainties {
		fmt.Fprintf(table, "%s\tright\t", word)
	}
	for i, c := range r.Certainties {
		if i%len(catalog.Certainties) == 0 {
			fmt.Fprintf(table, "\n%s\t%d\t", c.title(), c.Share.Of)
		}
		fmt.Fprintf(table, "%d\t%s\t", int(math.Round(c.Share.Value*float64(c.Share.Of))), c.Right)
	}
	fmt.Fprintln(table)
}

func (r Report) writeCalibration(table io.Writer) {
	fmt.Fprintln(table, "confidence\tquestions\tmean\tfirst film right\t")
	for _, b := range r.Calibration.Bins {
		fmt.Fprintf(table, "%.1f to %.1f\t%d\t", b.From, b.To, b.Questions)
		if b.Questions == 0 {
			fmt.Fprintln(table, "–\t–\t")
			continue
		}
		fmt.Fprintf(table, "%.3f\t%.3f\t\n", b.Confidence, b.Right)
	}
	fmt.Fprintf(table, "expected calibration error\t\t\t%.3f\t\n", r.Calibration.Error)
}

func (g Group) title() string {
	switch g.By {
	case byLanguage, byKind:
		return g.Name
	case byKindNotMeant:
		return "no film: " + g.Name
	}
	return g.By
}

// String is the figure with its interval.
func (f Figure) String() string {
	if f.Of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", f.Value, f.Low, f.High)
}
