package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kassa/eventstore/eventstoretest"
)

// On a full disk a deposit is refused at once with a code of its own, nothing is done, and
// the process is not ready and gives the reason. When there is space again all is well by itself.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatalf("a disk of its own: %v (this test runs as root)", err)
	}
	data := filepath.Join(disk, "data")
	if code := serve(t, data).interrupt(t); code != 0 { // the films came in, which leaves the log's file large until it is closed
		t.Fatalf("exit code %d after Ctrl-C", code)
	}
	s := serve(t, data)
	t.Cleanup(func() {
		s.kill()
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	filler := filepath.Join(disk, "filler")
	fill(t, filler)

	deposit := func(key string) answer {
		return ada.do(t.Context(), "POST", "/api/users/balance/adjust", key, adjustment{Amount: 50})
	}
	var a answer
	eventstoretest.Eventually(t, "a deposit that is refused", func() bool { // what the log's file has left over is used first
		fill(t, filler)
		a = deposit("refused")
		return a.status != http.StatusOK
	})
	if a.status != http.StatusServiceUnavailable || a.text("code") != "storage_full" || !strings.Contains(a.text("detail"), "nothing was done") || a.header.Get("Retry-After") == "" {
		t.Errorf("a deposit on a full disk: %d %v", a.status, a.body)
	}
	if a := ada.do(t.Context(), "POST", "/api/users/signup", "", credentials{"bob@example.com", password}); a.status != http.StatusServiceUnavailable || a.text("code") != "storage_full" {
		t.Errorf("a sign-up on a full disk: %d %v", a.status, a.body)
	}
	if a := ada.do(t.Context(), "GET", "/api/ready", "", nil); a.status != http.StatusServiceUnavailable || !strings.Contains(a.text("detail"), "no space left") {
		t.Errorf("ready on a full disk: %d %v", a.status, a.body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventstoretest.Eventually(t, "ready again", func() bool {
		return ada.do(t.Context(), "GET", "/api/ready", "", nil).status == http.StatusOK
	})
	if a := deposit("later"); a.status != http.StatusOK {
		t.Errorf("a deposit when there is space again: %d %v", a.status, a.body)
	}
	mustVerify(t, data)
}

// The folder of a container is small, and beside a database it needs to hold no more than
// the model.
func TestDoctorOfASmallFolder(t *testing.T) {
	disk := t.TempDir()
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=32m"))
	t.Cleanup(func() { must(t, syscall.Unmount(disk, 0)) })
	d := doctorCommand{dataSettings: dataSettings{Data: disk, DatabaseURL: "postgres://db/kassa"}}
	says, err := d.lookAtDisk(t.Context())
	if err != nil || says != "32 MiB are free" {
		t.Errorf("32 MiB beside a database: %q, %v", says, err)
	}
	must(t, os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 20<<20), 0o600))
	if _, err := d.lookAtDisk(t.Context()); stateOf(err) != stateFault {
		t.Errorf("12 MiB beside a database: %v", err)
	}
	must(t, os.Remove(filepath.Join(disk, "filler")))
	d.DatabaseURL = ""
	if _, err := d.lookAtDisk(t.Context()); stateOf(err) != stateFault {
		t.Errorf("32 MiB for a ledger: %v", err)
	}
}

// fill makes the file as large as its disk allows.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
	}
}
