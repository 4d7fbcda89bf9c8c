package httpapi

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kassa/httpapi/identity"
	"kassa/transparency"
)

// published is a server whose log is published, with its public key.
type published struct {
	*fixture
	signer *transparency.Signer
	public string
}

func newPublished(t *testing.T) published {
	t.Helper()
	f := newFixture(t, identity.Limits{Off: true})
	private, public, err := transparency.NewKey("kassa.example.com/ledger")
	must(t, err)
	keys, err := transparency.ParseKeys(private)
	must(t, err)
	heads := f.env.SignedHeads()
	f.server.Transparency = &Transparency{Log: f.store, Heads: heads}
	return published{f, &transparency.Signer{Log: f.store, Heads: heads, Keys: keys}, public}
}

// sign signs the head of the log as it is now.
func (p published) sign() {
	p.t.Helper()
	_, err := p.signer.Sign(p.t.Context())
	must(p.t, err)
}

// get asks as a user, "" for nobody.
func (p published) get(path, as string, headers ...string) *httptest.ResponseRecorder {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, path, nil)
	if as != "" {
		basic(r, as)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.server.Handler().ServeHTTP(w, r)
	return w
}

// outsider knows the log's address and its public key, and uses nothing of ours: packages
// note and tlog of the Go project, which verify the checksum database.
type outsider struct {
	published
	verifier note.Verifier
}

func (o outsider) Height() int                     { return 8 }
func (o outsider) SaveTiles([]tlog.Tile, [][]byte) {}

func (o outsider) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		answer := o.get("/log/tile/"+strings.TrimPrefix(tile.Path(), "tile/8/"), "")
		if answer.Code != http.StatusOK {
			return nil, fmt.Errorf("%s: %d", tile.Path(), answer.Code)
		}
		data = append(data, answer.Body.Bytes())
	}
	return data, nil
}

// head reads the checkpoint and verifies its signature.
func (o outsider) head() tlog.Tree {
	o.t.Helper()
	opened, err := note.Open(o.get("/log/checkpoint", "").Body.Bytes(), note.VerifierList(o.verifier))
	must(o.t, err)
	lines := strings.Split(opened.Text, "\n")
	var tree tlog.Tree
	_, err = fmt.Sscan(lines[1], &tree.N)
	must(o.t, err)
	tree.Hash, err = tlog.ParseHash(lines[2])
	must(o.t, err)
	return tree
}

// An outsider verifies from the published files alone, by the Go project's own packages: the
// signature, that each entry is in the tree, and that a later head continues an earlier one.
func TestOutsiderVerifiesTheLog(t *testing.T) {
	p := newPublished(t)
	verifier, err := note.NewVerifier(p.public)
	must(t, err)
	o := outsider{p, verifier}
	for i := range 90 {
		p.addUser(fmt.Sprintf("a%d", i))
	}
	p.sign()
	earlier := o.head()
	for i := range 50 {
		p.addUser(fmt.Sprintf("b%d", i))
	}
	if answer := p.get("/log/checkpoint", ""); answer.Code != http.StatusOK || o.head() != earlier {
		t.Errorf("before it is signed again: %d", answer.Code)
	}
	p.sign()
	later := o.head()
	if earlier.N < 180 || later.N <= 256 {
		t.Fatalf("signed are %d and %d entries", earlier.N, later.N)
	}
	hashes := tlog.TileHashReader(later, o)
	proof, err := tlog.ProveTree(later.N, earlier.N, hashes)
	must(t, err)
	must(t, tlog.CheckTree(proof, later.N, later.Hash, earlier.N, earlier.Hash))
	log, err := p.store.After(t.Context(), 0, 1000)
	must(t, err)
	for _, at := range []int64{0, 1, 100, 255, 256, later.N - 1} {
		proof, err := tlog.ProveRecord(later.N, at, hashes)
		must(t, err)
		must(t, tlog.CheckRecord(proof, later.N, later.Hash, at, tlog.RecordHash(log[at].Entry)))
	}
}

// Entries show amounts and pseudonyms: only admins read them, unless the operator publishes
// them. The rest of the log is for everybody.
func TestWhoReadsEntries(t *testing.T) {
	p := newPublished(t)
	p.addUser("ada")
	p.addUser("root")
	p.setAdmin("root", true)
	p.sign()
	head, err := p.store.Head(t.Context())
	must(t, err)
	entries := fmt.Sprintf("/log/tile/entries/000.p/%d", head.Size)
	for _, tt := range []struct {
		path, as, code string
		status         int
		kept           string
	}{
		{"/log/checkpoint", "", "", 200, "no-cache"},
		{fmt.Sprintf("/log/tile/0/000.p/%d", head.Size), "", "", 200, "public, max-age=31536000, immutable"},
		{entries, "", "authentication_required", 401, "no-store"},
		{entries, "ada", "auditor_required", 403, "no-store"},
		{entries, "root", "", 200, "private, max-age=31536000, immutable"},
		{fmt.Sprintf("/log/tile/0/000.p/%d", head.Size+1), "", "not_found", 404, "no-store"},
		{"/log/tile/0/0", "", "not_found", 404, "no-store"}, {"/log/tile/entries/../0/000", "", "not_found", 404, "no-store"},
		{"/log/", "", "not_found", 404, "no-store"}, {"/log/checkpoint/", "", "not_found", 404, "no-store"},
		{"/log/checkpoint?size=1", "", "unknown_parameter", 422, "no-store"},
	} {
		answer := p.get(tt.path, tt.as)
		if answer.Code != tt.status || !strings.Contains(answer.Body.String(), tt.code) || answer.Header().Get("Cache-Control") != tt.kept {
			t.Errorf("%s as %q: %d %q\n%s", tt.path, tt.as, answer.Code, answer.Header().Get("Cache-Control"), answer.Body)
		}
	}
	p.server.Transparency.PublicEntries = true
	open := p.get(entries, "")
	if open.Code != http.StatusOK || open.Header().Get("Cache-Control") != publicImmutable {
		t.Errorf("entries that are public: %d %v", open.Code, open.Header())
	}
	packed := p.get(entries, "", "Accept-Encoding", "br, gzip;q=0.5")
	unpacked, err := gzip.NewReader(packed.Body)
	must(t, err)
	body, err := io.ReadAll(unpacked)
	if err != nil || string(body) != open.Body.String() || packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("compressed: %v, %v", err, packed.Header())
	}
	if plain := p.get(entries, "", "Accept-Encoding", "gzip;q=0"); plain.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for a client that refuses it")
	}
	for _, path := range []string{"/log/checkpoint", entries} {
		tag := p.get(path, "").Header().Get("ETag")
		if again := p.get(path, "", "If-None-Match", tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s with the tag %q: %d", path, tag, again.Code)
		}
	}
}

// Where nothing is signed there is no checkpoint and no tile, and nothing else fails.
func TestALogWithoutSignedHeads(t *testing.T) {
	p := newPublished(t)
	p.addUser("ada")
	for _, path := range []string{"/log/checkpoint", "/log/tile/0/000.p/1", "/api/log/head"} {
		if answer := p.get(path, ""); answer.Code != http.StatusNotFound || !strings.Contains(answer.Body.String(), "no head of the log was signed yet") {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	p.sign()
	head, err := p.store.Head(t.Context())
	must(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/log/head", nil)
	answer := p.get("/api/log/head", "")
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), head.Root.String()) {
		t.Errorf("the head: %d %s", answer.Code, answer.Body)
	}
	theContract(t).check(t, r, nil, answer)
	p.server.Transparency = nil
	if answer := p.get("/log/checkpoint", ""); answer.Code != http.StatusNotFound {
		t.Errorf("a ledger that publishes nothing: %d", answer.Code)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
