// Package kassa_test checks what holds for the whole repository: which package may
// import which, the form of its files, and that its documents name what exists.
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
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "kassa"

// allowed is which components a component may import. A component is a folder with
// everything below it. Imports of tests are free. docs/architecture.md has the same
// table.
var allowed = map[string][]string{
	"domain":                     {},
	"schema":                     {},
	"worker":                     {},
	"internal/wait":              {},
	"internal/listen":            {"schema", "internal/wait"},
	"internal/security":          {"domain"},
	"internal/mail":              {},
	"internal/mail/mailtest":     {},
	"internal/movein":            {"domain", "vault", "eventstore", "commands", "catalog", "catalog/formats"},
	"internal/movein/moveintest": {"schema"},
	"internal/tracing":           {"domain", "eventstore", "internal/bus"},
	"internal/metrics":           {"domain", "eventstore", "internal/app", "internal/bus", "internal/security"},
	"vault":                      {"domain", "schema"},
	"eventstore":                 {"domain", "schema", "internal/wait", "internal/listen"},
	"commands":                   {"domain", "eventstore", "internal/wait"}, // never projections: decisions come from the stream
	"projections":                {"domain", "eventstore", "schema", "internal/wait", "internal/listen"},
	"catalog":                    {"schema", "internal/wait"},
	// a component of its own within catalog: the service does not measure
	"catalog/eval":    {"catalog", "schema"},
	"catalog/formats": {"catalog"}, // films come in by commands, and by the pages and the API of admins
	"transparency":    {"eventstore", "schema"},
	"audit":           {"domain", "eventstore", "projections"},
	"audit/reconcile": {"domain", "eventstore", "audit", "schema"}, // sorts in a temporary file
	// eventstore and vault for the words of their answers: positions, ErrErased.
	"httpapi":          {"domain", "commands", "projections", "catalog", "catalog/formats", "audit", "transparency", "eventstore", "vault", "schema", "internal/security"},
	"internal/bus":     {"eventstore", "internal/wait"},
	"internal/matcher": {"domain", "worker", "vault", "eventstore", "commands", "catalog", "internal/bus"},
	"internal/backup":  {"eventstore", "schema", "transparency"},
	// without httpapi, whose tests wire the service by it
	"internal/app":         {"domain", "schema", "vault", "eventstore", "transparency", "commands", "projections", "catalog", "internal/bus", "internal/mail", "internal/matcher", "worker"},
	"internal/app/apptest": {"domain", "worker", "vault", "eventstore", "commands", "projections", "catalog", "audit", "internal/app", "internal/bus", "internal/mail"},
	"internal/process":     {"domain", "worker", "catalog", "eventstore", "transparency", "commands", "httpapi", "internal/app", "internal/bus", "internal/matcher", "internal/metrics", "internal/security", "internal/tracing", "internal/wait"},
	"cmd/kassa":            {"domain", "schema", "worker", "vault", "eventstore", "transparency", "commands", "projections", "catalog", "catalog/eval", "catalog/formats", "audit", "audit/reconcile", "internal/bus", "internal/mail", "internal/matcher", "internal/movein", "internal/security", "internal/app", "internal/backup", "internal/process"},
	"cmd/modelgen":         {"catalog", "worker"},
	"tools/mutate":         {},
	"tools/measure":        {},
	"tools/task":           {},
}

// outside is which components may import a third-party package and everything below it;
// with none, only tests may.
var outside = map[string][]string{
	"github.com/ThreeDotsLabs":     {"internal/bus"},
	"github.com/cenkalti":          {"internal/wait"},
	"github.com/prometheus":        {"internal/metrics"},
	"go.opentelemetry.io":          {"internal/tracing"},
	"github.com/wneessen":          {"internal/mail"},
	"github.com/emersion":          {"internal/mail/mailtest"},
	"net/http/pprof":               {"internal/metrics"}, // it registers itself at http.DefaultServeMux, which nobody serves
	"github.com/gorilla":           {"httpapi"},
	"github.com/rs/cors":           {"httpapi"},
	"github.com/go-webauthn":       {"httpapi"},
	"github.com/transparency-dev":  {"transparency"},
	"github.com/knights-analytics": {"worker"},
	"github.com/gomlx":             {"worker"},
	"modernc.org":                  {"schema"},
	"github.com/pressly/goose":     {"schema"},
	"golang.org/x/mod/sumdb":       {"eventstore", "audit", "transparency"},
	"golang.org/x/crypto":          {"vault", "internal/bus", "internal/movein/moveintest"},
	"database/sql":                 {"schema", "eventstore", "vault", "projections", "catalog", "transparency", "audit/reconcile"}, // the worker has none
	"github.com/minio":             {"internal/backup"},
	"C":                            {}, // one static binary, on any machine with Go
	"github.com/johannesboyne":     {},
	"net/http/httptest":            {},
	"github.com/santhosh-tekuri":   {},
	"pgregory.net/rapid":           {},
}

// domainMay is all that domain may import of the standard library, and of the next
// version of its JSON: nothing with I/O, waiting or randomness.
var domainMay = []string{"encoding/json", "errors", "fmt", "github.com/go-json-experiment/json", "golang.org/x/net/idna", "golang.org/x/text/unicode/norm", "maps", "net/mail", "slices", "strings", "time", "unicode", "unicode/utf8"}

// vague are package names that do not describe their content.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}

// pkg is the output of `go list -json` for one package.
type pkg struct {
	ImportPath, Name, Dir string
	Imports               []string
}

// violations lists the broken rules, one sentence each.
func violations(pkgs []pkg) []string {
	var list []string
	for _, p := range pkgs {
		component, ok := componentOf(p.ImportPath)
		if !ok {
			list = append(list, fmt.Sprintf("%s belongs to no component", p.ImportPath))
		}
		for _, part := range strings.Split(p.ImportPath, "/") {
			if slices.Contains(vague, part) || slices.Contains(vague, p.Name) {
				list = append(list, fmt.Sprintf("%s is no name for a package: it says nothing of what is in it", p.ImportPath))
				break
			}
		}
		for _, path := range p.Imports {
			if why := forbidden(component, p, path); why != "" {
				list = append(list, fmt.Sprintf("%s imports %s: %s", p.ImportPath, path, why))
			}
		}
	}
	return list
}

// forbidden is why p, of the component, may not import the path; "" if it may.
func forbidden(component string, p pkg, path string) string {
	if to, ours := strings.CutPrefix(path, module+"/"); ours {
		other, _ := componentOf(path)
		switch {
		case strings.HasSuffix(to, "test") && !strings.HasSuffix(p.Name, "test"):
			return "that is for tests"
		case other != component && !slices.Contains(allowed[component], other):
			return fmt.Sprintf("%s may import of ours %v", component, allowed[component])
		}
		return ""
	}
	for prefix, components := range outside {
		if strings.HasPrefix(path+"/", prefix+"/") && !slices.Contains(components, component) {
			return fmt.Sprintf("only %v may", components)
		}
	}
	if component == "domain" && !slices.Contains(domainMay, path) {
		return "domain is pure"
	}
	return ""
}

// componentOf is the innermost component of one of our packages.
func componentOf(path string) (string, bool) {
	path = strings.TrimPrefix(path, module+"/")
	innermost := ""
	for component := range allowed {
		if (path == component || strings.HasPrefix(path, component+"/")) && len(component) > len(innermost) {
			innermost = component
		}
	}
	if innermost != "" {
		return innermost, true
	}
	return path, path == module // the root has only tests
}

func TestImports(t *testing.T) {
	ours(t) // opened by this process, so that the test cache notices a change
	pkgs := list(t)
	for component := range allowed {
		if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.ImportPath == module+"/"+component }) {
			t.Errorf("the component %s has no package", component)
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

// The checker itself, on made-up packages: each breaks one rule, or none.
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
		{pkg{ImportPath: "kassa/cmd/kassa", Name: "main", Imports: []string{"kassa/internal/process", "kassa/internal/bus", "kassa/worker"}}, ""},
		{pkg{ImportPath: "kassa/httpapi", Name: "httpapi", Imports: []string{"github.com/gorilla/mux", "net/http"}}, ""},
		{pkg{ImportPath: "kassa/httpapi", Name: "httpapi", Imports: []string{"kassa/worker"}}, "httpapi may import of ours"},
		{pkg{ImportPath: "kassa/httpapi", Name: "httpapi", Imports: []string{"net/http/httptest"}}, "only [] may"},
		{pkg{ImportPath: "kassa/audit", Name: "audit", Imports: []string{"kassa/httpapi"}}, "audit may import of ours"},
		{pkg{ImportPath: "kassa/vault", Name: "vault", Imports: []string{"kassa/eventstore"}}, "vault may import of ours"},
		{pkg{ImportPath: "kassa/catalog/eval", Name: "eval", Imports: []string{"kassa/catalog", "kassa/catalog/words"}}, ""},
		{pkg{ImportPath: "kassa/httpapi", Name: "httpapi", Imports: []string{"kassa/catalog/eval"}}, "httpapi may import of ours"},
		{pkg{ImportPath: "kassa/domainish", Name: "domainish"}, "belongs to no component"},
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

// docs/architecture.md contains the allowed imports.
func TestArchitectureTable(t *testing.T) {
	shown := map[string][]string{}
	for _, m := range tableRow.FindAllStringSubmatch(ours(t)["docs/architecture.md"], -1) {
		if shown[m[1]] = strings.Split(m[2], ", "); m[2] == "nothing" {
			shown[m[1]] = []string{}
		}
	}
	if !reflect.DeepEqual(shown, allowed) {
		t.Errorf("docs/architecture.md shows %v, allowed is %v", shown, allowed)
	}
}

// tableRow is a row of two columns with a component and what it may import.
var tableRow = regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\| ([^|]+) \\|$")

// The allowed imports have no cycle.
func TestImportsHaveNoCycle(t *testing.T) {
	var walk func(component string, path []string)
	walk = func(component string, path []string) {
		if slices.Contains(path, component) {
			t.Fatalf("%v leads back to %s", path, component)
		}
		for _, next := range allowed[component] {
			if _, ok := allowed[next]; !ok {
				t.Errorf("%s may import %s, which is no component", component, next)
			}
			walk(next, append(slices.Clone(path), component))
		}
	}
	for component := range allowed {
		walk(component, nil)
	}
}

// domain gets the time as an argument, and never reads a clock.
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
