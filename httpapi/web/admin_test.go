package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kassa/httpapi/identity"
)

// boss is an admin in a house where Vera has a wallet.
func boss(t *testing.T, language string) (*house, *guest) {
	t.Helper()
	h := open(t, options{bonus: bonus, limits: identity.Limits{Off: true}})
	g := h.member(language, "boss@example.org")
	h.member("ru", "vera@example.org")
	h.promote("boss@example.org")
	return h, g
}

func TestAdminsOnly(t *testing.T) {
	h, _ := boss(t, "ru")
	g := h.guest("en")
	g.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	address := "/web/admin/user/" + string(h.user("vera@example.org"))
	g.open("/web").silent("People")
	g.open("/web/admin").is(http.StatusForbidden).says("No entry")
	g.open(address).is(http.StatusForbidden)
	g.send("/web/admin", map[string][]string{"who": {"boss@example.org"}}).is(http.StatusForbidden).silent("boss@")
	g.send(address+"/adjust", map[string][]string{"amount": {"5"}, "reason": {"r"}, "confirm": {"yes"}, "idempotency_key": {"k"}}).is(http.StatusForbidden)
	if available, _ := h.balance("vera@example.org"); available != bonus {
		t.Errorf("Vera has %d credits", available)
	}
}

func TestFind(t *testing.T) {
	h, g := boss(t, "ru")
	vera := h.user("vera@example.org")
	people := g.open("/web/admin").says("boss@example.org администратор", "vera@example.org", string(vera))
	for _, query := range []string{"vera@example.org", " VERA@example.org ", string(vera)} {
		people.fill("/web/admin", "who", query).at("/web/admin/user/"+string(vera)).says("vera@example.org", "Баланс 10 кредитов", "Нет открытых вопросов.", "Подарок")
	}
	for _, query := range []string{"nobody@example.org", "u_nobody", "@", "  "} {
		found := people.fill("/web/admin", "who", query).is(http.StatusOK).says("никого нет")
		if found.value("who") != strings.TrimSpace(query) {
			t.Errorf("%q comes back as %q", query, found.value("who"))
		}
	}
	people.fill("/web/admin", "who", "u_\x00").is(http.StatusOK).says("никого нет") // which PostgreSQL fails on
	people.follow("vera@example.org").at("/web/admin/user/" + string(vera))
	for _, id := range []string{"u_nobody", "u_%00", "u_%ff", "..", "%2e%2e", "..%2f..", "%2F"} {
		g.open("/web/admin/user/" + id).is(http.StatusNotFound)
		g.open("/web/prediction/" + id).is(http.StatusNotFound)
	}
	g.open("/web/admin?cursor=nonsense").is(http.StatusBadRequest)
}

func TestPeoplePages(t *testing.T) {
	h, g := boss(t, "en")
	for n := range 21 {
		h.member("en", fmt.Sprintf("guest%d@example.org", n))
	}
	page := g.open("/web/admin").says("guest20@example.org").silent("vera@")
	page.follow("Earlier").says("vera@example.org", "boss@example.org").silent("guest20@").follow("Back to the newest").says("guest20@")
}

func TestHolds(t *testing.T) {
	h, g := boss(t, "ru")
	v := h.guest("ru")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	v.open("/web").fill("/web/ask", "text", "тайна "+patience)
	page := g.open("/web/admin/user/"+string(h.user("vera@example.org"))).says("5 кредитов, вернётся, если не ответим до", "Ждёт 5", "Придержано")
	page.silent("тайна", "к вопросу")
}

func TestAdjust(t *testing.T) {
	h, g := boss(t, "ru")
	address := "/web/admin/user/" + string(h.user("vera@example.org"))
	check := g.open(address).fill(address+"/adjust", "amount", "7", "reason", "за долгое ожидание", "reference", "письмо 3").is(http.StatusOK)
	check.says("Проверьте перед записью", "+7 кредитов", "Сейчас 10", "Станет 17", "Причина: за долгое ожидание", "Основание: письмо 3")
	if available, _ := h.balance("vera@example.org"); available != bonus {
		t.Fatal("looking at it did it")
	}
	edited := check.fill(address+"/adjust", ":edit", "yes").is(http.StatusOK)
	if edited.value("amount") != "7" || edited.value("reason") != "за долгое ожидание" || edited.value("reference") != "письмо 3" {
		t.Errorf("the form comes back as %v", edited.form(address+"/adjust"))
	}
	for range 2 { // the second is a reload
		check.fill(address+"/adjust", ":confirm", "yes").at(address).
			says("Баланс изменён: +7.", "Баланс 17 кредитов", "Исправление администратора", "Причина: за долгое ожидание")
	}

	take := g.open(address).fill(address+"/adjust", "direction", "take", "amount", "17", "reason", "ошибка").says("−17 кредитов", "Сейчас 17", "Станет 0")
	take.fill(address+"/adjust", ":confirm", "yes").says("Баланс изменён: −17.", "Баланс 0 кредитов")
	g.open(address + "/adjust").at(address)

	v := h.guest("en")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	v.open("/web/transaction-history").says("Correction by an admin Given credits in it: 7 Reason: за долгое ожидание Reference: письмо 3", "+7", "Correction by an admin Given credits in it: 17 Reason: ошибка", "−17")
}

func TestAdjustRefused(t *testing.T) {
	h, g := boss(t, "en")
	address := "/web/admin/user/" + string(h.user("vera@example.org"))
	form := g.open(address)
	for _, tt := range []struct {
		direction, amount, reason, reference string
		says                                 string
	}{
		{"give", "0", "r", "", "whole number"},
		{"give", "-5", "r", "", "whole number"},
		{"take", "-5", "r", "", "whole number"},
		{"give", "5", "  ", "", "A reason is needed"},
		{"give", "5", strings.Repeat("r", 301), "", "A reason is needed"},
		{"give", "5", "r", strings.Repeat("r", 101), "A reference is one line"},
		{"take", "11", "r", "", "10 credits can be taken"},
	} {
		page := form.fill(address+"/adjust", "direction", tt.direction, "amount", tt.amount, "reason", tt.reason, "reference", tt.reference).is(http.StatusOK).says(tt.says)
		got := page.form(address + "/adjust")
		if got.Get("direction") != tt.direction || got.Get("amount") != tt.amount || got.Get("reason") != strings.TrimSpace(tt.reason) || got.Get("reference") != tt.reference {
			t.Errorf("%+v comes back as %v", tt, got)
		}
	}

	// The balance moves between the check and the word.
	check := form.fill(address+"/adjust", "direction", "take", "amount", "10", "reason", "r").is(http.StatusOK)
	v := h.guest("en")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	v.open("/web").fill("/web/ask", "text", "a train "+patience).is(http.StatusOK)
	check.fill(address+"/adjust", ":confirm", "yes").is(http.StatusOK).says("5 credits can be taken")
	g.send("/web/admin/user/u_nobody/adjust", check.form(address+"/adjust")).is(http.StatusNotFound)
	if available, _ := h.balance("vera@example.org"); available != 5 {
		t.Errorf("Vera has %d credits", available)
	}
}

// An admin says which credits a correction is about: given ones, which cannot be
// withdrawn, or bought ones.
func TestAdjustKinds(t *testing.T) {
	h, g := boss(t, "en")
	address := "/web/admin/user/" + string(h.user("vera@example.org"))
	g.open(address).says("Balance 10 credits", "Given 10", "Cannot be withdrawn", "Can be withdrawn")
	check := g.open(address).fill(address+"/adjust", "kind", "bought", "amount", "7", "reason", "paid and not booked").says("Now 10", "Then 17", "To withdraw 7")
	if got := check.form(address + "/adjust").Get("kind"); got != "bought" {
		t.Errorf("what was checked is of the kind %q", got)
	}
	edited := check.fill(address+"/adjust", ":edit", "yes")
	if got := edited.form(address + "/adjust").Get("kind"); got != "bought" {
		t.Errorf("the form comes back with the kind %q", got)
	}
	check.fill(address+"/adjust", ":confirm", "yes").says("Balance 17 credits", "Given 10").silent("Given credits in it")
	g.open(address).fill(address+"/adjust", "kind", "bought", "direction", "take", "amount", "8", "reason", "r").says("7 credits can be taken")
	g.open(address).fill(address+"/adjust", "direction", "take", "amount", "12", "reason", "r").says("Then 5", "To withdraw 5").
		fill(address+"/adjust", ":confirm", "yes").says("Balance 5 credits", "Given 0", "Given credits in it: 10")
	g.open(address).fill(address+"/adjust", "kind", "lent", "amount", "1", "reason", "r").says("That did not work")
}

// Nobody corrects their own wallet: the page has no form for it, and a form that is
// sent all the same is refused.
func TestAdminsOwnWallet(t *testing.T) {
	h, g := boss(t, "en")
	own, vera := "/web/admin/user/"+string(h.user("boss@example.org")), "/web/admin/user/"+string(h.user("vera@example.org"))
	page := g.open(own).is(http.StatusOK).says("An admin cannot correct their own wallet")
	if find(page.root, func(n *node) bool { return attr(n, "action") == own+"/adjust" }) != nil {
		t.Error("the admin's own page has a form")
	}
	form := g.open(vera).form(vera + "/adjust")
	form.Set("amount", "5")
	form.Set("reason", "for me")
	g.send(own+"/adjust", form).is(http.StatusOK).silent("Then").says("An admin cannot correct their own wallet")
	form.Set("confirm", "yes")
	g.send(own+"/adjust", form).is(http.StatusOK).at(own).silent("Balance changed")
	if available, _ := h.balance("boss@example.org"); available != bonus {
		t.Errorf("the boss has %d credits", available)
	}
}

// Of the folder of static files nothing is shown but the files.
func TestStaticFilesOnly(t *testing.T) {
	h := open(t, options{bonus: bonus})
	g := h.guest("en")
	for _, path := range []string{"/web/static/v/", "/web/static/v/.", "/web/static/v/..", "/web/static/v/%2e", "/web/static/v/..%2fstatic", "/web/static/v/base.css%00", "/web//static/v/base.css"} {
		g.open(path).is(http.StatusNotFound).says("There is no such page")
	}
}
