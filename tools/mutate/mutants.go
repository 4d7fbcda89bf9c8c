package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one small fault: the bytes from..to of a file replaced.
type mutant struct {
	file     string
	line     int
	from, to int // offsets in bytes
	was      string
	with     string
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s => %s", m.file, m.line, short(m.was), short(m.with))
}

// short shortens a piece of code to one line.
func short(code string) string {
	code = strings.Join(strings.Fields(code), " ")
	if len(code) > 70 {
		code = code[:70] + "…"
	}
	if code == "" {
		code = "(deleted)"
	}
	return code
}

// mutantsIn returns all mutants of the Go files in a folder, without tests and
// generated files, in the order of the code.
func mutantsIn(dir, only string) ([]mutant, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || !strings.Contains(filepath.Base(name), only) {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		found, err := mutantsOf(name, source)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no code to mutate in %s", dir)
	}
	return all, nil
}

// mutantsOf returns the mutants of one file.
func mutantsOf(name string, source []byte) ([]mutant, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(parsed) {
		return nil, nil
	}
	f := &finder{name: name, source: source, file: fset.File(parsed.Pos())}
	for _, d := range parsed.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			ast.Inspect(fn.Body, f.look)
		}
	}
	return f.found, nil
}

// finder collects the mutants of one file.
type finder struct {
	name   string
	source []byte
	file   *token.File
	found  []mutant
}

// otherwise maps an operator to its replacement.
var otherwise = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
	token.LAND: "||", token.LOR: "&&", token.ADD: "-", token.SUB: "+", token.MUL: "/", token.QUO: "*",
}

func (f *finder) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if other, ok := otherwise[n.Op]; ok {
			f.add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other)
		}
	case *ast.IfStmt:
		f.add(n.Cond.Pos(), n.Cond.End(), "!("+f.text(n.Cond)+")")
		f.add(n.Cond.Pos(), n.Cond.End(), "false && ("+f.text(n.Cond)+")")
	case *ast.ReturnStmt:
		f.dropError(n)
	case *ast.BlockStmt:
		f.deleteFrom(n.List)
	case *ast.CaseClause:
		f.deleteFrom(n.Body)
	case *ast.CommClause:
		f.deleteFrom(n.Body)
	}
	return true
}

// dropError makes a failure a success: the last result, an error, becomes nil.
func (f *finder) dropError(r *ast.ReturnStmt) {
	if len(r.Results) == 0 {
		return
	}
	last := r.Results[len(r.Results)-1]
	if id, ok := last.(*ast.Ident); ok && (id.Name == "nil" || id.Name == "true" || id.Name == "false") {
		if opposite := map[string]string{"true": "false", "false": "true"}[id.Name]; opposite != "" {
			f.add(last.Pos(), last.End(), opposite)
		}
		return
	}
	f.add(last.Pos(), last.End(), "nil") // where it is no error, this does not compile
}

// deleteFrom deletes each statement that declares no name.
func (f *finder) deleteFrom(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt, *ast.BranchStmt:
			f.add(s.Pos(), s.End(), "")
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				f.add(s.Pos(), s.End(), "")
			}
		}
	}
}

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.file.Offset(n.Pos()):f.file.Offset(n.End())])
}

func (f *finder) add(from, to token.Pos, with string) {
	a, b := f.file.Offset(from), f.file.Offset(to)
	f.found = append(f.found, mutant{file: f.name, line: f.file.Line(from), from: a, to: b, was: string(f.source[a:b]), with: with})
}
