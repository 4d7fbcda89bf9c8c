// Command mutate measures how good the tests of a package are: it makes small faults in
// the package's code, one at a time, and runs the tests for each. A mutant that no test
// detects is printed with its place.
//
//	go run ./tools/mutate -n 100 -seed 1 -tests ./vault/...,./httpapi/identity ./vault
//
// The code on disk is never changed: the go command reads each mutant through an
// overlay. Mutants that do not compile do not count. A test timeout counts as
// detection. Some survivors are equivalent to the original code; a reader
// decides.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	most  int
	seed  uint64
	tests string
	limit time.Duration
	only  string
	list  bool
}

func run(ctx context.Context, args []string) error {
	var s settings
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.IntVar(&s.most, "n", 100, "how many mutants to try, drawn by the seed")
	flags.Uint64Var(&s.seed, "seed", 1, "of the draw; the same seed draws the same mutants from the same code")
	flags.StringVar(&s.tests, "tests", "", "packages whose tests run for each mutant, separated by commas; default: the package and all below it")
	flags.DurationVar(&s.limit, "limit", 2*time.Minute, "time limit of the tests of one mutant")
	flags.StringVar(&s.only, "only", "", "a part of a file's name: mutate only such files")
	flags.BoolVar(&s.list, "list", false, "print the mutants that would be tried, and try none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name one folder of Go code, such as ./vault")
	}
	dir := flags.Arg(0)
	if s.tests == "" {
		s.tests = strings.TrimSuffix(dir, "/") + "/..."
	}
	all, err := mutantsIn(dir, s.only)
	if err != nil {
		return err
	}
	draw := rand.New(rand.NewPCG(s.seed, 0))
	draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	chosen := all[:min(s.most, len(all))]
	if s.list {
		for _, m := range chosen {
			fmt.Println(m)
		}
		return nil
	}
	return tryAll(ctx, s, len(all), chosen)
}

// tryAll runs the tests for each mutant, and prints the survivors and the share that
// was detected. The tests must pass without a mutant.
func tryAll(ctx context.Context, s settings, of int, chosen []mutant) error {
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if end, output := test(ctx, s, ""); end != survived {
		return fmt.Errorf("the tests do not pass on the code as it is:\n%s", output)
	}
	count := map[ending]int{}
	for i, m := range chosen {
		overlay, err := m.overlay(work)
		if err != nil {
			return err
		}
		end, _ := test(ctx, s, overlay)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped after %d of %d mutants", i, len(chosen))
		}
		count[end]++
		if end == survived {
			fmt.Printf("survived: %s\n", m)
		}
	}
	viable := count[noticed] + count[survived]
	if viable == 0 {
		return errors.New("no mutant compiled")
	}
	fmt.Printf("%d of %d mutants noticed (%.1f %%); %d drawn of %d, %d did not compile, seed %d\n",
		count[noticed], viable, 100*float64(count[noticed])/float64(viable), len(chosen), of, count[unviable], s.seed)
	return nil
}

// ending is the outcome of a mutant.
type ending int

const (
	survived ending = iota // the tests passed
	noticed                // a test failed, or took too long
	unviable               // it did not compile
)

// test runs the tests with an overlay, "" for none.
func test(ctx context.Context, s settings, overlay string) (ending, []byte) {
	args := []string{"test", "-count=1", "-vet=off", "-failfast", "-timeout", s.limit.String()}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, strings.Split(s.tests, ",")...)...)
	output, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return survived, output
	case bytes.Contains(output, []byte("[build failed]")):
		return unviable, output
	}
	return noticed, output
}

// overlay writes the mutant and the overlay file for the go command.
func (m mutant) overlay(work string) (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(work, "mutant.go")
	text := append(append(bytes.Clone(source[:m.from]), m.with...), source[m.to:]...)
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	name := filepath.Join(work, "overlay.json")
	return name, os.WriteFile(name, replace, 0o600)
}
