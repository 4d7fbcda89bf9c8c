package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/eventstore/eventstoretest"
	"kassa/internal/app"
	"kassa/projections"
	"kassa/schema"
)

// BenchmarkLongLog is what a long log costs the embedded default: the first start, which saves
// the views, and a later one; the memory of the service at rest; pages of a wallet that has
// a tenth of the log; and verify, beside a bare read. KASSA_BENCH_LONG are the lengths;
// KASSA_BENCH_FOLDER keeps the ledgers, to measure them again.
func BenchmarkLongLog(b *testing.B) {
	for _, text := range strings.Split(cmp.Or(os.Getenv("KASSA_BENCH_LONG"), "1000000"), ",") {
		size, err := strconv.ParseInt(text, 10, 64)
		must(b, err)
		b.Run("log="+text, func(b *testing.B) { longLog(b, eventstore.Position(size)) })
	}
}

func longLog(b *testing.B, size eventstore.Position) {
	h := &installation{data: filepath.Join(cmp.Or(os.Getenv("KASSA_BENCH_FOLDER"), b.TempDir()), strconv.Itoa(int(size)))}
	s := app.Storage{Folder: h.data}
	if _, err := os.Stat(s.Database()); err != nil {
		l, err := s.Open(b.Context())
		must(b, err)
		must(b, eventstoretest.Fill(b.Context(), l.Store, size))
		must(b, l.Close())
	}
	longHistory(b, s, size)
	began := time.Now()
	p := h.process(b, "serve")
	b.ReportMetric(time.Since(began).Seconds(), "s/start")
	b.ReportMetric(status(b, p.pid, "VmRSS")/1024, "rest-MB")
	p.stop()
	longVerify(b, h.data, size)
	b.ReportMetric(0, "ns/op")
}

// status is a line of a process's state in Linux, in KiB.
func status(b *testing.B, pid int, name string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name+":" {
			n, err := strconv.ParseFloat(fields[1], 64)
			must(b, err)
			return n
		}
	}
	b.Fatalf("process %d has no %s", pid, name)
	return 0
}

// longHistory opens the views, which saves them the first time, and again; and reads pages of the longest wallet: the newest, from its middle, and of one type
// that it hardly has.
func longHistory(b *testing.B, s app.Storage, size eventstore.Position) {
	l, err := s.Open(b.Context())
	must(b, err)
	defer func() { must(b, l.Close()) }()
	began, used := time.Now(), processorTime(b)
	views, err := projections.OpenSaved(b.Context(), l.File, l.Store, func(error) {})
	must(b, err)
	b.ReportMetric(time.Since(began).Seconds(), "s/first-start")
	b.ReportMetric((processorTime(b) - used).Seconds(), "cpu-s/first-start")
	began, used = time.Now(), processorTime(b)
	views, err = projections.OpenSaved(b.Context(), l.File, l.Store, func(error) {})
	must(b, err)
	b.ReportMetric(time.Since(began).Seconds(), "s/load")
	b.ReportMetric((processorTime(b) - used).Seconds(), "cpu-s/load")
	const u = eventstoretest.LongestWallet
	read := func(name string, fn func(context.Context) error) {
		var took []time.Duration
		for range 200 {
			began := time.Now()
			must(b, fn(b.Context()))
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, name+"-p99-ms")
	}
	middle := projections.PageQuery{Limit: 20, Cursor: middleOf(b, l.Store, size)}
	for name, q := range map[string]projections.TransactionQuery{"lines": {PageQuery: projections.PageQuery{Limit: 20}}, "middle": {PageQuery: middle}, "rare": {PageQuery: middle, Type: projections.Bonus}} {
		read(name, func(ctx context.Context) error { _, _, err := views.Transactions(ctx, u, q, 0); return err })
	}
	read("asked", func(ctx context.Context) error {
		_, _, err := views.Predictions(ctx, u, projections.PredictionQuery{PageQuery: middle, State: domain.StateCaptured}, 0)
		return err
	})
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// longVerify runs verify, and a bare read of the same rows.
func longVerify(b *testing.B, data string, size eventstore.Position) {
	db, err := schema.OpenSQLiteReadOnly(b.Context(), filepath.Join(data, "kassa.db"))
	must(b, err)
	began, used := time.Now(), processorTime(b)
	must(b, eventstoretest.BareScan(b.Context(), db))
	bare := time.Since(began).Seconds()
	b.ReportMetric((processorTime(b) - used).Seconds(), "cpu-s/bare")
	must(b, db.Close())
	cmd := command(b, "verify", "--data", data)
	began = time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began).Seconds()
	if err != nil {
		b.Fatalf("verify: %v\n%s", err, out)
	}
	b.ReportMetric(float64(size)/took, "events/s")
	b.ReportMetric(bare/took, "times-bare")
	b.ReportMetric((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), "cpu-s/verify")
	b.ReportMetric(float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "verify-MB")
}

// middleOf is a cursor in the middle of the longest wallet.
func middleOf(b *testing.B, store *eventstore.Store, size eventstore.Position) string {
	b.Helper()
	list, err := store.Stream(b.Context(), eventstore.AccountStream(eventstoretest.LongestWallet), eventstore.Version(size/40), 1)
	must(b, err)
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "p%d", list[0].Position))
}
