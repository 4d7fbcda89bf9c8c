package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// vocabulary are words that an engineer of another project would have to learn: names
// of things, or words in comments for which there is a plain one. Those that are also
// plain English count too, so the result is never zero, but it can be compared.
var vocabulary = []string{
	"anew", "say", "says", "whoever", "whomever", "stand", "stands", "stood", "tell", "tells", "told", "said", "speak", "speaks", "spoken",
	"hear", "hears", "heard", "deaf", "bring", "brings", "brought", "ring", "rings", "rung", "bell", "bells",
	"errand", "errands", "bury", "buried", "forget", "forgets", "lane", "lanes", "hands", "insistent", "patient",
	"gather", "gathers", "gathered", "feed", "feeds", "turns", "visit", "visits", "firm", "doorkeeper", "door",
	"sighting", "sightings", "clerk", "till", "shelf", "frail", "scene", "town", "living", "wording", "evidence", "tend", "tends",
	"room", "rooms", "arrow", "arrows", "somebody", "nobody", "everybody", "anybody",
}

type function struct {
	name  string
	lines int
}

type iface struct {
	name    string
	methods int
}

// text counts words.
type text struct {
	words int
	own   map[string]int // of the vocabulary
}

func (t *text) perThousand() float64 {
	n := 0
	for _, count := range t.own {
		n += count
	}
	return 1000 * float64(n) / float64(max(1, t.words))
}

var word = regexp.MustCompile(`[\p{L}'-]+`)

func (t *text) add(comment string) {
	if t.own == nil {
		t.own = map[string]int{}
	}
	for _, w := range word.FindAllString(strings.ToLower(comment), -1) {
		t.words++
		if slices.Contains(vocabulary, w) {
			t.own[w]++
		}
	}
}

// pkg is one folder with Go files.
type pkg struct {
	path      string // from the module's root
	files     int
	functions []function
	exported  int // names at the top of a file, and methods of exported types
	imports   map[string]bool
	comments  text
}

// module is what is counted in a module.
type module struct {
	path                         string
	packages                     map[string]*pkg
	files, testFiles             int
	lines, testLines, setupLines int
	functions                    []function // without tests
	interfaces                   []iface
	comments, testComments       text
	modLines, modIndirect        int
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// measure reads all Go files of a module, without generated ones and those in folders
// that the go command ignores.
func measure(dir string) (*module, error) {
	m := &module{packages: map[string]*pkg{}}
	if err := m.readMod(filepath.Join(dir, "go.mod")); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != dir && (strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_") || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		return m.readFile(dir, name)
	})
	return m, err
}

func (m *module) readMod(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		m.modLines++
		if strings.HasSuffix(strings.TrimSpace(line), "// indirect") {
			m.modIndirect++
		}
		if path, ok := strings.CutPrefix(line, "module "); ok {
			m.path = strings.TrimSpace(path)
		}
	}
	return nil
}

func (m *module) readFile(dir, name string) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if generated.Match(source) {
		return nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	lines := strings.Count(string(source), "\n")
	folder := path.Dir(rel(dir, name))
	if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(folder, "test") {
		m.readTest(files, file, lines)
		return nil
	}
	p := m.packages[folder]
	if p == nil {
		p = &pkg{path: folder, imports: map[string]bool{}}
		m.packages[folder] = p
	}
	m.files++
	p.files++
	m.lines += lines
	for _, group := range file.Comments {
		m.comments.add(group.Text())
		p.comments.add(group.Text())
	}
	for _, i := range file.Imports {
		if to, err := strconv.Unquote(i.Path.Value); err == nil && strings.HasPrefix(to, m.path+"/") {
			p.imports[to] = true
		}
	}
	for _, decl := range file.Decls {
		m.readDecl(files, p, decl)
	}
	return nil
}

// readTest counts as set-up everything outside tests, benchmarks, fuzz targets and
// examples, and all of a package whose name ends with test.
func (m *module) readTest(files *token.FileSet, file *ast.File, lines int) {
	m.testFiles++
	m.testLines += lines
	for _, group := range file.Comments {
		m.testComments.add(group.Text())
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); !ok || !isTest(f) {
			m.setupLines += length(files, decl)
		}
	}
}

func isTest(f *ast.FuncDecl) bool {
	return f.Recv == nil && slices.ContainsFunc([]string{"Test", "Benchmark", "Fuzz", "Example"}, func(kind string) bool {
		return strings.HasPrefix(f.Name.Name, kind)
	})
}

func length(files *token.FileSet, n ast.Node) int {
	return files.Position(n.End()).Line - files.Position(n.Pos()).Line + 1
}

func (m *module) readDecl(files *token.FileSet, p *pkg, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		f := function{p.path + "." + d.Name.Name, length(files, d)}
		p.functions = append(p.functions, f)
		m.functions = append(m.functions, f)
		if d.Name.IsExported() && (d.Recv == nil || receiverIsExported(d)) {
			p.exported++
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			m.readSpec(p, spec)
		}
	}
}

func receiverIsExported(f *ast.FuncDecl) bool {
	exported := false
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		exported = exported || ok && name.IsExported()
		return !ok
	})
	return exported
}

func (m *module) readSpec(p *pkg, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				p.exported++
			}
		}
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			p.exported++
		}
		if t, ok := s.Type.(*ast.InterfaceType); ok {
			m.interfaces = append(m.interfaces, iface{fmt.Sprintf("%s.%s", p.path, s.Name.Name), t.Methods.NumFields()})
		}
	}
}
