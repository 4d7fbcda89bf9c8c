package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"kassa/eventstore/eventstoretest"
)

// signedHead waits until the service has signed all that the log has, and returns the
// published checkpoint.
func (s *server) signedHead(t *testing.T) (checkpoint string) {
	t.Helper()
	asks := client{url: s.url, http: newHTTP()}
	eventstoretest.Eventually(t, "a signed head of all entries", func() bool {
		at := asks.do(t.Context(), "GET", "/api/ready", "", nil).number("position")
		signed := asks.do(t.Context(), "GET", "/api/log/head", "", nil)
		checkpoint = signed.text("checkpoint")
		return signed.status == http.StatusOK && at > 0 && signed.number("size") == at
	})
	answer, err := http.Get(s.url + "/log/checkpoint")
	must(t, err)
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != checkpoint {
		t.Errorf("/log/checkpoint has %s, %v, and /api/log/head %s", body, err, checkpoint)
	}
	return checkpoint
}

// failing is what the service says that it cannot do in the background.
func (s *server) failing(t *testing.T) string {
	t.Helper()
	answer := (client{url: s.url, http: newHTTP()}).do(t.Context(), "GET", "/api/ready", "", nil)
	list, err := json.Marshal(answer.body["failing"])
	must(t, err)
	if answer.status != http.StatusOK {
		t.Errorf("the service is not ready: %d %v", answer.status, answer.body)
	}
	return string(list)
}

// A ledger in one file makes a key at the first start, and signs its head. After an old copy
// of the file was put back it does not start until kassa recover was told to go on; then heads
// are signed as another log. If it is started without the head that was kept outside, a witness
// raises an alarm. Where the key is gone money moves on, and nothing is signed: the service says
// why.
func TestHeadsAreSigned(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	outside := filepath.Join(t.TempDir(), "signed-head")
	must(t, os.Mkdir(data, 0o700))
	_, _, _ = kassa(t, "key", "new", "kassa.example.com/ledger", "--data", data)
	w := newWitness(t, data)
	flags := []string{"--signed-head-file", outside, "--witness-policy", w.policy}
	s := serve(t, data, flags...)
	ada := s.signUp(t, newHTTP(), "ada@example.com")
	s.signedHead(t)
	s.interrupt(t)
	file := filepath.Join(data, "kassa.db")
	old, err := os.ReadFile(file)
	must(t, err)

	s = serve(t, data, flags...)
	ada.url = s.url
	deposit := func(amount int64) {
		t.Helper()
		if paid := ada.do(t.Context(), "POST", "/api/users/balance/adjust", "", adjustment{Amount: amount}); paid.status != http.StatusOK {
			t.Fatalf("a deposit: %d %v", paid.status, paid.body)
		}
	}
	deposit(50)
	checkpoint := s.signedHead(t)
	code, public, complaints := kassa(t, "key", "show", "--data", data)
	verifier, err := note.NewVerifier(strings.TrimSpace(public))
	if code != 0 || err != nil {
		t.Fatalf("key show: %d %v %s", code, err, complaints)
	}
	if _, err := note.Open([]byte(checkpoint), note.VerifierList(verifier)); err != nil {
		t.Errorf("%v:\n%s", err, checkpoint)
	}
	if code, printed, complaints := kassa(t, "head", "--data", data); code != 0 || !strings.HasPrefix(printed, checkpoint) {
		t.Errorf("kassa head: %d\n%s%s\nand published is\n%s", code, printed, complaints, checkpoint)
	}
	w.cosigns(t, s, checkpoint)
	if code, _, complaints := w.check(t, s); code != 0 {
		t.Errorf("the witness: exit code %d\n%s", code, complaints)
	}
	verifiesReceipt(t, ada, strings.TrimSpace(public))
	if failing := s.failing(t); strings.Contains(failing, "sign the log") {
		t.Errorf("failing is %s", failing)
	}
	s.interrupt(t)

	must(t, os.WriteFile(file, old, 0o600)) // the restore of a backup
	refused := append([]string{"serve", "--data", data, "--addr", "127.0.0.1:0"}, flags...)
	wants(t, exitFailed, "kassa recover", refused...)
	missing := []string{"recover", "--data", data, "--signed-head-file", outside}
	wants(t, exitFailed, "entries are missing: 2", missing...)
	s = serve(t, data, flags[2:]...)
	ada.url = s.url
	deposit(20)
	deposit(30)
	if code, _, complaints := w.check(t, s); code != exitContradicted || !strings.Contains(complaints, "ALARM: ") {
		t.Errorf("of the restored ledger the witness says: exit code %d\n%s", code, complaints)
	}
	eventstoretest.Eventually(t, "the service says that a witness has seen more", func() bool { return strings.Contains(s.failing(t), "ask the witnesses") })
	s.interrupt(t)
	if kept, err := os.ReadFile(outside); err != nil || !strings.HasPrefix(checkpoint, string(kept)) {
		t.Errorf("kept is %s, %v", kept, err)
	}
	wants(t, exitFailed, "kassa recover", refused...)
	wants(t, exitFailed, "another history", missing...)
	wants(t, 0, "as another log", append(missing, "--accept-loss")...)
	s = serve(t, data, "--signed-head-file", outside)
	if signed := s.signedHead(t); !strings.HasPrefix(signed, "kassa.example.com/ledger-2\n") || strings.Contains(s.failing(t), "sign the log") {
		t.Errorf("signed is\n%s\nand failing is %s", signed, s.failing(t))
	}
	if code, _, complaints := w.check(t, s); code != exitContradicted || !strings.Contains(complaints, "ALARM: other_log") {
		t.Errorf("of the log that began after the loss the witness of the old one says: exit code %d\n%s", code, complaints)
	}
	s.interrupt(t)

	must(t, os.Remove(filepath.Join(data, "log.key")))
	s = serve(t, data)
	if failing := s.failing(t); !strings.Contains(failing, "sign the log's head") {
		t.Errorf("without its key failing is %s", failing)
	}
	s.interrupt(t)
	mustVerify(t, data)
}

// verifiesReceipt downloads the receipt of the last transaction, and verifies it by the
// program alone; an altered one is refused.
func verifiesReceipt(t *testing.T, c client, public string) {
	t.Helper()
	history := c.do(t.Context(), "GET", "/api/users/transaction/history?limit=1", "", nil)
	newest, _ := history.body["items"].([]any)
	if len(newest) != 1 {
		t.Fatalf("the history is %d %v", history.status, history.body)
	}
	id, _ := newest[0].(map[string]any)["transaction_id"].(string)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/api/users/transaction/"+id+"/receipt", nil)
	must(t, err)
	request.SetBasicAuth(c.email, password)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	receipt, err := io.ReadAll(answer.Body)
	must(t, err)
	file := filepath.Join(t.TempDir(), "kassa.tlog-proof")
	must(t, os.WriteFile(file, receipt, 0o600))
	if !strings.Contains(string(receipt), "\n— witness.example.org/w1 ") {
		t.Errorf("the receipt has no cosignature:\n%s", receipt)
	}
	if code, out, complaints := kassa(t, "receipt", "verify", file, "--key", public); code != 0 || !strings.Contains(out, "Deposited") || !strings.Contains(out, "50") {
		t.Errorf("receipt verify: exit code %d\n%s%s\n%s", code, out, complaints, receipt)
	}
	keys := filepath.Join(t.TempDir(), "keys")
	must(t, os.WriteFile(keys, []byte(public+"\n"), 0o600))
	if code, out, complaints := kassa(t, "receipt", "verify", file, "--key-file", keys, "--json"); code != 0 || !strings.Contains(out, `"type":"Deposited"`) {
		t.Errorf("receipt verify --json: exit code %d\n%s%s", code, out, complaints)
	}
	must(t, os.WriteFile(file, []byte(strings.Replace(string(receipt), "index ", "index 1", 1)), 0o600))
	if code, out, complaints := kassa(t, "receipt", "verify", file, "--key", public); code != exitFailed || out != "" || !strings.Contains(complaints, "it is not proved") {
		t.Errorf("an altered receipt: exit code %d\n%s%s", code, out, complaints)
	}
	if code, _, complaints := kassa(t, "receipt", "verify", file); code != exitUsage || !strings.Contains(complaints, "no public key") {
		t.Errorf("without a key: exit code %d\n%s", code, complaints)
	}
}

// A key is made once, for its owner only; what it prints is enough to verify.
func TestKeyNew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys", "log.key")
	code, out, complaints := kassa(t, "key", "new", "kassa.example.com/ledger", "--log-key-file", file)
	_, shown, _ := kassa(t, "key", "show", "--log-key-file", file)
	if code != 0 || shown == "" || !strings.Contains(out, shown) || !strings.HasPrefix(shown, "kassa.example.com/ledger+") {
		t.Errorf("exit code %d\n%s%s%s", code, out, complaints, shown)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(file)
	must(t, err)
	if code, _, complaints := kassa(t, "key", "new", "kassa.example.com/ledger", "--log-key-file", file); code != exitFailed || !strings.Contains(complaints, "is there already") {
		t.Errorf("again: exit code %d, %s", code, complaints)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("it was replaced, %v", err)
	}
	for _, name := range []string{"", "a b", "a+b"} {
		if code, _, _ := kassa(t, "key", "new", name, "--log-key-file", filepath.Join(t.TempDir(), "k")); code != exitUsage {
			t.Errorf("a log called %q: exit code %d", name, code)
		}
	}
	must(t, os.WriteFile(file, []byte("rubbish\n"), 0o600))
	if code, _, complaints := kassa(t, "serve", "--data", t.TempDir(), "--log-key-file", file); code != exitUsage || !strings.Contains(complaints, file) {
		t.Errorf("serve with no key in the file: exit code %d, %s", code, complaints)
	}
	if code, _, complaints := kassa(t, "head", "--data", t.TempDir()); code != exitFailed || !strings.Contains(complaints, "there is no ledger") {
		t.Errorf("head of no ledger: exit code %d, %s", code, complaints)
	}
}

// The key that docker/make-secrets makes is one of ours: the program reads it, and its public
// key verifies what it signs. It stays when the script runs again.
func TestMadeLogKey(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "log-key")
	var first string
	for range 2 {
		making := exec.CommandContext(t.Context(), filepath.Join("..", "..", "docker", "make-secrets"))
		making.Env = append(os.Environ(), "KASSA_SECRETS="+folder, "KASSA_LOG_NAME=kassa.example.com/ledger")
		if out, err := making.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(file)
		must(t, err)
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Error("it was made again")
		}
	}
	code, shown, complaints := kassa(t, "key", "show", "--log-key-file", file)
	verifier, err := note.NewVerifier(strings.TrimSpace(shown))
	if code != 0 || err != nil {
		t.Fatalf("key show: %d %v %s%s", code, err, shown, complaints)
	}
	signer, err := note.NewSigner(strings.TrimSpace(first))
	must(t, err)
	signed, err := note.Sign(&note.Note{Text: "x\n"}, signer)
	must(t, err)
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil || verifier.Name() != "kassa.example.com/ledger" {
		t.Errorf("the public key %s: %v", shown, err)
	}
}
