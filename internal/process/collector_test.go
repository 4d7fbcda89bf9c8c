package process

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The heap is limited by the memory of the container, where it has a limit, and where it
// was not set otherwise.
func TestTheHeapFollowsTheContainer(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for _, tt := range []struct {
		name, variable string
		memory         memlimit.Provider
		want           int64
		warns          bool
	}{
		{"a container of 1,000 MB", "", memlimit.Limit(1000 << 20), 800 << 20, false},
		{"no limit", "", func() (uint64, error) { return 0, memlimit.ErrNoLimit }, math.MaxInt64, false},
		{"no container", "", func() (uint64, error) { return 0, memlimit.ErrNoCgroup }, 7 << 30, false},
		{"one that cannot be read", "", func() (uint64, error) { return 0, errors.New("denied") }, 7 << 30, true},
		{"set by hand", "7GiB", memlimit.Limit(1000 << 20), 7 << 30, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.variable != "" {
				t.Setenv("GOMEMLIMIT", tt.variable)
			}
			debug.SetMemoryLimit(7 << 30)
			var log strings.Builder
			limitHeap(tt.memory, slog.New(slog.NewTextHandler(&log, nil)))
			if got := debug.SetMemoryLimit(-1); got != tt.want {
				t.Errorf("the limit is %d, want %d", got, tt.want)
			}
			if warned := strings.Contains(log.String(), "WARN"); warned != tt.warns {
				t.Errorf("the log has %q", log.String())
			}
		})
	}
}
