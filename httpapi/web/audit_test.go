package web_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kassa/audit"
	"kassa/commands"
	"kassa/domain"
	"kassa/eventstore"
	"kassa/httpapi/identity"
	"kassa/transparency"
)

// audited gives a fixture with some movements, and an auditor's client.
func audited(t *testing.T, language string, o options) (*fixture, *client) {
	t.Helper()
	o.bonus, o.limits = bonus, identity.Limits{Off: true}
	h := newFixture(t, o)
	g := h.member(language, "auditor@example.org")
	h.member(language, "vera@example.org")
	h.member(language, "boss@example.org")
	h.env.SetRole(h.env.User("auditor@example.org"), domain.AuditorRole, true)
	h.promote("boss@example.org")
	h.pay("vera@example.org", 250)
	h.corrects("a gift", 20)
	h.corrects("refund of March", 40)
	return h, g
}

// corrects adjusts Vera's balance, by the boss.
func (h *fixture) corrects(reason string, amount domain.Credits) commands.Result {
	h.t.Helper()
	r, err := h.handler.Adjust(h.t.Context(), commands.Adjust{Admin: h.env.User("boss@example.org"), User: h.env.User("vera@example.org"), Correction: domain.Correction{Amount: amount, Reason: reason}})
	h.ended(r.Position, err)
	return r
}

// signLog signs the head of the log, and gives the key to check with.
func (h *fixture) signLog() transparency.Keys {
	h.t.Helper()
	private, public, err := transparency.NewKey("kassa.example.com/ledger")
	if err != nil {
		h.t.Fatal(err)
	}
	keys, err := transparency.ParseKeys(private)
	if err == nil {
		_, err = (&transparency.Signer{Log: h.store, Heads: h.env.SignedHeads(), Keys: keys}).Sign(h.t.Context())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	check, err := transparency.ParsePublicKeys(public)
	if err != nil {
		h.t.Fatal(err)
	}
	return check
}

// An auditor reads the state of the log, the trial balance of a moment, adjustments, an entry and a
// timeline, without scripts, and nobody's e-mail or question.
func TestAuditPages(t *testing.T) {
	h, g := audited(t, "en", options{})
	head, err := h.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g.open("/web").follow("Audit").shows("The ledger’s log", "No head was signed yet.", "memory", head.Root.String())
	h.signLog()
	home := g.open("/web/audit").shows("and the log continues it", "kassa.example.com/ledger", fmt.Sprintf("kassa verify --kept %d:%s", head.Size, head.Root))

	trial := home.follow("Trial balance").shows("Bought credits", "Given credits", "Sum, which is zero", "250 credits owed to customers", "Customers: available users:available", "Cash house:cash −250")
	trial = trial.ask("/web/audit/trial", "as_of", "1").shows("0 credits owed to customers").lacks("−250")
	if trial.value("as_of") != "1" {
		t.Errorf("the moment comes back as %q", trial.value("as_of"))
	}
	trial.ask("/web/audit/trial", "as_of", "yesterday").is(http.StatusUnprocessableEntity).shows("no such moment")
	trial.ask("/web/audit/trial", "as_of", "99999").is(http.StatusUnprocessableEntity).shows("no such moment")
	home.follow("Money over time").shows("Owed", "Revenue", "As a table", "250")

	list := home.follow("Adjustments by admins").shows("a gift", "refund of March", "+20", "+40")
	list.ask("/web/audit/adjustments", "reason", "MARCH").shows("refund of March", "+40").lacks("a gift")
	list.ask("/web/audit/adjustments", "above", "20").shows("+40").lacks("+20")
	list.ask("/web/audit/adjustments", "by", string(h.env.User("boss@example.org"))).shows("+20", "+40")
	list.ask("/web/audit/adjustments", "by", string(h.env.User("vera@example.org"))).shows("There are none.")
	list.ask("/web/audit/adjustments", "by", "boss").is(http.StatusUnprocessableEntity).shows("filter cannot be read")

	vera := h.env.User("vera@example.org")
	person := home.ask("/web/audit/go", "person", string(vera)).at("/web/audit/users/"+string(vera)).shows("SignedUp", "EmailClaimed", "PaymentClaimed", "Deposited", "+250", "320 / 0").lacks("vera@")
	entry := person.follow("№ 13").shows("Entry № 13", "Appended together", "Path to the root", "Hash of the leaf").lacks("vera@")
	entry.shows(head.Root.String())
	home.ask("/web/audit/go", "entry", "x").is(http.StatusUnprocessableEntity).shows("That is no number of an entry.")
	home.ask("/web/audit/go", "person", "vera").is(http.StatusUnprocessableEntity).shows("That is no id of a person")
	for _, path := range []string{"/entries/0", "/entries/99999", "/entries/01", "/entries/%00", "/users/u_nobody", "/users/u_%00"} {
		g.open("/web/audit" + path).is(http.StatusNotFound)
	}
	g.open("/web/audit/users/" + string(vera) + "?cursor=x").is(http.StatusBadRequest)

	// An auditor is no admin, and who is neither reads nothing of this.
	g.open("/web/admin").is(http.StatusForbidden)
	other := h.client("en")
	other.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	other.open("/web").lacks("Audit")
	for _, path := range []string{"", "/go?entry=1", "/trial", "/money", "/adjustments", "/adjustments.csv", "/entries/1", "/entries/1/proof", "/users/" + string(vera), "/close", "/export"} {
		other.open("/web/audit" + path).is(http.StatusForbidden)
	}
}

// The page shows what the log says of the views, of the films, and of the last verification.
func TestAuditPageOfRecords(t *testing.T) {
	for _, tt := range []struct {
		language string
		none     []string
		shown    []string
	}{
		{"en", []string{"The service has not attested it yet.", "They have not been recorded yet.", "The operator has not recorded a verification."},
			[]string{"balances_v2 up to entry", "608 films with 1216 vectors, recorded", "olga verified it up to entry %d and found faults: 2, the first “view_differs”"}},
		{"ru", []string{"Сервис его ещё не заявлял.", "Их состав ещё не внесён в журнал.", "Оператор ещё не внёс в журнал ни одной проверки."},
			[]string{"balances_v2 до записи", "Фильмов: 608, векторов: 1216. Внесено", "Проверяющий: olga. Журнал проверен до записи %d, найдено ошибок: 2, первая — «view_differs»."}},
	} {
		h, g := audited(t, tt.language, options{})
		g.open("/web/audit").shows(tt.none...)
		head, err := h.store.Head(t.Context())
		h.ended(head.Size, err)
		at, err := h.handler.AttestViews(t.Context(), 0, domain.ViewsAttested{Program: "test", Views: h.env.Memory.States()})
		h.ended(at, err)
		h.ended(h.handler.RecordCatalogue(t.Context(), 0, at, domain.CatalogueRecorded{Catalogue: "0123456789ab", Films: 608, Vectors: 1216, Root: head.Root.String()}))
		h.ended(h.handler.RecordVerification(t.Context(), domain.LedgerVerified{By: "olga", Position: int64(head.Size), Root: head.Root.String(), Faults: 2, First: "view_differs"}))
		tt.shown[2] = fmt.Sprintf(tt.shown[2], head.Size)
		g.open("/web/audit").shows(append(tt.shown, "0123456789ab")...).lacks(tt.none...)
	}
}

// What the pages offer as files is what the console writes: the month's close, exports, the table of
// adjustments, and the proof of an entry.
func TestAuditFiles(t *testing.T) {
	h, g := audited(t, "ru", options{})
	keys, log := h.signLog(), audit.FullLog{Store: h.store}
	month := h.now().UTC().Format("2006-01")
	period, err := audit.MonthIn(month, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	books, err := audit.Close(t.Context(), log, period, h.now())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "books")
	if _, err := books.WriteTo(t.Context(), log, folder, "ru"); err != nil {
		t.Fatal(err)
	}
	_, _, body := g.raw("/web/audit/close?zone=UTC&month=" + month)
	archive, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil || len(archive.File) != 8 { // three persons
		t.Fatalf("the books: %v, %d files", err, len(archive.File))
	}
	for _, file := range archive.File {
		in, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		want, failed := os.ReadFile(filepath.Join(folder, filepath.FromSlash(file.Name)))
		if err != nil || failed != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is %s, by the console %s (%v, %v)", file.Name, got, want, err, failed)
		}
	}
	g.open("/web/audit/close?month=2026-13&zone=UTC").is(http.StatusUnprocessableEntity).shows("Такого месяца или часового пояса нет")
	g.open("/web/audit/close?month=9000-01&zone=UTC").is(http.StatusUnprocessableEntity).shows("Такого")

	var export bytes.Buffer
	if _, err := (audit.Export{Log: log, Format: audit.Hledger, UpTo: books.Period.Closing}).Write(t.Context(), &export); err != nil {
		t.Fatal(err)
	}
	if _, _, body := g.raw("/web/audit/export?format=hledger&from=&to=" + fmt.Sprint(books.Period.Closing)); body != export.String() {
		t.Errorf("the export is %s, want %s", body, export.String())
	}
	g.open("/web/audit/export?format=jsonl&from=yesterday").is(http.StatusUnprocessableEntity).shows("Такого момента")
	if _, _, table := g.raw("/web/audit/adjustments.csv?above=20"); !strings.Contains(table, "refund of March") || strings.Contains(table, "a gift") {
		t.Errorf("the table is %s", table)
	}
	for at := eventstore.Position(1); at <= books.Period.Closing; at++ {
		if _, _, proof := g.raw(fmt.Sprintf("/web/audit/entries/%d/proof", at)); proof == "" {
			t.Errorf("entry %d has no proof", at)
		} else if proved, err := keys.Check([]byte(proof)); err != nil || proved.Entry.Position != at {
			t.Errorf("entry %d: %v", at, err)
		}
	}
}

// The pages of an auditor in a browser, in both languages and at both widths.
func TestAuditInABrowser(t *testing.T) {
	for _, language := range []string{"ru", "en"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			h, _ := audited(t, language, options{adjust: domain.AdjustmentLimits{FourEyesAbove: 500}})
			h.signLog()
			h.corrects("Оплата за март зачислена дважды", 2500) // is proposed
			b := h.browse(t, language, true)
			b.signIn("auditor@example.org")
			vera := string(h.env.User("vera@example.org"))
			for _, page := range []struct{ name, path string }{
				{"70-audit", ""}, {"71-audit-refused", "/go?entry=x"}, {"72-audit-trial", "/trial"}, {"73-audit-trial-refused", "/trial?as_of=nonsense"}, {"74-audit-money", "/money"},
				{"75-audit-adjustments", "/adjustments"}, {"76-audit-entry", "/entries/5"}, {"77-audit-entry-unsigned", "/entries/16"}, {"78-audit-person", "/users/" + vera},
			} {
				b.open("/web/audit" + page.path)
				b.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-"+page.name, "dark")
			}
			b.open("/web/audit/entries/5")
			b.press("details summary")
			b.capture(os.Getenv("KASSA_SCREENSHOTS"), language+"-76-audit-entry-all")
			b.press("a[href='/web/audit']")
			b.typeIn("#person", vera)
			b.press("#person ~ button, form:has(#person) button")
			b.until("see the timeline", `location.pathname.endsWith("/users/`+vera+`") && document.querySelector('.ledger') !== null`)
			b.noComplaints()
		})
	}
}
