// Command measure prints the structure of a Go module: lengths of functions, exported
// names, interfaces, imports, and how many words of its comments are jargon of its own.
// It reads source only, so trees of two commits can be compared:
//
//	go run ./tools/measure [DIR]
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	m, err := measure(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	fmt.Print(m)
}

// String is the table that main prints.
func (m *module) String() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(columns ...any) {
		for i, c := range columns {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
	}
	row("module", m.path)
	row("files", m.files, fmt.Sprintf("and %d of tests", m.testFiles))
	row("lines", m.lines, fmt.Sprintf("and %d of tests, %d of those set-up", m.testLines, m.setupLines))
	row("functions", len(m.functions), fmt.Sprintf("length p50 %d, p90 %d, max %d (%s)", m.length(50), m.length(90), m.longest().lines, m.longest().name))
	row("interfaces", len(m.interfaces), fmt.Sprintf("methods p50 %d, p90 %d, max %d (%s)", m.methods(50), m.methods(90), m.largest().methods, m.largest().name))
	row("import edges", m.edges(), "between packages of the module, tests apart")
	row("go.mod", m.modLines, fmt.Sprintf("lines, %d of them indirect requirements", m.modIndirect))
	row("comments", m.comments.words, fmt.Sprintf("words, %.1f of 1,000 in words of its own; in tests %.1f of %d", m.comments.perThousand(), m.testComments.perThousand(), m.testComments.words))
	row()
	row("package", "files", "functions", "p90", "exported", "imports", "own words of 1,000")
	for _, p := range m.sorted() {
		row(p.path, p.files, len(p.functions), percentile(lengths(p.functions), 90), p.exported, len(p.imports), fmt.Sprintf("%.1f", p.comments.perThousand()))
	}
	row()
	row("word", "in comments", "in those of tests")
	for _, word := range m.words() {
		row(word, m.comments.own[word], m.testComments.own[word])
	}
	w.Flush()
	return text.String()
}

func (m *module) sorted() []*pkg {
	list := make([]*pkg, 0, len(m.packages))
	for _, p := range m.packages {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *pkg) int { return strings.Compare(a.path, b.path) })
	return list
}

// words are those of the vocabulary that occur, the most frequent first.
func (m *module) words() []string {
	var list []string
	for _, word := range vocabulary {
		if m.comments.own[word]+m.testComments.own[word] > 0 {
			list = append(list, word)
		}
	}
	slices.SortStableFunc(list, func(a, b string) int {
		return m.comments.own[b] + m.testComments.own[b] - m.comments.own[a] - m.testComments.own[a]
	})
	return list
}

func (m *module) edges() (n int) {
	for _, p := range m.packages {
		n += len(p.imports)
	}
	return n
}

func (m *module) length(percent int) int { return percentile(lengths(m.functions), percent) }

func (m *module) longest() function {
	return slices.MaxFunc(append(m.functions, function{}), func(a, b function) int { return a.lines - b.lines })
}

func (m *module) largest() iface {
	return slices.MaxFunc(append(m.interfaces, iface{}), func(a, b iface) int { return a.methods - b.methods })
}

func (m *module) methods(percent int) int {
	sizes := make([]int, len(m.interfaces))
	for i, t := range m.interfaces {
		sizes[i] = t.methods
	}
	return percentile(sizes, percent)
}

func lengths(list []function) []int {
	lines := make([]int, len(list))
	for i, f := range list {
		lines[i] = f.lines
	}
	return lines
}

// percentile is the least value that is not less than that percentage of the values.
func percentile(values []int, percent int) int {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[max(0, (len(values)*percent+99)/100-1)]
}

func rel(dir, path string) string {
	r, err := filepath.Rel(dir, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(r)
}
