package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = `package sample

import "errors"

// Half gives the half of an even number.
func Half(n int) (int, error) {
	if n%2 != 0 {
		return 0, errors.New("odd")
	}
	halves++
	return n / 2, nil
}

var halves int
`

func TestMutantsOf(t *testing.T) {
	found, err := mutantsOf("half.go", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		got = append(got, m.String())
	}
	want := []string{
		`half.go:10: halves++ => (deleted)`,
		`half.go:7: n%2 != 0 => !(n%2 != 0)`,
		`half.go:7: n%2 != 0 => false && (n%2 != 0)`,
		`half.go:7: != => ==`,
		`half.go:8: errors.New("odd") => nil`,
		`half.go:11: / => *`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The sample's test checks the result, but neither the error nor the counter.
func TestMutantsAreTried(t *testing.T) {
	dir, work := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module sample\n\ngo 1.26\n")
	write("half.go", sample)
	write("half_test.go", `package sample

import "testing"

func TestHalf(t *testing.T) {
	if h, err := Half(6); h != 3 || err != nil {
		t.Fatal(h, err)
	}
}
`)
	t.Chdir(dir)
	found, err := mutantsIn(".", "")
	if err != nil {
		t.Fatal(err)
	}
	s := settings{tests: ".", limit: time.Minute}
	if end, output := test(context.Background(), s, ""); end != survived {
		t.Fatalf("the sample's own test: %s", output)
	}
	want := map[string]ending{
		"halves++": survived, "n%2 != 0": survived, "!=": noticed, "/": noticed,
		`errors.New("odd")`: unviable, // its import is unused then
	}
	for _, m := range found {
		overlay, err := m.overlay(work)
		if err != nil {
			t.Fatal(err)
		}
		wanted := want[m.was]
		if strings.HasPrefix(m.with, "!") {
			wanted = noticed
		}
		if end, output := test(context.Background(), s, overlay); end != wanted {
			t.Errorf("%s: ended %d, want %d\n%s", m, end, wanted, output)
		}
	}
}
