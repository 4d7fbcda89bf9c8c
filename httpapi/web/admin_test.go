package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kassa/domain"
	"kassa/httpapi/identity"
)

// signInAdmin returns a fixture with an admin's client, where Vera has a wallet.
func signInAdmin(t *testing.T, language string) (*fixture, *client) {
	t.Helper()
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{Off: true}})
	g := h.member(language, "boss@example.org")
	h.member("ru", "vera@example.org")
	h.promote("boss@example.org")
	return h, g
}

func TestAdminsOnly(t *testing.T) {
	h, _ := signInAdmin(t, "ru")
	g := h.client("en")
	g.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	address := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	g.open("/web").lacks("Users")
	g.open("/web/admin").is(http.StatusForbidden).shows("No entry")
	g.open(address).is(http.StatusForbidden)
	g.send("/web/admin", map[string][]string{"who": {"boss@example.org"}}).is(http.StatusForbidden).lacks("boss@")
	g.send(address+"/adjust", map[string][]string{"amount": {"5"}, "reason": {"r"}, "confirm": {"yes"}, "idempotency_key": {"k"}}).is(http.StatusForbidden)
	if available, _ := h.balance("vera@example.org"); available != bonus {
		t.Errorf("Vera has %d credits", available)
	}
}

func TestFind(t *testing.T) {
	h, g := signInAdmin(t, "ru")
	vera := h.env.User("vera@example.org")
	people := g.open("/web/admin").shows("boss@example.org администратор", "vera@example.org", string(vera))
	for _, query := range []string{"vera@example.org", " VERA@example.org ", string(vera)} {
		people.fill("/web/admin", "who", query).at("/web/admin/user/"+string(vera)).shows("vera@example.org", "Баланс 10 кредитов", "Нет открытых вопросов.", "Подарок")
	}
	for _, query := range []string{"nobody@example.org", "u_nobody", "@", "  "} {
		found := people.fill("/web/admin", "who", query).is(http.StatusOK).shows("никого нет")
		if found.value("who") != strings.TrimSpace(query) {
			t.Errorf("%q comes back as %q", query, found.value("who"))
		}
	}
	people.fill("/web/admin", "who", "u_\x00").is(http.StatusOK).shows("никого нет") // PostgreSQL fails on this byte
	people.follow("vera@example.org").at("/web/admin/user/" + string(vera))
	for _, id := range []string{"u_nobody", "u_%00", "u_%ff", "..", "%2e%2e", "..%2f..", "%2F"} {
		g.open("/web/admin/user/" + id).is(http.StatusNotFound)
		g.open("/web/prediction/" + id).is(http.StatusNotFound)
	}
	g.open("/web/admin?cursor=nonsense").is(http.StatusBadRequest)
}

func TestPeoplePages(t *testing.T) {
	h, g := signInAdmin(t, "en")
	for n := range 21 {
		h.member("en", fmt.Sprintf("guest%d@example.org", n))
	}
	page := g.open("/web/admin").shows("guest20@example.org").lacks("vera@")
	page.follow("Older").shows("vera@example.org", "boss@example.org").lacks("guest20@").follow("Back to newest").shows("guest20@")
}

func TestHolds(t *testing.T) {
	h, g := signInAdmin(t, "ru")
	v := h.client("ru")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	v.open("/web").fill("/web/ask", "text", "тайна "+unansweredWord)
	page := g.open("/web/admin/user/"+string(h.env.User("vera@example.org"))).shows("5 кредитов, вернётся, если не будет ответа до", "В резерве 5", "В резерве")
	page.lacks("тайна", "к вопросу")
}

func TestAdjust(t *testing.T) {
	h, g := signInAdmin(t, "ru")
	address := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	check := g.open(address).fill(address+"/adjust", "amount", "7", "reason", "за долгое ожидание", "reference", "письмо 3").is(http.StatusOK)
	check.shows("Проверьте перед записью", "+7 кредитов", "Сейчас 10", "Станет 17", "Причина: за долгое ожидание", "Основание: письмо 3")
	if available, _ := h.balance("vera@example.org"); available != bonus {
		t.Fatal("looking at it did it")
	}
	edited := check.fill(address+"/adjust", ":edit", "yes").is(http.StatusOK)
	if edited.value("amount") != "7" || edited.value("reason") != "за долгое ожидание" || edited.value("reference") != "письмо 3" {
		t.Errorf("the form comes back as %v", edited.form(address+"/adjust"))
	}
	for range 2 { // the second is a reload
		check.fill(address+"/adjust", ":confirm", "yes").at(address).
			shows("Баланс изменён: +7.", "Баланс 17 кредитов", "Корректировка администратором", "Причина: за долгое ожидание")
	}

	take := g.open(address).fill(address+"/adjust", "direction", "take", "amount", "17", "reason", "ошибка").shows("−17 кредитов", "Сейчас 17", "Станет 0")
	take.fill(address+"/adjust", ":confirm", "yes").shows("Баланс изменён: −17.", "Баланс 0 кредитов")
	g.open(address + "/adjust").at(address)

	v := h.client("en")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	v.open("/web/transaction-history").shows("Adjustment by an admin Including gift credits: 7 Reason: за долгое ожидание Reference: письмо 3", "+7", "Adjustment by an admin Including gift credits: 17 Reason: ошибка", "−17")
}

// An adjustment above the limit is sent for approval, and another admin approves or rejects it.
func TestProposals(t *testing.T) {
	h := newFixture(t, options{bonus: bonus, limits: identity.Limits{Off: true}, adjust: domain.AdjustmentLimits{FourEyesAbove: 50}})
	boss, eve := h.member("ru", "boss@example.org"), h.member("en", "eve@example.org")
	v := h.member("en", "vera@example.org")
	h.promote("boss@example.org")
	h.promote("eve@example.org")
	address := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	propose := func(amount string) string {
		t.Helper()
		check := boss.open(address).fill(address+"/adjust", "amount", amount, "reason", "платёж зачислен дважды", "reference", "письмо 3")
		check.shows("Это больше, чем 50 кредитов", "Отправить на одобрение", "Станет")
		made := check.fill(address+"/adjust", ":confirm", "yes").shows("Отправлено на одобрение. Баланс пока не изменился.", "Корректировку предложили вы").lacks("Одобрить")
		check.fill(address+"/adjust", ":confirm", "yes").at(made.address.Path) // a reload
		return made.address.Path
	}
	first := propose("70")
	list := eve.open("/web/admin").follow("Adjustments to approve").shows("vera@example.org", "+70", "платёж зачислен дважды", "Proposed by boss@example.org")
	page := list.follow("vera@example.org").at(first).shows("Before 10", "After 80", "Reference: письмо 3")
	page.fill(first, ":approve", "yes", "reason", " ").shows("Enter a reason")
	for range 2 { // the second is a reload
		page.fill(first, ":approve", "yes", "reason", "both payments are there").at(first).shows("Approved", "By eve@example.org: both payments are there", "Balance 80")
	}
	boss.open(first).shows("Одобрено", "Решение принял eve@example.org")
	if available, _ := h.balance("vera@example.org"); available != 80 {
		t.Errorf("Vera has %d credits", available)
	}
	v.open("/web/transaction-history").shows("платёж зачислен дважды", "+70").lacks("both payments")

	second := propose("60")
	stale := eve.open(second).shows("After 140")
	boss.open(second).fill(second, ":reject", "yes", "reason", "ошибка").shows("Корректировка отклонена", "Отклонено")
	stale.fill(second, ":approve", "yes", "reason", "too late").shows("already decided", "Rejected")
	eve.open("/web/admin/adjustments").shows("Nothing to approve.")

	// Nobody decides about their own balance, and no person sees any of it.
	h.promote("vera@example.org")
	third := propose("51")
	v.open(third).shows("Admins cannot adjust their own wallets").lacks("Approve")
	v.send(third, map[string][]string{"approve": {"yes"}, "reason": {"mine"}, "idempotency_key": {"k"}}).shows("Admins cannot adjust their own wallets")
	boss.send(third, map[string][]string{"approve": {"yes"}, "reason": {"mine"}, "idempotency_key": {"k"}}).shows("Одобрить ваше предложение должен другой администратор")
	h.env.SetAdmin(h.env.User("vera@example.org"), false)
	v.open("/web/admin/adjustments").is(http.StatusForbidden)
	v.open(third).is(http.StatusForbidden)
	v.send(third, map[string][]string{"approve": {"yes"}, "reason": {"mine"}, "idempotency_key": {"k2"}}).is(http.StatusForbidden)
	eve.open("/web/admin/adjustments/adj_nothing").is(http.StatusNotFound)
	if available, _ := h.balance("vera@example.org"); available != 80 {
		t.Errorf("Vera has %d credits", available)
	}
}

func TestAdjustRefused(t *testing.T) {
	h, g := signInAdmin(t, "en")
	address := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	form := g.open(address)
	for _, tt := range []struct {
		direction, amount, reason, reference string
		says                                 string
	}{
		{"give", "0", "r", "", "whole number"},
		{"give", "-5", "r", "", "whole number"},
		{"take", "-5", "r", "", "whole number"},
		{"give", "5", "  ", "", "Enter a reason"},
		{"give", "5", strings.Repeat("r", 301), "", "Enter a reason"},
		{"give", "5", "r", strings.Repeat("r", 101), "A reference is one line"},
		{"take", "11", "r", "", "more than is available: 10 credits"},
	} {
		page := form.fill(address+"/adjust", "direction", tt.direction, "amount", tt.amount, "reason", tt.reason, "reference", tt.reference).is(http.StatusOK).shows(tt.says)
		got := page.form(address + "/adjust")
		if got.Get("direction") != tt.direction || got.Get("amount") != tt.amount || got.Get("reason") != strings.TrimSpace(tt.reason) || got.Get("reference") != tt.reference {
			t.Errorf("%+v comes back as %v", tt, got)
		}
	}

	// The balance changes between the preview and the command.
	check := form.fill(address+"/adjust", "direction", "take", "amount", "10", "reason", "r").is(http.StatusOK)
	v := h.client("en")
	v.open("/web/signin").fill("/web/signin", "email", "vera@example.org", "password", password)
	v.open("/web").fill("/web/ask", "text", "a train "+unansweredWord).is(http.StatusOK)
	check.fill(address+"/adjust", ":confirm", "yes").is(http.StatusOK).shows("more than is available: 5 credits")
	g.send("/web/admin/user/u_nobody/adjust", check.form(address+"/adjust")).is(http.StatusNotFound)
	if available, _ := h.balance("vera@example.org"); available != 5 {
		t.Errorf("Vera has %d credits", available)
	}
}

// An admin chooses which credits an adjustment changes: given ones, which cannot be
// withdrawn, or bought ones.
func TestAdjustKinds(t *testing.T) {
	h, g := signInAdmin(t, "en")
	address := "/web/admin/user/" + string(h.env.User("vera@example.org"))
	g.open(address).shows("Balance 10 credits", "Gift credits 10", "Cannot be withdrawn", "Can be withdrawn")
	check := g.open(address).fill(address+"/adjust", "kind", "bought", "amount", "7", "reason", "paid and not booked").shows("Before 10", "After 17", "Withdrawable 7")
	if got := check.form(address + "/adjust").Get("kind"); got != "bought" {
		t.Errorf("what was checked is of the kind %q", got)
	}
	edited := check.fill(address+"/adjust", ":edit", "yes")
	if got := edited.form(address + "/adjust").Get("kind"); got != "bought" {
		t.Errorf("the form comes back with the kind %q", got)
	}
	check.fill(address+"/adjust", ":confirm", "yes").shows("Balance 17 credits", "Gift credits 10").lacks("Including gift credits")
	g.open(address).fill(address+"/adjust", "kind", "bought", "direction", "take", "amount", "8", "reason", "r").shows("more than is available: 7 credits")
	g.open(address).fill(address+"/adjust", "direction", "take", "amount", "12", "reason", "r").shows("After 5", "Withdrawable 5").
		fill(address+"/adjust", ":confirm", "yes").shows("Balance 5 credits", "Gift credits 0", "Including gift credits: 10")
	g.open(address).fill(address+"/adjust", "kind", "lent", "amount", "1", "reason", "r").shows("That did not work")
}

// Admins cannot adjust their own wallet: the page has no form for it, and a forged form
// is refused.
func TestAdminsOwnWallet(t *testing.T) {
	h, g := signInAdmin(t, "en")
	own, vera := "/web/admin/user/"+string(h.env.User("boss@example.org")), "/web/admin/user/"+string(h.env.User("vera@example.org"))
	page := g.open(own).is(http.StatusOK).shows("Admins cannot adjust their own wallets")
	if find(page.root, func(n *node) bool { return attr(n, "action") == own+"/adjust" }) != nil {
		t.Error("the admin's own page has a form")
	}
	form := g.open(vera).form(vera + "/adjust")
	form.Set("amount", "5")
	form.Set("reason", "for me")
	g.send(own+"/adjust", form).is(http.StatusOK).lacks("After").shows("Admins cannot adjust their own wallets")
	form.Set("confirm", "yes")
	g.send(own+"/adjust", form).is(http.StatusOK).at(own).lacks("Balance changed")
	if available, _ := h.balance("boss@example.org"); available != bonus {
		t.Errorf("the boss has %d credits", available)
	}
}

// Of the folder of static files only files are served, no listing.
func TestStaticFilesOnly(t *testing.T) {
	h := newFixture(t, options{bonus: bonus})
	g := h.client("en")
	for _, path := range []string{"/web/static/v/", "/web/static/v/.", "/web/static/v/..", "/web/static/v/%2e", "/web/static/v/..%2fstatic", "/web/static/v/base.css%00", "/web//static/v/base.css"} {
		g.open(path).is(http.StatusNotFound).shows("This page does not exist")
	}
}
