package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// By default there are limits, and several API processes count
// passwords and sign-ups together.
func TestLimitsOfTwoProcesses(t *testing.T) {
	data, database, broker := withSecret(t, t.TempDir()), schematest.Postgres(t), bustest.New(t).Address
	var processes [2]*server
	for i := range processes {
		cmd := command(t, "serve", "--data", data, "--addr", "127.0.0.1:0", "--log-format", "json", "--roles", "api", "--database-url", database, "--amqp-url", broker)
		cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "KASSA_RATE_LIMIT=") })
		processes[i] = opened(t, cmd)
	}
	h, began := newHTTP(), time.Now()
	counted := func(what string, burst int, every time.Duration, accepted int, send func(c client, n int) answer) {
		t.Helper()
		var taken int
		for n := range burst + 4 {
			a := send(client{url: processes[n%2].url, email: "ada@example.com", http: h}, n)
			switch {
			case a.status == accepted:
				taken++
			case a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "":
				t.Fatalf("%s %d: %d %v %v", what, n+1, a.status, a.body, a.err)
			}
		}
		if more := int(time.Since(began) / every); taken < burst || taken > burst+more {
			t.Errorf("%d %s were accepted, want %d and at most %d more", taken, what, burst, more)
		}
	}
	counted("sign-ups", 10, 30*time.Second, http.StatusCreated, func(c client, n int) answer {
		return c.do(t.Context(), "POST", "/api/users/signup", "", credentials{fmt.Sprintf("person%d@example.com", n), password})
	})
	counted("passwords", 10, 6*time.Second, http.StatusUnauthorized, func(c client, _ int) answer {
		return c.do(t.Context(), "POST", "/api/users/signin", "", credentials{c.email, "a guess"})
	})
	mustVerify(t, data, "--database-url", database)
}
