package kassa_test

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Names in code letters: a path such as `domain/event.go` or `schema/events/`, a file
// without its folder, and an exported name of one of our packages.
var (
	codeSpan     = regexp.MustCompile("`([^`\n]+)`")
	pathName     = regexp.MustCompile(`^[\w*.-]+(/[\w*.-]+)*/?$`)
	fileName     = regexp.MustCompile(`^[\w*-][\w*.-]*\.(go|sql|html|css|js|md|sh|py|yml|yaml|json|tsv)$`)
	exportedName = regexp.MustCompile(`^([a-z]\w*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?$`)
	memberName   = regexp.MustCompile(`^([A-Z]\w*)\.([A-Z]\w*)$`) // of a type, without its package
)

// made are files outside the repository, which an operator, a model or a command provides.
var made = []string{"docker/.env", "docker/secrets", "docker/secrets/*", "manifest.json", "summary.json", "tokenizer.json"}

// Files, folders and exported names in documents exist. A test of cmd/kassa checks the
// commands and flags of kassa.
func TestDocumentsNameWhatExists(t *testing.T) {
	tree := newTree(t)
	for name, text := range tree.texts {
		if strings.HasSuffix(name, ".md") {
			for _, fault := range tree.missing(name, text) {
				t.Error(fault)
			}
		}
	}
}

func TestMissingNames(t *testing.T) {
	tree := newTree(t)
	for name, missing := range map[string]bool{
		"domain/event.go": false, "domain/events.go": true, "domain/*.go": false, "domain/x*.go": true,
		"schema/events/": false, "schema/event/": true, "event.go": false, "no_such_file.go": true,
		".ci/run": false, "./data": false, ".ci/walk": true, "compose.yaml": false, "docker/secrets/tls": false,
		"domain.Account": false, "domain.Konto": true, "domain.Account.Apply": false, "domain.Account.Fly": true,
		"domain.MaxAmount": false, "Account.Apply": false, "Account.Fly": true, "Konto.Fly": false, "httpapi/identity": false, "httpapi/identities": true,
		"gorilla/mux": false, "/api/health": false, "application/json": false, "go vet ./...": false, "sql.ErrNoRows": false,
	} {
		got := tree.missing("docs/a.md", "a `"+name+"` b")
		if (len(got) == 1) != missing {
			t.Errorf("%s: %q, missing is %t", name, got, missing)
		}
	}
}

// tree is the names that a document may contain.
type tree struct {
	texts   map[string]string   // of Go, Markdown and YAML files
	paths   []string            // of all files and folders
	sources map[string][]string // the Go texts of a package, by the last part of its path
}

func newTree(t *testing.T) tree {
	t.Helper()
	tr := tree{texts: ours(t), sources: map[string][]string{}}
	for name, text := range tr.texts {
		if of := path.Base(path.Dir(name)); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			tr.sources[of] = append(tr.sources[of], text)
		}
	}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", ".services", ".task", "bin", "data", "out"}, p) {
			return filepath.SkipDir
		}
		tr.paths = append(tr.paths, filepath.ToSlash(p))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// missing lists the names in a document that do not exist, one sentence each.
func (tr tree) missing(document, text string) (faults []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		if !tr.has(m[1]) {
			faults = append(faults, fmt.Sprintf("%s names %s, which does not exist", document, m[1]))
		}
	}
	return faults
}

// has reports whether a name exists, or does not belong to this repository.
func (tr tree) has(name string) bool {
	if m := exportedName.FindStringSubmatch(name); m != nil {
		return tr.declares(m[1], m[2], m[3])
	}
	if m := memberName.FindStringSubmatch(name); m != nil {
		return tr.declaresMember(m[1], m[2])
	}
	name = strings.TrimPrefix(name, "./")
	first, _, inside := strings.Cut(name, "/")
	switch {
	case !pathName.MatchString(name) || slices.ContainsFunc(made, func(m string) bool { return matches(m, name) }):
		return true
	case inside && slices.Contains(tr.paths, first):
		return slices.ContainsFunc(tr.paths, func(p string) bool { return matches(strings.TrimSuffix(name, "/"), p) })
	case fileName.MatchString(name):
		return slices.ContainsFunc(tr.paths, func(p string) bool { return matches(name, path.Base(p)) })
	}
	return true
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// declares reports whether a package exports the name, and its type the method or
// field. Packages of others are not checked.
func (tr tree) declares(of, name, member string) bool {
	texts := tr.sources[of]
	if texts == nil {
		return true
	}
	return slices.ContainsFunc(texts, declaration(name, member).MatchString)
}

// declaresMember reports whether a type has the method or field, in any of our packages
// with such a type. If there is none, it is not checked.
func (tr tree) declaresMember(name, member string) bool {
	ours := false
	for _, texts := range tr.sources {
		if slices.ContainsFunc(texts, regexp.MustCompile(`(?m)^type `+name+`\b`).MatchString) {
			if ours = true; slices.ContainsFunc(texts, declaration(name, member).MatchString) {
				return true
			}
		}
	}
	return !ours
}

// declaration finds a line that declares the name, or a member of that type.
func declaration(name, member string) *regexp.Regexp {
	if member == "" {
		return regexp.MustCompile(`(?m)^(func |type |const |var |\t)` + name + `\b`)
	}
	return regexp.MustCompile(`(?m)^(func \(\w* ?\*?` + name + `\) |\t)` + member + `\b`)
}
