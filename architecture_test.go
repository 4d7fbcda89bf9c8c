// Package kassa_test keeps what the whole house has promised: who may import
// whom, and the manners of its files.
package kassa_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "kassa"

// arrows says which rooms a room may import; a folder inside a room belongs to
// it. What only a test imports is free: a test may stand anywhere.
var arrows = map[string][]string{
	"domain":      {},
	"schema":      {},
	"worker":      {},
	"vault":       {"domain", "schema"},
	"eventstore":  {"domain", "schema"},
	"commands":    {"domain", "eventstore"}, // never projections: decisions come from the stream
	"projections": {"domain", "eventstore", "schema"},
	"catalog":     {"schema"},
	"audit":       {"domain", "eventstore", "projections"},
	// eventstore and vault for the words of their answers: positions, ErrErased.
	"httpapi":      {"domain", "commands", "projections", "catalog", "audit", "eventstore", "vault", "schema"},
	"internal/bus": {"eventstore"},
	"cmd/kassa":    {"domain", "schema", "worker", "vault", "eventstore", "commands", "projections", "catalog", "audit", "httpapi", "internal/bus"},
	"cmd/modelgen": {"catalog", "worker"},
	"tools/mutate": {},
}

// outside says which rooms alone may import a package of others, and all below
// it; with no room, tests alone may.
var outside = map[string][]string{
	"github.com/ThreeDotsLabs":     {"internal/bus"},
	"github.com/gorilla":           {"httpapi"},
	"github.com/knights-analytics": {"worker"},
	"modernc.org":                  {"schema"},
	"github.com/pressly/goose":     {"schema"},
	"golang.org/x/mod/sumdb":       {"eventstore", "audit"},
	"golang.org/x/crypto":          {"vault", "internal/bus"},
	"database/sql":                 {"schema", "eventstore", "vault", "projections", "catalog"}, // the worker has none
	"C":                            {},                                                          // one static binary, on any machine with Go
	"net/http/httptest":            {},
	"github.com/santhosh-tekuri":   {},
	"pgregory.net/rapid":           {},
}

// domainMay is all that the rule book needs of the standard library, and of its
// next version of JSON: nothing that reads, writes, waits or draws lots.
var domainMay = []string{"encoding/json", "errors", "fmt", "github.com/go-json-experiment/json", "golang.org/x/net/idna", "golang.org/x/text/unicode/norm", "maps", "net/mail", "slices", "strings", "time", "unicode", "unicode/utf8"}

// homeless are names of packages in which things land that have no home yet.
var homeless = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}

// pkg is what `go list -json` says of one package.
type pkg struct {
	ImportPath, Name, Dir string
	Imports               []string
}

// violations are the broken rules, one sentence each.
func violations(pkgs []pkg) []string {
	var list []string
	for _, p := range pkgs {
		room, ok := roomOf(p.ImportPath)
		if !ok {
			list = append(list, fmt.Sprintf("%s stands in no room", p.ImportPath))
		}
		for _, part := range strings.Split(p.ImportPath, "/") {
			if slices.Contains(homeless, part) || slices.Contains(homeless, p.Name) {
				list = append(list, fmt.Sprintf("%s is no name for a package: what is in it has no home yet", p.ImportPath))
				break
			}
		}
		for _, path := range p.Imports {
			if why := forbidden(room, p, path); why != "" {
				list = append(list, fmt.Sprintf("%s imports %s: %s", p.ImportPath, path, why))
			}
		}
	}
	return list
}

// forbidden says why p, of the room, may not import the path; "" where it may.
func forbidden(room string, p pkg, path string) string {
	if to, ours := strings.CutPrefix(path, module+"/"); ours {
		other, _ := roomOf(path)
		switch {
		case strings.HasSuffix(to, "test") && !strings.HasSuffix(p.Name, "test"):
			return "that is for tests"
		case other != room && !slices.Contains(arrows[room], other):
			return fmt.Sprintf("%s may import of ours %v", room, arrows[room])
		}
		return ""
	}
	for prefix, rooms := range outside {
		if strings.HasPrefix(path+"/", prefix+"/") && !slices.Contains(rooms, room) {
			return fmt.Sprintf("only %v may", rooms)
		}
	}
	if room == "domain" && !slices.Contains(domainMay, path) {
		return "domain is pure"
	}
	return ""
}

// roomOf is the room in which a package of ours stands.
func roomOf(path string) (string, bool) {
	path = strings.TrimPrefix(path, module+"/")
	for room := range arrows {
		if path == room || strings.HasPrefix(path, room+"/") {
			return room, true
		}
	}
	return path, path == module // the root: tests alone
}

func TestImportArrows(t *testing.T) {
	ours(t) // opened by this process, so that the test cache notices a change
	pkgs := list(t)
	for room := range arrows {
		if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.ImportPath == module+"/"+room }) {
			t.Errorf("the room %s is empty", room)
		}
	}
	for _, v := range violations(pkgs) {
		t.Error(v)
	}
}

// list asks the go tool for every package of the module.
func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Dir,Imports", "./...").Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("read the answer of go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

// The checker itself, on a house that does not exist: each of these packages
// breaks one rule, or none.
func TestViolations(t *testing.T) {
	for _, tt := range []struct {
		p    pkg
		want string // part of the one sentence; "": nothing is broken
	}{
		{pkg{ImportPath: "kassa", Name: "kassa"}, ""},
		{pkg{ImportPath: "kassa/domain", Name: "domain", Imports: []string{"time", "errors"}}, ""},
		{pkg{ImportPath: "kassa/domain", Name: "domain", Imports: []string{"net/http"}}, "domain is pure"},
		{pkg{ImportPath: "kassa/domain", Name: "domain", Imports: []string{"os"}}, "domain is pure"},
		{pkg{ImportPath: "kassa/domain", Name: "domain", Imports: []string{"pgregory.net/rapid"}}, "only [] may"},
		{pkg{ImportPath: "kassa/domain", Name: "domain", Imports: []string{"math/rand/v2"}}, "domain is pure"},
		{pkg{ImportPath: "kassa/domain", Name: "domain", Imports: []string{"database/sql"}}, "only ["},
		{pkg{ImportPath: "kassa/domain", Name: "domain", Imports: []string{"kassa/schema"}}, "domain may import of ours []"},
		{pkg{ImportPath: "kassa/domain/rules", Name: "rules", Imports: []string{"os"}}, "domain is pure"},
		{pkg{ImportPath: "kassa/schema", Name: "schema", Imports: []string{"modernc.org/sqlite"}}, ""},
		{pkg{ImportPath: "kassa/schema", Name: "schema", Imports: []string{"kassa/domain"}}, "schema may import of ours []"},
		{pkg{ImportPath: "kassa/worker", Name: "worker", Imports: []string{"kassa/worker/modelfile"}}, ""},
		{pkg{ImportPath: "kassa/worker/modelfile", Name: "modelfile", Imports: []string{"kassa/worker"}}, ""},
		{pkg{ImportPath: "kassa/worker", Name: "worker", Imports: []string{"kassa/domain"}}, "worker may import of ours []"},
		{pkg{ImportPath: "kassa/worker", Name: "worker", Imports: []string{"database/sql"}}, "only ["},
		{pkg{ImportPath: "kassa/worker", Name: "worker", Imports: []string{"database/sql/driver"}}, "only ["},
		{pkg{ImportPath: "kassa/commands", Name: "commands", Imports: []string{"kassa/domain", "kassa/eventstore"}}, ""},
		{pkg{ImportPath: "kassa/commands", Name: "commands", Imports: []string{"kassa/projections"}}, "commands may import of ours"},
		{pkg{ImportPath: "kassa/commands", Name: "commands", Imports: []string{"kassa/vault"}}, "commands may import of ours"},
		{pkg{ImportPath: "kassa/projections", Name: "projections", Imports: []string{"kassa/commands"}}, "projections may import of ours"},
		{pkg{ImportPath: "kassa/eventstore", Name: "eventstore", Imports: []string{"kassa/internal/bus"}}, "eventstore may import of ours"},
		{pkg{ImportPath: "kassa/eventstore", Name: "eventstore", Imports: []string{"kassa/eventstore/eventstoretest"}}, "for tests"},
		{pkg{ImportPath: "kassa/eventstore/eventstoretest", Name: "eventstoretest", Imports: []string{"kassa/eventstore"}}, ""},
		{pkg{ImportPath: "kassa/internal/bus", Name: "bus", Imports: []string{"github.com/ThreeDotsLabs/watermill/message", "kassa/eventstore"}}, ""},
		{pkg{ImportPath: "kassa/internal/bus", Name: "bus", Imports: []string{"kassa/commands"}}, "internal/bus may import of ours"},
		{pkg{ImportPath: "kassa/cmd/kassa", Name: "main", Imports: []string{"github.com/ThreeDotsLabs/watermill"}}, "only [internal/bus] may"},
		{pkg{ImportPath: "kassa/cmd/kassa", Name: "main", Imports: []string{"kassa/httpapi", "kassa/internal/bus", "kassa/worker"}}, ""},
		{pkg{ImportPath: "kassa/httpapi", Name: "httpapi", Imports: []string{"github.com/gorilla/mux", "net/http"}}, ""},
		{pkg{ImportPath: "kassa/httpapi", Name: "httpapi", Imports: []string{"kassa/worker"}}, "httpapi may import of ours"},
		{pkg{ImportPath: "kassa/httpapi", Name: "httpapi", Imports: []string{"net/http/httptest"}}, "only [] may"},
		{pkg{ImportPath: "kassa/audit", Name: "audit", Imports: []string{"kassa/httpapi"}}, "audit may import of ours"},
		{pkg{ImportPath: "kassa/vault", Name: "vault", Imports: []string{"kassa/eventstore"}}, "vault may import of ours"},
		{pkg{ImportPath: "kassa/domainish", Name: "domainish"}, "stands in no room"},
		{pkg{ImportPath: "kassa/catalog/utils", Name: "utils"}, "no name for a package"},
		{pkg{ImportPath: "kassa/catalog/text", Name: "helpers"}, "no name for a package"},
	} {
		got := violations([]pkg{tt.p})
		if tt.want == "" && len(got) > 0 {
			t.Errorf("%+v breaks nothing, and gets %q", tt.p, got)
		}
		if tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%+v gets %q, want one with %q", tt.p, got, tt.want)
		}
	}
}

// The arrows have no circle: of any two rooms at most one knows the other.
func TestArrowsHaveNoCircle(t *testing.T) {
	var walk func(room string, path []string)
	walk = func(room string, path []string) {
		if slices.Contains(path, room) {
			t.Fatalf("%v leads back to %s", path, room)
		}
		for _, next := range arrows[room] {
			if _, ok := arrows[next]; !ok {
				t.Errorf("%s may import %s, which is no room", room, next)
			}
			walk(next, append(slices.Clone(path), room))
		}
	}
	for room := range arrows {
		walk(room, nil)
	}
}

// Time comes into the rule book as an argument: it may speak of moments, and
// never look at a clock.
func TestDomainHasNoClock(t *testing.T) {
	read := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}
	files, err := filepath.Glob("domain/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("domain has no files: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if of, ok := s.X.(*ast.Ident); ok && of.Name == "time" && slices.Contains(read, s.Sel.Name) {
					t.Errorf("%s: time.%s", set.Position(n.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
}
