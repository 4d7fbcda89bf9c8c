package web_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"kassa/domain"
	"kassa/eventstore"
	"kassa/transparency"
)

// signs makes a key for the fixture's log and signs its head. It returns the public key.
func (h *fixture) signs(t *testing.T) (public string) {
	t.Helper()
	private, public, err := transparency.NewKey("kassa.example.com/ledger")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := transparency.ParseKeys(private)
	if err != nil {
		t.Fatal(err)
	}
	signer := &transparency.Signer{Log: h.store, Heads: h.env.SignedHeads(), Keys: keys}
	if _, err := signer.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	return public
}

// movement is the position of the first movement of a user's credits.
func (h *fixture) movement(t *testing.T, email string) eventstore.Position {
	t.Helper()
	stream := eventstore.AccountStream(h.env.User(email))
	list, err := h.store.Stream(t.Context(), stream, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range list {
		if _, moves := rec.Event.(domain.MoneyEvent); moves {
			return rec.Position
		}
	}
	t.Fatalf("%s has no movement", email)
	return 0
}

// raw reads a file that the browser saves.
func (g *client) raw(path string) (status int, header http.Header, body string) {
	g.t.Helper()
	request, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.fixture.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	request.Header.Set("Accept-Language", g.language)
	answer, err := g.client.Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	defer answer.Body.Close()
	bytes, err := io.ReadAll(answer.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(bytes)
}

// Each movement of one's own has a link to its receipt, once heads are signed. Another's
// has none, and its address is refused.
func TestReceiptLinks(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	ada := h.member("ru", "ada@example.org")
	at := h.movement(t, "ada@example.org")
	link := fmt.Sprintf("/web/transaction/%d/receipt", at)
	if text := ada.open("/web/transaction-history").text; strings.Contains(text, "Запись журнала") {
		t.Errorf("before a head is signed there are receipts: %s", text)
	}
	public := h.signs(t)
	page := ada.open("/web/transaction-history").shows(fmt.Sprintf("Запись журнала № %d", at), "Как проверить")
	if find(page.root, func(n *node) bool { return attr(n, "href") == link }) == nil {
		t.Errorf("no link leads to %s", link)
	}
	status, header, proof := ada.raw(link)
	keys, err := transparency.ParsePublicKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	proved, err := keys.Check([]byte(proof))
	if err != nil || status != http.StatusOK || proved.Entry.Position != at || header.Get("Content-Disposition") != fmt.Sprintf(`attachment; filename="kassa-%d.tlog-proof"`, at) {
		t.Errorf("the receipt: %d %v %v\n%s", status, err, header, proof)
	}
	eve := h.member("en", "eve@example.org")
	for _, path := range []string{link, "/web/transaction/0/receipt", "/web/transaction/01/receipt", "/web/transaction/x/receipt"} {
		eve.open(path).is(http.StatusNotFound)
	}
	h.client("en").open(link).at("/web/signin")
	for language, says := range map[string][]string{"ru": {"Проверить квитанцию", "kassa receipt verify"}, "en": {"Check a receipt", "kassa receipt verify"}} {
		h.client(language).open("/web/receipt").is(http.StatusOK).shows(says...)
	}
}

// The page verifies a receipt in the browser, as a page of the site and as a file from a disk
// without our server. An altered one fails there, whatever was altered.
func TestReceiptsInTheBrowser(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	ada := h.member("en", "ada@example.org")
	for i := range 5 {
		h.member("en", fmt.Sprintf("later%d@example.org", i))
	}
	at := h.movement(t, "ada@example.org")
	public := h.signs(t)
	_, _, proof := ada.raw(fmt.Sprintf("/web/transaction/%d/receipt", at))
	_, header, page := ada.raw("/web/receipt/page")
	if header.Get("Content-Disposition") != `attachment; filename="kassa-receipt.html"` || strings.Contains(page, "/web/static") {
		t.Errorf("the page that is saved has %v", header)
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.tlog-proof", proof)
	cases := []struct{ name, file, key, class, says string }{
		{"genuine", good, public, "notice", "The receipt is genuine"},
		{"more credits", write("amount.tlog-proof", altered(t, proof, `"amount":10`, `"amount":90`)), public, "fault", "The entry is not in the signed ledger"},
		{"another's path", write("path.tlog-proof", strings.Replace(proof, "index ", "index 1", 1)), public, "fault", "The entry is not in the signed ledger"},
		{"another head", write("head.tlog-proof", strings.Replace(proof, "\nkassa.example.com/ledger\n", "\nkassa.example.com/ledger\n1", 1)), public, "fault", "It was not signed by this key"},
		{"no receipt", write("none.tlog-proof", "hello"), public, "fault", "The file is not a receipt"},
		{"half a key", good, public[:len(public)-8], "fault", "The public key is not one"},
	}
	b := h.browse(t, "en", true)
	for _, address := range []string{h.url + "/web/receipt", "file://" + write("page.html", page)} {
		for _, tt := range cases {
			b.do("open "+address, chromedp.Navigate(address))
			b.do("choose the file", chromedp.SetUploadFiles(chromedp.CSS("#receipt-file"), []string{tt.file}))
			b.typeIn("#receipt-key", tt.key)
			b.press("#receipt button")
			b.until(tt.name, `document.querySelector('#receipt-result').className !== ''`)
			class, text := ask[string](b, `document.querySelector('#receipt-result').className`), ask[string](b, `document.querySelector('#receipt-result').innerText`)
			if class != tt.class || !strings.Contains(text, tt.says) || tt.class == "notice" && !strings.Contains(text, fmt.Sprintf("№ %d ", at)) {
				t.Errorf("%s at %s: %s, %s", tt.name, address, class, text)
			}
		}
	}
	b.noComplaints()
}

// altered changes the entry in a proof.
func altered(t *testing.T, proof, from, to string) string {
	t.Helper()
	_, rest, _ := strings.Cut(proof, "extra ")
	encoded, _, _ := strings.Cut(rest, "\n")
	entry, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !strings.Contains(string(entry), from) {
		t.Fatalf("the entry has no %s: %q, %v", from, entry, err)
	}
	return strings.Replace(proof, encoded, base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(entry), from, to, 1))), 1)
}
