//go:build linux || darwin

package main

import (
	"fmt"
	"syscall"
)

// freeSpace gives the bytes that this user can still write where the folder is.
func freeSpace(folder string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, fmt.Errorf("ask for the free space of %s: %w", folder, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// writable reports whether this user may write to the folder, without writing.
func writable(folder string) bool { return syscall.Access(folder, 2) == nil }
