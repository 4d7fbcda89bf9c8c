package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kassa/eventstore/eventstoretest"
	"kassa/transparency"
)

// fsck walks a published log with the program of the Tessera project, which fetches all
// entries, makes the tree of them, compares every tile, and verifies the signature.
func fsck(t *testing.T, address, key string) string {
	t.Helper()
	walk := exec.CommandContext(t.Context(), "go", "tool", "-modfile", filepath.Join("..", "..", "tools", "tlogclient", "go.mod"),
		"fsck", "--ui=false", "--storage_url", address+"/log/", "--public_key", key)
	out, err := walk.CombinedOutput()
	if err != nil {
		t.Fatalf("fsck: %v\n%s", err, out)
	}
	return string(out)
}

// theirWitness starts the witness of the transparency-dev project for a log, and returns a
// policy with it alone.
func theirWitness(t *testing.T, public string) (policy string) {
	t.Helper()
	program, state := filepath.Join(t.TempDir(), "witness"), t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "-C", filepath.Join("..", "..", "tools", "tlogclient"), "build", "-o", program, "./witness").CombinedOutput(); err != nil {
		t.Fatalf("build the witness: %v\n%s", err, out)
	}
	_, key, _ := kassa(t, "witness", "key", "witness.example.org/theirs", "--state", state)
	private, err := os.ReadFile(filepath.Join(state, "witness.key"))
	must(t, err)
	running := exec.Command(program, strings.TrimSpace(string(private)), public)
	running.Stderr = t.Output()
	out, err := running.StdoutPipe()
	must(t, err)
	must(t, running.Start())
	t.Cleanup(func() { _ = running.Process.Kill(); _ = running.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	policy = filepath.Join(state, "policy")
	must(t, os.WriteFile(policy, []byte("witness theirs "+strings.TrimSpace(key)+" "+address+"quorum theirs\n"), 0o600))
	return policy
}

// Programs that others wrote agree: a client walks the log over HTTP, and comes to the signed
// root; a witness cosigns its heads as it grows.
func TestTesseraWalksTheLog(t *testing.T) {
	data, key := t.TempDir(), filepath.Join(t.TempDir(), "key")
	_, made, _ := kassa(t, "key", "new", "kassa.example.com/ledger", "--data", data)
	_, public, _ := strings.Cut(strings.TrimSpace(made), "\n")
	s := serve(t, data, "--public-entries", "--witness-policy", theirWitness(t, public))
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	for range 130 { // more than a full tile
		if paid := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: 5}); paid.status != http.StatusOK {
			t.Fatalf("a deposit: %d %v", paid.status, paid.body)
		}
	}
	checkpoint := s.signedHead(t)
	eventstoretest.Eventually(t, "their witness has cosigned the last head", func() bool {
		head := (client{url: s.url, http: newHTTP()}).do(t.Context(), "GET", "/api/log/head", "", nil)
		cosigned, _ := head.body["cosigned"].(map[string]any)
		return strings.HasPrefix(head.text("checkpoint"), checkpoint) && strings.Contains(head.text("checkpoint"), "\n— witness.example.org/theirs ") && cosigned["quorum"] == true
	})
	must(t, os.WriteFile(key, []byte(public), 0o600))
	if said := fsck(t, s.url, key); !strings.Contains(said, "Successfully fsck'd log with size 26") {
		t.Errorf("fsck says\n%s", said)
	}
	kept := filepath.Join(t.TempDir(), "kept")
	must(t, os.WriteFile(kept, []byte(checkpoint), 0o600))
	if code, out, complaints := kassa(t, "verify", "--url", s.url, "--key-file", key, "--head", kept); code != 0 || !strings.Contains(out, "The ledger is whole: 26") || !strings.Contains(out, "It continues the signed head in "+kept) {
		t.Errorf("verify --url: exit code %d\n%s%s", code, out, complaints)
	}
	if code, out, complaints := kassa(t, "verify", "--data", data, "--key-file", key, "--head", kept); code != 0 || !strings.Contains(out, "the signed head in the database. That is signed by the key") {
		t.Errorf("verify beside the service: exit code %d\n%s%s", code, out, complaints)
	}
	s.interrupt(t)
	cheats(t, data, key)
}

// cheats is what verify says of signed heads that do not hold.
func cheats(t *testing.T, data, key string) {
	t.Helper()
	_, other, err := transparency.NewKey("kassa.example.com/ledger")
	must(t, err)
	_, made, _ := kassa(t, "head", "--data", data)
	longer := filepath.Join(t.TempDir(), "longer")
	must(t, os.WriteFile(longer, []byte(strings.Replace(made, "\n26", "\n99", 1)), 0o600))
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--data", data, "--key", other}, exitFailed, "signed_head_forged"},
		{[]string{"--data", data, "--head", longer}, exitFailed, "signed_head_not_continued"},
		{[]string{"--data", data, "--head", longer, "--key-file", key}, exitFailed, "signed_head_forged"},
		{[]string{"--data", data, "--head", key}, exitUsage, "no signed checkpoint"},
		{[]string{"--url", "http://127.0.0.1:1"}, exitUsage, "--url needs --key"},
		{[]string{"--url", "http://127.0.0.1:1", "--key-file", key}, exitUnable, "read checkpoint of the log"},
	} {
		if code, out, complaints := kassa(t, append([]string{"verify"}, tt.args...)...); code != tt.code || !strings.Contains(out+complaints, tt.says) {
			t.Errorf("%v: exit code %d\n%s%s", tt.args, code, out, complaints)
		}
	}
}
