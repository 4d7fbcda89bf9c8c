package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var (
	// A command in code letters, or at the beginning of a line of code.
	commandInText = regexp.MustCompile("(?m)(?:`|^ *(?:\\w+=\\S+ )*)(?:go run \\./cmd/)?kassa ((?:[a-z]|--)[^`\n]*)")
	flagInText    = regexp.MustCompile("`(--[a-z][a-z-]*)[^`\n]*`")
)

// ofOthers are flags of other programs that documents give without their program.
var ofOthers = []string{"--file", "--scale"}

// The commands and flags that a document gives are those of the program.
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	app := model(t)
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		for _, fault := range wrongCommands(app, string(text)) {
			t.Errorf("%s: %s", path, fault)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWrongCommands(t *testing.T) {
	app := model(t)
	for text, faults := range map[string]int{
		"run `kassa verify --kept HEAD` and `kassa views rebuild NAME`": 0,
		"```\nkassa serve --roles api   # a comment with --flag\n```":   0,
		"    KASSA_X=1 kassa serve\n":                                   0,
		"go run ./cmd/kassa admin grant ada@example.com":                0,
		"`kassa verfy`":                                 1,
		"`kassa views rebuilt NAME`":                    1,
		"kassa serve --rolls api":                       1,
		"`kassa --help`, `--hold-expiry`":               0,
		"`--hold-expires`":                              1,
		"`kassa broker key > FILE`, `kassa broker --x`": 1,
		"Kassa kassa is a word here":                    0,
	} {
		if got := wrongCommands(app, text); len(got) != faults {
			t.Errorf("%q: %q, want %d faults", text, got, faults)
		}
	}
}

func model(t *testing.T) *kong.Node {
	t.Helper()
	parser, err := newParser(&commandLine{})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Node
}

// wrongCommands are the commands and flags in a text that kassa does not have.
func wrongCommands(app *kong.Node, text string) (faults []string) {
	for _, m := range commandInText.FindAllStringSubmatch(text, -1) {
		line, _, _ := strings.Cut(m[1], " #")
		if why := wrongCommand(app, strings.Fields(line)); why != "" {
			faults = append(faults, fmt.Sprintf("kassa %s: %s", line, why))
		}
	}
	for _, m := range flagInText.FindAllStringSubmatch(text, -1) {
		if !hasFlag(app, m[1], true) && !slices.Contains(ofOthers, m[1]) {
			faults = append(faults, "no command has the flag "+m[1])
		}
	}
	return faults
}

// wrongCommand gives what is wrong with the words of a command, "" where nothing is.
func wrongCommand(node *kong.Node, words []string) string {
	for _, word := range words {
		switch {
		case strings.ContainsAny(word[:1], ">|&"):
			return ""
		case strings.HasPrefix(word, "--"):
			if !hasFlag(node, word, false) {
				return "there is no flag " + word
			}
		case len(node.Children) > 0:
			if node = child(node, word); node == nil {
				return "there is no command " + word
			}
		}
	}
	return ""
}

func child(node *kong.Node, name string) *kong.Node {
	for _, c := range node.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// hasFlag looks at a command with those that it is part of, and below it where asked to.
func hasFlag(node *kong.Node, word string, below bool) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if f.Name == name {
				return true
			}
		}
	}
	for _, c := range node.Children {
		if below && hasFlag(c, word, true) {
			return true
		}
	}
	return false
}
