// Task runs the task runner. Its version and its dependencies have a go.mod of their
// own, tools/thirdparty/go.mod, so that the one of Kassa lists what the program is made
// of. As a tool of Kassa it makes "go tool task" work in a fresh clone.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	path, err := build("task")
	if err == nil {
		err = replace(path, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "task:", err)
		os.Exit(1)
	}
}

// build gives the path of a program of tools/thirdparty, in the build cache.
func build(name string) (string, error) {
	mod, err := output("env", "GOMOD")
	if err != nil {
		return "", err
	}
	return output("-C", filepath.Join(filepath.Dir(mod), "tools", "thirdparty"), "tool", "-n", name)
}

// output gives what a command of go prints.
func output(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr // what it downloads
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
