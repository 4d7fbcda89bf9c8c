package kassa_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// linesMost is the maximum length of a Go file.
const linesMost = 450

// longer are exceptions with their length; the list may only shrink.
var longer = map[string]int{}

// Words that none of our files may contain, and the remedy. (Written in two halves, so
// that this file contains none.)
var unwelcome = []struct {
	where *regexp.Regexp // of the file's name
	what  *regexp.Regexp
	why   string
}{
	{regexp.MustCompile(`\.go$`), regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`), "do it, or open an issue"},
	{regexp.MustCompile(`_test\.go$`), regexp.MustCompile(`\b[tb]\.Skip` + `(f|Now)?\(`), "a test that is left out tells nothing"},
	{regexp.MustCompile(`_test\.go$`), regexp.MustCompile(`\btime\.Sleep` + `\(`), "wait for a named moment"},
}

func TestFilesAreTidy(t *testing.T) {
	for name, text := range ours(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasPrefix(text, "// Code generated ") {
			continue
		}
		for _, fault := range untidy(name, text) {
			t.Error(fault)
		}
	}
	for name, most := range longer {
		if n := strings.Count(ours(t)[name], "\n"); n <= linesMost || n < most {
			t.Errorf("%s has %d lines now: shrink its number in the ratchet, %d", name, n, most)
		}
	}
}

func untidy(name, text string) (faults []string) {
	if n := strings.Count(text, "\n"); n > max(linesMost, longer[name]) {
		faults = append(faults, fmt.Sprintf("%s has %d lines, at most %d are held in mind", name, n, linesMost))
	}
	for i, line := range strings.Split(text, "\n") {
		for _, u := range unwelcome {
			if u.where.MatchString(name) && u.what.MatchString(line) {
				faults = append(faults, fmt.Sprintf("%s:%d: %s: %s", name, i+1, strings.TrimSpace(line), u.why))
			}
		}
	}
	if !importsInOrder(text) {
		faults = append(faults, name+": imports are in blocks: the standard library, other modules, ours")
	}
	return faults
}

var (
	importBlock = regexp.MustCompile(`(?s)\nimport \((.*?)\n\)`)
	importPath  = regexp.MustCompile(`(?m)^\s*(?:[\w.]+ )?"([^"]+)"`)
)

func importsInOrder(text string) bool {
	block := importBlock.FindStringSubmatch(text)
	if block == nil {
		return true
	}
	last := -1
	for _, lines := range strings.Split(block[1], "\n\n") {
		kinds := map[int]bool{}
		for _, path := range importPath.FindAllStringSubmatch(lines, -1) {
			first, _, _ := strings.Cut(path[1], "/")
			switch {
			case first == "kassa":
				kinds[2] = true
			case strings.Contains(first, "."):
				kinds[1] = true
			default:
				kinds[0] = true
			}
		}
		for kind := range kinds {
			if len(kinds) > 1 || kind < last {
				return false
			}
			last = kind
		}
	}
	return true
}

func TestUntidy(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		faults     int
	}{
		{"a.go", "package a\n", 0},
		{"a.go", strings.Repeat("\n", linesMost), 0},
		{"a.go", strings.Repeat("\n", linesMost+1), 1},
		{"a.go", "// TO" + "DO: later\n", 1},
		{"a.go", "// FIX" + "ME\n// X" + "XX\n", 2},
		{"a_test.go", "\tt.Skip" + "(\"later\")\n\tb.SkipNow" + "()\n", 2},
		{"a_test.go", "\ttime.Sleep" + "(time.Second)\n", 1},
		{"a.go", "package a\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/x\"\n\n\t\"kassa/domain\"\n)\n", 0},
		{"a.go", "package a\n\nimport (\n\t\"fmt\"\n\n\t\"kassa/domain\"\n\n\t\"example.org/x\"\n)\n", 1},
		{"a.go", "package a\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/x\"\n\t\"kassa/domain\"\n)\n", 1},
		{"a.go", "\ttime.Sleep" + "(time.Second)\n\tr.Skip" + "(7)\n", 0},
	} {
		if got := untidy(tt.name, tt.text); len(got) != tt.faults {
			t.Errorf("%s, %.40q: %q, want %d faults", tt.name, tt.text, got, tt.faults)
		}
	}
}

var (
	goRun    = regexp.MustCompile(`go run (\./[\w/.-]+)`)
	goTask   = regexp.MustCompile(`go tool task ([a-z][\w:-]*)`)
	mdLink   = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")
)

// The tests, tasks and paths named in documents exist.
func TestDocumentsNameExistingTests(t *testing.T) {
	files := ours(t)
	for name, text := range files {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, m := range goRun.FindAllStringSubmatch(text, -1) {
			if main, err := filepath.Glob(filepath.Join(m[1], "*.go")); err != nil || len(main) == 0 {
				t.Errorf("%s: %s: there is no such program", name, m[0])
			}
		}
		for _, m := range goTask.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(files["Taskfile.yml"], "\n  "+m[1]+":") {
				t.Errorf("%s: %s: there is no such task", name, m[0])
			}
		}
		for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !declared(files, m[1]) {
				t.Errorf("%s names %s: there is no such test", name, m[1])
			}
		}
	}
}

func declared(files map[string]string, test string) bool {
	for name, text := range files {
		if strings.HasSuffix(name, "_test.go") && strings.Contains(text, "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}

// ours reads the texts of this repository, by path, without folders made by tools (see
// .gitignore), hidden ones and test data.
func ours(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || slices.Contains([]string{"bin", "data", "out", "testdata"}, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".md", ".yml"}, filepath.Ext(name)) {
			return nil
		}
		text, err := os.ReadFile(path)
		files[filepath.ToSlash(path)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
