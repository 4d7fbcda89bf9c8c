package web_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kassa/catalog"
	"kassa/domain"
	"kassa/eventstore/eventstoretest"
)

// forget finishes the erasures that are due, and waits until this process has forgotten
// who has an e-mail.
func (h *fixture) forget(email string) {
	h.t.Helper()
	h.env.Erase()
	eventstoretest.Eventually(h.t, email+" is forgotten", func() bool {
		_, err := h.handler.FindUser(h.t.Context(), email)
		return domain.RefusalIn(err) != nil
	})
}

// A person deletes their account on its page: not without the password, not by a second
// form, and not before the time in which they can cancel it.
func TestDeletingAnAccount(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	h.clockAhead.Store(-int64(2 * erasureDelay)) // the ledger's last entries must not be from the future
	g := h.member("en", "anna@example.org")
	h.pay("anna@example.org", 30)
	asking := g.open("/web/account").follow("Delete account").at("/web/account/erasure").
		shows("Bought credits: 30.", "within 7 days", "Backups")
	asking.fill("/web/account/erasure", "password", "not the password", "credits", "forfeit").at("/web/account/erasure").shows("This is not your current password.")
	if got := g.open("/web/account/erasure").form("/web/account/erasure").Get("credits"); got != "withdraw" {
		t.Errorf("a new form begins with %q", got)
	}
	asking.fill("/web/account/erasure", "password", password, "credits", "burn").at("/web/account/erasure").shows("Choose what happens to bought credits.")
	asking = g.open("/web/account/erasure")
	size := h.env.Size()
	for range 2 { // a double click
		asking.fill("/web/account/erasure", "password", password).at("/web/account").shows("Your account will be deleted.", "Bought credits will be paid out.", "Keep the account")
	}
	if written := h.env.Size() - size; written != 1 {
		t.Errorf("%d entries were written", written)
	}
	g.open("/web/account/erasure").fill("/web/account/erasure", "password", password).at("/web/account/erasure").shows("Cancel that first")
	g.open("/web/deposit").fill("/web/deposit", "amount", "100").shows("Cancel that first")

	kept := g.open("/web/account")
	for range 2 {
		kept.fill("/web/account/erasure/cancel").at("/web/account").shows("The deletion is cancelled.").lacks("Keep the account")
	}
	g.open("/web/deposit").fill("/web/deposit", "amount", "100").shows("Added: 100")

	g.open("/web/account/erasure").fill("/web/account/erasure", "password", password).at("/web/account")
	h.clockAhead.Add(int64(erasureDelay + time.Second))
	h.forget("anna@example.org")
	g.open("/web/account").at("/web/signin")
	h.client("ru").open("/web/signin").fill("/web/signin", "email", "anna@example.org", "password", password).at("/web/signin").shows("Неверная почта или пароль.")
	h.member("en", "anna@example.org").open("/web/prediction-history").shows("No questions yet.") // the address is free
}

// An admin has an account deleted whose person asked for it by letter; the person sees it,
// and the admin's own account is not deleted there.
func TestDeletingAnAccountByRequest(t *testing.T) {
	h, g := signInAdmin(t, "en")
	h.clockAhead.Store(-int64(2 * erasureDelay))
	vera := h.env.User("vera@example.org")
	address := "/web/admin/user/" + string(vera)
	v := h.client("ru")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password).at("/web")
	v.open(address + "/erasure").is(http.StatusForbidden)
	form := g.open(address).follow("Delete the account").at(address+"/erasure").shows("vera@example.org", "after 7 days")
	form.fill(address+"/erasure", "reason", "letter 7", "password", "not the password").at(address + "/erasure").shows("This is not your current password.")
	if got := g.open(address + "/erasure"); got.value("reason") != "" {
		t.Errorf("a new form begins with %q", got.value("reason"))
	}
	form.fill(address+"/erasure", "reason", "  ", "password", password).shows("Enter a reason")
	g.open(address+"/erasure").fill(address+"/erasure", "reason", "letter 7", "password", password).at(address).shows("The account will be deleted.", "This account will be deleted:")
	v.open("/web/account").shows("Учётная запись будет удалена:", "Отменить удаление").fill("/web/account/erasure/cancel").shows("Удаление отменено.")

	own := "/web/admin/user/" + string(h.env.User("boss@example.org"))
	g.open(own).lacks("at the user's request")
	g.open(own + "/erasure").shows("on the page of your account")
	g.send(own+"/erasure", url.Values{"reason": {"r"}, "credits": {"withdraw"}, "password": {password}, "idempotency_key": {"k"}}).shows("on the page of your account")
	g.open("/web/admin/user/u_nobody/erasure").is(http.StatusNotFound)

	g.open(address+"/erasure").fill(address+"/erasure", "reason", "letter 7", "password", password).at(address)
	h.clockAhead.Add(int64(erasureDelay + time.Second))
	h.forget("vera@example.org")
	g.open(address).shows("address erased").lacks("at the user's request")
	g.open(address + "/erasure").is(http.StatusNotFound)
}

// An admin cancels a deletion whose person asked for that, after looking at it, once; nobody
// else does, and an admin not their own.
func TestCancellingADeletionByRequest(t *testing.T) {
	h, g := signInAdmin(t, "en")
	h.clockAhead.Store(-int64(2 * erasureDelay))
	address := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	g.open(address).lacks("Cancel the deletion")
	g.open(address + "/keep").at(address) // there is nothing to cancel
	v := h.client("ru")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password).at("/web")
	v.open("/web/account/erasure").fill("/web/account/erasure", "password", password).at("/web/account").shows("Учётная запись будет удалена")
	v.open(address + "/keep").is(http.StatusForbidden)
	v.send(address+"/keep", url.Values{"reason": {"r"}, "idempotency_key": {"k"}}).is(http.StatusForbidden)

	check := g.open(address).shows("This account will be deleted:").follow("Cancel the deletion").at(address+"/keep").shows("vera@example.org", "This account will be deleted:", "Use this only if the user has asked for it.")
	check.fill(address+"/keep", "reason", "letter 8").at(address + "/keep").shows("This is not your current password")
	check.fill(address+"/keep", "reason", "  ", "password", password).at(address + "/keep").shows("Enter a reason")
	v.open("/web/account").shows("Отменить удаление") // looking at it changes nothing
	size := h.env.Size()
	for range 2 { // a double click
		check.fill(address+"/keep", "reason", "letter 8", "password", password).at(address).shows("The deletion is cancelled.").lacks("This account will be deleted:")
	}
	if written := h.env.Size() - size; written != 1 {
		t.Errorf("%d entries were written", written)
	}
	v.open("/web/account").lacks("Отменить удаление")

	own := "/web/admin/user/" + string(h.env.User("boss@example.org"))
	g.open("/web/account/erasure").fill("/web/account/erasure", "password", password).at("/web/account")
	g.open(own).lacks("Cancel the deletion")
	g.open(own + "/keep").shows("on its page")
	g.send(own+"/keep", url.Values{"reason": {"r"}, "password": {password}, "idempotency_key": {"k2"}}).shows("on its page")
	g.open("/web/account").fill("/web/account/erasure/cancel").shows("The deletion is cancelled.")

	h.clockAhead.Add(int64(erasureDelay + time.Second))
	h.env.Erase()
	h.client("en").open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password).at("/web")
}

// A person takes their data along: all of it, readable by programs and by spreadsheets, and
// nothing of anybody else's.
func TestDownloadingOwnData(t *testing.T) {
	h := newFixture(t, options{bonus: 100})
	g := h.member("ru", "anna@example.org")
	h.member("ru", "bob@example.org").open("/web").fill("/web/ask", "text", "secrets of bob")
	g.open("/web").fill("/web/ask", "text", "=фильм про крысу, которая готовит")
	g.open("/web").fill("/web/ask", "text", "тайна "+unansweredWord)
	h.client("ru").open("/web/account/export").at("/web/signin")

	files := g.download("/web/account/export")
	var data struct {
		Account struct {
			Email string `json:"email"`
		} `json:"account"`
		Sessions     []any `json:"sessions"`
		Transactions []struct {
			Amount int `json:"amount"`
		} `json:"transactions"`
		Predictions []struct {
			Text       string            `json:"text"`
			Movies     []any             `json:"movies"`
			Confidence catalog.Certainty `json:"confidence"`
		} `json:"predictions"`
	}
	if err := json.Unmarshal(files["data.json"], &data); err != nil {
		t.Fatal(err)
	}
	if data.Account.Email != "anna@example.org" || len(data.Sessions) != 1 || len(data.Transactions) != 3 || len(data.Predictions) != 2 ||
		data.Predictions[1].Text != "=фильм про крысу, которая готовит" || len(data.Predictions[1].Movies) == 0 ||
		data.Predictions[0].Confidence != "" || !slices.Contains(catalog.Certainties, data.Predictions[1].Confidence) {
		t.Errorf("the data is %+v", data)
	}
	if bytes.Contains(files["data.json"], []byte("bob")) {
		t.Error("another's data is in it")
	}
	for name, want := range map[string][][]string{"transactions.csv": {{"prediction", "-5"}, {"prediction", "-5"}, {"bonus", "100"}}, "questions.csv": {{"тайна " + unansweredWord}, {"'=фильм про крысу, которая готовит", string(data.Predictions[1].Confidence)}}} {
		table, marked := strings.CutPrefix(string(files[name]), "\ufeff")
		rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
		if err != nil || !marked || len(rows) != len(want)+1 {
			t.Fatalf("%s: %d rows, marked %t: %v", name, len(rows), marked, err)
		}
		for i, cells := range want {
			if row := strings.Join(rows[i+1], "|"); !strings.Contains(row, strings.Join(cells[:1], "|")) || !strings.Contains(row, cells[len(cells)-1]) {
				t.Errorf("%s, line %d is %s", name, i+2, row)
			}
		}
	}
	for range 4 {
		g.download("/web/account/export")
	}
	g.open("/web/account/export").is(http.StatusTooManyRequests).shows("Слишком много запросов")
}

// download gives the files of a zip file.
func (g *client) download(path string) map[string][]byte {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.fixture.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), `attachment; filename="kassa-data-`) || resp.Header.Get("Cache-Control") != "no-store" {
		g.t.Fatalf("%s answers %d with %v: %v", path, resp.StatusCode, resp.Header, err)
	}
	archive, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		g.t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err == nil {
			files[f.Name], err = io.ReadAll(r)
		}
		if err != nil {
			g.t.Fatalf("%s: %v", f.Name, err)
		}
	}
	return files
}
