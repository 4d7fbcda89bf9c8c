package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kassa/domain"
	"kassa/eventstore/eventstoretest"
	"kassa/schema/schematest"
)

// A thousand people sign up at the same moment, and no limit by address holds them back.
// Each of them reads an answer in time, which is yes or "try again"; as much memory is
// used as a bounded queue of passwords takes; and the process goes on.
func TestAThousandSignUpsAtOnce(t *testing.T) {
	const people, inTime = 1000, 30 * time.Second // when the server gives a connection up
	data, database := t.TempDir(), schematest.Postgres(t)
	s := serve(t, data, "--roles", "api", "--database-url", database)
	h := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: people}, Timeout: 2 * inTime}
	began := make(chan struct{})
	answers, took := make([]answer, people), make([]time.Duration, people)
	var all sync.WaitGroup
	for i := range people {
		all.Go(func() {
			c := client{url: s.url, http: h}
			<-began
			start := time.Now()
			answers[i] = c.do(t.Context(), "POST", "/api/users/signup", "", credentials{fmt.Sprintf("person%d@example.com", i), password})
			took[i] = time.Since(start)
		})
	}
	close(began)
	all.Wait()
	joined, perhaps, queueFull := 0, 0, 0
	for i, a := range answers {
		switch {
		case took[i] > inTime:
			t.Errorf("person %d heard %d after %s", i, a.status, took[i])
		case a.status == http.StatusCreated:
			joined++
		case a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "":
			t.Errorf("person %d hears %d %v %v", i, a.status, a.body, a.err)
		case strings.HasPrefix(a.text("detail"), "too many passwords"):
			queueFull++
		case !strings.Contains(a.text("detail"), "nothing was done"):
			perhaps++
		}
	}
	if joined == 0 || queueFull == 0 {
		t.Errorf("%d of %d could sign up, and %d met a full queue", joined, people, queueFull)
	}
	// Two hashes take 38 MiB, a thousand 19 GiB. The heap grows to several times what is in use
	// before it is collected, and further on a busy machine.
	peak := peakMemory(t, s.cmd.Process.Pid)
	if peak > 3<<19 {
		t.Errorf("the process has used %d KiB", peak)
	}
	eventstoretest.Eventually(t, "a sign-up afterwards", func() bool {
		late := client{url: s.url, email: "late@example.com", http: h}
		return late.do(t.Context(), "POST", "/api/users/signup", "", credentials{late.email, password}).status == http.StatusCreated
	})
	if code := s.interrupt(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, tail(s.log.String()))
	}
	joined++
	v := mustVerify(t, data, "--no-views", "--database-url", database)
	if has := v.Events[domain.SignedUp{}.Type()]; has < joined || has > joined+perhaps {
		t.Errorf("%d people joined and perhaps %d more, and the log has %d", joined, perhaps, has)
	}
	t.Logf("%d people joined, the slowest answer took %s, and %d KiB were used", joined, slices.Max(took), peak)
}

// peakMemory is the most that the process ever had in memory, in KiB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	peak, err := strconv.Atoi(strings.Fields(rest)[0])
	must(t, err)
	return peak
}
