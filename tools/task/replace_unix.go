//go:build unix

package main

import (
	"os"
	"syscall"
)

// replace lets the program take the place of this process, so that a signal reaches it
// once, and its exit status is the answer.
func replace(path string, args []string) error {
	return syscall.Exec(path, append([]string{path}, args...), os.Environ())
}
