package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"kassa/eventstore"
)

// The line is printed a few times a second, with what is left, and is gone at the end.
func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1, 0)
	each, done := progressLine(&out, func() time.Time { return now })
	for at := range eventstore.Position(401) {
		each(at*1000, 400_000)
		now = now.Add(10 * time.Millisecond)
	}
	lines := strings.Split(out.String(), "\r\x1b[K")
	if len(lines) != 22 || lines[11] != " 50 %  200000 of 400000 entries, 100000 a second, 2s more" {
		t.Errorf("it printed %q", lines)
	}
	out.Reset()
	if done(); out.String() != "\r\x1b[K" {
		t.Errorf("at the end it printed %q", out.String())
	}
	if each, _ := progressOn(&out); each != nil {
		t.Error("it prints to what is no terminal")
	}
}
