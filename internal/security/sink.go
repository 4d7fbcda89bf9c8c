package security

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// File is a file that lines are appended to, and that can be opened again by its name
// after it was renamed: so logs are rotated.
type File struct {
	name    string
	trouble *slog.Logger

	mu      sync.Mutex
	file    *os.File
	failing bool // the last write failed, and that was reported
}

// OpenFile opens the file for its owner only, and makes it where it is missing. What
// cannot be written is reported to trouble, once until a write succeeds again.
func OpenFile(name string, trouble *slog.Logger) (*File, error) {
	f := &File{name: name, trouble: trouble}
	return f, f.Reopen()
}

// Reopen opens the file by its name again. Where that fails, the old one stays in use.
func (f *File) Reopen() error {
	file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the security log: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.file
	f.file = file
	if old != nil {
		return old.Close()
	}
	return nil
}

// Write appends one line.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.file.Write(line)
	if err != nil && !f.failing {
		f.trouble.Error("security events cannot be written", "file", f.name, "error", err)
	}
	f.failing = err != nil
	return n, err
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// Lines returns a logger for New that writes JSON lines, all of them: the level of the
// program's log does not count.
func Lines(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutMessage}))
}

// withoutMessage leaves out what all lines have in common.
func withoutMessage(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.MessageKey {
		return slog.Attr{}
	}
	return a
}
