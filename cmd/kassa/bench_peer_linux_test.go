package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"kassa/domain"
	"kassa/internal/bus/bustest"
	"kassa/schema/schematest"
)

// startPeer starts another program that answers questions, from the folder that
// KASSA_BENCH_PEER names, with as many people as Kassa has. It is what docs/performance.md
// says: a program "serve" that prints its address.
func startPeer(b *testing.B, folder string, people int) (*installation, part) {
	b.Helper()
	cmd := exec.Command(filepath.Join(folder, "serve"))
	cmd.Env = append(os.Environ(), "DATABASE_URL="+schematest.Empty(b), "AMQP_URL="+bustest.New(b).Address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // with all that it has started; it may be gone
		_ = cmd.Wait()
	}))
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		b.Fatalf("%s ended without an address: %v", cmd.Path, lines.Err())
	}
	h := &installation{address: lines.Text(), emails: make([]string, people)}
	inParallel(people, 4, func(i int) {
		h.emails[i] = fmt.Sprintf("person%d@example.com", i)
		c := client{url: "http://" + h.address, email: h.emails[i], http: newHTTP()}
		if a := c.do(b.Context(), "POST", "/api/users/signup", "", credentials{c.email, password}); a.status != http.StatusCreated {
			b.Errorf("sign up: %d %v %v", a.status, a.body, a.err)
		}
		if a := c.do(b.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: int64(domain.MaxAmount)}); a.status != http.StatusOK {
			b.Errorf("deposit: %d %v %v", a.status, a.body, a.err)
		}
	})
	if b.Failed() {
		b.FailNow()
	}
	return h, part{"peer", cmd.Process.Pid}
}
